"""What the study asks: statements of its specification and of the literature, as checks on paired realisations."""

import itertools
from collections.abc import Iterable

from metamimo.experiments.claims import Claim
from metamimo.papers.checks import (
    Grid,
    Number,
    Quantities,
    Samples,
    all_positive,
    all_within,
    at_point,
    minus,
    none_above,
)

RATE = "sum_rate"
COUPLED, USUAL, DELIVERED, RANDOM = "Coupled", "Usual", "Delivered", "Random phases"
ROUNDING = 1e-9


def claims(grid: Grid) -> tuple[Claim, ...]:
    """Return the claims.

    Args:
        grid: numbers of layers.
    """
    return (*_on_the_number_of_layers(grid), *_on_the_usual_model(grid), *_on_sensitivity(grid))


def _on_the_number_of_layers(grid: Grid) -> tuple[Claim, ...]:
    return (
        Claim(
            "P1-half",
            "at 25 atoms a layer and half a wavelength, every further layer raises the coupled optimum",
            "differences between neighbours > 0",
            all_positive(steps("half", grid)),
        ),
        Claim(
            "P1-quarter",
            "so it does at a quarter wavelength",
            "differences between neighbours > 0",
            all_positive(steps("quarter", grid)),
        ),
        Claim(
            "P1-less-and-less",
            "the third and later layers bring less each than the second, at half a wavelength",
            "second layer's gain minus a later one's > 0",
            all_positive(_diminishing("half", grid)),
        ),
        Claim(
            "P2-total",
            "at a fixed total number of atoms, four and six layers are worse than one",
            "one minus four and six layers > 0",
            all_positive(_ahead(COUPLED, "total", 1, [n for n in grid if n > 3])),
        ),
        Claim(
            "P2-few",
            "at a fixed total, two and three layers are within 5 % of one",
            "ratio 0.95 to 1.05",
            all_within(
                {f"{n} over 1 layers": (at(COUPLED, "total", n), at(COUPLED, "total", 1)) for n in grid if 1 < n <= 3},
                0.95,
                1.05,
            ),
        ),
        Claim(
            "P3-thickness",
            "at a fixed thickness more layers help up to the largest number",
            "differences between neighbours > 0",
            all_positive(steps("thickness", grid)),
        ),
        Claim(
            "P4-matching",
            "without a matching network the coupled optimum is lower, but still above the usual model's promise",
            "coupled minus available, and available minus usual > 0 at half a wavelength",
            all_positive(
                above(COUPLED, "Coupled, available power", "half", grid)
                | above("Coupled, available power", USUAL, "half", grid)
            ),
        ),
        Claim(
            "P5-bound",
            "no design exceeds the bound of any currents on its dipoles",
            "largest rate over bound at most 1",
            none_above(
                {
                    f"rate over bound at {n} layers, {family}": _over_bound(family, n)
                    for family in ("half", "quarter")
                    for n in grid
                },
                1 + ROUNDING,
                "largest over all realisations, not a mean",
            ),
        ),
        Claim(
            "P6-random",
            "random phases never help: the bare array is as good or better with two layers or more",
            "bare array minus random phases > 0 at half a wavelength",
            all_positive(above("Bare array", RANDOM, "half", [n for n in grid if n > 1])),
        ),
    )


def _on_the_usual_model(grid: Grid) -> tuple[Claim, ...]:
    several = [n for n in grid if n > 1]
    return (
        Claim(
            "U1-quarter",
            "a quarter wavelength apart, the usual model promises more than its phases deliver",
            "usual minus delivered > 0 from two layers on",
            all_positive(above(USUAL, DELIVERED, "quarter", several)),
        ),
        Claim(
            "U1-diverges",
            "there its promise rises with every layer while what it delivers ends below one layer's",
            "steps of the promise, and delivered at one minus at most layers > 0",
            all_positive(steps("quarter", grid, USUAL) | _ahead(DELIVERED, "quarter", 1, [grid[-1]])),
        ),
        Claim(
            "U1-above-optimum",
            "with four layers or more the promise exceeds the coupled optimum",
            "usual minus coupled > 0 at a quarter wavelength",
            all_positive(above(USUAL, COUPLED, "quarter", [n for n in grid if n > 3])),
        ),
        Claim(
            "U2-half",
            "half a wavelength apart, it over-promises from two layers on",
            "usual minus delivered > 0",
            all_positive(above(USUAL, DELIVERED, "half", several)),
        ),
        Claim(
            "U2-one",
            "with one layer it keeps its promise within 5 %",
            "delivered over usual 0.95 to 1.05",
            all_within({"delivered over usual": (at(DELIVERED, "half", 1), at(USUAL, "half", 1))}, 0.95, 1.05),
        ),
        Claim(
            "U3-passive",
            "passive propagation removes the promise, not the loss: at a quarter wavelength it delivers no more",
            "delivered minus delivered by the band-limited model > 0",
            all_positive(above(DELIVERED, "Delivered, band-limited", "quarter", several)),
        ),
        Claim(
            "U4-under-promises",
            "the coupled optimum is above the usual model's promise at half a wavelength",
            "coupled minus usual > 0",
            all_positive(above(COUPLED, USUAL, "half", grid)),
        ),
        Claim(
            "U5-worthless",
            "at a quarter wavelength with many layers, the delivered phases are no better than random ones",
            "random minus delivered > 0 at the most layers",
            all_positive(above(RANDOM, DELIVERED, "quarter", [grid[-1]])),
        ),
        Claim(
            "U6-total",
            "at a fixed total number of atoms the usual model, too, falls with layers",
            "differences between neighbours, first minus second > 0",
            all_positive({name: _negative(step) for name, step in steps("total", grid, USUAL).items()}),
        ),
    )


