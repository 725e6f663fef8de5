"""Bounds of one stage, with the phases of the surface held, against what that stage finds; and of one user's gain."""

import importlib
from typing import TYPE_CHECKING

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, SchemeChoice
from metamimo.experiments.study import Panel, Study
from metamimo.papers.bound_gaps.declared import RATIO, TIGHT, Points, near, others, room, study
from metamimo.papers.checks import all_positive, at_point
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_miso_ee.scenario import SimMiso

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from metamimo.experiments.tasks import Task

COVARIANCES, PRECODER = "DPC covariances", "Linear precoder"
OPTION = "stage"
"""Option of a curve, not of its scheme: which stage is held against its bound."""
GAIN = {1: 1.0, 2: 1.07, 3: 1.07, 5: 1.04}
"""Bound of one user's gain over the best design in the specification, by layers, for six ports; four draws each."""


def stages(mode: str) -> Study:
    """Return the study of the covariances and of the linear precoder at the phases of a design (B12, B13)."""
    full = mode == "full"
    axes = (Axis(name="power_dbm", values=(10.0, 30.0) if full else (30.0,), unit="dBm", label="Power limit"),)
    curves = tuple(
        SchemeChoice(label=label, scheme="sim-lp", options={OPTION: name})
        for label, name in ((COVARIANCES, "covariances"), (PRECODER, "precoder"))
    )
    scenario = SimBroadcast() if full else SimBroadcast(n_elements=16, n_layers=2)
    title = "Bounds of the digital stage, phases held"
    return study("stages", title, scenario, axes, curves, mode, compute_stages, [Panel(RATIO), *others()], _of_stages)


def sim_gain(mode: str) -> Study:
    """Return the study of one user with one antenna: bound of its power gain over that of the best design (B5)."""
    full = mode == "full"
    axes = (
        Axis(name="n_layers", values=(1, 2, 3, 5) if full else (1, 2), label="Layers $L$"),
        Axis(name="n_ports", values=(1, 6) if full else (6,), label="Antennas"),
    )
    curve = SchemeChoice(label="Best phases, 10 starts", scheme="ascent", options={"starts": 10})
    scenario = SimMiso(n_users=1)
    ports = axes[1].coordinate("n_ports")
    panels = [Panel(RATIO, fixed={"n_ports": n}, title=f"{n} antennas") for n in ports] + others(n_ports=ports[-1])
    title = "Bounds of the channel gain of one user behind a stack"
    return study("sim-gain", title, scenario, axes, (curve,), mode, compute_gain, panels, _of_gain)


def compute_stages(experiment: Experiment, task: "Task") -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.papers.bound_gaps.stage_simulate").stage_gaps(experiment, task)


def compute_gain(experiment: Experiment, task: "Task") -> "Mapping[str, np.ndarray]":
    """Run one task."""
    return importlib.import_module("metamimo.papers.bound_gaps.stage_simulate").gain_gaps(experiment, task)


def _of_stages(curves: tuple[SchemeChoice, ...], points: Points) -> tuple[Claim, ...]:
    exact = {str(point): room(at_point(COVARIANCES, point, RATIO), 1 + 1e-5) for point in points}
    close = {str(point): room(at_point(PRECODER, point, RATIO), TIGHT) for point in points}
    return (
        Claim(
            "exact",
            "the bound of the covariances is their optimum",
            "1 + 1e-5 minus the ratio > 0",
            all_positive(exact),
        ),
        Claim(
            "tight",
            "linear precoding is within 5 % of it at these phases",
            f"{TIGHT:g} minus the ratio > 0",
            all_positive(close),
        ),
    )


def _of_gain(curves: tuple[SchemeChoice, ...], points: Points) -> tuple[Claim, ...]:
    (curve,) = curves
    cells = {
        f"{curve.label} at {point}": (at_point(curve.label, point, RATIO), GAIN[point["n_layers"]])
        for point in points
        if point["n_ports"] == 6
    }
    return (near(cells, 0.05),)
