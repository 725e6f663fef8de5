"""Claims of the paper on Figures 3, 4 and 6, as far as linear precoding is concerned, as code.

Three of them were used to choose parameters that the paper's text has lost (noise power, meta-element power, RF chain
power); their notes say "fitted", because such an agreement is no prediction.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from metamimo.experiments.claims import Claim, Verdict
from metamimo.experiments.statistics import mean_estimate

if TYPE_CHECKING:
    from metamimo.experiments.results import Results

Check = Callable[["Results"], Verdict]
Number = float | int
Grid = tuple[Number, ...]
Samples = Callable[["Results"], np.ndarray]

EE = "energy_efficiency"
SIM = ("SIM-LP", "SIM-NoLP", "SIM-NoLP-RedRF")
BENCHMARKS = ("SIM-NoLP-RedRF", "SIM-NoLP", "LP-NoSIM")


def _at(scheme: str, axis: str, value: Number, variable: str = EE) -> Samples:
    return lambda results: results.samples(variable, scheme, {axis: value})


def _minus(a: Samples, b: Samples) -> Samples:
    return lambda results: a(results) - b(results)


def all_positive(quantities: dict[str, Samples], note: str = "") -> Check:
    """Return a check that the mean of every quantity is above zero by more than two standard errors.

    The measured number is that of the quantity that decides: the one with the least mean in standard errors.
    """

    def check(results: "Results") -> Verdict:
        estimates = {name: mean_estimate(quantity(results)) for name, quantity in quantities.items()}
        name, worst = min(estimates.items(), key=lambda item: item[1].mean / max(item[1].stderr, 1e-300))
        holds = True if worst.mean > 2 * worst.stderr else False if worst.mean < -2 * worst.stderr else None
        text = f"least favourable of {len(estimates)}: {name}, n={worst.n}"
        return Verdict(holds, worst.mean, worst.stderr, f"{text}; {note}" if note else text)

    return check


def _ratio(top: Samples, bottom: Samples, low: float, high: float, note: str) -> Check:
    """Return a check that mean(top) / mean(bottom) lies in a band, with the delta method's standard error."""

    def check(results: "Results") -> Verdict:
        a, b = top(results), bottom(results)
        kept = np.isfinite(a) & np.isfinite(b)
        a, b = a[kept], b[kept]
        ratio = mean_estimate(a).mean / mean_estimate(b).mean
        stderr = mean_estimate(a - ratio * b).stderr / abs(mean_estimate(b).mean)
        inside = low + 2 * stderr <= ratio <= high - 2 * stderr
        outside = ratio < low - 2 * stderr or ratio > high + 2 * stderr
        return Verdict(True if inside else False if outside else None, ratio, stderr, f"n={kept.sum()}; {note}")

    return check


def _rises(schemes: Iterable[str], axis: str, grid: Grid, variable: str = EE) -> dict[str, Samples]:
    return {
        f"{scheme} from {a:g} to {b:g}": _minus(_at(scheme, axis, b, variable), _at(scheme, axis, a, variable))
        for scheme in schemes
        for a, b in itertools.pairwise(grid)
    }


def _slows(schemes: Iterable[str], grid: Grid) -> dict[str, Samples]:
    """Return how much the gain per element falls from each interval to the next."""

    def slope(scheme: str, a: Number, b: Number) -> Samples:
        rise = _minus(_at(scheme, "n_elements", b), _at(scheme, "n_elements", a))
        return lambda results: rise(results) / (b - a)

    return {
        f"slope of {scheme} {a} to {b} minus {b} to {c}": _minus(slope(scheme, a, b), slope(scheme, b, c))
        for scheme in schemes
        for a, b, c in zip(grid, grid[1:], grid[2:], strict=False)
    }


def _above(upper: str, lower: str, axis: str, grid: Iterable[Number], variable: str = EE) -> dict[str, Samples]:
    return {
        f"{upper} minus {lower} at {value:g}": _minus(
            _at(upper, axis, value, variable), _at(lower, axis, value, variable)
        )
        for value in grid
    }


def _gap(value: Number) -> Samples:
    return _minus(_at("SIM-NoLP-RedRF", "n_elements", value), _at("SIM-NoLP", "n_elements", value))


