"""What the studies of this paper share: stored quantities, stopping rule, number of realisations."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, SchemeChoice, rebuild
from metamimo.experiments.study import Compute, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.quantities import VARIABLES
from metamimo.papers.sim_broadcast_ee.scenario import CITATION, SimBroadcast

if TYPE_CHECKING:
    import numpy as np

SEED = 2409
FULL_TRIALS = 200
PASSIVE_TRIALS = 100
QUICK_TRIALS = 8

STOP = {"tolerance": 1e-6, "window": 20, "max_iterations": 10_000}


def compute(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.papers.sim_broadcast_ee.simulate").compute(experiment, task)


def study(
    figure: str,
    title: str,
    axes: tuple[Axis, ...],
    schemes: tuple[SchemeChoice, ...],
    checks: tuple[Claim, ...],
    *,
    trials: int,
    chunk: int,
    scenario: SimBroadcast,
    compute: Compute = compute,
    variables: tuple[Variable, ...] = VARIABLES,
    headline: str = "energy_efficiency",
    **shown: Any,
) -> Study:
    """Return a study of this paper.

    Args:
        figure: its name after ``sim-broadcast-ee/``.
        title: one line above curves and pictures.
        axes, schemes, scenario: what is computed.
        checks: claims.
        trials, chunk: realisations, and how many of them a task computes.
        compute, variables, headline: as in `Study`.
        shown: other fields of `Study`, such as `panels` or `picture`.
    """
    experiment = Experiment(
        name=f"sim-broadcast-ee/{figure}",
        title=title,
        scenario=scenario,
        axes=axes,
        schemes=schemes,
        trials=trials,
        chunk=chunk,
        seed=SEED,
        cites=(CITATION,),
        claims=tuple(claim.id for claim in checks),
    )
    fields = {"sizes": {"user": "n_users"}, **shown}
    return Study(experiment, compute, variables, headline, claims=checks, **fields)


def passive(figure: Callable[[str], Study], mode: str, trials: int = PASSIVE_TRIALS) -> Study:
    """Return a figure with the band-limited kernel, whose stack cannot create energy, as FIGURE-passive.

    Args:
        figure: the figure with the kernel of the paper.
        mode: `quick` or `full`.
        trials: most realisations.
    """
    plain = figure(mode).with_scenario({"kernel": "band_limited"})
    experiment = rebuild(
        plain.experiment,
        name=f"{plain.experiment.name}-passive",
        title=f"{plain.experiment.title}, passive stack",
        trials=min(plain.experiment.trials, trials),
    )
    return replace(plain, experiment=experiment)
