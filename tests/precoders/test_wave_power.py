"""Powers of one stream an antenna, against grids and closed forms."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.errors import ConfigError, ShapeError
from metamimo.precoders.wave_power import WavePowers, least_powers, water_filling_powers, wave_powers, wave_stage
from metamimo.problem import Status

FIXED, POINTS = 0.8, 61
ROUNDING = 1e-6


def draw(seed: int, cross: float, users: int = 3) -> np.ndarray:
    """Power gains; `cross` is how much weaker the other antennas are heard."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 2, (users, users)) * 100 * np.where(np.eye(users), 1, cross)


def limits(users: int = 3, **changes: Any) -> dict[str, Any]:
    numbers = {"fixed": FIXED, "sum_limit": 1.0, "port_limits": np.full(users, 0.5), "min_rate": np.zeros(users)}
    return {**numbers, **changes}


def rates(gains: np.ndarray, powers: np.ndarray) -> np.ndarray:
    received = gains * powers[..., None, :]
    wanted = np.diagonal(received, axis1=-2, axis2=-1)
    return np.log1p(wanted / (received.sum(-1) - wanted + 1))


def best_of_grid(gains: np.ndarray, given: dict[str, Any], objective: str) -> float:
    axes = [np.linspace(0, limit, POINTS) for limit in given["port_limits"]]
    powers = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    powers = powers[powers.sum(1) <= given["sum_limit"] * (1 + 1e-12)]
    rate = rates(gains, powers)
    value = rate.sum(1) / (FIXED + powers.sum(1) if objective == "energy_efficiency" else 1)
    return value[(rate >= given["min_rate"]).all(1)].max()


# Under strong interference without least rates there are many local optima: see the next tests.
@pytest.mark.parametrize("objective", ["energy_efficiency", "sum_rate"])
@pytest.mark.parametrize(("cross", "least"), [(0.0, 0.0), (0.02, 0.0), (0.0, 0.5), (0.02, 0.5), (0.2, 0.5)])
def test_as_good_as_a_fine_grid(cross: float, least: float, objective: Any) -> None:
    for seed in range(2):
        gains = draw(seed, cross)
        given = limits(min_rate=np.full(3, least))
        result = wave_powers(gains, np.full(3, 0.3), **given, objective=objective)
        assert result.feasible
        assert int(result.status) == Status.CONVERGED
        values, powers = np.asarray(result.history), np.asarray(result.powers)
        assert values[-1] >= 0.995 * best_of_grid(gains, given, objective)
        assert (np.diff(values) >= 0).all()
        rate = rates(gains, powers)
        consumed = FIXED + powers.sum() if objective == "energy_efficiency" else 1
        assert values[-1] == pytest.approx(rate.sum() / consumed, rel=1e-12)
        assert (rate >= least - ROUNDING).all()
        assert powers.sum() <= 1 + ROUNDING
        assert (powers <= 0.5 * (1 + ROUNDING)).all()


@pytest.mark.parametrize("objective", ["energy_efficiency", "sum_rate"])
@pytest.mark.parametrize("cross", [0.2, 1.0])
def test_best_of_random_starts_is_as_good_as_a_fine_grid(cross: float, objective: Any) -> None:
    """Starts are uniform in decibels: from powers of one size, optima with a single antenna are seldom found."""
    for seed in range(5):
        gains, starts = draw(seed, cross), 0.3 * 10 ** np.random.default_rng(seed).uniform(-3, 0, (8, 3))
        values = [wave_powers(gains, powers, **limits(), objective=objective).history[-1] for powers in starts]
        assert max(values) >= 0.995 * best_of_grid(gains, limits(), objective)


