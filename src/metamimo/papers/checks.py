"""What the claims are made of: quantities over paired realisations, and checks on many of them at once."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from metamimo.experiments.claims import MissingPoint, Verdict
from metamimo.experiments.statistics import Estimate, TooFewTrials, mean_estimate

if TYPE_CHECKING:
    from metamimo.experiments.results import Results

Check = Callable[["Results"], Verdict]
Number = float | int
Grid = tuple[Number, ...]
Samples = Callable[["Results"], np.ndarray]
Quantities = dict[str, Samples]
Pairs = dict[str, tuple[Samples, Samples]]

EE = "energy_efficiency"
_NO_POINTS = "the grid of this run has too few points for this claim"


class _Ratio(NamedTuple):
    mean: float
    stderr: float
    n: int


def at(scheme: str, axis: str, value: Number, variable: str = EE) -> Samples:
    """Return one scheme at one value of the only axis."""
    return at_point(scheme, {axis: value}, variable)


def at_point(scheme: str, point: Mapping[str, Number | str], variable: str = EE) -> Samples:
    """Return one scheme at one grid point."""
    return lambda results: results.samples(variable, scheme, point)


def minus(a: Samples, b: Samples) -> Samples:
    """Return the difference of two quantities, realisation by realisation."""
    return lambda results: a(results) - b(results)


def times(factor: float, a: Samples) -> Samples:
    """Return a quantity times a number."""
    return lambda results: factor * a(results)


def over(a: Samples, b: Samples) -> Samples:
    """Return the ratio of two positive quantities, realisation by realisation."""
    return lambda results: a(results) / b(results)


def rises(schemes: Iterable[str], axis: str, grid: Grid, variable: str = EE) -> Quantities:
    """Return how much each scheme gains from every grid point to the next."""
    return {
        f"{variable} of {scheme} from {a:g} to {b:g}": minus(
            at(scheme, axis, b, variable), at(scheme, axis, a, variable)
        )
        for scheme in schemes
        for a, b in itertools.pairwise(grid)
    }


def above(
    uppers: Iterable[str], lowers: Iterable[str], axis: str, grid: Iterable[Number], variable: str = EE
) -> Quantities:
    """Return every upper scheme minus every lower one, at every grid point."""
    return {
        f"{variable} of {upper} minus {lower} at {value:g}": minus(
            at(upper, axis, value, variable), at(lower, axis, value, variable)
        )
        for upper, lower, value in itertools.product(uppers, lowers, tuple(grid))
    }


def widening(upper: str, lower: str, axis: str, first: Number, last: Number) -> Quantities:
    """Return how much the gap between two schemes grows from one grid point to another."""
    gaps = [minus(at(upper, axis, value), at(lower, axis, value)) for value in (first, last)]
    return {f"gap {upper} to {lower} at {last:g} minus gap at {first:g}": minus(gaps[1], gaps[0])}


def peaks(schemes: Iterable[str], axis: str, grid: Grid, words: str, variable: str = EE) -> Quantities:
    """Return what must be positive for a peak inside the grid: a rise from its start, a drop to its end.

    Args:
        schemes: labels.
        axis: the only axis.
        grid: its values; fewer than three have no inside, so there is nothing to measure.
        words: what the axis counts, for the names of the quantities.
        variable: a stored variable.
    """
    if len(grid) < 3:
        return {}
    first, *inside, last = grid
    found = {}
    for scheme in schemes:
        value = {point: at(scheme, axis, point, variable) for point in grid}
        found[f"{variable} of {scheme}, {inside[0]} minus {first} {words}"] = minus(value[inside[0]], value[first])
        for point in inside:
            found[f"{variable} of {scheme}, {point} minus {last} {words}"] = minus(value[point], value[last])
    return found


def ratios(tops: Iterable[str], bottom: str, axis: str, grid: Iterable[Number], variable: str = EE) -> Pairs:
    """Return pairs of quantities for `all_within`: every top scheme over one other, at every grid point."""
    return {
        f"{variable} of {top} over {bottom} at {value:g}": (
            at(top, axis, value, variable),
            at(bottom, axis, value, variable),
        )
        for top, value in itertools.product(tops, tuple(grid))
    }


def all_positive(quantities: Quantities, note: str = "") -> Check:
    """Return a check that the mean of every quantity is above zero by more than two standard errors.

    The measured number is that of the quantity that decides: the one with the least mean in standard errors.
    """

    def check(results: "Results") -> Verdict:
        return _least({name: mean_estimate(quantity(results)) for name, quantity in quantities.items()}, note)

    return check


def not_monotone(curves: dict[str, list[Samples]], note: str = "") -> Check:
    """Return a check that every curve rises somewhere and falls somewhere, from one point to the next.

    Holds if the clearest rise and the clearest fall of each curve exceed two standard errors; fails if a curve rises,
    or falls, between all its points by as much.
    """

    def check(results: "Results") -> Verdict:
        deciding = {}
        for name, points in curves.items():
            if len(points) < 3:
                raise MissingPoint(_NO_POINTS)
            values = [point(results) for point in points]
            ups = [mean_estimate(b - a) for a, b in itertools.pairwise(values)]
            downs = [mean_estimate(a - b) for a, b in itertools.pairwise(values)]
            deciding[f"clearest rise of {name}"] = max(ups, key=_clarity)
            deciding[f"clearest fall of {name}"] = max(downs, key=_clarity)
        return _least(deciding, note)

    return check


def all_within(pairs: Pairs, low: float, high: float, note: str = "") -> Check:
    """Return a check that every ratio of means lies in a band, beyond two standard errors from its edges.

    The standard error is that of the delta method over the realisations that count in both. The measured number is
    the ratio with the least margin to the band's nearer edge, in standard errors.

    Args:
        pairs: numerator and denominator of every ratio.
        low: lower edge of the band.
        high: upper edge, may be infinite.
        note: added to the verdict's note.
    """

    def check(results: "Results") -> Verdict:
        found = {name: _ratio(top(results), bottom(results)) for name, (top, bottom) in pairs.items()}
        if not found:
            raise MissingPoint(_NO_POINTS)
        margin = {name: min(r.mean - low, high - r.mean) / max(r.stderr, 1e-300) for name, r in found.items()}
        name = min(margin, key=margin.__getitem__)
        holds = True if margin[name] >= 2 else False if margin[name] < -2 else None
        worst = found[name]
        return Verdict(holds, worst.mean, worst.stderr, _words(len(found), name, worst.n, note))

    return check


def none_above(quantities: Quantities, limit: float, note: str = "") -> Check:
    """Return a check that no single realisation of any quantity exceeds a limit; there is no standard error."""

    def check(results: "Results") -> Verdict:
        found = {name: quantity(results) for name, quantity in quantities.items()}
        kept = {name: values[np.isfinite(values)] for name, values in found.items()}
        fewest = min(values.size for values in kept.values())
        if fewest < 2:
            raise TooFewTrials(f"{fewest} realisation(s) count at one point, this claim needs at least 2")
        name, largest = max(((name, float(values.max())) for name, values in kept.items()), key=lambda item: item[1])
        return Verdict(largest <= limit, largest, None, _words(len(found), name, kept[name].size, note))

    return check


def _least(estimates: dict[str, Estimate], note: str) -> Verdict:
    if not estimates:
        raise MissingPoint(_NO_POINTS)
    name, worst = min(estimates.items(), key=lambda item: _clarity(item[1]))
    holds = True if worst.mean > 2 * worst.stderr else False if worst.mean < -2 * worst.stderr else None
    return Verdict(holds, worst.mean, worst.stderr, _words(len(estimates), name, worst.n, note))


def _clarity(estimate: Estimate) -> float:
    return estimate.mean / max(estimate.stderr, 1e-300)


def _ratio(a: np.ndarray, b: np.ndarray) -> _Ratio:
    kept = np.isfinite(a) & np.isfinite(b)
    a, b = a[kept], b[kept]
    bottom = mean_estimate(b).mean
    ratio = mean_estimate(a).mean / bottom
    return _Ratio(ratio, mean_estimate(a - ratio * b).stderr / abs(bottom), int(kept.sum()))


def _words(count: int, name: str, n: int, note: str) -> str:
    text = f"least favourable of {count}: {name}, n={n}" if count > 1 else f"{name}, n={n}"
    return f"{text}; {note}" if note else text
