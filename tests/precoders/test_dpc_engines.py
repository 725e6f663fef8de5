"""The covariance stage: engines against each other, a convex solver, closed forms, and at the edges."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpc_tools import (
    convex_optimum,
    efficiency,
    gaussian,
    power_of,
    random_factors,
    user_rates,
    water_filling_efficiency,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from metamimo.errors import ConfigError
from metamimo.precoders.covariances import (
    CovarianceStage,
    EngineName,
    covariance_step,
    energy_efficient_covariances,
    start_covariances,
)
from metamimo.precoders.sum_power import sum_power_covariances
from metamimo.problem import Status

ENGINES: tuple[EngineName, ...] = ("water_filling", "xu_qiu", "sca")
USERS, RX, PORTS = 3, 2, 4  # fewer ports than receive antennas: the users get in each other's way
FIXED = 5.0
ACTIVE, INACTIVE = 0.3, 100.0
stage = jax.jit(
    partial(energy_efficient_covariances, tolerance=1e-12, max_steps=5000), static_argnames=("engine", "strict")
)
one_step = jax.jit(covariance_step)
full_power = jax.jit(sum_power_covariances)


def solve(
    h: np.ndarray,
    power: float,
    *,
    engine: EngineName = "water_filling",
    strict: bool = False,
    start: np.ndarray | None = None,
    fixed: float = FIXED,
) -> CovarianceStage:
    channel, limit = jnp.asarray(h, complex), jnp.asarray(power)
    first = start_covariances(channel, limit) if start is None else jnp.asarray(start, complex)
    return stage(channel, first, jnp.asarray(fixed), limit, engine=engine, strict=strict)


def channel(seed: int) -> np.ndarray:
    """Users of different strength, up to 20 dB apart."""
    strength = 10.0 ** np.random.default_rng(seed).uniform(-0.5, 0.5, (USERS, 1, 1))
    return 2 * strength * gaussian(seed, USERS, RX, PORTS)


@pytest.mark.parametrize("power", [ACTIVE, INACTIVE])
@pytest.mark.parametrize("seed", range(10))
def test_engines_reach_the_convex_optimum(seed: int, power: float) -> None:
    """Acceptance check 6, and 10 on the way: 1e-6 to CVXPY, 1e-7 among each other, monotone, within the limit."""
    h = channel(seed)
    values = {}
    for engine in ENGINES:
        found = solve(h, power, engine=engine)
        history, x = np.asarray(found.history), np.asarray(found.factor)
        assert int(found.status) == Status.CONVERGED
        assert np.diff(history).min() >= 0
        assert power_of(x) <= power * (1 + 1e-9)
        assert history[-1] == pytest.approx(efficiency(h, x, FIXED), rel=1e-11)
        values[engine] = history[-1]
        # The certificate covers the best value that any engine has found.
        assert max(values.values()) <= history[-1] * (1 + float(found.gap) + 1e-12)
        assert float(found.gap) <= (1e-3 if engine == "sca" else 1e-6)
    spent = power_of(np.asarray(solve(h, power).factor))
    assert spent == pytest.approx(power, rel=1e-9) if power == ACTIVE else spent < power / 2
    np.testing.assert_allclose(list(values.values()), convex_optimum(h, FIXED, power), rtol=1e-6)
    np.testing.assert_allclose(list(values.values()), values["xu_qiu"], rtol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_dual_decomposition_solves_the_sum_power_problem(seed: int) -> None:
    """Acceptance check 6: (31) by the dual decomposition against Algorithm 1 where the limit binds."""
    h = channel(seed)
    start = start_covariances(jnp.asarray(h), jnp.asarray(ACTIVE))
    full = full_power(jnp.asarray(h), start, jnp.asarray(ACTIVE))
    x = np.asarray(full.factor)
    assert power_of(x) == pytest.approx(ACTIVE, rel=1e-12)
    assert efficiency(h, x, FIXED) == pytest.approx(float(solve(h, ACTIVE, engine="sca").history[-1]), rel=1e-7)
    # The price is the marginal rate of power.
    more = np.asarray(full_power(jnp.asarray(h), start, jnp.asarray(ACTIVE * (1 + 1e-4))).factor)
    gained = user_rates(h, more).sum() - user_rates(h, x).sum()
    assert float(full.price) == pytest.approx(gained / (ACTIVE * 1e-4), rel=1e-3)


@pytest.mark.parametrize("power", [ACTIVE, INACTIVE])
def test_literal_two_phases_have_the_same_optimum(power: float) -> None:
    h = channel(4)
    found = solve(h, power, engine="sca", strict=True)
    assert float(found.history[-1]) == pytest.approx(float(solve(h, power).history[-1]), rel=1e-7)
    assert np.diff(np.asarray(found.history)).min() >= 0
    assert power_of(np.asarray(found.factor)) <= power * (1 + 1e-9)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("power", [0.05, 0.5, 1e2])
def test_single_user_is_water_filling(engine: EngineName, power: float) -> None:
    """Acceptance check 11, with two users whose channel is dead; at the least limit the weaker mode is off."""
    h = np.zeros((USERS, RX, PORTS), complex)
    h[1] = gaussian(14, RX, PORTS) * np.array([[3.0], [1.0]])
    found = solve(h, power, engine=engine)
    assert float(found.history[-1]) == pytest.approx(water_filling_efficiency(h[1], FIXED, power), rel=1e-6)
    # The bound of Algorithm 1 does not see that a dead user's power is wasted, but its step removes it.
    assert np.linalg.norm(np.asarray(found.factor)[[0, 2]]) == 0


@pytest.mark.parametrize("power", [0.1, 1e2])
def test_single_antenna_user_is_the_scalar_optimum(power: float) -> None:
    """Acceptance check 11 at K = N_r = 1."""
    h = gaussian(15, 1, 1, PORTS)
    gain = np.linalg.norm(h) ** 2

    def ratio(p: float) -> float:
        return np.log1p(p * gain) / (FIXED + p)

    inner = minimize_scalar(lambda p: -ratio(p), bounds=(0, power), method="bounded", options={"xatol": 1e-12})
    assert float(solve(h, power).history[-1]) == pytest.approx(max(-inner.fun, ratio(power)), rel=1e-9)


def test_three_antennas_and_many_ports() -> None:
    """Matrices beyond 2 x 2 take another path; a rotation of the ports, of which six count, changes nothing."""
    h = 3 * gaussian(16, 2, 3, 8)
    rotated = h @ np.linalg.qr(gaussian(19, 8, 8))[0]
    for power in (ACTIVE, INACTIVE):
        found = solve(h, power)
        assert float(found.gap) <= 1e-6
        assert efficiency(h, np.asarray(found.factor), FIXED) == pytest.approx(float(found.history[-1]), rel=1e-11)
        np.testing.assert_allclose(np.asarray(solve(rotated, power).factor), np.asarray(found.factor), atol=1e-7)


@pytest.mark.parametrize("factor", [1e-4, 1e-2, 1e3, 1e6])
def test_scaling_law(factor: float) -> None:
    """Acceptance check 13: G c, P_max / c^2, P_fix / c^2 multiply the efficiency by c^2 and keep the rate."""
    values = []
    for c in (1.0, factor):
        found = solve(c * channel(5), ACTIVE / c**2, fixed=FIXED / c**2)
        values.append((float(found.history[-1]) / c**2, user_rates(c * channel(5), np.asarray(found.factor)).sum()))
    np.testing.assert_allclose(values[1], values[0], rtol=1e-9)


def test_efficiency_saturates_with_the_limit() -> None:
    """Acceptance check 13: P_max to infinity, each time from the default start at full power."""
    h = channel(6)
    found = [solve(h, p) for p in (0.1, 1.0, 1e2, 1e4, 1e9)]
    values = [float(f.history[-1]) for f in found]
    assert values[0] < values[1] < values[2]
    np.testing.assert_allclose(values[3:], values[2], rtol=1e-9)
    unlimited = solve(h, np.inf, start=np.asarray(found[0].factor))
    assert float(unlimited.history[-1]) == pytest.approx(values[2], rel=1e-9)
    assert float(unlimited.gap) <= 1e-6


@pytest.mark.parametrize("engine", ENGINES)
def test_starts_without_full_rank_end_at_the_optimum(engine: EngineName) -> None:
    """Pitfall 2, and water-filling results as warm starts."""
    h = channel(7)
    best = float(solve(h, INACTIVE).history[-1])
    start = np.zeros((USERS, RX, RX), complex)
    start[0, :, 0] = 0.1
    for x in (start, np.asarray(solve(h, ACTIVE).factor), 1e3 * random_factors(1, USERS, RX, 1.0)):
        assert float(solve(h, INACTIVE, engine=engine, start=x).history[-1]) == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize("engine", ENGINES)
def test_zero_power_and_zero_channel_stay_finite(engine: EngineName) -> None:
    for h, power in ((channel(8), 0.0), (0 * channel(8), 1.0)):
        found = solve(h, power, engine=engine)
        assert float(found.history[-1]) == 0
        assert int(found.status) == Status.CONVERGED
        assert float(found.gap) <= 1e-6
        assert np.isfinite(np.asarray(found.factor)).all()
        assert power_of(np.asarray(found.factor)) <= power


def test_nearly_equal_users_take_long_steps() -> None:
    """Between them the simultaneous filling moves power too little: 107 steps if none may be longer than the fill."""
    h = channel(11)
    h[1:] = h[:1] + 1e-2 * h[1:]
    found = solve(h, ACTIVE)
    assert int(found.status) == Status.CONVERGED
    assert int(found.iterations) < 60
    assert float(found.gap) <= 1e-6


@pytest.mark.parametrize("engine", ENGINES)
def test_deficient_channels(engine: EngineName) -> None:
    """A repeated user, parallel antennas, a user of no more than rounding."""
    h = channel(9)
    h[1] = h[0]
    h[0, 1] = 2j * h[0, 0]
    h[2] *= 1e-12
    for power in (ACTIVE, INACTIVE):
        found = solve(h, power, engine=engine)
        assert np.isfinite(np.asarray(found.factor)).all()
        assert float(found.history[-1]) == pytest.approx(float(solve(h, power).history[-1]), rel=1e-7)
        assert power_of(np.asarray(found.factor)) <= power * (1 + 1e-9)
    assert float(solve(h, ACTIVE).gap) <= 1e-6


def test_channel_that_is_not_finite_sets_the_status() -> None:
    h = channel(0)
    h[0, 0, 0] = np.nan
    assert int(solve(h, 1.0).status) == Status.NOT_FINITE


@given(
    seed=st.integers(0, 2**16),
    level=st.floats(-2, 4),
    share=st.floats(0, 1),
    power=st.sampled_from([0.0, 1e-3, 1.0, 1e6]),
    rank=st.integers(0, 2),
)
def test_step_never_lowers_the_efficiency_and_keeps_the_limit(
    seed: int, level: float, share: float, power: float, rank: int
) -> None:
    h, x = 10**level * channel(seed), random_factors(seed + 1, USERS, RX, share * power)
    x[0, :, rank:] = 0
    x[1, :, min(rank + 1, RX) :] = 0
    # Users of one direction: there the simultaneous filling overshoots.
    h = h if seed % 2 else h[:1] + 1e-3 * h
    found = np.asarray(one_step(jnp.asarray(h), jnp.asarray(x), jnp.asarray(FIXED), jnp.asarray(power)))
    assert efficiency(h, found, FIXED) >= efficiency(h, x, FIXED) * (1 - 1e-12) - 1e-13
    assert power_of(found) <= power * (1 + 1e-9)


@pytest.mark.parametrize(("options", "field"), [({"engine": "newton"}, "engine"), ({"strict": True}, "strict")])
def test_unknown_engine_and_strict_without_sca_are_refused(options: dict, field: str) -> None:
    h = jnp.asarray(channel(0))
    one = jnp.asarray(1.0)
    with pytest.raises(ConfigError, match=f"^{field}: "):
        energy_efficient_covariances(h, start_covariances(h, one), one, one, **options)
