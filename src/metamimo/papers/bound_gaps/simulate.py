"""One task of the study of bounds: design, both bounds, and the time of each once compiled."""

import time
from dataclasses import replace
from types import ModuleType
from typing import get_args

import numpy as np

from metamimo.bounds.bound import Effort
from metamimo.experiments.config import Experiment
from metamimo.experiments.tasks import Task
from metamimo.papers.chunks import compute_bounds


def compared(simulate: ModuleType, value: str, experiment: Experiment, task: Task) -> dict[str, np.ndarray]:
    """Return one array a variable of `gaps.VARIABLES`.

    Args:
        simulate: the module of a paper that has `compute` and `scene_of`.
        value: which of its results the bound is of.
        experiment, task: as for its `compute`.
    """
    simulate.compute(experiment, task)
    designed = simulate.compute(experiment, task)  # the first run compiles
    scene = simulate.scene_of(experiment, task)
    trials = tuple(range(task.first, task.first + task.count))
    bounds, seconds = {}, {}
    for effort in get_args(Effort):
        asked = replace(scene, effort=effort)
        bounds[effort] = compute_bounds(asked, trials)
        began = time.perf_counter()
        compute_bounds(asked, trials)
        seconds[effort] = np.full(task.count, (time.perf_counter() - began) / task.count)
    return {
        "tight_over_design": bounds["tight"] / designed[value],
        "cheap_over_design": bounds["cheap"] / designed[value],
        "design_over_tight": designed[value] / bounds["tight"],
        "seconds_tight": seconds["tight"],
        "seconds_cheap": seconds["cheap"],
        "seconds_design": designed["seconds"],
        "status": designed["status"],
    }
