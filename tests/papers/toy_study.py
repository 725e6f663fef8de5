"""The figure's own compute function at toy size: a run of seconds that compiles real programs."""

import os
import time

from metamimo.experiments.config import Axis, Experiment
from metamimo.experiments.study import Study
from metamimo.papers.sim_broadcast_ee import studies
from metamimo.papers.sim_broadcast_ee.figures import SCHEMES
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast

TOY = SimBroadcast(n_elements=9, n_layers=2, n_ports=4, n_users=2)
# The noise of the full-size figure would leave an array this small without signal.
LOUD = TOY.replace(noise_dbm=-120.0)
POWERS = Axis(name="power_dbm", values=(20.0, 30.0))
# The two that compile fastest: one that moves the stack, and the bare array.
TWO_SCHEMES = (SCHEMES[3], SCHEMES[4])


def toy_experiment(*, axis=POWERS, schemes=TWO_SCHEMES, scenario=LOUD, trials=3, chunk=2):
    """Return an experiment on the toy scenario."""
    return Experiment(
        name="toy-paper/fig1", scenario=scenario, axes=(axis,), schemes=schemes, trials=trials, chunk=chunk, seed=5
    )


def compute(experiment, task):
    """Run the figure's own task, slowly enough for a kill to fall between two tasks."""
    results = studies.compute(experiment, task)
    time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
    return results


def study():
    """Return the toy figure: two programs, twelve tasks, the last chunk of every curve shorter than the others."""
    return Study(
        toy_experiment(trials=5),
        compute,
        studies.VARIABLES,
        headline="energy_efficiency",
        sizes={"user": "n_users"},
    )
