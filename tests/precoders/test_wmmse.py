"""WMMSE under a sum limit (reduced dimension) and under a limit for every port."""

from functools import partial

import jax
import numpy as np
import pytest

from metamimo.metrics.mean_square_error import mean_square_error
from metamimo.precoders import reduced_wmmse as reduced
from metamimo.precoders import wmmse as full
from metamimo.precoders.zero_forcing import regularised_zero_forcing
from metamimo.problem import Status

POWER = np.asarray(5.0)
WEIGHTS = np.array([1.0, 1.5])
PORT_POWERS = np.array([1.0, 0.5, 2.0, 0.0, 1.5])
TIGHT = {"tolerance": 1e-13, "max_steps": 4000}

# Few programs with all arguments given: compilation is what these tests cost.
one_step = jax.jit(partial(reduced.reduced_wmmse, tolerance=0.0, max_steps=1))
surrogate = jax.jit(mean_square_error)
sweep_rows = jax.jit(full.sweep_rows)
closed_form = jax.jit(regularised_zero_forcing)
_solve_sum = jax.jit(partial(reduced.reduced_wmmse, **TIGHT))
_solve_ports = jax.jit(partial(full.wmmse, **TIGHT))


def solve_sum(h: np.ndarray, start: np.ndarray, power: np.ndarray, weights: np.ndarray | None = None):
    return _solve_sum(h, start, power, weights=np.ones(len(h)) if weights is None else weights)


def solve_ports(h: np.ndarray, start: np.ndarray, limits: np.ndarray, weights: np.ndarray | None = None):
    return _solve_ports(h, start, limits, weights=np.ones(len(h)) if weights is None else weights)


