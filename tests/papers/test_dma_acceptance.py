"""Acceptance check 18 of the cell-free specification: claims 1 to 4 on means, at the scale at which it was measured.

The curves are those of the quick study, with six draws at four budgets. The stronger statements with standard errors
are the study's own claims.
"""

import numpy as np
import pytest

from metamimo.experiments.tasks import Task
from metamimo.papers import registry
from metamimo.papers.dma_cell_free.claims import FRESH, IMPERFECT, MISMATCHED, PERFECT, RANDOM
from metamimo.papers.dma_cell_free.figures import REDUCED

POWERS, DRAWS = (0.0, 10.0, 20.0, 30.0), 6
CURVES = (PERFECT, FRESH, IMPERFECT, MISMATCHED, RANDOM)


@pytest.fixture(scope="module")
def mean():
    """Mean sum rate on the true channel and antenna at every budget, by curve [bit/s/Hz]."""
    experiment = registry.load("dma-cell-free/fig1", "quick").experiment
    assert experiment.scenario == REDUCED
    (axis,) = experiment.axes
    experiment = experiment.model_copy(update={"axes": (axis.model_copy(update={"values": POWERS}),)})
    compute = registry.load("dma-cell-free/fig1", "quick").compute
    found = {}
    for number, choice in enumerate(experiment.schemes):
        if choice.label in CURVES:
            assert choice.options["max_iterations"] == 200
            tasks = [Task(number, (point,), 0, DRAWS, DRAWS) for point in range(len(POWERS))]
            found[choice.label] = np.array([compute(experiment, task)["sum_rate"].mean() for task in tasks])
    assert set(found) == set(CURVES)
    return found


@pytest.mark.parametrize("curve", CURVES)
def test_a_larger_budget_does_not_lower_a_rate(mean, curve):
    """Claim 1, within 3 % between neighbours: imperfect knowledge saturates."""
    assert (mean[curve][1:] >= 0.97 * mean[curve][:-1]).all(), mean[curve]
    assert mean[curve][-1] > 1.3 * mean[curve][0]


def test_fresh_estimates_beat_a_single_one(mean):
    """Claim 2."""
    gain = mean[FRESH] / mean[IMPERFECT]
    assert (gain > 1).all()
    assert gain[0] >= 1.1
    assert gain[-1] >= 1.5


def test_fresh_estimates_come_close_to_perfect_knowledge(mean):
    """Claim 3."""
    assert (mean[FRESH] >= 0.8 * mean[PERFECT]).all()
    for curve in set(CURVES) - {PERFECT}:
        assert (mean[PERFECT] > mean[curve]).all(), curve


def test_ignored_coupling_costs_two_thirds_of_the_rate(mean):
    """Claim 4, in the reading of a mismatched designer."""
    assert (mean[FRESH] >= 3 * mean[MISMATCHED]).all()
