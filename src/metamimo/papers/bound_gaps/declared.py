"""What all studies of bounds declare alike: variables, panels, and the claims that every one of them makes."""

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, Scalar, Scenario, SchemeChoice
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.papers.checks import Samples, all_within, at_point, none_above

if TYPE_CHECKING:
    from metamimo.experiments.results import Results
    from metamimo.experiments.tasks import Task

Compute = Callable[[Experiment, "Task"], "Mapping[str, np.ndarray]"]
Points = list[dict]
"""The grid of a study, one dictionary a point."""

RATIO = "tight_over_design"
VARIABLES = (
    Variable(RATIO, unit="", long_name="Tight bound over best design"),
    Variable("cheap_over_design", unit="", long_name="Cheap bound over best design"),
    Variable("seconds_tight", unit="s", long_name="CPU time of the tight bound", promised=False),
    Variable("seconds_cheap", unit="s", long_name="CPU time of the cheap bound", promised=False),
    Variable("seconds_design", unit="s", long_name="CPU time of all starts of the design", promised=False),
    Variable("design_over_tight", unit="", long_name="Best design over tight bound"),
    Variable("status", dtype="int32", long_name="Status (0: converged)"),
)
SEED = 77
TRIALS, QUICK_TRIALS = 20, 2
TIGHT, MODERATE = 1.05, 1.3
"""Bound over design up to which a bound is called tight, and moderate."""


def study(
    figure: str,
    title: str,
    scenario: Scenario,
    axes: tuple[Axis, ...],
    curves: tuple[SchemeChoice, ...],
    mode: str,
    compute: Compute,
    panels: list[Panel],
    more: Callable[[tuple[SchemeChoice, ...], Points], tuple[Claim, ...]],
    converged: tuple[int, ...] = (0,),
) -> Study:
    """Return a study whose first claim is that no design exceeds its bound.

    Args:
        figure: its name is `bounds/FIGURE`.
        title: one line.
        scenario, axes, curves: of the experiment.
        mode: "quick" or "full".
        compute: returns one array a variable of `VARIABLES`.
        panels: the picture.
        more: returns further claims from the curves and the points of the grid.
        converged: statuses that count.
    """
    names, grids = [axis.name for axis in axes], [axis.coordinate(axis.name) for axis in axes]
    points = [dict(zip(names, values, strict=True)) for values in itertools.product(*grids)]
    shares = {
        f"{curve.label} at {point}": at_point(curve.label, point, "design_over_tight")
        for curve in curves
        for point in points
    }
    note = "largest over all realisations, not a mean"
    never = Claim(
        "never", "no design exceeds its bound", "design over bound at most 1 + 1e-9", none_above(shares, 1 + 1e-9, note)
    )
    checks = (never, *more(curves, points))
    trials = TRIALS if mode == "full" else QUICK_TRIALS
    experiment = Experiment(
        name=f"bounds/{figure}",
        title=title,
        scenario=scenario,
        axes=axes,
        schemes=curves,
        trials=trials,
        chunk=trials,
        seed=SEED,
        claims=tuple(claim.id for claim in checks),
    )
    return Study(experiment, compute, VARIABLES, RATIO, panels=tuple(panels), claims=checks, converged=converged)


def others(x: str = "", **fixed: Scalar) -> list[Panel]:
    """Return panels of the cheap bound, and of all times."""
    shown = [Panel("cheap_over_design", x=x, fixed=fixed)]
    times = ("seconds_design", "seconds_tight", "seconds_cheap")
    return shown + [Panel(name, x=x, fixed=fixed, y_scale="log") for name in times]


def room(ratio: Samples, limit: float) -> Samples:
    """Return how far a ratio of bound and design is below a limit."""
    return lambda results: limit - ratio(results)


def near(cells: Mapping[str, tuple[Samples, float]], share: float, identifier: str = "spec") -> Claim:
    """Return the claim that means lie around those of the specification, which are of other and fewer draws.

    Args:
        cells: a quantity and its number in the specification, by name.
        share: half width of the band over the number.
        identifier: of the claim.
    """

    def constant(ratio: Samples, value: float) -> Samples:
        def samples(results: "Results") -> np.ndarray:
            return np.full_like(ratio(results), value)

        return samples

    pairs = {name: (ratio, constant(ratio, value)) for name, (ratio, value) in cells.items()}
    return Claim(
        identifier,
        "the bound lies as close as the specification's few draws say",
        f"mean over that of the specification within {share:.0%} of one",
        all_within(pairs, 1 - share, 1 + share, "over the specification's number"),
    )
