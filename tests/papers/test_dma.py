"""`dma-cell-free`: scenes, what designers see of them, one toy point of every curve, and claims on known numbers."""

import copy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from synthetic_results import results

from metamimo.errors import ConfigError
from metamimo.experiments.claims import evaluate
from metamimo.experiments.config import scenario_at
from metamimo.experiments.results import Results
from metamimo.experiments.tasks import Task, all_tasks, program_of
from metamimo.papers import registry
from metamimo.papers.chunks import all_is_known
from metamimo.papers.dma_cell_free import claims, simulate
from metamimo.papers.dma_cell_free.figures import CHECKPOINTS
from metamimo.papers.dma_cell_free.scenario import CellFreeDma
from metamimo.problem import Status
from metamimo.randomness import trial_key
from metamimo.surfaces.parallel_plate import ParallelPlateDMA

FIGURES = [name for name in registry.FIGURES if name.startswith("dma-cell-free/")]
TOY = {"n_stations": 2, "n_users": 2, "n_subcarriers": 2, "n_slots": 4, "n_feeds": 2, "taps": 2}
POWERS, ERRORS = (0.0, 15.0, 30.0), (0.01, 0.1, 0.3)


def toy(figure="fig1", **options):
    """Return a figure whose draws and runs take a moment."""
    study = registry.load(f"dma-cell-free/{figure}", "quick").with_scenario(TOY)
    short = {"max_iterations": 6, **options}
    curves = tuple(
        choice.model_copy(update={"options": {**choice.options, **short}}) for choice in study.experiment.schemes
    )
    return study, study.experiment.model_copy(update={"schemes": curves})


@pytest.mark.parametrize("mode", ["quick", "full"])
@pytest.mark.parametrize("figure", FIGURES)
def test_study_declares_what_it_computes(figure, mode):
    study = registry.load(figure, mode)
    experiment = study.experiment
    assert [claim.id for claim in study.claims] == list(experiment.claims)
    assert all(isinstance(scenario_at(experiment, i), CellFreeDma) for i in experiment.grid())
    # Budgets, errors and noise are traced: one program a curve.
    assert len({program_of(experiment, task) for task in all_tasks(experiment)}) == len(experiment.schemes)
    if mode == "full":
        assert experiment.trials == (20 if figure.endswith("messages") else 100)
        assert experiment.scenario == CellFreeDma()


# Scenes.


def scene(csi="perfect", coupling="known", **changes):
    """Return (true problem, designer's problem) of a toy trial."""
    _, experiment = toy()
    choice = experiment.schemes[0].model_copy(update={"options": {"csi": csi, "coupling": coupling}})
    scenario = experiment.scenario.replace(**changes)
    experiment = experiment.model_copy(update={"schemes": (choice,), "scenario": scenario})
    drawn = simulate.scene_of(experiment, Task(0, (1,), 0, 1, 1))
    key = trial_key(3, 1)
    truth = drawn.draw(drawn.surface, drawn.numbers, key, *drawn.sizes)
    return truth, drawn.view(truth, drawn.numbers, key)


def test_all_curves_meet_the_same_scene():
    truth, _ = scene()
    for csi, coupling in (("fresh", "known"), ("posterior", "ignored"), ("estimate", "absent")):
        other, _ = scene(csi, coupling)
        np.testing.assert_array_equal(other.link.channel, truth.link.channel)
        surface = other.link.surfaces[0]
        assert isinstance(surface, ParallelPlateDMA)
        assert surface.coupled is (coupling != "absent")
    np.testing.assert_array_equal(scene("estimate")[1].link.channel, scene("posterior")[1].csi.estimate)


def test_designers_see_what_the_option_says():
    truth, known = scene("perfect")
    np.testing.assert_array_equal(known.link.channel, truth.link.channel)
    assert known.csi is None
    truth, guessed = scene("estimate")
    assert guessed.csi is None
    error = jnp.abs(guessed.link.channel - truth.link.channel) ** 2
    assert 0.02 < float((error / simulate.mean_square(truth.link.channel)).mean()) < 0.3
    for csi in ("fresh", "posterior"):
        truth, robust = scene(csi)
        assert float(jnp.abs(robust.csi.sample(jax.random.key(0)) - truth.link.channel).max()) > 0
        truth, robust = scene(csi, csi_error=0.0)
        np.testing.assert_array_equal(robust.csi.sample(jax.random.key(0)), truth.link.channel)
    assert all_is_known(truth, None, jax.random.key(0)) is truth


def test_a_designer_who_ignores_coupling_leaves_the_antenna_as_it_is():
    truth, seen = scene("perfect", "ignored")
    state = jnp.array([0.5, 1.0, 2.0, 0.3])
    (true,), (assumed,) = truth.link.surfaces, seen.link.surfaces
    apart = simulate.antenna_of(CellFreeDma().replace(**TOY), coupled=False)
    np.testing.assert_allclose(assumed.response(state), apart.response(state), rtol=1e-12)
    assert float(jnp.abs(true.response(state) / apart.response(state) - 1).max()) > 0.1