def channel(users: int = 2, rx: int = 2, ports: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((users, rx, ports)) + 1j * rng.standard_normal((users, rx, ports))


def user_rates(h: np.ndarray, f: jax.Array) -> np.ndarray:
    """Rates straight from the definition [nat]."""
    z = np.einsum("krp,jps->kjrs", h, np.asarray(f))
    eye = np.eye(h.shape[1])
    parts = z @ z.conj().swapaxes(-1, -2)
    out = []
    for k in range(len(h)):
        j = eye + sum(parts[k, i] for i in range(len(h)) if i != k)
        out.append(np.linalg.slogdet(j + parts[k, k])[1] - np.linalg.slogdet(j)[1])
    return np.array(out)


def water_filling(gains: np.ndarray, power: float) -> float:
    """Largest sum of ln(1 + p g) with sum p = power [nat]."""
    gains = np.sort(gains)[::-1]
    for n in range(len(gains), 0, -1):
        level = (power + (1 / gains[:n]).sum()) / n
        if level > 1 / gains[n - 1]:
            return np.log(level * gains[:n]).sum()
    raise AssertionError("the strongest mode always takes power")


def port_power(f: jax.Array) -> np.ndarray:
    return (np.abs(np.asarray(f)) ** 2).sum((0, 2))


def gradient(h: np.ndarray, f: jax.Array | np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Derivative of the weighted sum rate by F*."""
    s = surrogate(h, f, np.ones(len(h)) if weights is None else weights)
    slope, curvature = np.asarray(s.slope), np.asarray(s.curvature)
    adjoint = h.conj().swapaxes(1, 2)
    return adjoint @ slope - sum(adjoint[k] @ curvature[k] @ h[k] for k in range(len(h))) @ np.asarray(f)


def random_start(h: np.ndarray, seed: int = 5) -> np.ndarray:
    return channel(h.shape[0], h.shape[2], h.shape[1], seed)


def test_gradient_of_the_surrogate_is_the_one_of_the_rate() -> None:
    h, f = channel(), 0.3 * random_start(channel())
    direction = random_start(h, 6)
    step = 1e-6
    rates = [user_rates(h, f + s * direction) @ WEIGHTS for s in (step, -step)]
    slope = 2 * np.vdot(gradient(h, f, WEIGHTS), direction).real
    assert (rates[0] - rates[1]) / (2 * step) == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize("ports", [5, 3])
@pytest.mark.parametrize("power", [0.1, 5.0, 1e4])
def test_sum_limit_is_monotone_feasible_and_beats_its_start(ports: int, power: float) -> None:
    h = channel(ports=ports)
    start = closed_form(h, np.asarray(power))
    stage = solve_sum(h, start, np.asarray(power))
    history = np.asarray(stage.history)
    assert np.diff(history).min() >= 0
    assert history[0] == pytest.approx(user_rates(h, start).sum(), rel=1e-11)
    assert history[-1] == pytest.approx(user_rates(h, stage.precoder).sum(), rel=1e-11)
    assert history[-1] > history[0]
    assert np.linalg.norm(stage.precoder) ** 2 == pytest.approx(power, rel=1e-12)


def test_history_has_the_static_length_and_repeats_its_last_value() -> None:
    h = channel()
    stage = solve_sum(h, random_start(h), POWER)
    steps, history = int(stage.iterations), np.asarray(stage.history)
    assert stage.status == Status.CONVERGED
    assert history.shape == (4001,)
    assert 10 < steps < 4000
    np.testing.assert_array_equal(history[steps:], history[-1])
    assert history[steps // 2] < history[-1]


def test_too_few_steps_are_reported() -> None:
    h = channel()
    stage = one_step(h, random_start(h), POWER)
    assert (stage.status, stage.iterations) == (Status.ITERATION_LIMIT, 1)


def test_infinite_channel_is_reported() -> None:
    h = channel()
    h[0, 0, 0] = np.inf
    assert solve_sum(h, random_start(h), POWER).status == Status.NOT_FINITE


@pytest.mark.parametrize(("factor", "status"), [(0.5, Status.CONVERGED), (np.nan, Status.NOT_FINITE)])
def test_step_that_lowers_the_rate_is_refused(factor: float, status: Status) -> None:
    h = channel()
    start = random_start(h)
    worsen = jax.jit(partial(reduced.ascend, step=lambda f, _: factor * f, tolerance=0.0, max_steps=5))
    stage = worsen(h, start, weights=np.ones(2))
    assert (stage.status, stage.iterations) == (status, 1)
    np.testing.assert_array_equal(stage.precoder, start)
    np.testing.assert_array_equal(stage.history, stage.history[0])


@pytest.mark.parametrize(("rx", "ports"), [(3, 5), (3, 2)])
@pytest.mark.parametrize("power", [0.05, 5.0])
def test_one_user_reaches_water_filling(rx: int, ports: int, power: float) -> None:
    h = channel(1, rx, ports)
    gains = np.linalg.svd(h[0], compute_uv=False) ** 2
    stage = solve_sum(h, random_start(h), np.asarray(power))
    assert stage.history[-1] == pytest.approx(water_filling(gains, power), rel=1e-6)


@pytest.mark.parametrize("ports", [5, 3])
def test_reduced_pass_equals_the_full_dimension(ports: int) -> None:
    h = channel(ports=ports)
    start = random_start(h)
    start *= np.sqrt(POWER) / np.linalg.norm(start)
    s = surrogate(h, start, np.ones(2))
    adjoint, curvature = h.conj().swapaxes(1, 2), np.asarray(s.curvature)
    price = np.trace(curvature, axis1=1, axis2=2).real.sum() / POWER
    system = price * np.eye(ports) + sum(adjoint[k] @ curvature[k] @ h[k] for k in range(2))
    expected = np.linalg.solve(system, adjoint @ np.asarray(s.slope))
    expected *= np.sqrt(POWER) / np.linalg.norm(expected)
    np.testing.assert_allclose(one_step(h, start, POWER).precoder, expected, rtol=1e-9)


def test_sum_limit_is_stationary() -> None:
    h = channel()
    f = solve_sum(h, random_start(h), POWER, WEIGHTS).precoder
    slope = gradient(h, f, WEIGHTS)
    multiplier = np.vdot(f, slope).real / float(POWER)
    assert multiplier > 0
    np.testing.assert_allclose(slope, multiplier * np.asarray(f), atol=1e-5 * np.linalg.norm(slope))


def test_wmmse_delegates_one_sum_limit() -> None:
    h = channel()
    programs = [str(jax.make_jaxpr(solve)(h, random_start(h), POWER)) for solve in (full.wmmse, reduced.reduced_wmmse)]
    assert programs[0] == programs[1]


@pytest.mark.parametrize(("solve", "limit"), [(solve_sum, POWER), (solve_ports, PORT_POWERS)])
def test_weights_shift_the_rate_to_their_user(solve, limit: np.ndarray) -> None:
    h, weights = channel(), np.array([1.0, 20.0])
    start = h.conj().swapaxes(1, 2)
    stage = solve(h, start, limit, weights)
    plain, shifted = (user_rates(h, s.precoder) for s in (solve(h, start, limit), stage))
    assert shifted[1] > plain[1] * 1.01
    assert stage.history[-1] == pytest.approx((weights * shifted).sum(), rel=1e-11)
    assert np.diff(stage.history).min() >= 0


def test_port_limits_are_monotone_and_feasible() -> None:
    h = channel()
    stage = solve_ports(h, random_start(h), PORT_POWERS)
    history = np.asarray(stage.history)
    assert stage.status == Status.CONVERGED
    assert np.diff(history).min() >= 0
    assert history[-1] > 1.1 * history[0]
    assert history[-1] == pytest.approx(user_rates(h, stage.precoder).sum(), rel=1e-11)
    assert np.all(port_power(stage.precoder) <= PORT_POWERS * (1 + 1e-9))


@pytest.mark.parametrize("ports", [5, 3])
def test_port_limits_satisfy_the_optimality_conditions(ports: int) -> None:
    """On each row the gradient is mu_m f_m with mu_m >= 0, and mu_m = 0 where the limit is slack."""
    h, limits = channel(ports=ports), np.array([1.0, 0.5, 1e3, 2.0, 1.5])[:ports]
    f = solve_ports(h, random_start(h), limits).precoder
    slope, used = gradient(h, f), port_power(f)
    rows, directions = (np.moveaxis(np.asarray(a), 1, 0).reshape(ports, -1) for a in (f, slope))
    multiplier = (rows.conj() * directions).real.sum(1) / used
    size = np.linalg.norm(directions)
    np.testing.assert_allclose(directions, multiplier[:, None] * rows, atol=2e-5 * size)
    assert np.all(multiplier >= -1e-6 * size)
    slack = used < limits * (1 - 1e-6)
    assert np.all(np.abs(multiplier[slack]) * np.sqrt(used[slack]) <= 2e-5 * size)


def test_port_limits_cost_rate_against_their_sum() -> None:
    h = channel()
    ports = solve_ports(h, random_start(h), PORT_POWERS)
    together = solve_sum(h, ports.precoder, POWER)
    assert float(together.history[-1]) > 1.01 * float(ports.history[-1])


def test_weighted_error_never_rises_within_a_step() -> None:
    rng = np.random.default_rng(3)
    root = rng.standard_normal((5, 3)) + 1j * rng.standard_normal((5, 3))
    quadratic, linear = root @ root.conj().T, root @ rng.standard_normal((3, 4))
    reach = np.array([0.1, 1.0, 0.0, 0.3, 10.0])
    rows = np.zeros((5, 4), complex)

    def error(f: np.ndarray) -> float:
        return np.vdot(f, quadratic @ f).real - 2 * np.vdot(linear, f).real

    errors = [error(rows)]
    for _ in range(30):
        rows = np.asarray(sweep_rows(quadratic, linear, rows, reach))
        errors.append(error(rows))
    assert np.diff(errors).max() <= 1e-12
    assert errors[1] < errors[0]
    assert np.all(np.linalg.norm(rows, axis=1) <= reach * (1 + 1e-12))


def test_row_update_covers_its_edge_cases() -> None:
    old = np.array([[2.0], [3.0], [4.0], [5.0], [1.0]], complex)
    quadratic = np.diag([2.0, 0.0, 0.0, 1.0, 4.0]).astype(complex)
    linear = np.array([[0.0], [0.0], [3j], [1.0], [2.0]])
    rows = sweep_rows(quadratic, linear, old, np.array([2.0, 3.0, 4.0, 0.0, 1.0]))
    # no pull: zero; no influence: as before; pull without curvature: full power along it; no power: zero; inside: c / a
    np.testing.assert_allclose(np.asarray(rows)[:, 0], [0, 3, 4j, 0, 0.5], atol=1e-15)


@pytest.mark.parametrize(("solve", "shares"), [(solve_sum, np.asarray(1.0)), (solve_ports, PORT_POWERS / 5)])
@pytest.mark.parametrize("case", ["zero channel", "dead user", "equal users", "no power", "high power"])
def test_degenerate_channels_and_powers_stay_finite(solve, shares: np.ndarray, case: str) -> None:
    h = channel()
    start = random_start(h)
    if case == "zero channel":
        h = np.zeros_like(h)
    elif case == "dead user":
        h[1] = 0
    elif case == "equal users":
        h[1] = h[0]
    power = {"no power": 0.0, "high power": 1e12}.get(case, 1.0)
    stage = solve(h, start, power * shares)
    assert stage.status != Status.NOT_FINITE
    assert np.all(np.isfinite(stage.precoder))
    assert np.linalg.norm(stage.precoder) ** 2 <= power * (1 + 1e-9)
    assert np.diff(stage.history).min() >= 0
    if case in ("zero channel", "no power"):
        assert not np.any(stage.history)


def test_dead_user_costs_the_other_nothing() -> None:
    h = channel()
    h[1] = 0
    gains = np.linalg.svd(h[0], compute_uv=False) ** 2
    stage = solve_sum(h, random_start(h), POWER)
    assert stage.history[-1] == pytest.approx(water_filling(gains, float(POWER)), rel=1e-6)


@pytest.mark.parametrize(("solve", "limit"), [(solve_sum, POWER), (solve_ports, PORT_POWERS)])
def test_zero_start_stays_zero(solve, limit: np.ndarray) -> None:
    stage = solve(channel(), np.zeros((2, 5, 2), complex), limit)
    assert not np.any(stage.precoder)
    assert not np.any(stage.history)
