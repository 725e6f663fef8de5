"""Claims on Fig. 2: energy efficiency against outer iterations of Algorithms 2 and 4."""

from metamimo.experiments.claims import Claim
from metamimo.papers.checks import (
    EE,
    Grid,
    all_positive,
    all_within,
    at,
    none_above,
    not_monotone,
    ratios,
    rises,
)
from metamimo.papers.sim_broadcast_ee.claims.labels import DPC, LP, PROPOSED

ROUNDING = 1e-12
"""A relative fall that double precision explains."""


def fig2(grid: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 2, whose histories are stored with their largest relative fall.

    Args:
        grid: numbers of layers.
    """
    return (
        Claim(
            "2a",
            "the energy efficiency never falls from one iteration to the next",
            f"largest relative fall at most {ROUNDING:g}",
            none_above(
                {
                    f"{scheme} with {layers} layers": at(scheme, "n_layers", layers, "largest_fall")
                    for scheme in PROPOSED
                    for layers in grid
                },
                ROUNDING,
                "largest over all realisations, not a mean",
            ),
        ),
        Claim(
            "2b",
            "iterations to convergence grow with the number of layers",
            "> 0",
            all_positive(rises(PROPOSED, "n_layers", grid, "iterations")),
        ),
        Claim(
            "2c",
            "the gap between SIM-DPC and SIM-LP is small for every number of layers",
            "SIM-DPC over SIM-LP 0.95 to 1.05",
            all_within(ratios((DPC,), LP, "n_layers", grid), 0.95, 1.05, "the band is ours"),
        ),
        Claim(
            "2d",
            "the final energy efficiency is not monotone in the number of layers",
            "a rise and a fall > 0",
            not_monotone(
                {f"{EE} of {scheme}": [at(scheme, "n_layers", layers) for layers in grid] for scheme in PROPOSED},
                "between neighbouring numbers of layers",
            ),
        ),
        Claim(
            "2e",
            "two large numbers of layers (6 and 8) end almost equal for SIM-DPC",
            "ratio 0.95 to 1.05",
            all_within(
                {"8 over 6 layers": (at(DPC, "n_layers", 8), at(DPC, "n_layers", 6))}, 0.95, 1.05, "the band is ours"
            ),
        ),
    )
