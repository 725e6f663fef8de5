"""Counts of complex multiplications, and Figures 8 and 9: the values of the specification, and their orderings."""

import dataclasses
import math

import numpy as np
import pytest

from metamimo.experiments.claims import evaluate
from metamimo.experiments.config import override
from metamimo.experiments.results import open_results
from metamimo.experiments.runner import run
from metamimo.experiments.tasks import all_tasks
from metamimo.papers.sim_broadcast_ee import complexity, multiplications
from metamimo.papers.sim_broadcast_ee.multiplications import Size
from metamimo.problem import Status

PORTS = (4, 8, 16, 32, 64)


def size(ports, **changes):
    return Size(**{"ports": ports, "users": 4, "rx": 2, "layers": 4, "elements": 100} | changes)


@pytest.mark.parametrize(
    ("count", "values"),
    [
        (multiplications.covariance_step, (928, 2400, 7648, 27360, 103648)),
        (multiplications.cyclic_sweep, (832, 3520, 21184, 148672, 1116352)),
        (multiplications.precoder_step, (2496, 5056, 5568, 6592, 8640)),
        # Eqs. 56 and 58 with three inner steps and three trials, summed term by term outside this code.
        (multiplications.sim_dpc_iteration, (630880, 1268896, 2574496, 5346976, 11881120)),
        (multiplications.sim_lp_iteration, (634880, 1271744, 2537792, 5094464, 10306112)),
        (multiplications.sim_nolp_iteration, (627392, 1256576, 2521088, 5074688, 10280192)),
    ],
)
def test_counts_of_the_specification(count, values):
    assert tuple(count(size(ports)) for ports in PORTS) == values


def test_passes_through_the_stack():
    """One layer has no hop between layers; every layer more costs one N x N product a port and one diagonal."""
    assert multiplications.forward_pass(size(16, layers=1)) == 100 * 16 + 8 * 100 * 16
    assert multiplications.backward_pass(size(16, layers=1)) == 2 * 100 * 16
    deeper = multiplications.forward_pass(size(16, layers=5)) - multiplications.forward_pass(size(16))
    assert deeper == 100**2 * 16 + 100 * 16
    deeper = multiplications.backward_pass(size(16, layers=5)) - multiplications.backward_pass(size(16))
    assert deeper == 100**2 * 16 + 2 * 100 * 16


@pytest.mark.parametrize(
    ("outer", "step"),
    [
        (multiplications.sim_dpc_iteration, multiplications.covariance_step),
        (multiplications.sim_lp_iteration, multiplications.precoder_step),
    ],
)
@pytest.mark.parametrize("ports", [4, 16])
def test_inner_steps_add_their_own_cost(outer, step, ports):
    more, fewer = (outer(size(ports), inner=inner, line_search=2) for inner in (5, 2))
    assert more - fewer == 3 * step(size(ports))
    assert outer(size(ports), line_search=3) - outer(size(ports), line_search=2) > multiplications.forward_pass(
        size(ports)
    )


def test_reduced_chains_may_be_counted_over_active_antennas():
    """Over the active antennas alone the count is what an array of that size costs."""
    active = multiplications.sim_nolp_iteration(size(8))
    assert active == 1256576
    assert multiplications.sim_nolp_iteration(size(64)) / active > 8


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Both full figures, run and opened."""
    found = {}
    for figure in (complexity.fig8, complexity.fig9):
        study, folder = figure("full"), tmp_path_factory.mktemp("complexity")
        run(study, folder)
        found[figure.__name__] = study, open_results(folder)
    return found


def test_stored_counts_are_those_of_the_functions(stored):
    _, results = stored["fig9"]
    for label, count in (
        ("DPC-NoSIM", "covariance_step"),
        ("DPC-bench", "cyclic_sweep"),
        ("LP-NoSIM", "precoder_step"),
    ):
        values = [results.samples("multiplications", label, {"n_ports": ports}).item() for ports in PORTS]
        assert values == [getattr(multiplications, count)(size(ports)) for ports in PORTS]


def test_fewer_antennas_than_streams_leave_reduced_chains_undefined(stored):
    _, results = stored["fig8"]
    assert math.isnan(results.samples("multiplications", "SIM-NoLP-RedRF", {"n_ports": 4}).item())
    assert results.samples("multiplications", "SIM-NoLP-RedRF", {"n_ports": 8}).item() == 1256576
    cell = {"scheme": "SIM-NoLP-RedRF", "n_ports": 4}
    assert results.dataset["status"].sel(cell).item() == Status.INFEASIBLE == complexity.UNDEFINED
    assert complexity.DEFINED == Status.CONVERGED


@pytest.mark.parametrize(
    ("figure", "measured"),
    [
        ("fig8", {"8a": 1256576 / 5056, "8b": 11881120 / 10280192}),
        ("fig9", {"9a": 5056 / 3520, "9b": 7648 / 5568, "9c": 8640 / 5056, "9d": 3520 / 2400}),
    ],
)
def test_claims_hold_with_the_deciding_ratio(stored, figure, measured):
    study, results = stored[figure]
    checked = evaluate(study.claims, results)
    assert {item.claim.id: item.verdict.measured for item in checked} == pytest.approx(measured)
    for item in checked:
        assert item.verdict.holds is True
        assert item.verdict.stderr is None
        assert "exact count" in item.verdict.note


def test_claims_fail_where_the_counts_say_so(stored):
    """Schemes that swap their names break the orderings between them, antennas in reverse the growth."""
    study, results = stored["fig9"]
    swapped = results.dataset.assign_coords(scheme=["DPC-bench", "LP-NoSIM", "DPC-NoSIM"])
    assert _failed(study, results, swapped) == {"9a", "9b", "9c", "9d"}
    study, results = stored["fig8"]
    swapped = results.dataset.assign_coords(scheme=["LP-NoSIM", "SIM-LP", "SIM-NoLP-RedRF", "SIM-NoLP", "SIM-DPC"])
    assert _failed(study, results, swapped) == {"8a", "8b"}


def _failed(study, results, dataset):
    checked = evaluate(study.claims, dataclasses.replace(results, dataset=dataset))
    return {item.claim.id for item in checked if item.verdict.holds is False}


def test_a_quick_run_answers_what_its_grid_shows(tmp_path):
    study = complexity.fig9("quick")
    run(study, tmp_path)
    assert [item.verdict.holds for item in evaluate(study.claims, open_results(tmp_path))] == [True] * 4


def test_counts_follow_the_scenario():
    experiment = override(complexity.fig8("full").experiment, {"n_layers": 1})
    task = all_tasks(experiment)[0]
    (count,) = complexity.compute(experiment, task)["multiplications"]
    assert count == multiplications.sim_dpc_iteration(size(4, layers=1))


def test_the_picture_names_every_grid_point(stored):
    study, results = stored["fig8"]
    (axes,) = study.picture(results).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == [str(ports) for ports in PORTS]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert np.isnan(axes.containers[2].lines[0].get_ydata()[0])
