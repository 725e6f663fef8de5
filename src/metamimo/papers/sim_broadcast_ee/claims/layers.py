"""Claims on Fig. 4: energy efficiency and sum rate against layers, with the meta-elements in all kept."""

from metamimo.experiments.claims import Claim
from metamimo.papers.checks import (
    Grid,
    above,
    all_positive,
    all_within,
    peaks,
    ratios,
)
from metamimo.papers.sim_broadcast_ee.claims.labels import BARE, DPC, LP, NOLP, PROPOSED, REDRF, UNPRECODED

AXIS = "n_layers"
RATE = "sum_rate"


def fig4(grid: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 4, energy efficiency and sum rate against layers.

    Args:
        grid: numbers of layers.
    """
    return (
        Claim(
            "4a",
            "energy efficiency and sum rate of SIM-DPC and SIM-LP rise from one layer, peak at a few layers, then drop",
            "> 0",
            all_positive(peaks(PROPOSED, AXIS, grid, "layers") | peaks(PROPOSED, AXIS, grid, "layers", RATE)),
        ),
        Claim(
            "4b",
            "at the largest number of layers SIM-DPC and SIM-LP approach LP-NoSIM",
            "ratios 0.8 to 1.25",
            all_within(ratios(PROPOSED, BARE, AXIS, grid[-1:]), 0.8, 1.25, "the band is ours; range of L cut at 8"),
        ),
        Claim(
            "4c",
            "SIM-NoLP and SIM-NoLP-RedRF show the same trend",
            "> 0",
            all_positive(peaks(UNPRECODED, AXIS, grid, "layers") | peaks(UNPRECODED, AXIS, grid, "layers", RATE)),
        ),
        Claim(
            "4d",
            "SIM-NoLP-RedRF has the higher energy efficiency and the lower sum rate of the two",
            "> 0",
            all_positive(above((REDRF,), (NOLP,), AXIS, grid) | above((NOLP,), (REDRF,), AXIS, grid, RATE)),
        ),
        Claim(
            "4e",
            "SIM-LP is close to SIM-DPC in both metrics",
            "SIM-LP over SIM-DPC 0.9 to 1.1",
            all_within(
                ratios((LP,), DPC, AXIS, grid) | ratios((LP,), DPC, AXIS, grid, RATE), 0.9, 1.1, "the band is ours"
            ),
        ),
    )
