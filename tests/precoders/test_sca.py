"""Successive convex approximation of the precoder, and the smooth indicators of chains."""

import os
import subprocess
import sys
from typing import Any

import cvxpy as cp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import lambertw

from metamimo.errors import ConfigError, ShapeError
from metamimo.optimise.cone_programs import LARGEST_ARGUMENT, call_host
from metamimo.precoders.chain_indicator import indicator_slope, indicator_value
from metamimo.precoders.energy_efficient import energy_efficient_precoder
from metamimo.precoders.sca import ScaResult, sca_precoder, sca_stage
from metamimo.precoders.zero_forcing import regularised_zero_forcing
from metamimo.problem import Status

INDICATORS = ("log", "ratio", "exp")
EPSILON = 1e-5
ROUNDING = 1e-6


def channel(users: int, ports: int, snr: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((users, ports)) + 1j * rng.standard_normal((users, ports))) * np.sqrt(snr / 2)


def start(a: np.ndarray, power: float = 0.9) -> np.ndarray:
    """Regularised zero-forcing with equal powers."""
    w = a.conj() @ np.linalg.inv(a.T @ a.conj() + len(a) * np.eye(a.shape[1]))
    return w * np.sqrt(power / len(a)) / np.maximum(np.linalg.norm(w, axis=1, keepdims=True), 1e-12)


def limits(a: np.ndarray, **changes: Any) -> dict[str, Any]:
    users, ports = a.shape
    free = {"port_limits": np.full(ports, 0.5), "min_rate": np.zeros(users), "active": np.ones(ports, bool)}
    return {"fixed": 0.5, "per_chain": 0.14, "sum_limit": 1.0, **free, **changes}


def rates(a: np.ndarray, w: Any) -> np.ndarray:
    f = np.abs(a @ np.asarray(w).T) ** 2
    return np.log1p(np.diagonal(f) / (f.sum(1) - np.diagonal(f) + 1))


def history(result: ScaResult) -> np.ndarray:
    return np.asarray(result.history)


def assert_within_limits(w: Any, given: dict[str, Any]) -> None:
    ports = (np.abs(np.asarray(w)) ** 2).sum(0)
    assert ports.sum() <= given["sum_limit"] * (1 + ROUNDING)
    assert (ports <= given["port_limits"] * (1 + ROUNDING)).all()
    assert not ports[~given["active"]].any()


