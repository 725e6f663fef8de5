"""What the studies of this paper share: stored quantities, stopping rule, number of realisations."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, SchemeChoice, rebuild
from metamimo.experiments.study import Compute, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.sim_broadcast_ee.scenario import CITATION, SimBroadcast

if TYPE_CHECKING:
    import numpy as np

SEED = 2409
FULL_TRIALS = 200
PASSIVE_TRIALS = 100
QUICK_TRIALS = 8

VARIABLES = (
    Variable("energy_efficiency", unit="Mbit/J", long_name="Energy efficiency"),
    Variable("sum_rate", unit="bit/s/Hz", long_name="Sum rate"),
    Variable("rate", dims=("user",), unit="bit/s/Hz", long_name="Rate of each user"),
    Variable("accepted", unit="W", long_name="Power accepted by the antenna ports"),
    Variable("radiated", unit="W", long_name="Radiated power x^H C x, isotropic elements"),
    Variable("captured", unit="W", long_name="Power |x|^2 that leaves the last layer"),
    Variable("consumed", unit="W", long_name="Consumed power"),
    Variable("energy_gain", unit="W/W", long_name="Largest eigenvalue of B^H B"),
    Variable("served", dtype="int32", long_name="Served users"),
    Variable("status", dtype="int32", long_name="Status (0: converged)"),
    Variable("iterations", dtype="int32", long_name="Iterations"),
    Variable("line_search_trials", dtype="int32", long_name="Evaluations of the objective"),
    Variable("start_spread", unit="Mbit/J", long_name="Best minus worst start"),
    Variable("upper_bound", unit="Mbit/J", long_name="Upper bound over all phases"),
    Variable("seconds", unit="s", long_name="Wall time of a realisation", promised=False),
)

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
