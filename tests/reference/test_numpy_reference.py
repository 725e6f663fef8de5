"""The plain NumPy reference is right by itself: only then is agreement with it worth something."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "numpy_reference.py"
_SPEC = importlib.util.spec_from_file_location("numpy_reference", PATH)
reference = importlib.util.module_from_spec(_SPEC)
sys.modules["numpy_reference"] = reference  # dataclasses look their module up
_SPEC.loader.exec_module(reference)

TOY = reference.Scenario(n_tx=6, users=2, layers=3, elements=9, noise_power=1e-15)


@pytest.fixture
def toy() -> tuple:
    return reference.stack_matrices(TOY), *reference.draw(TOY, 0)


def _random(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def _precoder(scenario: reference.Scenario = TOY, seed: int = 1) -> np.ndarray:
    p = _random(scenario.users, scenario.n_tx, scenario.n_rx, seed=seed)
    return p * np.sqrt(scenario.max_power) / np.linalg.norm(p)


def test_kernel_of_facing_elements() -> None:
    w = reference.propagation(np.array([[0, 0, 0.5]]), np.zeros((1, 3)), wavelength=1.0, area=0.25)
    assert w[0, 0] == pytest.approx(0.5 * (1 / np.pi - 1j) * np.exp(1j * np.pi), rel=1e-14)


@pytest.mark.parametrize(("spacing", "norm"), [(0.05, 1.000), (0.025, 1.150), (0.0125, 1.722)])
def test_gain_of_a_hop_is_the_published_one(spacing: float, norm: float) -> None:
    hop = reference.stack_matrices(reference.Scenario(layers=2, layer_spacing=spacing))[1]
    assert np.linalg.norm(hop, 2) == pytest.approx(norm, abs=2e-3)


@pytest.mark.parametrize(("count", "shape"), [(16, (4, 4)), (12, (3, 4)), (7, (1, 7))])
def test_grid_is_centred_and_counts_x_first(count: int, shape: tuple[int, int]) -> None:
    places = reference.grid(count, 1.0, 2.0)
    assert (len(np.unique(places[:, 0])), len(np.unique(places[:, 1]))) == shape
    np.testing.assert_allclose(places.mean(0), [0, 0, 2], atol=1e-15)
    assert np.all(np.diff(places[: shape[0], 0]) == 1)


def test_phase_gradient_is_the_derivative(toy: tuple) -> None:
    hops, g, phi = toy
    p, step = _precoder(), 1e-6

    def rate(phases: np.ndarray) -> float:
        return reference.sum_rate(reference.received(reference.forward(hops, phases, g)[0], p))

    h, b = reference.forward(hops, phi, g)
    gradient = reference.phase_gradient(hops, phi, g, b, h, p)
    measured = np.empty_like(gradient)
    for index in np.ndindex(phi.shape):
        unit = np.zeros_like(phi)
        unit[index] = step
        real, imaginary = (rate(phi + d) - rate(phi - d) for d in (unit, 1j * unit))
        measured[index] = (real + 1j * imaginary) / (4 * step)
    assert np.linalg.norm(gradient - measured) <= 1e-7 * np.linalg.norm(gradient)


def test_bound_touches_the_rate_and_never_exceeds_it(toy: tuple) -> None:
    hops, g, phi = toy
    h = reference.forward(hops, phi, g)[0]
    flat, start = h.reshape(-1, TOY.n_tx), _precoder()
    constant, curvature, slope, rate = reference.rate_bound(h, start)
    assert rate == pytest.approx(reference.sum_rate(reference.received(h, start)), rel=1e-12)

    def gap(p: np.ndarray) -> float:
        z = flat @ p.swapaxes(0, 1).reshape(TOY.n_tx, -1)
        bound = constant + 2 * np.vdot(slope, z).real - np.vdot(z, curvature @ z).real
        return reference.sum_rate(reference.received(h, p)) - bound

    assert abs(gap(start)) <= 1e-11
    scales = np.geomspace(1e-3, 3, 200)
    assert min(gap(s * _precoder(seed=i)) for i, s in enumerate(scales)) >= -1e-10
    assert min(gap(start + s * _precoder(seed=i)) for i, s in enumerate(scales)) >= -1e-10


@pytest.mark.parametrize("limit", [0.3, 1e4])
def test_one_antenna_user_reaches_the_scalar_optimum(limit: float) -> None:
    h, fixed = _random(1, 1, 4), 2.0
    gain = np.linalg.norm(h) ** 2

    def ratio(power: float) -> float:
        return np.log1p(power * gain) / (fixed + power)

    inner = minimize_scalar(lambda p: -ratio(p), bounds=(0, limit), method="bounded", options={"xatol": 1e-12})
    best = max(ratio(limit), -inner.fun)  # the search keeps away from the ends
    p, history = reference.algorithm_3(h, reference.matched_start(h, limit), fixed, limit, tolerance=1e-14)
    assert history[-1] == pytest.approx(best, rel=1e-9)
    assert np.linalg.norm(p) ** 2 <= limit * (1 + 1e-9)


@pytest.mark.parametrize("case", ["more_ports", "fewer_ports", "equal_users"])
@pytest.mark.parametrize("limit", [0.5, 50.0])
def test_algorithm_3_is_monotone_and_feasible(case: str, limit: float) -> None:
    h = _random(2, 2, 3 if case == "fewer_ports" else 6, seed=2)
    if case == "equal_users":
        h[1] = h[0]
    p, history = reference.algorithm_3(h, reference.matched_start(h, limit), 3.0, limit, tolerance=1e-12)
    assert np.diff(history).min() >= -1e-12 * history[-1]
    assert history[-1] > 1.02 * history[0]
    assert np.linalg.norm(p) ** 2 <= limit * (1 + 1e-9)


@pytest.mark.parametrize("rule", ["increase", "model"])
def test_algorithm_4_is_monotone_and_stops_by_its_rule(rule: str, toy: tuple) -> None:
    run = reference.sim_lp(TOY, *toy, reference.Options(line_search=rule))
    history = np.array([*run.history, run.value])
    assert run.converged
    assert np.diff(history).min() >= -1e-12 * run.value
    assert run.value > 1.1 * history[0]
    np.testing.assert_allclose(np.abs(run.phases), 1, rtol=1e-12)
    assert np.linalg.norm(run.precoder) ** 2 <= TOY.max_power * (1 + 1e-9)


def test_reduced_chains_equal_no_precoding_when_all_antennas_are_used(toy: tuple) -> None:
    _, g, phi = toy
    square = replace(TOY, n_tx=TOY.users * TOY.n_rx)
    hops, options = reference.stack_matrices(square), reference.Options(max_iterations=30)
    full = reference.sim_no_lp(square, hops, g, phi, np.arange(2), options)
    reduced = reference.sim_no_lp_red_rf(square, hops, g, phi, np.arange(4), options)
    np.testing.assert_allclose(full.history, reduced.history, rtol=1e-12)
    assert np.linalg.norm(full.precoder) ** 2 == pytest.approx(square.max_power, rel=1e-12)


def test_no_precoding_gives_every_antenna_one_stream_of_a_served_user(toy: tuple) -> None:
    run = reference.sim_no_lp(TOY, *toy, np.array([1]), reference.Options(max_iterations=1))
    np.testing.assert_array_equal((run.precoder != 0).sum((0, 2)), np.ones(TOY.n_tx))
    assert not run.precoder[0].any()


def test_direct_array_feeds_no_metasurface() -> None:
    quiet = replace(TOY, noise_power=1e-12)
    h, _ = reference.draw(quiet, 0, stack=False)
    p, history = reference.lp_no_sim(quiet, h)
    power = TOY.n_tx * TOY.per_chain + TOY.standby + np.linalg.norm(p) ** 2
    assert history[-1] == pytest.approx(reference.sum_rate(reference.received(h, p)) / power, rel=1e-12)


def test_w1_climbs() -> None:
    hops, g, phi = reference.w1_problem(0, elements=16, layers=2)
    phases, rates, trials = reference.w1_ascent(hops, g, phi, 20)
    assert np.diff(rates).min() >= 0
    assert rates[-1] > 1.5 * rates[0]
    assert trials >= 20
    np.testing.assert_allclose(np.abs(phases), 1, rtol=1e-12)
