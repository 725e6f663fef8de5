"""Bounds of networks of parallel-plate antennas against the best of several designs, from one link to a network."""

import importlib
from typing import TYPE_CHECKING

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, SchemeChoice
from metamimo.experiments.study import Panel, Study
from metamimo.papers.bound_gaps.declared import MODERATE, RATIO, TIGHT, Points, near, others, room, study
from metamimo.papers.checks import all_positive, at_point
from metamimo.papers.dma_cell_free.scenario import CellFreeDma

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from metamimo.experiments.tasks import Task

AXIS = "case"
FIELDS = (AXIS, "n_stations", "n_users", "n_subcarriers", "slot_spacing", "power_dbm")
HALF, ONE, STATIONS = "one link, half a wave", "one link", "3 stations, 1 user"
CASES = (
    (HALF, 1, 1, 1, 0.5, 15.0),
    (ONE, 1, 1, 1, 0.25, 15.0),
    (STATIONS, 3, 1, 1, 0.25, 15.0),
    ("1 user, 4 subcarriers", 1, 1, 4, 0.25, 15.0),
    ("3 stations, 3 users", 3, 3, 1, 0.25, 15.0),
    ("network, half a wave", 3, 3, 4, 0.5, 15.0),
    ("network, 0 dBm", 3, 3, 4, 0.25, 0.0),
    ("network, 15 dBm", 3, 3, 4, 0.25, 15.0),
    ("network, 30 dBm", 3, 3, 4, 0.25, 30.0),
)
"""Values of `FIELDS`; 16 slots and two feeds a station, a quarter of a wavelength apart where nothing else is said."""
SPECIFIED = dict(zip((case for case, *_ in CASES), (1.02, 1.09, 1.16, 1.77, 1.78, 1.48, 3.9, 2.5, 2.1), strict=True))
"""Mean ratios of the specification, from three draws each."""
LABEL = "Network-Joint, 4 starts"


class SlotCase(CellFreeDma):
    """A network of the cell-free paper with a name for its size."""

    case: str = ""


def dma(mode: str) -> Study:
    """Return the study of stations with parallel-plate antennas."""
    cases = CASES if mode == "full" else CASES[:2]
    axes = (Axis(name=AXIS, fields=FIELDS, values=cases, label="Network"),)
    curve = SchemeChoice(label=LABEL, scheme="network-joint", options={"starts": 4})
    scenario = SlotCase(n_slots=16, n_feeds=2)
    panels = [Panel(RATIO), *others()]
    title = "Bounds of stations with parallel-plate antennas"
    # A design that ends at its limit of iterations is a design, too.
    return study("dma", title, scenario, axes, (curve,), mode, compute, panels, _claims, converged=(0, 1))


def compute(experiment: Experiment, task: "Task") -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    simulate = importlib.import_module("metamimo.papers.dma_cell_free.simulate")
    compared = importlib.import_module("metamimo.papers.bound_gaps.simulate").compared
    return compared(simulate, "sum_rate", experiment, task)


def _claims(curves: tuple[SchemeChoice, ...], points: Points) -> tuple[Claim, ...]:
    ratios = {point[AXIS]: at_point(LABEL, {AXIS: point[AXIS]}, RATIO) for point in points}
    single = {name: ratio for name, ratio in ratios.items() if name in (HALF, ONE, STATIONS)}
    return (
        Claim(
            "tight",
            "one link with slots half a wavelength apart: within 5 % of the best design",
            f"{TIGHT:g} minus the ratio > 0",
            all_positive({HALF: room(ratios[HALF], TIGHT)}),
        ),
        Claim(
            "moderate",
            "one user on one subcarrier: within 30 % of the best design",
            f"{MODERATE:g} minus the ratio > 0",
            all_positive({name: room(ratio, MODERATE) for name, ratio in single.items()}),
        ),
        near({name: (ratio, SPECIFIED[name]) for name, ratio in ratios.items()}, 0.15),
    )
