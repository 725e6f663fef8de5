"""The two studies beyond the paper: a fair comparison of architectures, and the distance between layers."""

import itertools
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr

from metamimo.errors import ConfigError
from metamimo.experiments.claims import evaluate
from metamimo.experiments.config import Axis, Experiment
from metamimo.experiments.results import Results
from metamimo.experiments.statistics import TooFewTrials
from metamimo.experiments.tasks import Task, all_tasks, program_of
from metamimo.papers.sim_broadcast_ee import fair, fair_simulate, spacing
from metamimo.papers.sim_broadcast_ee.fair_simulate import ARCHITECTURES, transmitter
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_broadcast_ee.simulate import draw_problem, physical
from metamimo.problem import Status
from metamimo.randomness import trial_key
from metamimo.surfaces.base import Surface

EE = "energy_efficiency"
TRIALS = 12
TOY = SimBroadcast(n_elements=16, n_layers=2, n_ports=4, n_users=2, n_rx=1, noise_dbm=-120.0, kernel="band_limited")
PRICES = (1e-3, 10e-3)


def toy_experiment(label: str, scenario: SimBroadcast = TOY) -> Experiment:
    return Experiment(
        name="toy-paper/fair",
        scenario=scenario,
        axes=(Axis(name="element_power", values=PRICES), Axis(name="insertion_loss_db", values=(0.0, 3.0))),
        schemes=tuple(choice for choice in fair.SCHEMES if choice.label == label),
        trials=3,
        chunk=2,
        seed=5,
    )


def synthetic(axes: dict, table, variables=(EE,), noise: float = 0.05) -> Results:
    """Results over (scheme, two axes, trial) with given means; the noise around them has a sample mean of zero."""
    rng = np.random.default_rng(2)
    schemes = list(table)
    points = list(itertools.product(*axes.values()))
    shape = (len(schemes), *(len(values) for values in axes.values()), TRIALS)
    dims = ("scheme", *axes, "trial")
    data = {}
    for variable in variables:
        spread = rng.standard_normal(shape)
        spread -= spread.mean(-1, keepdims=True)
        means = np.array([[table[s](variable, *point) for point in points] for s in schemes]).reshape(shape[:-1])
        data[variable] = (dims, means[..., None] + noise * spread)
    data |= {mask: (dims, np.ones(shape, bool)) for mask in ("done", "counts")}
    dataset = xr.Dataset(data, {"scheme": schemes} | {name: list(values) for name, values in axes.items()})
    return Results(dataset, {"variables": dict.fromkeys(variables)}, Path())


@pytest.mark.parametrize("build", [fair.fair, spacing.spacing])
@pytest.mark.parametrize("mode", ["quick", "full"])
def test_studies_are_declared(build, mode: str) -> None:
    experiment = build(mode).experiment
    assert len({program_of(experiment, task) for task in all_tasks(experiment)}) <= 12
    assert experiment.trials == (50 if mode == "full" else 4)
    assert list(experiment.claims) == [claim.id for claim in build(mode).claims]


def test_every_architecture_is_compared() -> None:
    assert {choice.options["architecture"] for choice in fair.SCHEMES} == set(ARCHITECTURES)
    effort = [{k: v for k, v in c.options.items() if k in ("starts", *fair.STOP)} for c in fair.SCHEMES]
    assert all(given == {"starts": 2, **fair.STOP} for given in effort[:-2])
    assert fair.fair("full").experiment.scenario.kernel == "band_limited"


