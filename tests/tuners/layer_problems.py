"""Layers with few elements, and their global optima by a grid; no code under test judges itself."""

import itertools
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize


def gaussian_layer(seed: int, users: int, elements: int, gain: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of independent Gaussian paths, stronger on the own stream, and random phases."""
    rng = np.random.default_rng(seed)
    shape = (users, users, elements)
    v = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
    v *= gain * (0.3 + 0.7 * np.eye(users)[:, :, None])
    return v, np.exp(2j * np.pi * rng.random(elements))


def powers(v: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """|f_ki|^2 for phases of shape (..., element)."""
    return np.abs(np.einsum("kin,...n->...ki", v, phi)) ** 2


def sinrs(v: np.ndarray, phi: np.ndarray) -> np.ndarray:
    power = powers(v, phi)
    own = np.diagonal(power, axis1=-2, axis2=-1)
    return own / (power.sum(-1) - own + 1)


def rates(v: np.ndarray, phi: np.ndarray) -> np.ndarray:
    return np.log1p(sinrs(v, phi))


def surrogate(v: np.ndarray, power: np.ndarray, start: np.ndarray) -> np.ndarray:
    """[x-2] in nats at |f_ki|^2 = power, about the phases `start`."""

    def received(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return p.sum(-1) + 1, p.sum(-1) + 1 - np.diagonal(p, axis1=-2, axis2=-1)

    total, interference = received(power)
    _, before = received(powers(v, start))
    return (np.log(total) - np.log(before) - (interference - before) / before).sum(-1)


def phase_grid(elements: int, steps: int) -> np.ndarray:
    """All phases on a grid with the first fixed: a common phase changes nothing."""
    level = np.exp(2j * np.pi * np.arange(steps) / steps)
    return np.array([(1, *rest) for rest in itertools.product(level, repeat=elements - 1)])


def global_optimum(value: Callable[[np.ndarray], np.ndarray], elements: int) -> float:
    """Largest value of phases of shape (..., element): the best points of a grid, each polished."""

    def loss(angles: np.ndarray) -> float:
        return -value(np.exp(1j * np.array([0, *angles])))

    grid = phase_grid(elements, 24)
    best = grid[np.argsort(-value(grid))[:10]]
    return max(-minimize(loss, np.angle(phi[1:]), options={"gtol": 1e-10}).fun for phi in best)