def _on_sensitivity(grid: Grid) -> tuple[Claim, ...]:
    return (
        Claim(
            "S1-phase-errors",
            "phase errors of 0.2 rad cost more the more layers there are",
            "cost at most minus at one layer > 0",
            all_positive(cost_grows("phase_error_20", "phase errors", grid)),
        ),
        Claim(
            "S2-loss",
            "so does a loss of 0.5 dB an atom",
            "cost at most minus at one layer > 0",
            all_positive(cost_grows("lossy", "loss", grid)),
        ),
        Claim(
            "S3-bandwidth",
            "the bandwidth shrinks with layers: 2 % off the carrier costs more",
            "cost at most minus at one layer > 0",
            all_positive(cost_grows("two_percent_off", "2 % off the carrier", grid)),
        ),
        Claim(
            "S4-still-ahead",
            "off the carrier and with phase errors the coupled design stays above the bare array",
            "coupled minus bare array > 0 at half a wavelength",
            all_positive(
                {
                    f"{variable} of Coupled minus Bare array at {n}": minus(
                        at(COUPLED, "half", n, variable), at("Bare array", "half", n, variable)
                    )
                    for variable in ("phase_error_20", "two_percent_off")
                    for n in grid
                }
            ),
        ),
    )


def at(scheme: str, family: str, layers: Number, variable: str = RATE) -> Samples:
    """Return one model at one point."""
    return at_point(scheme, {"n_layers": layers, "family": family}, variable)


def steps(family: str, grid: Grid, scheme: str = COUPLED, variable: str = RATE) -> Quantities:
    """Return what a model gains from every number of layers to the next."""
    return {
        f"{scheme} from {a} to {b} layers, {family}": minus(
            at(scheme, family, b, variable), at(scheme, family, a, variable)
        )
        for a, b in itertools.pairwise(grid)
    }


def cost_grows(variable: str, words: str, grid: Grid, ideal: str = RATE) -> Quantities:
    """Return how much more something costs the coupled design at the most layers than at the fewest."""
    costs = [minus(at(COUPLED, "half", n, ideal), at(COUPLED, "half", n, variable)) for n in (grid[0], grid[-1])]
    return {f"cost of {words} at {grid[-1]} minus at {grid[0]} layers": minus(costs[1], costs[0])}


def _diminishing(family: str, grid: Grid) -> Quantities:
    """Return the second layer's gain minus the gain a layer of every later step."""

    def gain(a: Number, b: Number) -> Samples:
        step = minus(at(COUPLED, family, b), at(COUPLED, family, a))
        return lambda results: step(results) / (b - a)

    first = gain(*grid[:2])
    return {
        f"gain of layer {grid[1]} minus gain a layer from {a} to {b}, {family}": minus(first, gain(a, b))
        for a, b in itertools.pairwise(grid[1:])
    }


def _ahead(scheme: str, family: str, layers: Number, others: Iterable[Number]) -> Quantities:
    return {
        f"{scheme} at {layers} minus at {other} layers, {family}": minus(
            at(scheme, family, layers), at(scheme, family, other)
        )
        for other in others
    }


def above(upper: str, lower: str, family: str, grid: Iterable[Number], variable: str = RATE) -> Quantities:
    """Return one model minus another at every number of layers."""
    return {
        f"{upper} minus {lower} at {n} layers, {family}": minus(
            at(upper, family, n, variable), at(lower, family, n, variable)
        )
        for n in grid
    }


def _over_bound(family: str, layers: Number) -> Samples:
    rate, bound = at(COUPLED, family, layers), at(COUPLED, family, layers, "upper_bound")
    return lambda results: rate(results) / bound(results)


def _negative(a: Samples) -> Samples:
    return lambda results: -a(results)