@pytest.mark.parametrize("kind", INDICATORS)
def test_indicator_is_concave_and_below_its_tangents(kind: Any) -> None:
    x = np.concatenate([[0.0], np.logspace(-8, 0, 81)])
    f, slope = indicator_value(x, kind, EPSILON), indicator_slope(x, kind, EPSILON)
    assert f[0] == 0
    assert (np.diff(f) >= 0).all()
    assert (np.diff(slope) <= 0).all()
    assert (f <= f[:, None] + slope[:, None] * (x - x[:, None]) + 1e-12).all()
    assert f[-1] == pytest.approx(1, abs=2 * EPSILON)
    step = 1e-6 * (x + EPSILON)
    rise = indicator_value(x + step, kind, EPSILON) - f
    np.testing.assert_allclose(rise / step, slope, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", INDICATORS)
def test_indicator_is_the_same_in_jax(kind: Any) -> None:
    x = np.linspace(0, 1e-4, 5)
    for function in (indicator_value, indicator_slope):
        compiled = jax.jit(lambda p, function=function: function(p, kind, EPSILON))
        np.testing.assert_allclose(compiled(x), function(x, kind, EPSILON), rtol=1e-12)


CASES = [
    {},
    {"objective": "sum_rate"},
    {"min_rate": np.full(4, 0.35)},
    {"min_rate": np.array([0.0, 5.5, 0.0, 5.5])},
    {"min_rate": np.array([0.0, 7.0, 0.0, 7.0])},  # that the start misses
    {"port_limits": np.full(6, 0.03), "objective": "sum_rate", "min_rate": np.full(4, 1.0)},
    *({"indicator": kind, "min_rate": np.full(4, 0.35)} for kind in INDICATORS),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_objective_rises_and_constraints_hold(case: int) -> None:
    a = channel(4, 6, 1e3, case)
    given = limits(a, **CASES[case])
    result = sca_precoder(a, start(a), **given)
    assert result.feasible
    assert int(result.status) == Status.CONVERGED
    assert_within_limits(result.w, given)
    assert (rates(a, result.w) >= given["min_rate"] - ROUNDING).all()
    f = np.diagonal(a @ np.asarray(result.w).T)
    assert (f.real >= 0).all()
    np.testing.assert_allclose(f.imag, 0, atol=1e-9)
    first = next(n for n in range(31) if sca_precoder(a, start(a), **given, max_passes=n).feasible)
    assert first < int(result.passes)
    assert (np.diff(history(result)[first:]) >= 0).all()
    assert history(result)[-1] > history(result)[first]


def test_history_is_the_energy_efficiency() -> None:
    a = channel(3, 5, 1e3, 0)
    given = limits(a, active=np.arange(5) != 1)
    result = sca_precoder(a, start(a), **given)
    power = (np.abs(np.asarray(result.w)) ** 2).sum()
    assert history(result)[-1] == pytest.approx(rates(a, result.w).sum() / (0.5 + 4 * 0.14 + power), rel=1e-12)
    assert len(history(result)) == 31
    assert (history(result)[int(result.passes) :] == history(result)[-1]).all()


@pytest.mark.parametrize("kind", [None, "log"])
@pytest.mark.parametrize("objective", ["energy_efficiency", "sum_rate"])
def test_pass_solves_the_papers_program(kind: Any, objective: Any) -> None:
    a = channel(3, 4, 100.0, 7)
    given = limits(a, min_rate=np.array([0.0, 3.0, 0.5]), port_limits=np.array([0.05, 0.5, 0.5, 0.5]))
    w = 0.4 * start(a)
    w[:, 0] *= 0.3
    users, ports = a.shape
    f = a @ w.T
    gamma = np.expm1(rates(a, w))
    # The program needs Re{a_k w_k} > 0 and no imaginary part at its start.
    w = w * np.exp(-1j * np.angle(np.diagonal(f)))[:, None]
    rho = np.abs(np.diagonal(f)) / gamma
    p0 = (np.abs(w) ** 2).sum(0)

    x, t, p = cp.Variable((users, ports), complex=True), cp.Variable(users), cp.Variable(ports)
    conditions = [t >= np.expm1(given["min_rate"]), p <= given["port_limits"], cp.sum(p) <= given["sum_limit"]]
    for k in range(users):
        own = a[k] @ x[k]
        noise = 1 + sum(cp.square(cp.abs(a[k] @ x[i])) for i in range(users) if i != k)
        conditions += [cp.imag(own) == 0, 2 * rho[k] * cp.real(own) - rho[k] ** 2 * t[k] >= noise]
    conditions += [cp.sum_squares(cp.abs(x[:, m])) <= p[m] for m in range(ports)]
    rate = cp.sum(cp.log1p(t))
    if objective == "energy_efficiency":
        value, slope = (
            (np.full(ports, 1.0), np.zeros(ports))
            if kind is None
            else (indicator_value(p0, kind, EPSILON), indicator_slope(p0, kind, EPSILON))
        )
        y = np.sqrt(np.log1p(gamma).sum()) / (0.5 + 0.14 * value.sum() + p0.sum())
        goal = 2 / y * cp.sqrt(rate) - cp.sum(p) - 0.14 * cp.sum(cp.multiply(slope, p))
    else:
        goal = rate
    cp.Problem(cp.Maximize(goal), conditions).solve(solver=cp.CLARABEL)
    result = sca_precoder(a, w, **given, max_passes=1, indicator=kind, objective=objective)
    assert int(result.passes) == 1
    assert history(result)[1] > history(result)[0]
    np.testing.assert_allclose(result.w, x.value, atol=1e-3 * np.abs(w).max())


@pytest.mark.parametrize("snr", [1e-1, 1e2, 1e5])
def test_one_user_has_the_closed_form(snr: float) -> None:
    a = channel(1, 4, snr, 3)
    g, constant = (np.abs(a) ** 2).sum(), 0.5 + 4 * 0.14
    power = np.expm1(lambertw((g * constant - 1) / np.e).real + 1) / g
    free = limits(a, sum_limit=np.inf, port_limits=np.full(4, np.inf))
    result = sca_precoder(a, channel(1, 4, 1e-4, 4), **free, tolerance=1e-6)
    assert history(result)[-1] == pytest.approx(np.log1p(g * power) / (constant + power), rel=1e-4)
    assert (np.abs(np.asarray(result.w)) ** 2).sum() == pytest.approx(power, rel=3e-2)


def test_inactive_port_limits_change_nothing() -> None:
    a = channel(3, 4, 1e3, 5)
    values = [
        history(sca_precoder(a, start(a), **limits(a, port_limits=np.full(4, limit))))[-1] for limit in (1.0, np.inf)
    ]
    values.append(history(sca_precoder(a, start(a), **limits(a, port_limits=np.full(4, 0.9))))[-1])
    assert values[0] == values[1]
    assert values[2] == pytest.approx(values[0], rel=1e-5)


def test_inactive_ports_are_as_good_as_absent() -> None:
    a = channel(3, 5, 1e3, 6)
    active = np.array([True, False, True, True, True])
    result = sca_precoder(a, start(a), **limits(a, active=active))
    assert (np.asarray(result.w)[:, 1] == 0).all()
    small = sca_precoder(a[:, active], start(a)[:, active], **limits(a[:, active]))
    np.testing.assert_array_equal(np.asarray(result.w)[:, active], small.w)


def test_result_does_not_depend_on_what_was_solved_before() -> None:
    a, other = channel(3, 4, 1e3, 8), channel(3, 4, 1e-2, 9)
    first = sca_precoder(a, start(a), **limits(a))
    sca_precoder(other, start(other), **limits(other))
    np.testing.assert_array_equal(first.w, sca_precoder(a, start(a), **limits(a)).w)


@pytest.mark.parametrize("users", [3, 4])
def test_rates_out_of_reach_give_the_best_effort(users: int) -> None:
    a = channel(users, 4, 1e2, 10)
    given = limits(a, min_rate=np.array([0.5] * (users - 1) + [20.0]))
    result = sca_precoder(a, start(a), **given)
    assert not result.feasible
    assert int(result.status) == Status.INFEASIBLE
    assert np.isfinite(history(result)).all()
    assert_within_limits(result.w, given)
    assert (rates(a, result.w)[:-1] >= 0.5 - ROUNDING).all()
    assert rates(a, result.w)[-1] > rates(a, start(a))[-1]


def test_start_without_a_user_is_repaired_for_its_least_rate() -> None:
    a = channel(4, 6, 1e3, 11)
    w = start(a)
    w[1] = 0
    free = sca_precoder(a, w, **limits(a))
    assert (np.diff(history(free)) >= 0).all()
    given = limits(a, min_rate=np.full(4, 4.0))
    result = sca_precoder(a, w, **given)
    assert result.feasible
    assert (rates(a, result.w) >= 4 - ROUNDING).all()
    # Feasibility first, at whatever energy efficiency.
    assert history(sca_precoder(a, w, **given, max_passes=1))[-1] < history(free)[1]


@pytest.mark.parametrize("limit", [1.0, np.inf])
@pytest.mark.parametrize("least", [0.0, 0.3])
def test_user_without_channel(least: float, limit: float) -> None:
    a = channel(3, 4, 1e3, 12)
    a[1] = 0
    given = limits(a, min_rate=np.full(3, least), sum_limit=limit, port_limits=np.full(4, limit))
    result = sca_precoder(a, start(a), **given)
    assert bool(result.feasible) == (least == 0)
    assert rates(a, result.w)[1] == 0
    assert rates(a, result.w)[[0, 2]].min() > 1


@pytest.mark.parametrize("least", [0.0, 0.3])
def test_no_channel_at_all(least: float) -> None:
    a = np.zeros((2, 3), complex)
    result = sca_precoder(a, np.ones((2, 3), complex), **limits(a, min_rate=np.full(2, least)))
    assert bool(result.feasible) == (least == 0)
    assert np.isfinite(result.w).all()
    assert history(result)[-1] == 0


def test_not_a_number_is_a_status() -> None:
    a = np.full((2, 3), np.nan + 0j)
    assert int(sca_precoder(a, np.ones((2, 3), complex), **limits(a)).status) == Status.NOT_FINITE


def test_starts_from_nothing() -> None:
    a = channel(3, 4, 1e3, 13)
    from_zero = sca_precoder(a, np.zeros_like(a), **limits(a, min_rate=np.full(3, 1.0)))
    from_somewhere = sca_precoder(a, start(a), **limits(a, min_rate=np.full(3, 1.0)))
    assert history(from_zero)[0] == 0
    assert history(from_zero)[-1] == pytest.approx(history(from_somewhere)[-1], rel=1e-2)


def test_without_fixed_power_the_efficiency_tends_to_the_strongest_channel() -> None:
    a = channel(2, 3, 1e2, 14)
    given = limits(a, fixed=0.0, per_chain=0.0)
    bound = (np.abs(a) ** 2).sum(1).max()
    value = history(sca_precoder(a, start(a), **given))[-1]
    assert 0.8 * bound < value <= bound
    assert np.isfinite(history(sca_precoder(a, np.zeros_like(a), **given))).all()
    constrained = sca_precoder(a, start(a), **{**given, "min_rate": np.full(2, 0.35)})
    assert constrained.feasible
    assert history(constrained)[-1] < value


@pytest.mark.parametrize("ports", [3, 2])
def test_no_more_ports_than_users(ports: int) -> None:
    a = channel(3, ports, 1e3, 15)
    given = limits(a, min_rate=np.full(3, 0.2))
    result = sca_precoder(a, start(a), **given)
    assert result.feasible
    assert_within_limits(result.w, given)


def test_very_unequal_limits() -> None:
    a = channel(3, 4, 1e3, 16)
    given = limits(a, port_limits=np.array([1e-9, 1, 1, 1]))
    result = sca_precoder(a, start(a), **given)
    assert_within_limits(result.w, given)
    without = sca_precoder(a, start(a), **{**given, "active": np.array([False, True, True, True]), "fixed": 0.64})
    assert history(result)[-1] == pytest.approx(history(without)[-1], rel=2e-3)


def test_sum_rate_uses_the_power() -> None:
    a = channel(3, 4, 1e3, 17)
    result = sca_precoder(a, start(a), **limits(a), objective="sum_rate")
    assert (np.abs(np.asarray(result.w)) ** 2).sum() == pytest.approx(1, rel=1e-6)
    assert history(result)[-1] == pytest.approx(rates(a, result.w).sum(), rel=1e-12)


def test_ends_where_the_closed_form_steps_end() -> None:
    ours = jax.jit(energy_efficient_precoder)
    difference = []
    for seed in range(6):
        a = channel(3, 4, 10.0 ** (seed % 3), seed)
        h = jnp.asarray(a)[:, None]
        w = regularised_zero_forcing(h, jnp.asarray(0.9))
        theirs = ours(h, w, jnp.asarray(0.5 + 4 * 0.14), jnp.asarray(1.0)).history[-1]
        result = sca_precoder(a, np.asarray(w[..., 0]), **limits(a, port_limits=np.full(4, np.inf)))
        difference.append(history(result)[-1] / float(theirs) - 1)
    assert np.mean(difference) >= -0.005


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"fixed": -1.0}, ConfigError, "fixed: must not be negative"),
        ({"sum_limit": 0.0}, ConfigError, "sum_limit: must be above zero"),
        ({"active": np.zeros(3, bool)}, ConfigError, "active: at least one port"),
    ],
)
def test_bad_numbers_are_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    a = channel(2, 3, 1.0, 0)
    with pytest.raises(error, match=message):
        sca_precoder(a, a.conj(), **limits(a, **change))


