"""Figures of the paper as studies: what is swept, which schemes run, what is drawn, which claims are checked.

Figures 8 and 9 count multiplications and are in `complexity`; Figure 7 has discrete phases and is in `quantised`.
"""

import importlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from metamimo.experiments.config import Axis, Experiment, SchemeChoice
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.sim_broadcast_ee import claims
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_broadcast_ee.studies import FULL_TRIALS, QUICK_TRIALS, STOP, VARIABLES, passive, study

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from metamimo.experiments.results import Results

PAPER = SimBroadcast()
SMALL = SimBroadcast(n_elements=49)
"""The scenario of most quick runs."""

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


def compute_history(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task of Fig. 2, whose results hold the history at the checkpoints."""
    simulate = importlib.import_module("metamimo.papers.sim_broadcast_ee.simulate")
    return simulate.compute(experiment, task, checkpoints=CHECKPOINTS)


def fig2(mode: str) -> Study:
    """Return Fig. 2: energy efficiency against iterations of Algorithms 2 and 4 for several numbers of layers."""
    values = (1, 2, 4, 6, 8) if mode == "full" else (1, 2, 4)
    axis = Axis(name="n_layers", values=values, label="Layers $L$")
    histories = (
        Variable("history", dims=("checkpoint",), unit="Mbit/J", long_name="Energy efficiency after an iteration"),
        Variable("largest_fall", long_name="Largest relative fall of the energy efficiency in an iteration"),
    )
    return _study(
        "fig2",
        "Convergence of the paper's algorithms",
        axis,
        mode,
        claims.fig2(values),
        quick=SMALL,
        schemes=(
            SchemeChoice(label="SIM-DPC", scheme="sim-dpc", options={**PAPER_STOP, "lp_start": "none"}),
            SchemeChoice(label="SIM-LP", scheme="sim-lp", options=PAPER_STOP),
        ),
        compute=compute_history,
        variables=(*VARIABLES, *histories),
        sizes={"user": "n_users", "checkpoint": len(CHECKPOINTS)},
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
    checks = claims.fig4(tuple(layers for layers, _ in values))
    panels = (Panel("energy_efficiency"), Panel("sum_rate"))
    return _study("fig4", "Energy efficiency and sum rate against layers, LN fixed", axis, mode, checks, panels=panels)


def fig5(mode: str) -> Study:
    """Return Fig. 5: energy efficiency against users."""
    values = (1, 2, 4, 6, 8) if mode == "full" else (1, 4)
    axis = Axis(name="n_users", values=values, label="Users $K$")
    return _study("fig5", "Energy efficiency against users", axis, mode, claims.fig5(values), quick=SMALL)


def fig6(mode: str) -> Study:
    """Return Fig. 6: energy efficiency against the power limit."""
    values = (0.0, 10.0, 20.0, 30.0, 40.0) if mode == "full" else (10.0, 20.0, 30.0)
    axis = Axis(name="power_dbm", values=values, unit="dBm", label="Power limit $P_{max}$")
    return _study("fig6", "Energy efficiency against the power limit", axis, mode, claims.fig6(values), quick=SMALL)


fig2_passive = partial(passive, fig2)
fig3_passive = partial(passive, fig3)
fig4_passive = partial(passive, fig4)
fig5_passive = partial(passive, fig5)
fig6_passive = partial(passive, fig6)


def _convergence(results: "Results") -> "Figure":
    """Draw Fig. 2 as the paper does, against iterations; pictures are loaded only where one is drawn."""
    pictures = importlib.import_module("metamimo.papers.pictures")
    return pictures.convergence(results, CHECKPOINTS, "n_layers", "L = {:g}", "Energy efficiency (Mbit/J)")


def _study(
    figure: str,
    title: str,
    axis: Axis,
    mode: str,
    checks: tuple[claims.Claim, ...],
    *,
    quick: SimBroadcast = PAPER,
    schemes: tuple[SchemeChoice, ...] = SCHEMES,
    **shown: Any,
) -> Study:
    """Return a study over one axis, at full size or with the scenario `quick`."""
    size = {"trials": FULL_TRIALS, "chunk": 10} if mode == "full" else {"trials": QUICK_TRIALS, "chunk": QUICK_TRIALS}
    scenario = PAPER if mode == "full" else quick
    return study(figure, title, (axis,), schemes, checks, scenario=scenario, **size, **shown)
