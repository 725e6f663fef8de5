"""Figures of the paper as studies: what is swept, which schemes run, what is drawn, which claims are checked."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from metamimo.experiments.config import Axis, Experiment, SchemeChoice
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.sim_broadcast_ee import claims
from metamimo.papers.sim_broadcast_ee.scenario import CITATION, SimBroadcast

if TYPE_CHECKING:
    import numpy as np

SEED = 2409

VARIABLES = (
    Variable("energy_efficiency", unit="Mbit/J", long_name="Energy efficiency"),
    Variable("sum_rate", unit="bit/s/Hz", long_name="Sum rate"),
    Variable("rate", dims=("user",), unit="bit/s/Hz", long_name="Rate of each user"),
    Variable("accepted", unit="W", long_name="Power accepted by the antenna ports"),
    Variable("radiated", unit="W", long_name="Radiated power x^H C x, isotropic elements"),
    Variable("consumed", unit="W", long_name="Consumed power"),
    Variable("energy_gain", unit="W/W", long_name="Largest eigenvalue of B^H B"),
    Variable("served", dtype="int32", long_name="Served users"),
    Variable("status", dtype="int32", long_name="Status (0: converged)"),
    Variable("iterations", dtype="int32", long_name="Iterations"),
    Variable("line_search_trials", dtype="int32", long_name="Evaluations of the objective"),
    Variable("start_spread", unit="Mbit/J", long_name="Best minus worst start"),
    Variable("upper_bound", unit="Mbit/J", long_name="Upper bound (nan: none)"),
    Variable("seconds", unit="s", long_name="Wall time of a realisation", promised=False),
)

_STOP = {"tolerance": 1e-6, "window": 20, "max_iterations": 10_000}

SCHEMES = (
    SchemeChoice(label="SIM-LP", scheme="sim-lp", options=_STOP),
    SchemeChoice(label="SIM-NoLP-RedRF", scheme="sim-nolp-redrf", options=_STOP),
    SchemeChoice(label="SIM-NoLP", scheme="sim-nolp", options=_STOP),
    SchemeChoice(label="LP-NoSIM", scheme="lp-nosim"),
)


def compute(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.papers.sim_broadcast_ee.simulate").compute(experiment, task)


def fig3(mode: str) -> Study:
    """Return Fig. 3: energy efficiency against meta-elements a layer."""
    values = (16, 25, 49, 100, 196) if mode == "full" else (16, 49, 100)
    axis = Axis(name="n_elements", values=values, label="Meta-elements per layer $N$")
    return _study("fig3", "Energy efficiency against meta-elements per layer", axis, mode, claims.fig3(values))


def fig4(mode: str) -> Study:
    """Return Fig. 4: energy efficiency and sum rate against layers at 400 meta-elements in all."""
    values = ((1, 400), (2, 200), (4, 100), (8, 50)) if mode == "full" else ((1, 64), (2, 32), (4, 16))
    axis = Axis(name="n_layers", fields=("n_layers", "n_elements"), values=values, label="Layers $L$")
    panels = (Panel("energy_efficiency"), Panel("sum_rate"))
    return _study(
        "fig4",
        "Energy efficiency and sum rate against layers, LN fixed",
        axis,
        mode,
        claims.fig4(tuple(layers for layers, _ in values)),
        panels,
    )


def fig6(mode: str) -> Study:
    """Return Fig. 6: energy efficiency against the power limit."""
    values = (0.0, 10.0, 20.0, 30.0, 40.0) if mode == "full" else (10.0, 20.0, 30.0)
    axis = Axis(name="power_dbm", values=values, unit="dBm", label="Power limit $P_{max}$")
    scenario = SimBroadcast() if mode == "full" else SimBroadcast(n_elements=49)
    return _study(
        "fig6", "Energy efficiency against the power limit", axis, mode, claims.fig6(values), scenario=scenario
    )


def _study(
    figure: str,
    title: str,
    axis: Axis,
    mode: str,
    checks: tuple[claims.Claim, ...],
    panels: tuple[Panel, ...] = (),
    scenario: SimBroadcast | None = None,
) -> Study:
    full = mode == "full"
    experiment = Experiment(
        name=f"sim-broadcast-ee/{figure}",
        title=title,
        scenario=scenario or SimBroadcast(),
        axes=(axis,),
        schemes=SCHEMES,
        trials=200 if full else 8,
        chunk=10 if full else 8,
        seed=SEED,
        cites=(CITATION,),
        claims=tuple(claim.id for claim in checks),
    )
    return Study(
        experiment=experiment,
        compute=compute,
        variables=VARIABLES,
        sizes={"user": "n_users"},
        headline="energy_efficiency",
        panels=panels,
        claims=checks,
    )