def _peaks(schemes: Iterable[str], variable: str, grid: Grid) -> dict[str, Samples]:
    """Return what must be positive for a peak inside the grid: a rise from its start, a drop to its end."""
    first, *inside, last = grid
    found = {}
    for scheme in schemes:
        value = {layers: _at(scheme, "n_layers", layers, variable) for layers in grid}
        found[f"{variable} of {scheme}, {inside[0]} minus {first} layers"] = _minus(value[inside[0]], value[first])
        for layers in inside:
            name = f"{variable} of {scheme}, {layers} minus {last} layers"
            found[name] = _minus(value[layers], value[last])
    return found


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
            all_positive(_rises(SIM, "n_elements", grid) | _slows(SIM, grid)),
        ),
        Claim(
            "3b",
            "the gain of SIM-LP from 49 to 100 elements is nearly twice that from 100 to 196",
            "ratio 1.4 to 2.6",
            _ratio(
                _minus(_at("SIM-LP", "n_elements", 100), _at("SIM-LP", "n_elements", 49)),
                _minus(_at("SIM-LP", "n_elements", 196), _at("SIM-LP", "n_elements", 100)),
                1.4,
                2.6,
                "fitted: noise and element power were chosen with it in view",
            ),
        ),
        Claim(
            "3c",
            "SIM-NoLP-RedRF lies above SIM-NoLP and the gap widens with N",
            "gaps and widening > 0",
            all_positive(
                _above("SIM-NoLP-RedRF", "SIM-NoLP", "n_elements", grid)
                | {f"gap at {grid[-1]} minus gap at {grid[0]}": _minus(_gap(grid[-1]), _gap(grid[0]))}
            ),
        ),
        Claim(
            "3d-small",
            "LP-NoSIM is the best scheme at small N (16, 25)",
            "> 0",
            all_positive(
                {k: v for scheme in SIM for k, v in _above("LP-NoSIM", scheme, "n_elements", small).items()},
                "fitted: noise power was chosen with it in view",
            ),
        ),
        Claim(
            "3d-large",
            "LP-NoSIM lies below every SIM scheme from N = 100",
            "> 0",
            all_positive(
                {k: v for scheme in SIM for k, v in _above(scheme, "LP-NoSIM", "n_elements", large).items()},
                "fitted: noise power was chosen with it in view",
            ),
        ),
        Claim(
            "3f",
            "SIM-LP lies above the schemes without precoding at every N",
            "> 0",
            all_positive(
                {k: v for scheme in SIM[1:] for k, v in _above("SIM-LP", scheme, "n_elements", grid).items()},
                "fitted: RF chain power was chosen with it in view; flips near 0.75 W at N = 196",
            ),
        ),
    )


def fig4(grid: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 4, energy efficiency and sum rate against layers.

    Args:
        grid: numbers of layers.
    """
    last = grid[-1]
    return (
        Claim(
            "4a",
            "energy efficiency and sum rate of SIM-LP rise from one layer, peak at a few layers, then drop",
            "> 0",
            all_positive(_peaks(("SIM-LP",), EE, grid) | _peaks(("SIM-LP",), "sum_rate", grid)),
        ),
        Claim(
            "4b",
            "at the largest number of layers SIM-LP approaches LP-NoSIM",
            "ratio 0.8 to 1.25",
            _ratio(
                _at("SIM-LP", "n_layers", last), _at("LP-NoSIM", "n_layers", last), 0.8, 1.25, "range of L cut at 8"
            ),
        ),
        Claim(
            "4c",
            "SIM-NoLP and SIM-NoLP-RedRF show the same trend",
            "> 0",
            all_positive(_peaks(SIM[1:], EE, grid) | _peaks(SIM[1:], "sum_rate", grid)),
        ),
        Claim(
            "4d",
            "SIM-NoLP-RedRF has the higher energy efficiency and the lower sum rate of the two",
            "> 0",
            all_positive(
                _above("SIM-NoLP-RedRF", "SIM-NoLP", "n_layers", grid)
                | _above("SIM-NoLP", "SIM-NoLP-RedRF", "n_layers", grid, "sum_rate")
            ),
        ),
    )


def fig6(grid: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 6, energy efficiency against the power limit.

    Args:
        grid: power limits [dBm].
    """
    low = grid[0]
    return (
        Claim(
            "6a",
            "energy efficiency increases with the power limit for all schemes",
            "> 0",
            all_positive(_rises((*SIM, "LP-NoSIM"), "power_dbm", grid)),
        ),
        Claim(
            "6b",
            "at low power the benchmarks nearly coincide",
            "SIM-NoLP-RedRF over LP-NoSIM 0.7 to 1.4",
            _ratio(
                _at("SIM-NoLP-RedRF", "power_dbm", low),
                _at("LP-NoSIM", "power_dbm", low),
                0.7,
                1.4,
                "against SIM-LP, which is several times higher there",
            ),
        ),
        Claim(
            "6d",
            "SIM-LP lies above the benchmarks, SIM-NoLP-RedRF is the best of them",
            "> 0",
            all_positive(
                {k: v for scheme in BENCHMARKS for k, v in _above("SIM-LP", scheme, "power_dbm", grid).items()}
                | {
                    k: v
                    for scheme in BENCHMARKS[1:]
                    for k, v in _above("SIM-NoLP-RedRF", scheme, "power_dbm", grid).items()
                },
                "fitted at 30 dBm",
            ),
        ),
    )