@jax.jit
def responses(surface: Surface) -> dict[str, jax.Array]:
    """Response and energy gain at a random state, and the gain at equal phases."""
    state = surface.feasible.random(jax.random.key(0))
    equal = surface.feasible.project(0 * state + 1)
    return {
        "random": surface.response(state),
        "gain": surface.energy_gain(state),
        "gain_of_equal_phases": surface.energy_gain(equal),
    }


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_architectures_share_aperture_and_pay_for_what_they_lose(architecture: str) -> None:
    lossless, lossy = (transmitter(architecture, TOY.replace(insertion_loss_db=loss)) for loss in (0.0, 3.0))
    surface, found, with_losses = lossless.surface, responses(lossless.surface), responses(lossy.surface)
    assert lossless.aperture.n_elements == 16
    assert surface.n_ports == (16 if architecture == "digital-aperture" else 4)
    c = np.asarray(lossless.aperture.coupling)[0][np.ix_(lossless.elements, lossless.elements)]
    np.testing.assert_array_equal(np.asarray(surface.coupling)[0], c)
    assert c[0, 0] == pytest.approx(np.pi / 6)
    shifters = {"stack": 2, "stack-flux": 2, "digital-aperture": 0, "digital-bare": 0}.get(architecture, 1)
    ratio = np.asarray(with_losses["random"]) / np.asarray(found["random"])
    np.testing.assert_allclose(ratio[np.isfinite(ratio)], 10 ** (-3.0 * shifters / 20), rtol=1e-9)
    if architecture in ("stack-flux", "hybrid-full-no-combiners"):
        assert float(found["gain_of_equal_phases"]) > 1
    else:
        assert float(found["gain"]) <= 1 + 1e-9


def test_the_flux_count_gives_the_stack_the_power_that_its_antennas_keep() -> None:
    a, b = (np.asarray(responses(transmitter(name, TOY).surface)["random"]) for name in ("stack", "stack-flux"))
    np.testing.assert_allclose(b, a * np.sqrt(6 / np.pi), rtol=1e-12)


def test_the_bare_array_is_the_middle_of_the_aperture_and_hears_the_same_fading() -> None:
    bare, whole = transmitter("digital-bare", TOY), transmitter("digital-aperture", TOY)
    assert bare.elements.tolist() == [5, 6, 9, 10]
    draw = jax.jit(lambda aperture, numbers: draw_problem(aperture, numbers, trial_key(5, 0), 2, 1).link.channel)
    channels = [draw(sender.aperture, physical(TOY, sender.aperture)) for sender in (bare, whole)]
    np.testing.assert_array_equal(*channels)


def test_unknown_architecture_and_too_many_antennas_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^architecture: must be one of stack, .*, got 'lens'$"):
        transmitter("lens", TOY)
    with pytest.raises(ConfigError, match="n_ports: 5 x 5 antennas must fit into 4 x 4 elements"):
        transmitter("digital-bare", TOY.replace(n_ports=25))


@pytest.fixture(scope="module", params=[fair.SUB, fair.BARE])
def toy(request) -> Experiment:
    return toy_experiment(request.param)


def test_tasks_return_what_the_study_declares(toy: Experiment) -> None:
    whole = fair_simulate.compute(toy, Task(0, (0, 1), 0, 2, 2))
    last = fair_simulate.compute(toy, Task(0, (0, 1), 1, 1, 2))
    assert set(whole) == {variable.name for variable in fair.VARIABLES}
    for variable in fair.VARIABLES:
        assert whole[variable.name].shape == (2,)
        assert whole[variable.name].dtype.kind == np.dtype(variable.dtype).kind, variable.name
        if variable.promised:
            assert last[variable.name].tobytes() == whole[variable.name][1:].tobytes(), "padding changes no bit"
    assert (whole["status"] == Status.CONVERGED).all()
    np.testing.assert_allclose(whole["accepted"], 1.0, atol=1e-9)
    tuned = toy.schemes[0].label == fair.SUB
    np.testing.assert_allclose(whole["radiated"], 10**-0.3 if tuned else 1.0, atol=1e-9)
    np.testing.assert_allclose(whole["consumed"], 1 + 4 * 0.5 + 10 + (16 * 1e-3 if tuned else 0), rtol=1e-12)
    np.testing.assert_allclose(whole[EE], 20 * whole["sum_rate"] / whole["consumed"], rtol=1e-12)


