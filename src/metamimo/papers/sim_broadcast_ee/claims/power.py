"""Claims on Fig. 6: energy efficiency against the power limit."""

from metamimo.experiments.claims import Claim
from metamimo.papers.checks import (
    Grid,
    above,
    all_positive,
    all_within,
    ratios,
    rises,
    widening,
)
from metamimo.papers.sim_broadcast_ee.claims.labels import BARE, BENCHMARKS, DPC, LP, NOLP, PROPOSED, REDRF, SIM

AXIS = "power_dbm"


def fig6(grid: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 6, energy efficiency against the power limit.

    Args:
        grid: power limits [dBm].
    """
    low = grid[:1]
    return (
        Claim(
            "6a",
            "energy efficiency increases with the power limit for all schemes",
            "> 0",
            all_positive(rises((*SIM, BARE), AXIS, grid)),
        ),
        Claim(
            "6b-dpc",
            "at low power SIM-DPC and SIM-LP coincide",
            "SIM-DPC over SIM-LP 0.97 to 1.03",
            all_within(ratios((DPC,), LP, AXIS, low), 0.97, 1.03),
        ),
        Claim(
            "6b-benchmarks",
            "at low power the benchmarks nearly coincide",
            "each over LP-NoSIM 0.7 to 1.4",
            all_within(
                ratios((REDRF, NOLP), BARE, AXIS, low),
                0.7,
                1.4,
                "the band is ours, against SIM-LP, which is several times higher there",
            ),
        ),
        Claim(
            "6c",
            "the advantage of SIM-DPC over SIM-LP grows with the power limit",
            "last gap minus first > 0",
            all_positive(widening(DPC, LP, AXIS, grid[0], grid[-1])),
        ),
        Claim(
            "6d",
            "SIM-DPC and SIM-LP lie above the benchmarks, SIM-NoLP-RedRF is the best of them",
            "> 0",
            all_positive(
                above(PROPOSED, BENCHMARKS, AXIS, grid) | above((REDRF,), BENCHMARKS[1:], AXIS, grid),
                "fitted at 30 dBm",
            ),
        ),
    )
