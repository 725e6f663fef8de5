"""A plan as two studies of the experiment engine: the stack over the whole grid, and the bare antennas."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from metamimo.experiments.config import Axis, Experiment, SchemeChoice
from metamimo.experiments.study import Study
from metamimo.experiments.tasks import Task
from metamimo.papers.quantities import VARIABLES
from metamimo.planner.plan_file import Plan

if TYPE_CHECKING:
    import numpy as np

STACK, BARE = "stack", "no surface"
CHUNK = 10


def compute(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.planner.simulate").compute(experiment, task)


def stack_study(plan: Plan, draws: int) -> Study:
    """Return the study of all stacks of the search that fit the area limit."""
    axes = (
        Axis(name="n_layers", values=plan.search.n_layers, label="Layers"),
        Axis(name="n_elements", values=plan.elements_that_fit(), label="Meta-atoms per layer"),
        Axis(name="n_ports", values=plan.search.n_ports, label="Antennas"),
    )
    choice = SchemeChoice(label=STACK, scheme="hybrid-joint", options={"starts": plan.starts})
    return _study(plan, STACK, axes, choice, draws)


def bare_study(plan: Plan) -> Study:
    """Return the study of the same antennas without a surface in front."""
    axes = (Axis(name="n_ports", values=plan.search.n_ports, label="Antennas"),)
    choice = SchemeChoice(label=BARE, scheme="hybrid-joint", options={"bare": True})
    return _study(plan, "bare", axes, choice, plan.draws)


def _study(plan: Plan, name: str, axes: tuple[Axis, ...], choice: SchemeChoice, draws: int) -> Study:
    experiment = Experiment(
        name=f"plan-{plan.name}/{name}",
        title=f"Plan {plan.name}: {choice.label}",
        scenario=plan.scenario.replace(n_ports=plan.search.n_ports[-1]),
        axes=axes,
        schemes=(choice,),
        trials=draws,
        chunk=min(CHUNK, plan.draws),
        seed=plan.seed,
    )
    return Study(experiment, compute, VARIABLES, "energy_efficiency", sizes={"user": "n_users"})
