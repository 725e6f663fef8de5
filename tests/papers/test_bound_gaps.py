"""The studies of bounds: one task of each at toy size, and their claims on known numbers."""

import numpy as np
import pytest
from synthetic_results import results

from metamimo.experiments.claims import evaluate
from metamimo.experiments.config import Experiment
from metamimo.experiments.tasks import Task
from metamimo.papers import registry
from metamimo.papers.bound_gaps import blocks, slots, stages
from metamimo.papers.bound_gaps.declared import RATIO, TRIALS, VARIABLES
from metamimo.papers.dma_cell_free import simulate
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_miso_ee.scenario import SimMiso

STUDIES = [name for name in registry.FIGURES if name.startswith("bounds/")]
TOYS = {
    "sim-miso": (SimMiso(n_elements=9, n_ports=2, n_users=2, min_rate=0.0), {"starts": 1, "dpc_iterations": 0}),
    "sim-gain": (SimMiso(n_elements=9, n_users=1), {"starts": 2}),
    "stages": (SimBroadcast(n_elements=9, n_layers=2, n_ports=4, n_users=2), {}),
    "dma": (slots.SlotCase(n_slots=4, n_feeds=2), {"starts": 2, "max_iterations": 60}),
    "blocks": (blocks.QuadraticBlock(), {"starts": 10}),
}


def computed(name, *, scheme=0, index=None):
    """Return the numbers of two trials of a study at toy size."""
    study = registry.load(f"bounds/{name}", "quick")
    scenario, options = TOYS[name]
    curves = tuple(
        choice.model_copy(update={"options": {**choice.options, **options}}) for choice in study.experiment.schemes
    )
    changed = {"scenario": scenario, "schemes": curves, "claims": ()}
    experiment = Experiment.model_validate({**dict(study.experiment), **changed})
    index = tuple(0 for _ in experiment.axes) if index is None else index
    return study.compute(experiment, Task(scheme, index, 0, 2, 2))


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("sim-miso", {"index": (1, 0, 1)}),
        ("sim-gain", {}),
        ("stages", {"scheme": 0}),
        ("stages", {"scheme": 1}),
        ("dma", {}),
        *(("blocks", {"index": (case,)}) for case in range(3)),
    ],
    ids=str,
)
def test_a_task_holds_both_bounds_and_all_times(name, case):
    found = computed(name, **case)
    assert set(found) == {variable.name for variable in VARIABLES}
    assert all(np.asarray(values).shape == (2,) for values in found.values())
    tight, cheap = found[RATIO], found["cheap_over_design"]
    assert (tight >= 1 - 1e-9).all()
    assert (tight <= cheap * (1 + 1e-9)).all()
    np.testing.assert_allclose(found["design_over_tight"] * tight, 1)
    assert all((found[f"seconds_{effort}"] > 0).all() for effort in ("tight", "cheap", "design"))


def test_the_bound_of_covariances_is_their_optimum():
    """What the study of stages measures at full size: exact at the search's end, and looser without it."""
    found = computed("stages")
    assert (found[RATIO] <= 1 + 1e-5).all()
    assert (found["cheap_over_design"] > 1 + 1e-3).all()


@pytest.mark.parametrize("name", STUDIES)
def test_studies_have_twenty_draws_and_declare_their_claims(name):
    study = registry.load(name, "full")
    assert study.experiment.trials >= TRIALS == 20
    assert [claim.id for claim in study.claims] == list(study.experiment.claims)
    assert study.claims[0].id == "never"


def test_figures_of_the_cell_free_paper_have_no_bound_that_says_nothing():
    """Theirs is more than twice a design, and dear."""
    experiment = registry.load("dma-cell-free/fig1", "quick").experiment
    assert simulate.scene_of(experiment, Task(0, (0,), 0, 1, 1)).effort == "none"


# Claims on known numbers, and one change that makes each fail.


def verdicts(study, axis, values, ratios):
    """Return what every claim says of curves with these mean ratios."""
    tables = {RATIO: ratios, "design_over_tight": {name: 1 / np.asarray(each) for name, each in ratios.items()}}
    stored = results(axis, values, tables, noise=1e-7)
    return {item.claim.id: item.verdict.holds for item in evaluate(study.claims, stored)}


def of_slots(**changes):
    ratios = [changes.get(case.replace(" ", "_"), value) for case, value in slots.SPECIFIED.items()]
    return verdicts(slots.dma("full"), slots.AXIS, list(slots.SPECIFIED), {slots.LABEL: ratios})


def of_stages(covariances=1 + 1e-6, precoder=1.01):
    curves = {stages.COVARIANCES: [1 + 1e-6, covariances], stages.PRECODER: [1.001, precoder]}
    return verdicts(stages.stages("full"), "power_dbm", [10.0, 30.0], curves)


def of_blocks(four=1.001, thirty_six=1.02, signs=1.015):
    values = [case for case, *_ in blocks.CASES]
    return verdicts(blocks.blocks("full"), blocks.AXIS, values, {"Best phases or signs": [four, thirty_six, signs]})


def test_claims_hold_on_the_specifications_numbers():
    for found in (of_slots(), of_stages(), of_blocks()):
        assert set(found.values()) == {True}


@pytest.mark.parametrize(
    ("broken", "claim"),
    [
        (lambda: of_slots(**{slots.STATIONS.replace(" ", "_"): 0.99}), "never"),
        (lambda: of_slots(**{slots.HALF.replace(" ", "_"): 1.06}), "tight"),
        (lambda: of_slots(**{slots.STATIONS.replace(" ", "_"): 1.31}), "moderate"),
        (lambda: of_slots(**{"network,_30_dBm": 2.5}), "spec"),
        (lambda: of_stages(covariances=1 + 1e-4), "exact"),
        (lambda: of_stages(precoder=1.06), "tight"),
        (lambda: of_blocks(four=1.02), "exact"),
        (lambda: of_blocks(signs=1.06), "tight"),
    ],
)
def test_one_changed_mean_breaks_a_claim(broken, claim):
    assert broken()[claim] is False
