"""Algorithm 3: bound, reduced step, stage; judged by NumPy in the full dimension and by convex special cases."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import broadcast_rates, gaussian, relative_error, scaled
from scipy.linalg import block_diag
from scipy.optimize import brentq, minimize_scalar

from metamimo.precoders.energy_efficient import (
    Reduced,
    Stage,
    energy_efficient_precoder,
    rate_bound,
    reduced_step,
    sum_rate,
)
from metamimo.precoders.matched import maximum_ratio
from metamimo.problem import Status

FIXED = 3.0
bound_of = jax.jit(rate_bound)
tight = jax.jit(partial(energy_efficient_precoder, tolerance=1e-13), static_argnames=("strict",))
start_of = jax.jit(maximum_ratio)


def stage(h: jax.Array, start: jax.Array, fixed: jax.Array, power: jax.Array, *, strict: bool = False) -> Stage:
    return tight(h, start, fixed, power, strict=strict)  # always spelt out: one compilation a value


@jax.jit
def step(h: jax.Array, f: jax.Array, fixed: jax.Array, power: jax.Array) -> jax.Array:
    return reduced_step(h, Reduced.of(h), f, fixed, power)


def channel(case: str) -> np.ndarray:
    h = 1.3 * gaussian(11, 2, 2, 3 if case == "fewer_ports" else 6)
    if case == "repeated_users":
        h[1] = h[0]
    return h


def efficiency(h: np.ndarray, f: np.ndarray, fixed: float = FIXED) -> float:
    return broadcast_rates(h, f).sum() / (fixed + np.linalg.norm(f) ** 2)


def bound_terms(h: np.ndarray, f: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """c, Gamma_k and E_k of eq. (44) by their definitions."""
    c, gamma, weight = 0.0, [], []
    for k, hk in enumerate(h):
        v = hk @ f[k]
        noise = np.eye(len(hk)) + sum(hk @ fj @ fj.conj().T @ hk.conj().T for j, fj in enumerate(f) if j != k)
        inverse = np.linalg.inv(noise)
        d = v.conj().T @ inverse @ v
        e = inverse - np.linalg.inv(noise + v @ v.conj().T)
        c += np.linalg.slogdet(np.eye(len(d)) + d)[1] - np.trace(d).real - np.trace(e).real
        gamma.append(inverse @ v)
        weight.append(e)
    return c, np.array(gamma), np.array(weight)


def full_step(h: np.ndarray, f: np.ndarray, power: float) -> tuple[np.ndarray, float]:
    """P_k = (eta I + sum_j H_j^H E_j H_j)^-1 H_k^H Gamma_k with eta, or nu at the limit, found by bracketing."""
    c, gamma, weight = bound_terms(h, f)
    curvature = sum(hk.conj().T @ e @ hk for hk, e in zip(h, weight, strict=True))
    slope = np.array([hk.conj().T @ g for hk, g in zip(h, gamma, strict=True)])

    def solution(eta: float) -> np.ndarray:
        return np.linalg.solve(eta * np.eye(h.shape[-1]) + curvature, slope)

    def fractional(eta: float) -> float:
        p = solution(eta)
        linear = 2 * (slope.conj() * p).real.sum()
        quadratic = sum(np.trace(pk.conj().T @ curvature @ pk).real for pk in p)
        return c + linear - quadratic - eta * (FIXED + np.linalg.norm(p) ** 2)

    eta = brentq(fractional, 1e-6, 1e3, xtol=1e-300, rtol=1e-14)
    if np.linalg.norm(solution(eta)) ** 2 > power:
        eta = brentq(lambda nu: np.linalg.norm(solution(nu)) ** 2 - power, eta, 1e6, xtol=1e-300, rtol=1e-14)
    return solution(eta), eta


@pytest.mark.parametrize("case", ["more_ports", "fewer_ports", "repeated_users"])
def test_bound_touches_the_rate_and_never_exceeds_it(case: str) -> None:
    """Acceptance check 3 for eq. (44): equal at the expansion point, below at 500 random points."""
    h, start = channel(case), scaled(gaussian(12, 2, channel(case).shape[-1], 2), 4.0)
    bound = bound_of(jnp.asarray(h), jnp.asarray(start))
    gamma, weight = np.asarray(bound.gamma), np.asarray(bound.weight)

    def value(f: np.ndarray) -> float:
        out = float(bound.constant)
        for k, hk in enumerate(h):
            out += 2 * np.trace(gamma[k].conj().T @ hk @ f[k]).real
            out -= sum(np.trace(fj.conj().T @ hk.conj().T @ weight[k] @ hk @ fj).real for fj in f)
        return out

    assert float(bound.rate) == pytest.approx(broadcast_rates(h, start).sum(), rel=1e-12)
    assert value(start) == pytest.approx(broadcast_rates(h, start).sum(), abs=1e-11)
    sizes = np.geomspace(1e-3, 10, 250)
    points = [start + s * gaussian(i, *start.shape) for i, s in enumerate(sizes)]
    points += [s * gaussian(i, *start.shape) for i, s in enumerate(sizes)]
    gaps = [broadcast_rates(h, f).sum() - value(f) for f in points]
    assert min(gaps) >= -1e-10
    assert max(gaps) > 1


@pytest.mark.parametrize("power", [0.5, 1e4])
@pytest.mark.parametrize("case", ["more_ports", "fewer_ports", "repeated_users"])
def test_reduced_step_is_the_full_dimension_step(case: str, power: float) -> None:
    """Acceptance check 9, with the limit active and inactive; literal (49) and (51) where they are defined."""
    h = channel(case)
    users, rx, ports = h.shape
    f = scaled(gaussian(13, users, ports, rx), 0.4)
    expected, eta = full_step(h, f, power)
    found = np.asarray(step(jnp.asarray(h), jnp.asarray(f), jnp.asarray(FIXED), jnp.asarray(power)))
    assert relative_error(found, expected) <= 1e-9
    assert np.linalg.norm(found) ** 2 <= power * (1 + 1e-9)

    _, gamma, weight = bound_terms(h, f)
    stacked = h.reshape(users * rx, ports)
    gram, e = stacked @ stacked.conj().T, block_diag(*weight)
    padded = np.array([np.vstack([g if k == j else 0 * g for j in range(users)]) for k, g in enumerate(gamma)])
    unified = np.linalg.solve(eta * np.eye(users * rx) + e @ gram, padded)
    assert relative_error(stacked.conj().T @ unified, expected) <= 1e-9
    if case == "more_ports":
        literal = np.linalg.solve(gram @ e @ gram + eta * gram, gram @ padded)  # (49)
        assert relative_error(literal, unified) <= 1e-9
    if case == "fewer_ports":
        literal = np.linalg.pinv(stacked.conj().T) @ expected  # (51)
        assert relative_error(stacked.conj().T @ literal, expected) <= 1e-9


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("case", ["more_ports", "fewer_ports", "repeated_users"])
@pytest.mark.parametrize("power", [0.5, 1e4])
def test_history_never_falls_and_the_limit_holds(case: str, power: float, strict: bool) -> None:
    """Acceptance check 10."""
    h = jnp.asarray(channel(case))
    start = start_of(h, jnp.asarray(power))
    found = stage(h, start, jnp.asarray(FIXED), jnp.asarray(power), strict=strict)
    history, f = np.asarray(found.history), np.asarray(found.precoder)
    assert int(found.status) == Status.CONVERGED
    assert np.linalg.norm(f) ** 2 <= power * (1 + 1e-9)
    value = efficiency(np.asarray(h), f)
    # The start may be scaled down, never for the worse.
    assert history[0] >= efficiency(np.asarray(h), np.asarray(start)) * (1 - 1e-12)
    assert history[-1] == pytest.approx(value, rel=1e-12)
    assert value >= history[0] * (1 - 1e-12)
    assert np.diff(history).min() >= -1e-12 * history[-1]
    assert history[-1] > 1.005 * history[0]


@pytest.mark.parametrize("power", [0.5, 1e4])
def test_both_versions_end_in_a_stationary_point(power: float) -> None:
    h, limit = channel("more_ports"), jnp.asarray(power)
    for strict in (False, True):
        f = np.asarray(
            stage(jnp.asarray(h), start_of(jnp.asarray(h), limit), jnp.asarray(FIXED), limit, strict=strict).precoder
        )
        best = efficiency(h, f)
        for seed in range(20):
            for size in (1e-3, 1e-2):
                near = f + size * np.linalg.norm(f) * scaled(gaussian(seed, *f.shape), 1.0)
                near = scaled(near, min(power, np.linalg.norm(near) ** 2))
                assert efficiency(h, near) <= best * (1 + 3 * size**2)


def water_filling_efficiency(h: np.ndarray, fixed: float, power: float) -> float:
    gains = np.linalg.svd(h, compute_uv=False) ** 2

    def value(level: float) -> tuple[float, float]:
        p = np.maximum(level - 1 / gains, 0)
        return np.log1p(p * gains).sum(), p.sum()

    def gap(eta: float) -> float:
        rate, spent = value(1 / eta)
        return rate - eta * (fixed + spent)

    level = 1 / brentq(gap, 1e-9, gains.max() * (1 - 1e-12), rtol=1e-14)
    if value(level)[1] > power:
        level = brentq(lambda w: value(w)[1] - power, 1 / gains.max(), level, rtol=1e-14)
    rate, spent = value(level)
    return rate / (fixed + spent)


@pytest.mark.parametrize("power", [0.05, 0.5, 1e2])
def test_single_user_is_water_filling(power: float) -> None:
    """Acceptance check 11; at the smallest limit the weaker mode is off."""
    h = gaussian(14, 1, 2, 6) * np.array([[3.0], [1.0]])
    limit = jnp.asarray(power)
    found = stage(jnp.asarray(h), start_of(jnp.asarray(h), limit), jnp.asarray(FIXED), limit)
    assert efficiency(h, np.asarray(found.precoder)) == pytest.approx(
        water_filling_efficiency(h[0], FIXED, power), rel=1e-6
    )


@pytest.mark.parametrize("power", [0.1, 1e2])
def test_single_antenna_user_is_the_scalar_optimum(power: float) -> None:
    h = gaussian(15, 1, 1, 6)
    gain, limit = np.linalg.norm(h) ** 2, jnp.asarray(power)

    def ratio(p: float) -> float:
        return np.log1p(p * gain) / (FIXED + p)

    inner = minimize_scalar(lambda p: -ratio(p), bounds=(0, power), method="bounded", options={"xatol": 1e-12})
    found = stage(jnp.asarray(h), start_of(jnp.asarray(h), limit), jnp.asarray(FIXED), limit)
    assert float(found.history[-1]) == pytest.approx(max(-inner.fun, ratio(power)), rel=1e-9)


@pytest.mark.parametrize("factor", [1e-4, 1e-2, 1e3, 1e6])
def test_scaling_law(factor: float) -> None:
    """Acceptance check 13: G c, P_max / c^2, P_fix / c^2 multiply the efficiency by c^2 and keep the rate."""
    h = channel("more_ports")
    values = []
    for c in (1.0, factor):
        g, power = jnp.asarray(c * h), jnp.asarray(0.5 / c**2)
        found = stage(g, start_of(g, power), jnp.asarray(FIXED / c**2), power)
        values.append((float(found.history[-1]) / c**2, broadcast_rates(c * h, np.asarray(found.precoder)).sum()))
    np.testing.assert_allclose(values[1], values[0], rtol=1e-9)


@pytest.mark.parametrize("users", [1, 2])
def test_efficiency_saturates_with_the_limit(users: int) -> None:
    """Acceptance check 13: P_max to infinity, each time from the default start at full power."""
    h = jnp.asarray(channel("more_ports"))[:users]
    limits = jnp.asarray([0.1, 1.0, 1e2, 1e4, 1e6])
    found = [stage(h, start_of(h, p), jnp.asarray(FIXED), p) for p in limits]
    values = [float(f.history[-1]) for f in found]
    assert values[0] < values[1] < values[2]
    assert [int(f.status) for f in found] == [Status.CONVERGED] * 5
    np.testing.assert_allclose(values[3:], values[2], rtol=1e-9)


def test_limit_that_does_not_bind_leaves_the_result_alone() -> None:
    h = jnp.asarray(channel("more_ports"))
    start = start_of(h, jnp.asarray(1.0))
    values = [float(stage(h, start, jnp.asarray(FIXED), jnp.asarray(p)).history[-1]) for p in (1e2, 1e6, 1e12)]
    np.testing.assert_allclose(values, values[0], rtol=1e-12)


def test_switched_off_ports_and_dead_users_get_nothing() -> None:
    h = channel("more_ports")
    h[..., 4] = 0
    h[1] = 0
    limit = jnp.asarray(0.5)
    found = stage(jnp.asarray(h), start_of(jnp.asarray(h), limit), jnp.asarray(FIXED), limit)
    f = np.asarray(found.precoder)
    assert not f[:, 4].any()
    assert not f[1].any()
    assert int(found.status) == Status.CONVERGED
    assert efficiency(h, f) == pytest.approx(water_filling_efficiency(h[0], FIXED, 0.5), rel=1e-6)


def test_zero_channel_and_zero_power_stay_finite() -> None:
    h, one, none = jnp.asarray(channel("more_ports")), jnp.asarray(1.0), jnp.asarray(0.0)
    dark = stage(0 * h, start_of(0 * h, one), jnp.asarray(FIXED), one)
    silent = stage(h, start_of(h, none), jnp.asarray(FIXED), none)
    for found in (dark, silent):
        assert np.isfinite(np.asarray(found.precoder)).all()
        assert float(found.history[-1]) == 0
        assert not np.asarray(found.precoder).any()


def test_channel_that_is_not_finite_sets_the_status() -> None:
    h = jnp.asarray(channel("more_ports")).at[0, 0, 0].set(jnp.nan)
    one = jnp.asarray(1.0)
    assert int(stage(h, start_of(h, one), jnp.asarray(FIXED), one).status) == Status.NOT_FINITE


def test_maximum_ratio_is_at_full_power_and_sum_rate_is_the_definition() -> None:
    h = channel("more_ports")
    f = np.asarray(start_of(jnp.asarray(h), jnp.asarray(2.0)))
    assert np.linalg.norm(f) ** 2 == pytest.approx(2.0, rel=1e-12)
    ratio = f / h.conj().swapaxes(1, 2)
    np.testing.assert_allclose(ratio, ratio[0, 0, 0].real, rtol=1e-12)
    assert float(jax.jit(sum_rate)(jnp.asarray(h), jnp.asarray(f))) == pytest.approx(
        broadcast_rates(h, f).sum(), rel=1e-12
    )
