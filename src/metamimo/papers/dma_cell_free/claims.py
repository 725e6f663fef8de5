"""What the paper says about its figure, and what else was measured, as checks on paired realisations."""

import itertools
from collections.abc import Iterable

from metamimo.experiments.claims import Claim
from metamimo.papers.checks import (
    Grid,
    Number,
    Pairs,
    Quantities,
    Samples,
    above,
    all_positive,
    all_within,
    at,
    minus,
    ratios,
)

RATE, POWER, ERROR = "sum_rate", "power_dbm", "csi_error"
PERFECT, IMPERFECT = "Perfect CSI", "Imperfect CSI"
FRESH, POSTERIOR = "Robust, fresh estimates", "Robust, one estimate"
MISMATCHED, IDEAL = "w/o MC, mismatched", "w/o MC, ideal"
RANDOM, LINEAR, BENCHMARK = "Random F", "Robust, linear steps", "Perfect CSI, L-BFGS"
LINEAR_STEPS, QUASI_NEWTON = "Perfect CSI, linear steps", "Perfect CSI, L-BFGS on the messages"
SEEN = (FRESH, POSTERIOR, IMPERFECT, MISMATCHED, RANDOM, LINEAR)
"""Curves of the true antenna whose designers know less than the perfect one."""
EVERY = (PERFECT, IDEAL, BENCHMARK, *SEEN)


def fig1(powers: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 1.

    Args:
        powers: budgets of a station [dB over 1e-3 A^2].
    """
    low, high = (powers[0],), (powers[-1],)
    infinite = float("inf")
    return (
        Claim(
            "1",
            "every scheme's rate does not fall with the budget",
            "ratio of neighbours above 0.97",
            all_within(_neighbours(EVERY, powers), 0.97, infinite),
        ),
        Claim(
            "2",
            "the robust design with fresh estimates is above the one with imperfect CSI",
            "differences > 0",
            all_positive(above((FRESH,), (IMPERFECT,), POWER, powers, RATE)),
        ),
        Claim(
            "2-low",
            "by a tenth at the least budget",
            "ratio of means above 1.1",
            all_within(ratios((FRESH,), IMPERFECT, POWER, low, RATE), 1.1, infinite),
        ),
        Claim(
            "2-high",
            "by a half at the largest budget",
            "ratio of means above 1.5",
            all_within(ratios((FRESH,), IMPERFECT, POWER, high, RATE), 1.5, infinite),
        ),
        Claim(
            "3",
            "the robust design with fresh estimates stays close to perfect CSI",
            "ratio of means above 0.8",
            all_within(ratios((FRESH,), PERFECT, POWER, powers, RATE), 0.8, infinite),
        ),
        Claim(
            "3-highest",
            "perfect CSI is the highest curve of the coupled antenna",
            "differences > 0",
            all_positive(above((PERFECT,), SEEN, POWER, powers, RATE), "of those that use the same algorithm"),
        ),
        Claim(
            "4",
            "a design that knows the coupling is far above one that ignores it",
            "ratio of means above 3",
            all_within(ratios((FRESH,), MISMATCHED, POWER, powers, RATE), 3.0, infinite, "mismatched reading"),
        ),
        Claim(
            "5-low",
            "at the least budget the coupled antenna is above one whose slots are independent",
            "differences > 0",
            all_positive(above((FRESH,), (IDEAL,), POWER, low, RATE), "not claimed by the source"),
        ),
        Claim(
            "5-high",
            "at the largest budget it is below",
            "differences > 0",
            all_positive(above((IDEAL,), (FRESH,), POWER, high, RATE), "not claimed by the source"),
        ),
        Claim(
            "V-bound",
            "perfect CSI is no upper bound: L-BFGS on the same problem is above it",
            "differences > 0",
            all_positive(above((BENCHMARK,), (PERFECT,), POWER, powers, RATE)),
        ),
        Claim(
            "V-single",
            "most of the robust gain is new knowledge: with one estimate the same design is far lower",
            "differences > 0",
            all_positive(above((FRESH,), (POSTERIOR,), POWER, powers, RATE)),
        ),
    )


def fig1_delta(errors: Grid) -> tuple[Claim, ...]:
    """Return the claims on the sweep of the error.

    Args:
        errors: error power of an estimate over the channel's, from small to large.
    """
    return (
        Claim(
            "6",
            "the gap between perfect CSI and the robust design shrinks with the error",
            "differences of gaps > 0",
            all_positive(_gaps((FRESH, POSTERIOR, IMPERFECT), errors)),
        ),
    )


def messages(powers: Grid, checkpoints: tuple[int, ...]) -> tuple[Claim, ...]:
    """Return the claims on the rate against messages.

    Args:
        powers: budgets of a station [dB over 1e-3 A^2].
        checkpoints: iterations at which the history is kept.
    """
    infinite = float("inf")

    def after(scheme: str, power: Number, iterations: int) -> Samples:
        place = checkpoints.index(iterations)
        return lambda results: results.values("history", scheme, {POWER: power})[..., place]

    early = {
        f"rate at {power:g} after {n} iterations": minus(after(QUASI_NEWTON, power, n), after(PERFECT, power, n))
        for power in powers
        for n in (200, 400, 1000)
    }
    left = {
        f"gap closed at {power:g}": (
            minus(at(QUASI_NEWTON, POWER, power, RATE), after(PERFECT, power, 200)),
            minus(at(BENCHMARK, POWER, power, RATE), after(PERFECT, power, 200)),
        )
        for power in powers
    }
    return (
        Claim(
            "M-above",
            "on the same messages L-BFGS is above the source's steps",
            "differences > 0 after 200, 400 and 1000 iterations",
            all_positive(early),
        ),
        Claim(
            "M-gap",
            "L-BFGS on the messages closes most of the gap from the source's steps to L-BFGS that is told all",
            "share of the gap above 0.5",
            all_within(left, 0.5, infinite),
        ),
        Claim(
            "M-steps",
            "the structured steps are above the source's linear ones",
            "differences > 0 after 200 and 1000 iterations",
            all_positive(
                {
                    f"rate at {power:g} after {n}": minus(after(PERFECT, power, n), after(LINEAR_STEPS, power, n))
                    for power in powers
                    for n in (200, 1000)
                }
            ),
        ),
    )


def _neighbours(schemes: Iterable[str], grid: Grid) -> Pairs:
    return {
        f"{RATE} of {scheme} at {b:g} over {a:g}": (at(scheme, POWER, b, RATE), at(scheme, POWER, a, RATE))
        for scheme in schemes
        for a, b in itertools.pairwise(grid)
    }


def _gaps(schemes: Iterable[str], grid: Grid) -> Quantities:
    """Return how much the gap of every scheme to perfect CSI grows from one error to the next."""

    def gap(scheme: str, value: Number) -> Samples:
        return minus(at(PERFECT, ERROR, value, RATE), at(scheme, ERROR, value, RATE))

    return {
        f"gap of {scheme} at {b:g} minus gap at {a:g}": minus(gap(scheme, b), gap(scheme, a))
        for scheme in schemes
        for a, b in itertools.pairwise(grid)
    }
