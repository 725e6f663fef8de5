"""What the experiment engine adds to a task: store, scheduling, checks. The tasks themselves take no time here."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
from measure import report

from metamimo.experiments.dask_executor import Dask
from metamimo.experiments.executors import Inline
from metamimo.experiments.runner import run
from metamimo.papers import registry
from metamimo.papers.sim_broadcast_ee.studies import VARIABLES

TASK_SECONDS = 10.0
BOUND = 0.05
TRIALS = 40
USERS = 4


def instantly(experiment, task):
    """Return numbers of the figure's shapes at once."""
    shape = {variable.name: (task.count, *(USERS for _ in variable.dims)) for variable in VARIABLES}
    return {variable.name: np.ones(shape[variable.name], variable.dtype) for variable in VARIABLES}


@pytest.mark.parametrize("executor", [Inline(), Dask(2)], ids=["inline", "dask, 2 workers"])
def test_overhead(benchmark, rounds, executor):
    """Figure 3 at full size with fewer realisations: the wall time of a whole run, its creation and checks included."""
    study = registry.load("sim-broadcast-ee/fig3", "full").with_trials(TRIALS)
    study = dataclasses.replace(study, compute=instantly)

    def whole_run():
        with tempfile.TemporaryDirectory() as folder:
            summary = run(study, Path(folder), executor)
        assert (summary.computed, summary.missing) == (summary.total, 0)
        return summary.total

    tasks = whole_run()
    benchmark.pedantic(whole_run, rounds=min(rounds, 5))
    seconds = np.array(benchmark.stats.stats.data) / tasks
    name = "inline" if isinstance(executor, Inline) else "dask with 2 workers, start of the cluster included"
    print(f"\n{np.median(seconds) * 1e3:.1f} ms a task over {tasks} tasks, {name}")
    report(benchmark, f"engine overhead over a task of 10 s, {name}", seconds / TASK_SECONDS, BOUND, "<=")
