"""The declared figures: what they sweep, how much they compile, and which claims they carry."""

import math

import pytest

from metamimo.experiments.config import scenario_at
from metamimo.experiments.tasks import all_tasks, program_of
from metamimo.papers import registry
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast

FIGURES = registry.names("sim-broadcast-ee/all")
CLAIMS = {
    "sim-broadcast-ee/fig3": ["3a", "3b", "3c", "3d-small", "3d-large", "3f"],
    "sim-broadcast-ee/fig4": ["4a", "4b", "4c", "4d"],
    "sim-broadcast-ee/fig6": ["6a", "6b", "6d"],
}


@pytest.fixture(params=["quick", "full"])
def mode(request):
    return request.param


@pytest.fixture(params=FIGURES)
def study(request, mode):
    return registry.load(request.param, mode)


def test_names_citation_and_claims(study):
    experiment = study.experiment
    assert [claim.id for claim in study.claims] == CLAIMS[experiment.name]
    assert list(experiment.claims) == CLAIMS[experiment.name]
    assert all(claim.text and claim.expected for claim in study.claims)
    assert "arXiv:2409.00628" in experiment.cites[0]
    assert [choice.label for choice in experiment.schemes] == ["SIM-LP", "SIM-NoLP-RedRF", "SIM-NoLP", "LP-NoSIM"]


def test_every_point_is_a_valid_scenario_and_can_feed_every_stream(study):
    for index in study.experiment.grid():
        scenario = scenario_at(study.experiment, index)
        assert isinstance(scenario, SimBroadcast)
        assert scenario.n_ports >= scenario.n_users * scenario.n_rx
    assert study.size_of("user") == 4


def test_only_converged_runs_count(study):
    assert study.converged == (0,)
    for choice in study.experiment.schemes[:3]:
        assert choice.options["max_iterations"] == 10_000
        assert "phase_stage" not in choice.options, "curves are drawn with the accelerated stage, the default"


def test_full_size_is_the_published_one():
    full = {name: registry.load(name, "full").experiment for name in FIGURES}
    assert {experiment.trials for experiment in full.values()} == {200}
    assert full["sim-broadcast-ee/fig3"].axes[0].values == (16, 25, 49, 100, 196)
    assert all(layers * elements == 400 for layers, elements in full["sim-broadcast-ee/fig4"].axes[0].values)
    assert full["sim-broadcast-ee/fig6"].axes[0].values == (0.0, 10.0, 20.0, 30.0, 40.0)
    assert full["sim-broadcast-ee/fig6"].scenario.n_elements == 100


def test_the_quick_version_compiles_twelve_programs_at_most():
    for name in FIGURES:
        experiment = registry.load(name, "quick").experiment
        assert len({program_of(experiment, task) for task in all_tasks(experiment)}) <= 12


def test_a_traced_axis_needs_one_program_a_scheme():
    experiment = registry.load("sim-broadcast-ee/fig6", "full").experiment
    assert len({program_of(experiment, task) for task in all_tasks(experiment)}) == 4


def test_ids_tell_figures_and_modes_apart():
    ids = [registry.load(name, mode).experiment.id for name in FIGURES for mode in ("quick", "full")]
    assert len(set(ids)) == len(ids)


def test_square_grids_are_checked_only_where_asked_for():
    assert SimBroadcast(grid="any", n_elements=50).n_elements == 50
    assert math.isqrt(SimBroadcast(grid="square").n_elements) ** 2 == 100
