"""Claims on Fig. 3: energy efficiency against meta-elements per layer."""

import itertools
from collections.abc import Iterable

from metamimo.experiments.claims import Claim
from metamimo.papers.checks import (
    Grid,
    Number,
    Quantities,
    Samples,
    above,
    all_positive,
    all_within,
    at,
    minus,
    rises,
    times,
    widening,
)
from metamimo.papers.sim_broadcast_ee.claims.labels import BARE, DPC, LP, NOLP, PROPOSED, REDRF, SIM, UNPRECODED

AXIS = "n_elements"


def fig3(grid: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 3, energy efficiency against meta-elements per layer.

    Args:
        grid: numbers of elements; a claim that needs another one stays open.
    """
    small = [n for n in grid if n <= 25]
    large = [n for n in grid if n >= 100]
    return (
        Claim(
            "3a",
            "all SIM schemes increase with N, at a declining rate",
            "rises and falls of slope > 0",
            all_positive(rises(SIM, AXIS, grid) | _slows(SIM, grid)),
        ),
        Claim(
            "3b",
            "the gain of SIM-DPC and of SIM-LP from 49 to 100 elements is nearly twice that from 100 to 196",
            "ratios 1.4 to 2.6",
            all_within(
                {f"gains of {scheme}": (_gain(scheme, 49, 100), _gain(scheme, 100, 196)) for scheme in PROPOSED},
                1.4,
                2.6,
                "fitted: noise and element power were chosen with it in view",
            ),
        ),
        Claim(
            "3c",
            "SIM-NoLP-RedRF lies above SIM-NoLP and the gap widens with N",
            "gaps and widening > 0",
            all_positive(above((REDRF,), (NOLP,), AXIS, grid) | widening(REDRF, NOLP, AXIS, grid[0], grid[-1])),
        ),
        Claim(
            "3d-small",
            "LP-NoSIM is the best scheme at small N (16, 25)",
            "> 0",
            all_positive(above((BARE,), SIM, AXIS, small), "fitted: noise power was chosen with it in view"),
        ),
        Claim(
            "3d-large",
            "LP-NoSIM lies below every SIM scheme from N = 100",
            "> 0",
            all_positive(above(SIM, (BARE,), AXIS, large), "fitted: noise power was chosen with it in view"),
        ),
        Claim(
            "3e",
            "SIM-DPC lies slightly above SIM-LP and the gap grows with N",
            "gaps, and last gap minus first, > 0",
            all_positive(above((DPC,), (LP,), AXIS, grid) | widening(DPC, LP, AXIS, grid[0], grid[-1])),
        ),
        Claim(
            "3f",
            "SIM-DPC and SIM-LP lie above the schemes without precoding at every N",
            "> 0",
            all_positive(
                above(PROPOSED, UNPRECODED, AXIS, grid),
                "fitted: RF chain power was chosen with it in view; flips near 0.75 W at N = 196",
            ),
        ),
    )


def _gain(scheme: str, a: Number, b: Number) -> Samples:
    return minus(at(scheme, AXIS, b), at(scheme, AXIS, a))


def _slows(schemes: Iterable[str], grid: Grid) -> Quantities:
    """Return how much the gain per element falls from each interval to the next."""

    def slope(scheme: str, a: Number, b: Number) -> Samples:
        return times(1 / (b - a), _gain(scheme, a, b))

    return {
        f"slope of {scheme} {a} to {b} minus {b} to {c}": minus(slope(scheme, a, b), slope(scheme, b, c))
        for scheme in schemes
        for (a, b), (_, c) in itertools.pairwise(itertools.pairwise(grid))
    }
