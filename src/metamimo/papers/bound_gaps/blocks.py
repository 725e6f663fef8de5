"""Bounds of quadratics of one block, over phases and over signs, against their optima (B14, B16)."""

import importlib
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, Scenario, SchemeChoice
from metamimo.experiments.study import Panel, Study
from metamimo.papers.bound_gaps.declared import RATIO, TIGHT, Points, others, room, study
from metamimo.papers.checks import all_positive, at_point

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from metamimo.experiments.tasks import Task

AXIS = "case"
FIELDS = (AXIS, "kind", "size")
SMALL, LARGE, SIGNS = "4 phases", "36 phases", "10 signs"
CASES = ((SMALL, "phases", 4), (LARGE, "phases", 36), (SIGNS, "signs", 10))


class QuadraticBlock(Scenario):
    """A random quadratic of low rank over the elements of one block.

    Over phases, phi^H C phi with C = G G^H is maximised; over signs, x^T A x - 2 q^T x with A = B B^T is minimised.
    Entries of G, B and q are normal, those of q twice as large; G and B have as many columns as `rank`.
    """

    case: str = ""
    kind: Literal["phases", "signs"] = "phases"
    size: int = Field(default=4, ge=2, le=64, json_schema_extra={"mark": "chosen"})
    rank: int = Field(default=2, ge=1, json_schema_extra={"mark": "chosen"})


def blocks(mode: str) -> Study:
    """Return the study of blocks; the optima are the best of a hundred ascents over phases, and exact over signs."""
    axes = (Axis(name=AXIS, fields=FIELDS, values=CASES, label="Block"),)
    curve = SchemeChoice(label="Best phases or signs", scheme="enumerate", options={"starts": 100})
    title = "Bounds of quadratics of one block"
    return study("blocks", title, QuadraticBlock(), axes, (curve,), mode, compute, [Panel(RATIO), *others()], _claims)


def compute(experiment: Experiment, task: "Task") -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.papers.bound_gaps.block_simulate").block_gaps(experiment, task)


def _claims(curves: tuple[SchemeChoice, ...], points: Points) -> tuple[Claim, ...]:
    (curve,) = curves
    ratio = {case: at_point(curve.label, {AXIS: case}, RATIO) for case, *_ in CASES}
    return (
        Claim(
            "exact",
            "over four phases the relaxation is the optimum, as good as always",
            "1.01 minus the ratio > 0",
            all_positive({SMALL: room(ratio[SMALL], 1.01)}),
        ),
        Claim(
            "tight",
            "over signs it is off by less than 5 % of the range of values in the mean",
            f"{TIGHT:g} minus one and the share of the range > 0",
            all_positive({SIGNS: room(ratio[SIGNS], TIGHT)}),
        ),
    )
