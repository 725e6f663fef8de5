"""The declared figures: what they sweep, how much they compile, and which claims they carry."""

import math

import pytest

from metamimo.experiments.config import scenario_at
from metamimo.experiments.tasks import all_tasks, program_of
from metamimo.papers import registry
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast

FIGURES = registry.names("sim-broadcast-ee/all")
FIVE = ["SIM-DPC", "SIM-LP", "SIM-NoLP-RedRF", "SIM-NoLP", "LP-NoSIM"]
COUNTS = ("sim-broadcast-ee/fig8", "sim-broadcast-ee/fig9")
"""Figures that count multiplications: nothing is drawn or compiled."""
MONTE_CARLO = ("fig2", "fig3", "fig4", "fig5", "fig6")
TWINS = tuple(f"{figure}-passive" for figure in (*MONTE_CARLO, "fig7"))


def load(figure, mode="full"):
    return registry.load(f"sim-broadcast-ee/{figure}", mode)


@pytest.fixture(params=["quick", "full"])
def mode(request):
    return request.param


@pytest.fixture(params=FIGURES)
def study(request, mode):
    return registry.load(request.param, mode)


def test_every_figure_of_the_paper_is_there_and_every_simulated_one_has_a_passive_twin():
    figures = {name.partition("/")[2] for name in FIGURES}
    assert figures == {*(f"fig{i}" for i in range(2, 10)), *TWINS, "fair", "spacing"}


def test_names_citation_and_claims(study):
    experiment = study.experiment
    assert [claim.id for claim in study.claims] == list(experiment.claims)
    assert study.claims
    assert all(claim.text and claim.expected for claim in study.claims)
    assert "arXiv:2409.00628" in experiment.cites[0]


@pytest.mark.parametrize("figure", ["fig3", "fig4", "fig5", "fig6"])
def test_the_five_schemes_of_the_paper_run_on_its_figures(figure):
    assert [choice.label for choice in load(figure).experiment.schemes] == FIVE


def test_every_point_is_a_valid_scenario_and_can_feed_every_stream(study):
    for index in study.experiment.grid():
        scenario = scenario_at(study.experiment, index)
        if study.experiment.name not in COUNTS:
            assert isinstance(scenario, SimBroadcast)
            assert scenario.n_ports >= scenario.n_users * scenario.n_rx


def test_only_converged_runs_count(study):
    assert study.converged == (0,)


def test_curves_are_drawn_with_the_accelerated_stage_and_figure_2_with_the_papers():
    for figure in ("fig3", "fig4", "fig5", "fig6"):
        for choice in load(figure).experiment.schemes[:4]:
            assert choice.options["max_iterations"] == 10_000
            assert "phase_stage" not in choice.options
    for choice in load("fig2").experiment.schemes:
        assert choice.options["phase_stage"] == "projected_gradient"


def test_full_size_is_the_published_one():
    full = {figure: load(figure).experiment for figure in (*MONTE_CARLO, *TWINS)}
    assert {full[figure].trials for figure in MONTE_CARLO} == {200}
    assert full["fig2"].axes[0].values == (1, 2, 4, 6, 8)
    assert full["fig3"].axes[0].values == (16, 25, 49, 100, 196)
    assert all(layers * elements == 400 for layers, elements in full["fig4"].axes[0].values)
    assert full["fig5"].axes[0].values == (1, 2, 4, 6, 8)
    assert full["fig6"].axes[0].values == (0.0, 10.0, 20.0, 30.0, 40.0)
    assert all(full[f].scenario.n_elements == 100 for f in ("fig2", "fig3", "fig5", "fig6"))


@pytest.mark.parametrize("twin", TWINS)
def test_a_passive_twin_differs_in_kernel_and_realisations_only(twin, mode):
    own, other = load(twin, mode), load(twin.removesuffix("-passive"), mode)
    assert own.experiment.scenario == other.experiment.scenario.replace(kernel="band_limited")
    assert own.experiment.axes == other.experiment.axes
    assert own.experiment.schemes == other.experiment.schemes
    assert own.experiment.seed == other.experiment.seed
    assert [claim.id for claim in own.claims] == [claim.id for claim in other.claims]


def test_the_quick_version_compiles_twelve_programs_at_most():
    for name in set(FIGURES) - set(COUNTS):
        experiment = registry.load(name, "quick").experiment
        assert len({program_of(experiment, task) for task in all_tasks(experiment)}) <= 12, name


def test_a_traced_axis_needs_one_program_a_scheme():
    experiment = load("fig6").experiment
    assert len({program_of(experiment, task) for task in all_tasks(experiment)}) == 5


def test_ids_tell_figures_and_modes_apart():
    ids = [registry.load(name, mode).experiment.id for name in FIGURES for mode in ("quick", "full")]
    assert len(set(ids)) == len(ids)


def test_square_grids_are_checked_only_where_asked_for():
    assert SimBroadcast(grid="any", n_elements=50).n_elements == 50
    assert math.isqrt(SimBroadcast(grid="square").n_elements) ** 2 == 100