def staged(a: jax.Array, w: jax.Array, **changes: Any) -> ScaResult:
    users, ports = a.shape
    numbers = {name: jnp.asarray(value) for name, value in (("fixed", 0.5), ("per_chain", 0.14), ("sum_limit", 1.0))}
    arrays = {"port_limits": jnp.full(ports, 0.5), "min_rate": jnp.zeros(users), "active": jnp.arange(ports) != 1}
    return sca_stage(a, w, **{**numbers, **arrays, **changes})


def test_stage_is_the_host_function_under_jit_map_and_vmap() -> None:
    a = np.stack([channel(2, 3, 1e2, seed) for seed in range(3)])
    w = np.stack([start(one) for one in a])
    mapped = jax.jit(lambda a, w: jax.lax.map(lambda one: staged(*one), (a, w)))(a, w)
    batched = jax.jit(jax.vmap(staged))(a, w)
    for i in range(3):
        alone = sca_precoder(a[i], w[i], **limits(a[i], active=np.arange(3) != 1))
        for got in (mapped, batched):
            jax.tree.map(lambda x, y, i=i: np.testing.assert_array_equal(x[i], y), got, alone)
    assert mapped.history.shape == (3, 31)


def test_host_code_takes_small_arrays_only() -> None:
    count = LARGEST_ARGUMENT // 8
    expected = (jax.ShapeDtypeStruct((), float),)
    assert call_host(lambda x: (x.sum(),), expected, jnp.ones(count))[0] == count
    with pytest.raises(ShapeError, match="at most 65536 bytes"):
        call_host(lambda x: (x.sum(),), expected, jnp.ones(count + 1))


