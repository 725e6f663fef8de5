"""Claims on Fig. 7: energy efficiency against the power limit for several limits of an antenna."""

import itertools

from metamimo.experiments.claims import Claim
from metamimo.papers.checks import (
    EE,
    Grid,
    Number,
    Pairs,
    Quantities,
    Samples,
    all_positive,
    all_within,
    at_point,
    minus,
)
from metamimo.papers.sim_miso_ee.claims.labels import ALL_CHAINS


def fig7(powers: Grid, limits: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 7.

    Args:
        powers: power limits [dBm].
        limits: limits of an antenna [dBm].
    """
    return (
        Claim(
            "C13",
            "energy efficiency saturates with the power limit",
            "last over last but one point 0.995 to 1.02",
            all_within(_last_step(powers, limits), 0.995, 1.02, "the band is ours"),
        ),
        Claim(
            "C14-level",
            "a larger limit of an antenna saturates at a higher level",
            "> 0",
            all_positive(_levels(powers, [limit for limit in limits if limit <= 20.0])),
        ),
        Claim(
            "C14-knee",
            "and later: what is gained beyond 10 dB above the antenna's limit grows with it",
            "share of the final level that 15 dBm reach, smaller limit minus larger > 0",
            all_positive(_knee(powers, limits)),
        ),
    )


def _at(power: Number, limit: Number) -> Samples:
    return at_point(ALL_CHAINS, {"power_dbm": power, "port_power_dbm": limit}, EE)


def _last_step(powers: Grid, limits: Grid) -> Pairs:
    a, b = powers[-2:]
    return {f"{b:g} over {a:g} dBm, antennas {limit:g} dBm": (_at(b, limit), _at(a, limit)) for limit in limits}


def _levels(powers: Grid, limits: list[float]) -> Quantities:
    top = powers[-1]
    return {
        f"antennas {b:g} minus {a:g} dBm at {top:g} dBm": minus(_at(top, b), _at(top, a))
        for a, b in itertools.pairwise(limits)
    }


def _knee(powers: Grid, limits: Grid) -> Quantities:
    early, top = powers[len(powers) // 3], powers[-1]

    def share(limit: Number) -> Samples:
        part, whole = _at(early, limit), _at(top, limit)
        return lambda results: part(results) / whole(results)

    return {
        f"share of the level at {early:g} dBm, antennas {limits[0]:g} minus {limits[-1]:g} dBm": minus(
            share(limits[0]), share(limits[-1])
        )
    }
