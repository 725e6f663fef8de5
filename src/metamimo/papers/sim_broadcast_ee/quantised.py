"""Fig. 7: energy efficiency against the bits of the phases, for three ways to make them discrete.

All readings of one realisation start from the same continuous design, which is computed once a process and chunk.
"""

import importlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from metamimo.experiments.config import Axis, Experiment, SchemeChoice
from metamimo.experiments.study import Panel, Study
from metamimo.experiments.tasks import Task
from metamimo.papers.sim_broadcast_ee import claims
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_broadcast_ee.studies import FULL_TRIALS, QUICK_TRIALS, STOP, passive, study

if TYPE_CHECKING:
    import numpy as np

CONTINUOUS = 0
"""Bits that stand for continuous phases."""

SCHEMES = (
    SchemeChoice(label="SIM-DPC re-optimised", scheme="sim-dpc", options={"reading": "reoptimised", **STOP}),
    SchemeChoice(label="SIM-LP discrete", scheme="sim-lp", options={"reading": "discrete", **STOP}),
    SchemeChoice(label="SIM-LP re-optimised", scheme="sim-lp", options={"reading": "reoptimised", **STOP}),
    SchemeChoice(label="SIM-LP rounded", scheme="sim-lp", options={"reading": "rounded", **STOP}),
)


class QuantisedBroadcast(SimBroadcast):
    """The same with phases of a few bits."""

    bits: int = Field(default=CONTINUOUS, ge=0, le=16, json_schema_extra={"mark": "chosen"})


def compute(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.papers.sim_broadcast_ee.quantised_simulate").compute(experiment, task)


def fig7(mode: str) -> Study:
    """Return Fig. 7: energy efficiency against bits for several numbers of layers."""
    full = mode == "full"
    bits = (1, 2, 3, 4, 5, CONTINUOUS) if full else (1, 2, CONTINUOUS)
    layers = (2, 4, 8) if full else (2,)
    return study(
        "fig7",
        "Energy efficiency against bits of the phases (0: continuous)",
        (
            Axis(name="bits", values=bits, label="Bits of a phase $b$ (0: continuous)"),
            Axis(name="n_layers", values=layers, label="Layers $L$"),
        ),
        SCHEMES,
        claims.fig7(bits, layers),
        trials=FULL_TRIALS if full else QUICK_TRIALS,
        chunk=10 if full else QUICK_TRIALS,
        scenario=QuantisedBroadcast(n_elements=100 if full else 36),
        compute=compute,
        panels=tuple(
            Panel("energy_efficiency", x="bits", fixed={"n_layers": count}, title=f"$L$ = {count}") for count in layers
        ),
    )


fig7_passive = partial(passive, fig7, trials=50)
