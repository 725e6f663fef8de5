"""Figures of the paper as studies: what is swept, which schemes run, what is drawn, which claims are checked.

Figures 8 and 9 count multiplications and are in `complexity`; Figure 7 has discrete phases and is in `quantised`.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from metamimo.experiments.config import Axis, Experiment, SchemeChoice, rebuild
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.sim_broadcast_ee import claims
from metamimo.papers.sim_broadcast_ee.scenario import CITATION, SimBroadcast

if TYPE_CHECKING:
    import numpy as np

SEED = 2409
FULL_TRIALS = 200
PASSIVE_TRIALS = 100

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

SCHEMES = (
    SchemeChoice(label="SIM-DPC", scheme="sim-dpc", options={**STOP, "lp_start": "only"}),
    SchemeChoice(label="SIM-LP", scheme="sim-lp", options=STOP),
    SchemeChoice(label="SIM-NoLP-RedRF", scheme="sim-nolp-redrf", options=STOP),
    SchemeChoice(label="SIM-NoLP", scheme="sim-nolp", options=STOP),
    SchemeChoice(label="LP-NoSIM", scheme="lp-nosim"),
)

CHECKPOINTS = (0, 1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 453, 640, 905, 1280, 1810, 2560, 3620)
"""Iterations at which Fig. 2 keeps the history."""

PAPER_STOP = {"phase_stage": "projected_gradient", "tolerance": 1e-5, "window": 10, "max_iterations": 5_000}


def compute(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.papers.sim_broadcast_ee.simulate").compute(experiment, task)


def compute_history(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task of Fig. 2, whose results hold the history at the checkpoints."""
    simulate = importlib.import_module("metamimo.papers.sim_broadcast_ee.simulate")
    return simulate.compute(experiment, task, checkpoints=CHECKPOINTS)


def fig2(mode: str) -> Study:
    """Return Fig. 2: energy efficiency against iterations of Algorithms 2 and 4 for several numbers of layers."""
    values = (1, 2, 4, 6, 8) if mode == "full" else (1, 2, 4)
    axis = Axis(name="n_layers", values=values, label="Layers $L$")
    schemes = (
        SchemeChoice(label="SIM-DPC", scheme="sim-dpc", options={**PAPER_STOP, "lp_start": "none"}),
        SchemeChoice(label="SIM-LP", scheme="sim-lp", options=PAPER_STOP),
    )
    scenario = SimBroadcast() if mode == "full" else SimBroadcast(n_elements=49)
    study = _study(
        "fig2", "Convergence of the paper's algorithms", axis, mode, claims.fig2(values), (), scenario, schemes
    )
    histories = (
        Variable("history", dims=("checkpoint",), unit="Mbit/J", long_name="Energy efficiency after an iteration"),
        Variable("largest_fall", long_name="Largest relative fall of the energy efficiency in an iteration"),
    )
    return replace(
        study,
        compute=compute_history,
        variables=(*study.variables, *histories),
        sizes={**study.sizes, "checkpoint": len(CHECKPOINTS)},
        panels=(Panel("energy_efficiency"), Panel("iterations", y_scale="log")),
        picture=_convergence,
    )


def fig3(mode: str) -> Study:
    """Return Fig. 3: energy efficiency against meta-elements a layer."""
    values = (16, 25, 49, 100, 196) if mode == "full" else (25, 100)
    axis = Axis(name="n_elements", values=values, label="Meta-elements per layer $N$")
    return _study("fig3", "Energy efficiency against meta-elements per layer", axis, mode, claims.fig3(values))


def fig4(mode: str) -> Study:
    """Return Fig. 4: energy efficiency and sum rate against layers at 400 meta-elements in all."""
    values = ((1, 400), (2, 200), (4, 100), (8, 50)) if mode == "full" else ((1, 64), (2, 32))
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


def fig5(mode: str) -> Study:
    """Return Fig. 5: energy efficiency against users."""
    values = (1, 2, 4, 6, 8) if mode == "full" else (1, 4)
    axis = Axis(name="n_users", values=values, label="Users $K$")
    scenario = SimBroadcast() if mode == "full" else SimBroadcast(n_elements=49)
    return _study("fig5", "Energy efficiency against users", axis, mode, claims.fig5(values), scenario=scenario)


def fig6(mode: str) -> Study:
    """Return Fig. 6: energy efficiency against the power limit."""
    values = (0.0, 10.0, 20.0, 30.0, 40.0) if mode == "full" else (10.0, 20.0, 30.0)
    axis = Axis(name="power_dbm", values=values, unit="dBm", label="Power limit $P_{max}$")
    scenario = SimBroadcast() if mode == "full" else SimBroadcast(n_elements=49)
    return _study(
        "fig6", "Energy efficiency against the power limit", axis, mode, claims.fig6(values), scenario=scenario
    )


def passive(figure: Callable[[str], Study], mode: str) -> Study:
    """Return a figure with the band-limited kernel, whose stack cannot create energy, as FIGURE-passive."""
    study = figure(mode).with_scenario({"kernel": "band_limited"})
    experiment = rebuild(
        study.experiment,
        name=f"{study.experiment.name}-passive",
        title=f"{study.experiment.title}, passive stack",
        trials=min(study.experiment.trials, PASSIVE_TRIALS),
    )
    return replace(study, experiment=experiment)


def fig2_passive(mode: str) -> Study:
    """Return Fig. 2 with a passive stack."""
    return passive(fig2, mode)


def fig3_passive(mode: str) -> Study:
    """Return Fig. 3 with a passive stack."""
    return passive(fig3, mode)


def fig4_passive(mode: str) -> Study:
    """Return Fig. 4 with a passive stack."""
    return passive(fig4, mode)


def fig5_passive(mode: str) -> Study:
    """Return Fig. 5 with a passive stack."""
    return passive(fig5, mode)


def fig6_passive(mode: str) -> Study:
    """Return Fig. 6 with a passive stack."""
    return passive(fig6, mode)


def _convergence(results):
    return importlib.import_module("metamimo.papers.sim_broadcast_ee.pictures").convergence(results, CHECKPOINTS)


def _study(
    figure: str,
    title: str,
    axis: Axis,
    mode: str,
    checks: tuple[claims.Claim, ...],
    panels: tuple[Panel, ...] = (),
    scenario: SimBroadcast | None = None,
    schemes: tuple[SchemeChoice, ...] = SCHEMES,
) -> Study:
    full = mode == "full"
    experiment = Experiment(
        name=f"sim-broadcast-ee/{figure}",
        title=title,
        scenario=scenario or SimBroadcast(),
        axes=(axis,),
        schemes=schemes,
        trials=FULL_TRIALS if full else 8,
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
