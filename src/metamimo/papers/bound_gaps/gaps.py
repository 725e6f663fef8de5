"""Bounds against the best of several designs, with the time of both (specification of bounds, section 9)."""

import importlib
from typing import TYPE_CHECKING

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, SchemeChoice, scenario_at
from metamimo.experiments.study import Panel, Study
from metamimo.papers.bound_gaps.declared import MODERATE, RATIO, Points, others, room, study
from metamimo.papers.checks import all_positive, at_point
from metamimo.papers.hmimo_multicell.scenario import HolographicCells
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_miso_ee.scenario import SimMiso

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from metamimo.experiments.tasks import Task


def sim_miso(mode: str) -> Study:
    """Return the study of a stack that serves single antennas."""
    full = mode == "full"
    axes = (
        Axis(name="n_layers", values=(1, 2, 3, 5) if full else (1, 2), label="Layers $L$"),
        Axis(name="power_dbm", values=(10.0, 30.0) if full else (30.0,), unit="dBm"),
        Axis(name="objective", values=("energy_efficiency", "sum_rate")),
    )
    choice = SchemeChoice(label="Hybrid-Joint, 4 starts", scheme="hybrid-joint", options={"starts": 4})
    panels = [
        Panel(RATIO, fixed={"power_dbm": power, "objective": objective}, title=f"{power:g} dBm, {objective}")
        for objective in axes[2].coordinate("objective")
        for power in axes[1].coordinate("power_dbm")
    ]
    panels += others(power_dbm=30.0, objective="energy_efficiency")
    title = "Bounds of a stack that serves single antennas"
    return study("sim-miso", title, SimMiso(), axes, (choice,), mode, compute_sim_miso, panels, _moderate_at_30_dbm)


def sim_broadcast(mode: str) -> Study:
    """Return the study of a stack that serves users with several antennas."""
    full = mode == "full"
    axes = (
        Axis(name="kernel", values=("sampled", "band_limited") if full else ("sampled",)),
        Axis(name="power_dbm", values=(10.0, 30.0) if full else (30.0,), unit="dBm", label="Power limit $P_{max}$"),
    )
    curves = (
        SchemeChoice(label="SIM-LP, 4 starts", scheme="sim-lp", options={"starts": 4}),
        SchemeChoice(label="SIM-DPC, 4 starts", scheme="sim-dpc", options={"starts": 4, "lp_start": "none"}),
    )
    panels = [
        Panel(RATIO, x="power_dbm", fixed={"kernel": kernel}, title=str(kernel))
        for kernel in axes[0].coordinate("kernel")
    ]
    panels += others("power_dbm", kernel="sampled")
    scenario = SimBroadcast() if full else SimBroadcast(n_elements=16, n_layers=2)
    title = "Bounds of a stack that serves users with several antennas"
    return study("sim-broadcast", title, scenario, axes, curves, mode, compute_sim_broadcast, panels, _no_more)


def hmimo(mode: str) -> Study:
    """Return the study of several cells with holograms, hybrid and digital arrays."""
    powers = (20.0, 30.0, 40.0) if mode == "full" else (30.0,)
    axes = (Axis(name="power_dbm", values=powers, unit="dBm", label="Power of a station $P$"),)
    four, long = {"starts": 4}, {"starts": 8, "polish": True, "max_iterations": 2_000}
    curves = tuple(
        SchemeChoice(label=label, scheme=scheme, options={"array": array, **options})
        for label, scheme, array, options in (
            ("Lorentz", "network-joint", "Lorentz left", four),
            ("Binary", "wmmse-hc", "binary left", long),
            ("Hybrid", "network-joint", "hybrid", four),
            ("Digital", "network-joint", "digital", four),
        )
    )
    title = "Bounds of several cells"
    panels = [Panel(RATIO), *others()]
    return study("hmimo", title, HolographicCells(), axes, curves, mode, compute_hmimo, panels, _no_more)


def compute_sim_miso(experiment: Experiment, task: "Task") -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    scenario = scenario_at(experiment, task.index)
    assert isinstance(scenario, SimMiso)
    return _compared("sim_miso_ee", scenario.objective, experiment, task)


def compute_sim_broadcast(experiment: Experiment, task: "Task") -> "Mapping[str, np.ndarray]":
    """Run one task."""
    return _compared("sim_broadcast_ee", "energy_efficiency", experiment, task)


def compute_hmimo(experiment: Experiment, task: "Task") -> "Mapping[str, np.ndarray]":
    """Run one task."""
    return _compared("hmimo_multicell", "sum_rate", experiment, task)


def _compared(paper: str, value: str, experiment: Experiment, task: "Task") -> "Mapping[str, np.ndarray]":
    simulate = importlib.import_module(f"metamimo.papers.{paper}.simulate")
    return importlib.import_module("metamimo.papers.bound_gaps.simulate").compared(simulate, value, experiment, task)


def _no_more(curves: tuple[SchemeChoice, ...], points: Points) -> tuple[Claim, ...]:
    return ()


def _moderate_at_30_dbm(curves: tuple[SchemeChoice, ...], points: Points) -> tuple[Claim, ...]:
    """Return the claim behind the class of the bound of stacks that serve single antennas."""
    rooms = {
        f"{curve.label} at {point}": room(at_point(curve.label, point, RATIO), MODERATE)
        for curve in curves
        for point in points
        if point["power_dbm"] == 30.0 and point["n_layers"] >= 2
    }
    return (
        Claim(
            "moderate",
            "from two layers on and at 30 dBm the tight bound lies within 30 % of the best design",
            f"{MODERATE:g} minus the ratio > 0",
            all_positive(rooms),
        ),
    )