@pytest.mark.parametrize("objective", ["energy_efficiency", "sum_rate"])
def test_strong_interference_ends_at_a_local_optimum(objective: Any) -> None:
    gains, rng = draw(0, 1.0), np.random.default_rng(0)
    result = wave_powers(gains, np.full(3, 0.3), **limits(), objective=objective, tolerance=1e-7, max_passes=200)
    near = np.clip(np.asarray(result.powers) + rng.uniform(-1e-3, 1e-3, (1000, 3)), 0, 0.5)
    near = near[near.sum(1) <= 1]
    value = rates(gains, near).sum(1) / (FIXED + near.sum(1) if objective == "energy_efficiency" else 1)
    assert value.max() <= float(result.history[-1]) * (1 + 1e-5)


def test_sum_rate_without_interference_is_water_filling() -> None:
    gains = np.diag([10.0, 3.0, 0.5])
    exact = np.array([0.5 + (1 / 3 - 1 / 10) / 2, 0.5 - (1 / 3 - 1 / 10) / 2, 0])
    given = limits(port_limits=np.full(3, np.inf))
    convex = wave_powers(gains, np.full(3, 0.3), **given, objective="sum_rate")
    np.testing.assert_allclose(convex.powers, exact, atol=1e-4)
    filled = water_filling_powers(jnp.asarray(gains), jnp.full(3, 0.3), jnp.asarray(1.0))
    np.testing.assert_allclose(filled.powers, exact, atol=2e-3)
    assert int(filled.status) == Status.CONVERGED
    assert filled.powers.sum() == pytest.approx(1, abs=1e-2)


def test_water_filling_follows_its_rule() -> None:
    gains = draw(3, 0.3)
    powers = np.array([0.2, 0.3, 0.4])
    bed = (1 + (gains * powers).sum(1) - np.diagonal(gains) * powers) / np.diagonal(gains)
    # By bisection of the water level.
    low, high = 0.0, 1e3
    for _ in range(200):
        level = (low + high) / 2
        low, high = (level, high) if np.maximum(level - bed, 0).sum() < 1 else (low, level)
    expected = np.maximum(level - bed, 0) / 3 + 2 / 3 * powers
    once = water_filling_powers(jnp.asarray(gains), jnp.asarray(powers), jnp.asarray(1.0), max_passes=1)
    np.testing.assert_allclose(once.powers, expected, rtol=1e-9)
    np.testing.assert_allclose(once.history[1], rates(gains, expected).sum(), rtol=1e-12)
    assert int(once.status) == Status.ITERATION_LIMIT


def test_water_filling_bears_users_without_channel() -> None:
    gains = np.diag([4.0, 0.0])
    some = water_filling_powers(jnp.asarray(gains), jnp.full(2, 0.5), jnp.asarray(1.0))
    np.testing.assert_allclose(some.powers, [1, 0], atol=1e-4)
    none = water_filling_powers(jnp.zeros((2, 2)), jnp.full(2, 0.5), jnp.asarray(1.0))
    assert np.isfinite(none.powers).all()


def test_smallest_powers_are_feasible_and_smallest() -> None:
    gains = draw(4, 0.2)
    sinr = np.array([0.5, 0.0, 2.0])
    powers = least_powers(gains, sinr)
    assert powers is not None
    np.testing.assert_allclose(np.expm1(rates(gains, powers)), sinr, rtol=1e-9, atol=1e-15)
    result = wave_powers(gains, np.full(3, 0.3), **limits(min_rate=np.log1p(sinr)))
    assert (np.asarray(result.powers) >= powers * (1 - ROUNDING)).all()
    assert least_powers(np.ones((2, 2)), np.array([1.0, 1.0])) is None
    assert least_powers(np.diag([1.0, 0.0]), np.array([1.0, 1.0])) is None


@pytest.mark.parametrize(
    ("cross", "limit"),
    [pytest.param(1.0, 1e9, id="interference"), pytest.param(0.02, 0.02, id="limits")],
)
def test_rates_out_of_reach_are_shared_fairly(cross: float, limit: float) -> None:
    gains = draw(5, cross)
    least = np.array([2.0, 1.5, 1.0])
    given = limits(min_rate=least, sum_limit=limit, port_limits=np.full(3, limit))
    result = wave_powers(gains, np.full(3, 0.3), **given)
    assert not result.feasible
    assert int(result.status) == Status.INFEASIBLE
    powers = np.asarray(result.powers)
    assert powers.sum() <= limit * (1 + ROUNDING)
    part = np.expm1(rates(gains, powers)) / np.expm1(least)
    np.testing.assert_allclose(part, part[0], rtol=1e-6)
    assert 0 < part[0] < 1