def test_another_price_moves_the_consumption_and_not_the_design(toy: Experiment) -> None:
    """The shortcut of `repriced` against designs made at the higher price, which are equal up to the stopping rule."""
    accuracy = fair.STOP["window"] * fair.STOP["tolerance"]
    dear = toy.scenario.replace(element_power=PRICES[1])
    made = fair_simulate._designed(toy.schemes[0], tuple(dear), toy.seed, (0, 1))
    found = fair_simulate.compute(toy, Task(0, (1, 0), 0, 2, 2))
    for name in (EE, "sum_rate", "consumed", "accepted", "radiated"):
        np.testing.assert_allclose(found[name], made[name], rtol=accuracy, err_msg=name)


def test_without_an_active_limit_every_price_has_its_own_design() -> None:
    generous = toy_experiment(fair.SUB, TOY.replace(power_dbm=60.0))
    cheap, dear = (fair_simulate.compute(generous, Task(0, (i, 0), 0, 2, 2)) for i in (0, 1))
    assert (cheap["accepted"] < 900).all()
    assert (dear["accepted"] > cheap["accepted"] * (1 + 1e-6)).all(), "dearer elements are worth more power"
    repriced = fair_simulate.repriced(cheap, PRICES[1] - PRICES[0])
    assert (dear[EE] > repriced[EE]).all()


# Mean energy efficiency B R / (P_rest + n p): label -> (B R, P_rest, n, loss factor per dB).
POWERS = {
    fair.SIM: (315.0, 19.0, 400, 0.6),
    fair.SHALLOW: (270.0, 19.0, 200, 0.8),
    fair.FLUX: (420.0, 19.0, 400, 0.6),
    fair.FULL: (250.0, 19.0, 1600, 0.9),
    fair.FULL_LOSSLESS: (441.0, 19.0, 1600, 0.9),
    fair.FULL_CREATING: (700.0, 19.0, 1600, 0.9),
    fair.SUB: (300.0, 19.0, 100, 0.9),
    fair.SUB_FIXED: (290.0, 19.0, 100, 0.9),
    fair.DIGITAL: (600.0, 61.0, 0, 1.0),
    fair.BARE: (240.0, 19.0, 0, 1.0),
}
HOLD = {"V1-bare", "V1-digital", "V1-full", "V1-full-passive", "V1-full-energy", "V1-sub-price", "V1-input"}


def compared(changes=None, noise: float = 0.05) -> Results:
    def curve(bits, rest, count, kept):
        return lambda variable, price, loss: (
            1.5 if variable == "energy_gain" else bits * kept**loss / (rest + count * price)
        )

    table = {label: curve(*numbers) for label, numbers in (POWERS | (changes or {})).items()}
    axes = {"element_power": fair.PRICES, "insertion_loss_db": fair.LOSSES}
    return synthetic(axes, table, (EE, "energy_gain"), noise)


def verdicts(results: Results) -> dict:
    checked = evaluate(fair.claims(fair.PRICES, fair.LOSSES), results)
    return {item.claim.id: item.verdict for item in checked}


@pytest.mark.parametrize(("label", "loss"), [*itertools.product([fair.FULL, fair.FULL_LOSSLESS, fair.SUB], [0.0, 1.5])])
def test_break_even_is_the_closed_form_inside_and_outside_of_the_prices(label: str, loss: float) -> None:
    stack = {0.0: 315.0 / 21, 1.5: 270.0 * 0.8**1.5 / 20}[loss]  # four layers without losses, two with them
    bits, rest, count, kept = POWERS[label]
    found = fair.break_even(compared(), label, loss)
    assert found.mean == pytest.approx((bits * kept**loss / stack - rest) / count, rel=1e-9)
    assert found.n == TRIALS
    assert found.low < found.mean < found.high


def test_break_even_has_the_error_of_its_curves() -> None:
    """First order: dp = (P_rest + n p) / n times the relative errors of the two rates and of the stack."""
    found = [fair.break_even(compared(noise=noise), fair.FULL_LOSSLESS, 0.0).stderr for noise in (0.0, 0.01, 0.02)]
    assert found[0] <= 1e-12
    assert found[2] == pytest.approx(2 * found[1], rel=0.05)
    rough = (19 + 1600 * 6.5e-3) / 1600 * 0.01 / np.sqrt(TRIALS) / 15.0
    assert rough < found[1] < 10 * rough


