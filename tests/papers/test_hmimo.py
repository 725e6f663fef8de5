"""`hmimo-multicell`: growth with elements, scenes, power, and one small point of every study."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.errors import ConfigError
from metamimo.experiments.config import scenario_at
from metamimo.experiments.tasks import Task
from metamimo.papers import registry
from metamimo.papers.hmimo_multicell import growth, scaling, simulate, tree_simulate, trees
from metamimo.papers.hmimo_multicell.scenario import HolographicCells
from metamimo.problem import Status
from metamimo.randomness import trial_key
from metamimo.schemes.registry import SCHEMES

FIGURES = [name for name in registry.FIGURES if name.startswith("hmimo-multicell/")]
SMALL = HolographicCells(n_cells=2, n_users=1, n_chains=2, per_strip=2, clusters=2, rays=3)


@pytest.mark.parametrize("mode", ["quick", "full"])
@pytest.mark.parametrize("figure", FIGURES)
def test_study_declares_what_it_computes(figure, mode):
    study = registry.load(figure, mode)
    assert [claim.id for claim in study.claims] == list(study.experiment.claims)
    assert all(isinstance(scenario_at(study.experiment, i), HolographicCells) for i in study.experiment.grid())
    assert mode == "quick" or study.experiment.trials >= 100


# Growth with the elements (acceptance check 13).


def brute_force_binary(z):
    on = (np.arange(2 ** len(z))[:, None] >> np.arange(len(z))) & 1
    return np.abs(on @ z).max()


@pytest.mark.parametrize("seed", range(20))
def test_best_states_are_optimal(seed):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(8) + 1j * rng.standard_normal(8)
    z = z if seed % 2 else np.exp(1j * np.angle(z))
    assert np.abs(z @ scaling.best_binary_states(z)) == pytest.approx(brute_force_binary(z), rel=1e-12)
    best = np.abs(z @ scaling.best_lorentz_states(z))
    assert best == pytest.approx((np.abs(z.sum()) + np.abs(z).sum()) / 2, rel=1e-12)
    states = (1j + np.exp(2j * np.pi * rng.random((2000, 8)))) / 2
    assert np.abs(states @ z).max() <= best + 1e-12
    np.testing.assert_allclose(np.abs(2 * scaling.best_lorentz_states(z) - 1j), 1, atol=1e-12)


@pytest.mark.parametrize(("count", "slope"), [(7, 0.3), (16, -2.1), (64, 0.0), (33, 2 * np.pi)])
def test_exact_formulas_are_the_sums(count, slope):
    z = np.exp(1j * np.arange(count) * slope)
    psi = scaling.lorentz_states(z)
    assert scaling.geometric_sum(count, slope) == pytest.approx(z.sum(), abs=1e-9)
    assert scaling.lorentz_sum(count, slope) == pytest.approx(np.abs(psi @ z), rel=1e-12)
    assert scaling.lorentz_power(count, slope) == pytest.approx((np.abs(psi) ** 2).sum(), rel=1e-12)


@pytest.mark.parametrize("count", [8, 31])
def test_fourier_series_of_binary_elements(count):
    z = np.exp(1j * np.arange(count) * 0.731)
    direct = z @ scaling.binary_states(z)
    assert scaling.binary_sum(count, 0.731) == pytest.approx(direct, abs=1e-4 * count)


def test_mean_coefficients_and_radiated_power():
    """128 elements, no attenuation, mean over 60 degrees: 1/2 within 1 %, 2/pi^2 within 5 %, |x|^2 within 1 %."""
    scenario = HolographicCells(per_strip=128, attenuation=0.0)
    angles = [growth.direction(scenario, trial) for trial in range(400)]
    assert max(np.abs(angles)) <= np.deg2rad(60)
    for label, expected, close in (("Lorentz", 0.5, 0.01), ("Binary", 2 / np.pi**2, 0.05)):
        found = np.mean([growth.coefficients(scenario, label, angle) for angle in angles], 0)
        assert found[0] == pytest.approx(expected, rel=close)
        assert found[3] == pytest.approx(1, rel=0.01)


def test_growth_at_thirty_degrees():
    """The specification's table: 12.04, 9.62 and 5.72 dB at 16 elements, 21.07, 17.19 and 13.36 dB at 128."""
    study = registry.load("hmimo-multicell/fig2", "full")
    labels = [choice.label for choice in study.experiment.schemes]
    for count, values in ((16, (12.04, 12.04, 9.62, 5.72)), (128, (21.07, 21.07, 17.19, 13.36))):
        for label, expected in zip(("Digital", "Hybrid", "Lorentz", "Binary"), values, strict=True):
            index = (study.experiment.axes[0].values.index(count), 0)
            task = Task(labels.index(label), index, 0, 1, 1)
            assert growth.compute(study.experiment, task)["snr"][0] == pytest.approx(expected, abs=0.01)