def test_user_without_channel() -> None:
    gains = draw(6, 0.1)
    gains[1] = 0
    free = wave_powers(gains, np.full(3, 0.3), **limits())
    assert free.feasible
    assert free.powers[1] == pytest.approx(0, abs=1e-6)
    asked = wave_powers(gains, np.full(3, 0.3), **limits(min_rate=np.full(3, 0.5)))
    assert not asked.feasible
    assert (rates(gains, np.asarray(asked.powers))[[0, 2]] >= 0.5 - ROUNDING).all()


def test_extremes_stay_finite() -> None:
    gains = draw(7, 0.1)
    for given in (
        limits(fixed=0.0),
        limits(sum_limit=np.inf, port_limits=np.full(3, np.inf)),
        limits(port_limits=np.array([1e-9, 0.5, 0.5])),
        limits(min_rate=np.full(3, 0.1), fixed=0.0),
    ):
        for powers in (np.full(3, 0.3), np.zeros(3), np.array([0.0, 1e-9, 10.0])):
            result = wave_powers(gains, powers, **given)
            assert np.isfinite(result.history).all()
            assert (np.asarray(result.powers) <= given["port_limits"]).all()
            assert result.feasible
    dead = wave_powers(np.zeros((2, 2)), np.ones(2), **limits(2))
    assert float(dead.history[-1]) == 0
    broken = wave_powers(np.full((2, 2), np.nan), np.ones(2), **limits(2))
    assert int(broken.status) == Status.NOT_FINITE


def test_one_user() -> None:
    gains, constant = np.array([[100.0]]), FIXED
    result = wave_powers(gains, np.ones(1), **limits(1, port_limits=np.ones(1)), tolerance=1e-6)
    powers = np.linspace(0, 1, 100_001)
    assert result.history[-1] == pytest.approx((np.log1p(100 * powers) / (constant + powers)).max(), rel=1e-4)


def test_least_rates_are_repaired_from_any_start() -> None:
    gains = draw(8, 0.1)
    for powers in (np.zeros(3), np.array([1.0, 0.0, 0.0])):
        result = wave_powers(gains, powers, **limits(min_rate=np.full(3, 1.0)))
        assert result.feasible
        assert (rates(gains, np.asarray(result.powers)) >= 1 - ROUNDING).all()


@pytest.mark.parametrize(
    ("powers", "change", "error", "message"),
    [
        (np.ones(2), {"fixed": -1.0}, ConfigError, "fixed: must not be negative"),
        (-np.ones(2), {}, ConfigError, "powers: must not be negative"),
        (np.ones(2), {"sum_limit": 0.0}, ConfigError, "sum_limit: must be above zero"),
    ],
)
def test_bad_numbers_are_refused(
    powers: np.ndarray, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        wave_powers(np.ones((2, 2)), powers, **limits(2, **change))


def test_gains_must_be_square() -> None:
    with pytest.raises(ShapeError, match=r"gains: must have shape \(2, 2\)"):
        wave_powers(np.ones((2, 3)), np.ones(2), **limits(2))


def test_stage_is_the_host_function() -> None:
    gains = np.stack([draw(seed, 0.1) for seed in range(2)])

    def one(g: jax.Array) -> WavePowers:
        arrays = {name: jnp.asarray(value) for name, value in limits().items()}
        return wave_stage(g, jnp.full(3, 0.3), **arrays)

    got = jax.jit(lambda gains: jax.lax.map(one, gains))(gains)
    for i in range(2):
        alone = wave_powers(gains[i], np.full(3, 0.3), **limits())
        jax.tree.map(lambda x, y, i=i: np.testing.assert_array_equal(x[i], y), got, alone)
