"""Claims on Fig. 7: energy efficiency with phases of a few bits. Bits 0 stand for continuous phases."""

import itertools

from metamimo.experiments.claims import Claim
from metamimo.papers.checks import (
    Grid,
    Number,
    Pairs,
    Quantities,
    Samples,
    all_positive,
    all_within,
    at_point,
    minus,
    over,
)

CONTINUOUS = 0
REOPTIMISED = ("SIM-DPC re-optimised", "SIM-LP re-optimised")
ROUNDED = "SIM-LP rounded"
DISCRETE = "SIM-LP discrete"
SHALLOW = 4
"""The paper's larger number of layers for which it finds three bits enough."""
ENOUGH = 0.93
"""Share of the continuous energy efficiency that counts as enough; ours, the paper gives no number."""


def fig7(bits: Grid, layers: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 7, and two of our own on how the phases are made discrete.

    Args:
        bits: bits of the phases; 0 for continuous ones.
        layers: numbers of layers, ascending.
    """
    finite = tuple(sorted(b for b in bits if b != CONTINUOUS))
    deep = tuple(depth for depth in layers if depth > SHALLOW)
    return (
        Claim(
            "7a",
            "energy efficiency falls with fewer bits",
            "> 0",
            all_positive(_finer_is_better((*finite, CONTINUOUS), layers)),
        ),
        Claim(
            "7b",
            "the share that is kept of the continuous energy efficiency is smaller for more layers",
            "> 0",
            all_positive(_deeper_keeps_less(finite, layers)),
        ),
        Claim(
            "7c-shallow",
            "three bits suffice for 2 and 4 layers",
            f"share kept at least {ENOUGH}",
            all_within(_shares(3, (2, SHALLOW)), ENOUGH, float("inf"), "the bound is ours"),
        ),
        Claim(
            "7c-deep",
            "three bits do not suffice for more layers",
            f"share kept below {ENOUGH}",
            all_within(_shares(3, deep or (8,)), float("-inf"), ENOUGH, "the bound is ours"),
        ),
        Claim(
            "7-own-discrete",
            "not in the paper: phases optimised as discrete variables beat rounding and re-optimising at 1 and 2 bits",
            "> 0",
            all_positive(_higher(DISCRETE, REOPTIMISED[1], (1, 2), layers)),
        ),
        Claim(
            "7-own-rounding",
            "not in the paper: rounding without re-optimisation of the precoder is worse at every number of bits",
            "> 0",
            all_positive(_higher(REOPTIMISED[1], ROUNDED, finite, layers)),
        ),
    )


def _at(scheme: str, layers: Number, bits: Number) -> Samples:
    return at_point(scheme, {"n_layers": layers, "bits": bits})


def _share(scheme: str, layers: Number, bits: Number) -> Samples:
    return over(_at(scheme, layers, bits), _at(scheme, layers, CONTINUOUS))


def _finer_is_better(order: Grid, layers: Grid) -> Quantities:
    return {
        f"{scheme} with {depth} layers from {a} to {b or 'infinitely many'} bits": minus(
            _at(scheme, depth, b), _at(scheme, depth, a)
        )
        for scheme in REOPTIMISED
        for depth in layers
        for a, b in itertools.pairwise(order)
    }


def _deeper_keeps_less(bits: Grid, layers: Grid) -> Quantities:
    return {
        f"share of {scheme} at {b} bits, {few} minus {more} layers": minus(
            _share(scheme, few, b), _share(scheme, more, b)
        )
        for scheme in REOPTIMISED
        for b in bits
        for few, more in itertools.pairwise(layers)
    }


def _shares(bits: Number, layers: Grid) -> Pairs:
    return {
        f"share of {scheme} at {bits} bits with {depth} layers": (
            _at(scheme, depth, bits),
            _at(scheme, depth, CONTINUOUS),
        )
        for scheme in REOPTIMISED
        for depth in layers
    }


def _higher(upper: str, lower: str, bits: Grid, layers: Grid) -> Quantities:
    return {
        f"{upper} minus {lower} at {b} bits with {depth} layers": minus(_at(upper, depth, b), _at(lower, depth, b))
        for b in bits
        for depth in layers
    }