def test_numbers_are_those_of_the_specification():
    scenario = CellFreeDma()
    surface = simulate.antenna_of(CellFreeDma(n_slots=16, n_subcarriers=4))
    numbers = simulate.physical(scenario, surface)
    # 10^-10 V^2 at a wire of half a wavelength is -102.0 dBm.
    assert 10 * np.log10(float(numbers.noise) / 1e-3) == pytest.approx(-102.0, abs=0.03)
    assert float(simulate.physical(scenario.replace(power_dbm=30.0), surface).budget) == pytest.approx(1)
    np.testing.assert_allclose(np.diff(numbers.sites[:, 0]), 102 * scenario.wavelength, rtol=1e-12)
    np.testing.assert_allclose(surface.frequencies, 10e9 + 25e6 * np.array([-1.5, -0.5, 0.5, 1.5]), rtol=1e-12)
    assert numbers.root is None


@pytest.mark.parametrize("fading", ["correlated", "link", "none"])
def test_other_kinds_of_fading_are_drawn(fading):
    truth, _ = scene(fading=fading, pathloss="free_space_only")
    channel = truth.link.channel
    assert channel.shape == (2, 2, 2, 1, 4)
    assert bool(jnp.isfinite(channel).all())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detuning": 10e6}, r"detuning: slots must be resonant outside of the band of \+-4.6875e\+07 Hz"),
        ({"bandwidth": 30e9, "detuning": 20e9}, "bandwidth: must leave all subcarriers above zero"),
        ({"fading": "rice"}, "fading: Input should be 'element', 'correlated', 'link' or 'none'"),
        ({"n_feeds": 0}, "n_feeds: Input should be greater than or equal to 1"),
    ],
)
def test_scenario_refuses_what_makes_no_sense(changes, message):
    with pytest.raises(ConfigError, match=message):
        CellFreeDma().replace(**changes)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"csi": "rumour"}, "csi: must be one of perfect, estimate, fresh, posterior, got 'rumour'"),
        ({"coupling": "no"}, "coupling: must be one of known, ignored, absent, got 'no'"),
    ],
)
def test_unknown_options_are_named(option, message):
    study, experiment = toy(**option)
    with pytest.raises(ConfigError, match=message):
        study.compute(experiment, Task(0, (0,), 0, 1, 1))


# One toy point of the curves.


@pytest.fixture(scope="module")
def found():
    """Results of two trials at 15 dBm, by curve."""
    study, experiment = toy()
    return study, {
        choice.label: study.compute(experiment, Task(number, (1,), 0, 2, 2))
        for number, choice in enumerate(experiment.schemes)
        if choice.label not in (claims.LINEAR, claims.RANDOM)  # options of the scheme, which has tests of its own
    }


def test_every_curve_stores_what_the_study_declares(found):
    study, curves = found
    for label, values in curves.items():
        assert set(values) == {variable.name for variable in study.variables}, label
        assert values["rate"].shape == (2, 2)
        np.testing.assert_allclose(values["rate"].sum(1), values["sum_rate"], rtol=1e-12)
        assert (values["sum_rate"] > 0).all()
        assert np.isin(values["status"], (Status.CONVERGED, Status.ITERATION_LIMIT)).all()
        if label != claims.IDEAL:  # powers of slots that do not act on each other do not balance
            assert (values["radiated"] < values["accepted"]).all()


def test_designs_are_scored_on_the_true_channel_and_antenna(found):
    _, curves = found
    np.testing.assert_allclose(curves[claims.PERFECT]["sum_rate"], curves[claims.PERFECT]["expected_rate"], rtol=1e-12)
    for label in (claims.IMPERFECT, claims.MISMATCHED):
        assert (curves[label]["sum_rate"] < curves[label]["expected_rate"]).all(), label
    assert curves[claims.MISMATCHED]["sum_rate"].sum() < curves[claims.FRESH]["sum_rate"].sum()
    assert not np.allclose(curves[claims.FRESH]["sum_rate"], curves[claims.POSTERIOR]["sum_rate"])


def test_without_errors_fresh_and_posterior_are_one(found):
    study, experiment = toy()
    experiment = experiment.model_copy(update={"scenario": experiment.scenario.replace(csi_error=0.0)})
    labels = [choice.label for choice in experiment.schemes]
    same = [
        study.compute(experiment, Task(labels.index(label), (1,), 0, 2, 2))
        for label in (claims.FRESH, claims.POSTERIOR)
    ]
    np.testing.assert_allclose(same[0]["sum_rate"], same[1]["sum_rate"], rtol=1e-9)


# Claims on known numbers: those of the specification, and one change that makes each fail.