def test_slow_waves_do_not_radiate():
    """At x^H C x = P the coefficients are 1.00 and 0.66: the slow part of the wave stays with the strip."""
    scenario = HolographicCells(per_strip=64, attenuation=0.0)
    angles = [growth.direction(scenario, trial) for trial in range(100)]
    labels = ("Digital", "Lorentz", "Binary")
    field = {label: np.mean([growth.coefficients(scenario, label, x)[2] for x in angles]) for label in labels}
    assert field["Lorentz"] == pytest.approx(1.0, abs=0.03)
    assert field["Binary"] == pytest.approx(0.66, abs=0.03)
    assert field["Digital"] == pytest.approx(1.005, abs=0.01)


# Scenes.


def test_paths_carry_the_power_that_they_should():
    """Acceptance check 15: E |H|_F^2 = A zeta N_u M, and every array meets the same paths."""
    scenario = HolographicCells(shadowing_db=0.0, area=0.5)
    sizes = simulate.sizes_of(scenario)
    surface, positions = simulate.array_of(scenario, "Lorentz left")
    numbers = simulate.physical(scenario, surface, positions)

    @jax.jit
    def power(trial):
        problem = simulate.draw_problem(surface, numbers, trial_key(3, trial), sizes)
        users = simulate.users_around(
            simulate.purpose_key(trial_key(3, trial), "users"), numbers.sites, 2, numbers.r_min, numbers.r_max
        )
        distance = jnp.sqrt(((numbers.sites[:, None] - users) ** 2).sum(-1))
        zeta = 10 ** (-(72.0 + 29.2 * jnp.log10(distance)) / 10)
        h = problem.link.channel[0]
        return ((jnp.abs(h) ** 2).sum((-2, -1)) / zeta).mean()

    mean = float(jnp.mean(jax.lax.map(power, jnp.arange(2000))))
    assert mean == pytest.approx(0.5 * 2 * 16, rel=0.03)


def test_arrays_share_the_scene():
    """Elements that two arrays have in the same place have the same channel."""
    scenario = HolographicCells(per_strip=4)
    channels = {}
    for kind in ("Lorentz left", "binary centre", "digital"):
        surface, positions = simulate.array_of(scenario, kind)
        numbers = simulate.physical(scenario, surface, positions)
        problem = simulate.draw_problem(surface, numbers, trial_key(0, 1), simulate.sizes_of(scenario))
        channels[kind] = problem.link.channel, positions
    np.testing.assert_array_equal(channels["Lorentz left"][0], channels["binary centre"][0])
    # The mean of neighbours a quarter wavelength apart lies near the conventional array's element between them.
    assert channels["digital"][0].shape[-1] == 8
    gains = [np.abs(np.asarray(h)).mean() for h, _ in channels.values()]
    assert max(gains) < 1.3 * min(gains)


def test_arrays_have_the_size_and_power_of_the_figure():
    scenario = HolographicCells(per_strip=8, area=0.5, power_dbm=30.0)
    for kind, elements, chain in (("Lorentz left", 32, 2 / 32), ("hybrid", 16, 1 / 4), ("digital", 16, 1 / 16)):
        surface, positions = simulate.array_of(scenario, kind)
        assert surface.n_elements == len(positions) == elements
        (limit,) = simulate.power_limits(scenario, surface)
        np.testing.assert_allclose(limit.power, chain, rtol=1e-12)
        assert float(simulate.physical(scenario, surface, positions).area) == (0.5 if kind == "Lorentz left" else 1)
        assert np.ptp(positions[:, 0]) <= 2 * scenario.wavelength
    (limit,) = simulate.power_limits(scenario.replace(budget="field"), surface)
    assert limit.kind == "radiated"
    with pytest.raises(ConfigError, match=r"array: must be one of binary left, .* got 'round'"):
        simulate.array_of(scenario, "round")
    split, plain = (
        simulate.array_of(scenario.replace(budget=budget), "binary centre")[0].wave
        for budget in ("split wave", "unit wave")
    )
    np.testing.assert_allclose(np.sqrt(2) * split, plain, rtol=1e-12)


