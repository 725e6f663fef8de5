"""Claims on Fig. 5: energy efficiency against users."""

import itertools

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
    peaks,
    ratios,
    rises,
    times,
)
from metamimo.papers.sim_broadcast_ee.claims.labels import BARE, BENCHMARKS, DPC, LP, NOLP, PROPOSED, REDRF

AXIS = "n_users"
FEW = 2
"""The paper's "very small" number of users."""
FULL_LOAD = 8
"""Users at which every antenna of the default array carries its own stream, K N_r = N_t."""
EQUAL = 1e-3
"""Relative difference that the stopping rule of the designs explains."""


def fig5(grid: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 5, energy efficiency against users.

    Args:
        grid: numbers of users; a claim that needs another one stays open.
    """
    few = tuple(k for k in grid if k <= FEW)
    many = tuple(k for k in grid if k > FEW)
    return (
        Claim(
            "5a",
            "SIM-NoLP-RedRF is the best scheme for few users (1, 2) and declines later",
            "leads and falls > 0",
            all_positive(
                above((REDRF,), (*PROPOSED, NOLP, BARE), AXIS, few)
                | {
                    f"{REDRF} at {a} minus at {b}": minus(at(REDRF, AXIS, a), at(REDRF, AXIS, b))
                    for a, b in itertools.pairwise((*few[-1:], *many))
                }
            ),
        ),
        Claim(
            "5b",
            "SIM-NoLP rises with the number of users, then declines",
            "> 0",
            all_positive(peaks((NOLP,), AXIS, grid, "users")),
        ),
        Claim(
            "5c",
            "SIM-DPC, SIM-LP and LP-NoSIM increase with the number of users",
            "> 0",
            all_positive(rises((*PROPOSED, BARE), AXIS, grid)),
        ),
        Claim(
            "5d",
            "SIM-DPC is at least as high as SIM-LP, and every gap from 4 users on exceeds those at 1 and 2",
            "gaps and their growth > 0",
            all_positive(
                {
                    f"{DPC} minus {1 - EQUAL:g} {LP} at {k}": minus(at(DPC, AXIS, k), times(1 - EQUAL, at(LP, AXIS, k)))
                    for k in grid
                }
                | _larger_gaps(few, many),
                "at least as high means to within 0.1 %, the accuracy of the designs",
            ),
        ),
        Claim(
            "5e",
            "SIM-DPC and SIM-LP are the best schemes except for few users (1, 2)",
            "> 0",
            all_positive(above(PROPOSED, BENCHMARKS, AXIS, many)),
        ),
        Claim(
            "5f",
            "SIM-NoLP and SIM-NoLP-RedRF agree where every antenna has its stream (8 users)",
            "ratio 0.97 to 1.03",
            all_within(
                ratios((NOLP,), REDRF, AXIS, (FULL_LOAD,)),
                0.97,
                1.03,
                "the band is ours; the two differ in the order of the antennas only",
            ),
        ),
    )


def _larger_gaps(few: Grid, many: Grid) -> Quantities:
    def gap(users: Number) -> Samples:
        return minus(at(DPC, AXIS, users), at(LP, AXIS, users))

    return {f"gap {DPC} to {LP} at {b} minus gap at {a}": minus(gap(b), gap(a)) for a in few for b in many}
