"""One task of the study of bounds: design, both bounds, and the time of each once compiled."""

from dataclasses import replace
from types import ModuleType
from typing import get_args

import numpy as np

from metamimo.bounds.bound import Effort
from metamimo.experiments.config import Experiment
from metamimo.experiments.tasks import Task
from metamimo.papers.bound_gaps.timing import timed
from metamimo.papers.chunks import compute_bounds


def compared(simulate: ModuleType, value: str, experiment: Experiment, task: Task) -> dict[str, np.ndarray]:
    """Return one array a variable of `declared.VARIABLES`.

    Args:
        simulate: the module of a paper that has `compute` and `scene_of`.
        value: which of its results the bound is of.
        experiment, task: as for its `compute`.
    """
    # The bounds that a design comes with are kept from the first run, so the second one is the design alone.
    designed, design_seconds = timed(simulate.compute, experiment, task, draws=task.count)
    scene = simulate.scene_of(experiment, task)
    trials = tuple(range(task.first, task.first + task.count))
    bounds, seconds = {}, {"design": design_seconds}
    for effort in get_args(Effort):
        asked = replace(scene, effort=effort)
        bounds[effort], seconds[effort] = timed(compute_bounds, asked, trials, draws=task.count)
    return {
        "tight_over_design": bounds["tight"] / designed[value],
        "cheap_over_design": bounds["cheap"] / designed[value],
        "design_over_tight": designed[value] / bounds["tight"],
        **{f"seconds_{name}": np.full(task.count, each) for name, each in seconds.items()},
        "status": designed["status"],
    }