def test_annulus_must_not_be_empty():
    with pytest.raises(ConfigError, match="r_min: must be below half of cell_distance = 20"):
        HolographicCells().replace(cell_distance=20.0)


# One small point of every study.


@pytest.mark.parametrize("figure", ["fig3", "fig5"])
def test_small_point_is_computed(figure):
    study = registry.load(f"hmimo-multicell/{figure}", "quick").with_scenario(
        {"n_cells": 2, "n_users": 1, "n_chains": 2, "per_strip": 2, "clusters": 2, "rays": 3}
    )
    rates = {}
    for number, choice in enumerate(study.experiment.schemes):
        if choice.label in ("Lorentz, centre", "Lorentz, left", "Binary, centre"):
            continue  # each compiles for seconds; other tests and fig3 have these solvers
        results = study.compute(study.experiment, Task(number, (0,), 0, 2, 2))
        assert set(results) == {variable.name for variable in study.variables}
        assert (results["status"] == Status.CONVERGED).all()
        assert (results["largest_fall"] <= 1e-9).all()
        assert results["rate"].shape == (2, 2)
        np.testing.assert_allclose(results["rate"].sum(1), results["sum_rate"], rtol=1e-12)
        assert (results["sum_rate"] <= results["upper_bound"]).all()
        rates[choice.label] = results["sum_rate"]
    if figure == "fig5":
        assert (rates["Digital"] > 0).all()
    else:
        assert (rates["WMMSE-MM"] > rates["WMMSE-HC"]).any()


def test_blocks_of_the_descent_are_searched():
    study = registry.load("hmimo-multicell/fig7", "quick").with_scenario({"n_chains": 2, "n_users": 1, "n_rx": 1})
    found = {
        choice.label: study.compute(study.experiment, Task(number, (1,), 0, 2, 2))
        for number, choice in enumerate(study.experiment.schemes)
    }
    for label, results in found.items():
        assert set(results) == {variable.name for variable in study.variables}
        assert (results["given_up"] == 0).all()
        assert (results["gap"] >= -1e-9).all()
        assert (results["nodes"] <= found["Original"]["nodes"]).all(), label
    np.testing.assert_allclose(found["Both"]["gap"], found["Original"]["gap"], atol=1e-9)
    assert (found["Both"]["known"] > 0).all()
    assert (found["Original"]["known"] == 0).all()


def test_blocks_are_those_that_the_descent_meets():
    """The first listed block's choice is that of one iteration of the scheme itself."""
    surface, positions = simulate.array_of(SMALL, "binary left")
    numbers = simulate.physical(SMALL, surface, positions)
    key = trial_key(1, 0)
    problem = simulate.draw_problem(surface, numbers, key, simulate.sizes_of(SMALL))
    blocks = jax.jit(tree_simulate.blocks_of)(problem, key)
    scheme = SCHEMES.get("wmmse-hc")
    once = jax.jit(lambda p: scheme(p, key=key, max_iterations=1, returned="last"))(problem)
    np.testing.assert_array_equal(np.asarray(once.design.state[0]), (np.asarray(blocks.chosen[0]) + 1) / 2)
    assert blocks.a.shape == (len(trees.ITERATIONS), 2, 4, 4)
    for a, q, x, proven in zip(*(np.asarray(part).reshape(-1, *part.shape[2:]) for part in blocks), strict=True):
        every = np.array(list(itertools.product([-1.0, 1.0], repeat=4)))
        values = ((every @ a) * every).sum(1) - 2 * every @ q
        reached = x @ a @ x - 2 * q @ x
        assert reached >= values.min() - 1e-12
        if proven:
            assert reached <= values.min() + 1e-7