def test_break_even_needs_realisations_that_count_in_all_curves() -> None:
    results = compared()
    assert fair.break_even(results, fair.SUB, 0.0).n == TRIALS
    results.dataset["counts"][list(POWERS).index(fair.SUB), :, :, 1:] = False
    with pytest.raises(TooFewTrials, match=r"^1 realisation\(s\) count in all curves"):
        fair.break_even(results, fair.SUB, 0.0)
    assert verdicts(results)["V1-sub-price"].holds is None


def test_claims_say_what_the_curves_say() -> None:
    found = verdicts(compared())
    changed = {
        fair.SUB: (400.0, 19.0, 100, 0.9),
        fair.SIM: (200.0, 19.0, 400, 0.6),
        fair.FULL: (300.0, 19.0, 1600, 0.9),
    }
    opposite = verdicts(compared(changed))
    assert {name: verdict.holds for name, verdict in found.items()} == {name: name in HOLD for name in found}
    for name in ("V1-bare", "V1-full", "V1-full-passive", "V1-sub", "V1-sub-price"):
        assert opposite[name].holds is False, name
    assert found["V1-full"].measured == pytest.approx(1e3 * fair.break_even(compared(), fair.FULL_LOSSLESS, 0.0).mean)
    assert "mW at 1.5 dB, n=12" in found["V1-full"].note


GAPS = {"layer_spacing": spacing.SPACINGS, "kernel": spacing.KERNELS}


def spaced(changes=None) -> Results:
    def curve(variable, gap, kernel):
        if variable == "energy_gain":
            return {"sampled": 1 / gap, "clipped": 0.8, "band_limited": 0.9}[kernel]
        if variable == EE:
            return 20.0 - gap + (12.0 if kernel == "sampled" and gap < 0.5 else -2.0 * (gap < 0.5))
        return 0.5

    def scheme(variable, gap, kernel):
        return (changes or {}).get((variable, gap, kernel), curve(variable, gap, kernel))

    variables = tuple(panel.variable for panel in spacing.PANELS)
    return synthetic(GAPS, dict.fromkeys(spacing.LABELS, scheme), variables, noise=0.01)


# Means that change, and the verdicts that change with them; on the table as it is all claims hold.
CASES = [
    ({}, {}),
    ({(EE, 0.25, "clipped"): 25.0}, {"V2-clipped": False}),
    ({(EE, 0.25, "band_limited"): 19.5}, {"V2-band-limited": None, "V2-best": None}),
    ({(EE, 2.0, "band_limited"): 20.0}, {"V2-best": False}),
    ({(EE, 0.25, "sampled"): 19.0}, {"V2-artefact": False}),
    ({("energy_gain", 0.25, "sampled"): 0.9}, {"V2-artefact": False}),
    ({("energy_gain", 2.0, "band_limited"): 1.1}, {"V2-passive": False}),
]


@pytest.mark.parametrize(("changes", "expected"), CASES)
def test_claims_on_the_spacing(changes: dict, expected: dict) -> None:
    claims = spacing.claims(spacing.SPACINGS)
    found = {item.claim.id: item.verdict.holds for item in evaluate(claims, spaced(changes))}
    assert found == dict.fromkeys((claim.id for claim in claims), True) | expected


def test_kernels_become_curves() -> None:
    results = spaced()
    curves = spacing.kernels_as_curves(results)
    assert curves.axes == ("layer_spacing",)
    assert len(curves.schemes) == len(spacing.LABELS) * 3
    label = f"{spacing.LABELS[-1]}, band-limited"
    np.testing.assert_array_equal(
        curves.samples(EE, label, {"layer_spacing": 0.25}),
        results.samples(EE, spacing.LABELS[-1], {"layer_spacing": 0.25, "kernel": "band_limited"}),
    )


def test_pictures_hold_every_curve() -> None:
    names = [line.get_label() for line in fair.picture(compared()).axes[0].containers]
    assert names == list(POWERS)
    figure = spacing.picture(spaced())
    assert [len(axes.containers) for axes in figure.axes] == [3 * len(spacing.LABELS)] * len(spacing.PANELS)
