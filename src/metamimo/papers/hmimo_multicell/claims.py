"""What the paper says about its figures, as checks on paired realisations."""

from collections.abc import Iterable

from metamimo.experiments.claims import Claim
from metamimo.papers.checks import (
    Grid,
    Number,
    Pairs,
    Quantities,
    above,
    all_positive,
    all_within,
    at,
    minus,
    none_above,
    ratios,
    rises,
    times,
)

RATE = "sum_rate"
POWER, COUNT = "power_dbm", "per_strip"
MM, HC, SD = "WMMSE-MM", "WMMSE-HC", "WMMSE-SD"
POLISHED, STARTS, JOINT = "WMMSE-HC, polished", "WMMSE-HC, 8 starts", "Joint, Lorentz"
CPP = ("CPP, Lorentz", "CPP, binary")
L_CENTRE, L_LEFT, B_CENTRE, B_LEFT = "Lorentz, centre", "Lorentz, left", "Binary, centre", "Binary, left"
ROUNDING = 1e-9

_NOT_WATTS = "the order of the arrays in Fig. 5 comes from counting |x|^2 instead of radiated watts"


def fig3(powers: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 3.

    Args:
        powers: power of a station [dBm].
    """
    needed = "iterations_95"
    return (
        Claim(
            "3a",
            "the sum rate never falls",
            "largest relative fall at most 1e-9",
            none_above(
                {
                    f"{scheme} at {power:g} dBm": at(scheme, POWER, power, "largest_fall")
                    for scheme in (HC, MM)
                    for power in powers
                },
                ROUNDING,
                "largest over all realisations, not a mean",
            ),
        ),
        Claim(
            "3b",
            "elements on or off converge faster than those on the circle",
            "iterations of MM minus HC > 0",
            all_positive(above((MM,), (HC,), POWER, powers, needed)),
        ),
        Claim(
            "3c",
            "more power needs more iterations",
            "differences between neighbours > 0",
            all_positive(rises((HC, MM), POWER, powers, needed)),
        ),
    )


def fig4(powers: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 4.

    Args:
        powers: power of a station [dBm].
    """
    return (
        Claim("4a", "MM is above SD", "differences > 0", all_positive(above((MM,), (SD,), POWER, powers, RATE))),
        Claim(
            "4b",
            "SD is at least as good as HC, which is close to it",
            "ratio of means 0.99 to 1.02",
            all_within(ratios((SD,), HC, POWER, powers, RATE), 0.99, 1.02),
        ),
        Claim("4b-sign", "SD is above HC", "differences > 0", all_positive(above((SD,), (HC,), POWER, powers, RATE))),
        Claim(
            "4c",
            "the gap between SD and HC grows slowly with power",
            "gap at the largest minus gap at the smallest power > 0",
            all_positive(_widening(SD, HC, powers)),
        ),
        Claim(
            "4d",
            "both are far above the closest-point projections",
            "ratio of means above 1.2",
            all_within(
                ratios((HC,), CPP[1], POWER, powers, RATE) | ratios((MM,), CPP[0], POWER, powers, RATE),
                1.2,
                float("inf"),
            ),
        ),
        Claim(
            "V-polish",
            "flips that raise the rate itself gain more than sphere decoding does",
            "polished minus SD > 0",
            all_positive(above((POLISHED,), (SD,), POWER, powers, RATE)),
        ),
        Claim(
            "V-starts",
            "polishing is as good as eight starts",
            "ratio of means 0.97 to 1.03",
            all_within(ratios((POLISHED,), STARTS, POWER, powers, RATE), 0.97, 1.03),
        ),
        Claim(
            "V-leaps",
            "MM stops before it has converged: the same descent with leaps ends higher",
            "differences > 0",
            all_positive(above(("WMMSE-MM, leaps",), (MM,), POWER, powers, RATE)),
        ),
        Claim(
            "V-joint",
            "a joint gradient run is above MM",
            "differences > 0",
            all_positive(above((JOINT,), (MM,), POWER, powers, RATE)),
        ),
    )


def fig5(powers: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 5.

    Args:
        powers: power of a station [dBm].
    """
    return (
        Claim(
            "5a",
            "the digital array is at least as good as the hybrid one",
            "differences > 0",
            all_positive(above(("Digital",), ("Hybrid",), POWER, powers, RATE)),
        ),
        Claim(
            "5b",
            "the hybrid array is above holograms fed from the left",
            "differences > 0",
            all_positive(above(("Hybrid",), (L_LEFT, B_LEFT), POWER, powers, RATE)),
        ),
        Claim(
            "5c",
            "a centre feed is clearly better than one from the left, for both kinds of elements",
            "differences > 0",
            all_positive(_centre(powers)),
        ),
        Claim(
            "5d",
            "the centre-fed hologram with Lorentzian elements is close to the hybrid array",
            "ratio of means 0.85 to 1.05",
            all_within(ratios((L_CENTRE,), "Hybrid", POWER, powers, RATE), 0.85, 1.05),
        ),
        Claim(
            "V-radiated",
            "holograms radiate as much as the hybrid array, x^H C x",
            "ratio of means 0.9 to 1.1",
            all_within(
                _radiated((L_CENTRE, L_LEFT, B_CENTRE, B_LEFT), powers),
                0.9,
                1.1,
                "the guided wave is slower than light, so a part of the sum of |x|^2 does not radiate",
            ),
        ),
    )


def fig5_field(powers: Grid) -> tuple[Claim, ...]:
    """Return the paper's claims on Fig. 5, asked of designs whose radiated power is limited.

    Args:
        powers: power of a station [dBm].
    """
    return (
        Claim(
            "5b-field",
            "the hybrid array is above holograms fed from the left at equal radiated power, too",
            "differences > 0",
            all_positive(above(("Hybrid",), (L_LEFT, B_LEFT), POWER, powers, RATE), _NOT_WATTS),
        ),
        Claim(
            "5c-field",
            "a centre feed is better than one from the left at equal radiated power, too",
            "differences > 0",
            all_positive(_centre(powers), _NOT_WATTS),
        ),
        Claim(
            "V-ahead",
            "Lorentzian elements are above the hybrid array at equal radiated power",
            "differences > 0",
            all_positive(above((L_CENTRE, L_LEFT), ("Hybrid",), POWER, powers, RATE)),
        ),
    )


def fig5_split(powers: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 5 with divided centre feeds.

    Args:
        powers: power of a station [dBm].
    """
    return (
        Claim(
            "V-split",
            "with its wave divided between two halves, a centre feed is no better than one from the left",
            "left minus centre > 0",
            all_positive({f"minus {name}": times(-1.0, gap) for name, gap in _centre(powers).items()}),
        ),
    )


def fig6(counts: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 6.

    Args:
        counts: elements of a strip.
    """
    feeds = ("left", "centre")
    return (
        Claim(
            "6a",
            "the sum rate increases with the elements",
            "largest minus smallest number > 0",
            all_positive(
                rises([f"{name}, {feed}" for name in ("SD", "HC", "MM") for feed in feeds], COUNT, _ends(counts), RATE)
            ),
        ),
        Claim(
            "6b",
            "SD is at least as good as HC by a little",
            "ratio of means 0.99 to 1.04",
            all_within(
                {
                    name: pair
                    for feed in feeds
                    for name, pair in ratios((f"SD, {feed}",), f"HC, {feed}", COUNT, counts, RATE).items()
                },
                0.99,
                1.04,
            ),
        ),
        Claim(
            "6c",
            "a centre feed is better than one from the left",
            "differences > 0",
            all_positive(
                {
                    name: gap
                    for solver in ("SD", "HC", "MM")
                    for name, gap in above((f"{solver}, centre",), (f"{solver}, left",), COUNT, counts, RATE).items()
                }
            ),
        ),
        Claim(
            "6d",
            "block descent is far above zero-forcing",
            "ratio of means above 1.3",
            all_within(ratios(("HC, left",), "ZF-HC", COUNT, counts, RATE), 1.3, float("inf")),
        ),
    )


def _ends(grid: Grid) -> Grid:
    return grid[0], grid[-1]


def _widening(upper: str, lower: str, grid: Grid) -> Quantities:
    gaps = [minus(at(upper, POWER, value, RATE), at(lower, POWER, value, RATE)) for value in _ends(grid)]
    return {f"gap {upper} to {lower} at {grid[-1]:g} minus gap at {grid[0]:g} dBm": minus(gaps[1], gaps[0])}


def _centre(powers: Iterable[Number]) -> Quantities:
    powers = tuple(powers)
    return above((L_CENTRE,), (L_LEFT,), POWER, powers, RATE) | above((B_CENTRE,), (B_LEFT,), POWER, powers, RATE)


def _radiated(schemes: Iterable[str], powers: Iterable[Number]) -> Pairs:
    return ratios(schemes, "Hybrid", POWER, powers, "radiated")