RATES = {
    claims.PERFECT: [9.47, 18.24, 26.72],
    claims.FRESH: [8.65, 16.24, 22.84],
    claims.POSTERIOR: [7.58, 12.23, 13.3],
    claims.IMPERFECT: [7.55, 11.7, 12.08],
    claims.LINEAR: [7.68, 15.15, 19.95],
    claims.MISMATCHED: [1.81, 3.42, 3.83],
    claims.IDEAL: [5.56, 17.23, 25.54],
    claims.RANDOM: [4.13, 13.41, 23.27],
    claims.BENCHMARK: [9.9, 21.0, 34.0],
}
GAPS = {
    claims.PERFECT: [18.24] * 3,
    claims.FRESH: [17.43, 16.24, 14.87],
    claims.POSTERIOR: [16.06, 12.23, 9.75],
    claims.IMPERFECT: [16.6, 11.7, 8.36],
}
CASES = [
    ("1", claims.RANDOM, 2, 12.0),
    ("2", claims.IMPERFECT, 1, 17.0),
    ("2-low", claims.IMPERFECT, 0, 8.0),
    ("2-high", claims.IMPERFECT, 2, 16.0),
    ("3", claims.PERFECT, 1, 21.0),
    ("3-highest", claims.RANDOM, 2, 27.0),
    ("4", claims.MISMATCHED, 1, 6.0),
    ("5-low", claims.IDEAL, 0, 9.0),
    ("5-high", claims.IDEAL, 2, 22.0),
    ("V-bound", claims.BENCHMARK, 0, 9.0),
    ("V-single", claims.POSTERIOR, 2, 23.0),
]


def verdicts(changes=()):
    """Return what every claim on Fig. 1 says of the specification's means with some changed."""
    means = copy.deepcopy(RATES)
    for label, point, value in changes:
        means[label][point] = value
    stored = results("power_dbm", POWERS, {"sum_rate": means})
    return {item.claim.id: item.verdict.holds for item in evaluate(claims.fig1(POWERS), stored)}


def test_claims_hold_on_the_specifications_numbers():
    assert set(verdicts().values()) == {True}
    stored = results("csi_error", ERRORS, {"sum_rate": GAPS})
    assert [item.verdict.holds for item in evaluate(claims.fig1_delta(ERRORS), stored)] == [True]


@pytest.mark.parametrize(("claim", "label", "point", "value"), CASES)
def test_one_changed_mean_breaks_a_claim(claim, label, point, value):
    assert verdicts([(label, point, value)])[claim] is False


def test_every_claim_is_broken_once():
    assert {claim for claim, *_ in CASES} == {claim.id for claim in claims.fig1(POWERS)}
    crossed = {**GAPS, claims.FRESH: [17.43, 18.0, 14.87]}
    stored = results("csi_error", ERRORS, {"sum_rate": crossed})
    assert [item.verdict.holds for item in evaluate(claims.fig1_delta(ERRORS), stored)] == [False]


def on_messages(**changes):
    """Return the verdicts on rates that rise with the iterations, a share of 0.8 of the gap closed."""
    curves = {claims.PERFECT: (10.0, 11.0), claims.LINEAR_STEPS: (8.0, 10.0), claims.QUASI_NEWTON: (12.0, 18.0)}
    curves |= {claims.BENCHMARK: (9.0, 20.0)} | changes
    table = results("power_dbm", POWERS, {"sum_rate": {name: [last] * 3 for name, (_, last) in curves.items()}})
    rng, steps = np.random.default_rng(2), len(CHECKPOINTS)
    share = np.minimum(np.maximum(np.array(CHECKPOINTS) - 200, 0) / 800, 1)
    means = np.array([first + (last - first) * share for first, last in curves.values()])
    spread = 0.01 * rng.standard_normal((len(curves), len(POWERS), 24, steps))
    history = (("scheme", "power_dbm", "trial", "checkpoint"), means[:, None, None] + spread)
    names = {"variables": dict.fromkeys(("sum_rate", "history"))}
    table = Results(table.dataset.assign(history=history), names, Path())
    study = registry.load("dma-cell-free/messages", "quick")
    return {item.claim.id: item.verdict.holds for item in evaluate(study.claims, table)}


def test_claims_on_messages():
    assert on_messages() == {"M-above": True, "M-gap": True, "M-steps": True}
    assert on_messages(**{claims.QUASI_NEWTON: (12.0, 13.0)})["M-gap"] is False
    assert on_messages(**{claims.QUASI_NEWTON: (9.0, 18.0)})["M-above"] is False
    assert on_messages(**{claims.LINEAR_STEPS: (8.0, 11.5)})["M-steps"] is False


def test_messages_keep_the_history_of_every_curve():
    study = registry.load("dma-cell-free/messages", "quick").with_scenario(TOY)
    for number, choice in enumerate(study.experiment.schemes):
        short = {"max_iterations": 6} | ({"first_steps": 4} if choice.scheme == "cell-free-joint" else {})
        schemes = tuple(
            c.model_copy(update={"options": {**c.options, **short}}) if c is choice else c
            for c in study.experiment.schemes
        )
        experiment = study.experiment.model_copy(update={"schemes": schemes})
        values = study.compute(experiment, Task(number, (1,), 0, 2, 2))
        assert values["history"].shape == (2, len(CHECKPOINTS))
        assert (values["history"] > 0).all()
        assert (values["history"] <= values["sum_rate"][:, None] * (1 + 1e-9)).all()