ONE_CORE = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import jax, jax.numpy as jnp, numpy as np
from metamimo.optimise.cone_programs import call_host
from metamimo.precoders.sca import sca_stage

def trial(key):
    a = 10 * jax.random.normal(key, (2, 3), complex)
    found = sca_stage(a, a.conj() / 50, fixed=jnp.ones(()), per_chain=jnp.zeros(()), sum_limit=jnp.ones(()),
                      port_limits=jnp.ones(3), min_rate=jnp.zeros(2), active=jnp.ones(3, bool), max_passes=3)
    # The largest argument that is let through, computed by the program itself.
    large = jnp.sin(jnp.arange(8192.0) + a[0, 0].real)
    total, = call_host(lambda x: (x.sum(),), (jax.ShapeDtypeStruct((), float),), large)
    return found.history[-1], total - large.sum()

for seed in range(5):
    value, error = jax.jit(lambda keys: jax.lax.map(trial, keys))(jax.random.split(jax.random.key(seed), 4))
assert (value > 0).all() and abs(error).max() < 1e-9
print("done")
"""


def test_stage_does_not_wait_for_itself_on_one_core() -> None:
    """A callback that needs a thread of JAX never ends where the only one runs the program."""
    flags = "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    out = subprocess.run(
        [sys.executable, "-c", ONE_CORE], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert out.stdout.strip() == "done", out.stderr
