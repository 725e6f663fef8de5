"""Plain NumPy definitions of the dual channel and a convex reference; no code under test judges itself."""

import cvxpy as cp
import numpy as np
from scipy.optimize import brentq


def gaussian(seed: int, *shape: int) -> np.ndarray:
    """Independent CN(0, 1) entries."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def adjoint(a: np.ndarray) -> np.ndarray:
    return a.conj().swapaxes(-1, -2)


def random_factors(seed: int, users: int, rx: int, power: float) -> np.ndarray:
    x = gaussian(seed, users, rx, rx)
    return x * np.sqrt(power) / np.linalg.norm(x)


def user_rates(h: np.ndarray, x: np.ndarray) -> np.ndarray:
    """ln|Y_{k+1}| - ln|Y_k| [nat]."""
    w = adjoint(np.asarray(x)) @ h
    logdets = [0.0]
    y = np.eye(h.shape[-1], dtype=complex)
    for wk in w:
        y = y + adjoint(wk) @ wk
        logdets.append(np.linalg.slogdet(y)[1])
    return np.diff(logdets)


def power_of(x: np.ndarray) -> float:
    return float(np.linalg.norm(x) ** 2)


def efficiency(h: np.ndarray, x: np.ndarray, fixed: float) -> float:
    return float(user_rates(h, x).sum() / (fixed + power_of(x)))


def convex_optimum(h: np.ndarray, fixed: float, power: float) -> float:
    """Problem (13) by CVXPY and Clarabel: the log-det in its real embedding, inside Dinkelbach's method."""

    def real(a: np.ndarray) -> np.ndarray:
        return np.block([[a.real, -a.imag], [a.imag, a.real]])

    covariance = [cp.Variable((2 * h.shape[1], 2 * h.shape[1]), PSD=True) for _ in h]
    z = np.eye(2 * h.shape[-1]) + sum(real(hk).T @ s @ real(hk) for hk, s in zip(h, covariance, strict=True))
    rate, spent = cp.log_det(z) / 2, cp.sum([cp.trace(s) for s in covariance]) / 2
    price = cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Maximize(rate - price * spent), [spent <= power])
    eta, before = efficiency(h, random_factors(0, *h.shape[:2], power), fixed), 0.0
    while eta - before > 1e-9 * eta:
        before, price.value = eta, eta
        problem.solve(solver=cp.CLARABEL)
        eta = float(rate.value / (fixed + spent.value))
    return eta


def water_filling_efficiency(h: np.ndarray, fixed: float, power: float) -> float:
    """Optimum for one user: parallel channels of gains sigma_i^2."""
    gains = np.linalg.svd(h, compute_uv=False) ** 2

    def spent(level: float) -> np.ndarray:
        return np.maximum(level - 1 / gains, 0)

    def surplus(eta: float) -> float:
        p = spent(1 / eta)
        return np.log1p(p * gains).sum() - eta * (fixed + p.sum())

    level = 1 / brentq(surplus, 1e-9, gains.max() * (1 - 1e-12), rtol=1e-14)
    if spent(level).sum() > power:
        level = brentq(lambda w: spent(w).sum() - power, 1 / gains.max(), level, rtol=1e-14)
    p = spent(level)
    return float(np.log1p(p * gains).sum() / (fixed + p.sum()))
