"""Claims on `fair`: at which price of a phase shifter a hybrid array and the stacked surface are equally efficient."""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from metamimo.experiments.claims import Claim, Verdict
from metamimo.experiments.statistics import RESAMPLES, Estimate, TooFewTrials
from metamimo.papers.checks import (
    EE,
    Check,
    Quantities,
    Samples,
    all_positive,
    at_point,
    minus,
)

if TYPE_CHECKING:
    from metamimo.experiments.results import Results

SIM = "SIM-LP, 4 layers"
SHALLOW = "SIM-LP, 2 layers"
SAMPLED = "SIM-LP, 4 layers, sampled kernel"
FLUX = "SIM-LP, 4 layers, +2.8 dB at the input"
FULL = "Hybrid, fully connected, passive combiners"
FULL_LOSSLESS = "Hybrid, fully connected, lossless network"
FULL_CREATING = "Hybrid, fully connected, no combiner loss (creates energy)"
SUB = "Hybrid, sub-connected"
SUB_FIXED = "Hybrid, sub-connected, fixed matching"
DIGITAL = "Digital, 100 chains"
BARE = "Digital, 16 chains, no surface"

HIGHEST_PRICE = 20e-3
"""The highest price swept [W]."""
PAPER_PRICE = 5e-3
"""A meta-element in the paper's parameters [W]."""
EXPECTED_PRICE = (6e-3, 7e-3)
"""Where an independent calculation with isotropic elements expects the break-even of the fully connected array [W]."""
_BOOTSTRAP_SEED = 20240901


def break_even(results: "Results", array: str, loss: float) -> Estimate:
    """Return the price of a phase shifter at which a hybrid array is as efficient as the better stack [W].

    That is the one with four or with two layers, of meta-elements at the paper's price and the same insertion loss. At
    full power an array consumes P_rest + n p, so 1 / EE is a line in the price p, and the line through the lowest and
    the highest stored price is exact, beyond them, too. Below zero the stack is ahead of free phase shifters.

    Args:
        results: stored results of `fair`.
        array: label of a hybrid array.
        loss: insertion loss [dB].

    Returns:
        The price with the interval of a bootstrap over common realisations.

    Raises:
        TooFewTrials: fewer than two realisations count in all three curves.
    """
    prices = results.dataset["element_power"].values.tolist()
    low, high = prices[0], prices[-1]
    points = ((array, low), (array, high), (SIM, PAPER_PRICE), (SHALLOW, PAPER_PRICE))
    samples = np.array([results.samples(EE, label, _point(price, loss)) for label, price in points])
    samples = samples[:, np.isfinite(samples).all(0)]
    count = samples.shape[1]
    if count < 2:
        raise TooFewTrials(f"{count} realisation(s) count in all curves, a break-even needs at least 2")

    draws = np.random.default_rng(_BOOTSTRAP_SEED).integers(count, size=(RESAMPLES, count))
    # The first column is the data themselves.
    means = np.column_stack([samples.mean(1), samples[:, draws].mean(-1)])
    cheap, dear, deep, shallow = 1 / means
    stack = np.minimum(deep, shallow)
    found = low + (high - low) * (stack - cheap) / (dear - cheap)
    bounds = np.quantile(found[1:], [0.025, 0.975])
    return Estimate(count, float(found[0]), float(found[1:].std(ddof=1)), *map(float, bounds))


def claims(prices: tuple[float, ...], losses: tuple[float, ...]) -> tuple[Claim, ...]:
    """Return what is claimed for stacked surfaces, and what an expert would expect instead.

    Args:
        prices: prices of the grid [W].
        losses: insertion losses of the grid [dB].
    """
    lossless, lossy = losses[:1], losses[1:]
    return (
        Claim(
            "V1-bare",
            "a stack of four lossless layers is more efficient than the same chains without a surface",
            "> 0",
            all_positive(_ahead(SIM, BARE, (PAPER_PRICE,), lossless), "5 mW a meta-element"),
        ),
        Claim(
            "V1-bare-lossy",
            f"with losses up to {losses[-1]:g} dB a layer it still is, if it may have two or four layers",
            "> 0",
            all_positive(
                {f"better stack minus {BARE} at {loss:g} dB": _better_stack_minus_bare(loss) for loss in lossy},
                "5 mW a meta-element; the better of the two stacks in each realisation",
            ),
        ),
        Claim(
            "V1-digital",
            "the lossless stack is more efficient than a digital array on its aperture",
            "> 0",
            all_positive(_ahead(SIM, DIGITAL, prices, lossless)),
        ),
        Claim(
            "V1-full",
            "a fully connected hybrid array with a lossless network breaks even with the stack at 6 to 7 mW a phase "
            "shifter where nothing is lost",
            "6 to 7 mW",
            _breaks_even(FULL_LOSSLESS, losses, *EXPECTED_PRICE, "6 to 7 mW is a calculation with isotropic elements"),
        ),
        Claim(
            "V1-full-passive",
            "with passive combiners it is behind even with free phase shifters where nothing is lost",
            "break-even below 0 mW",
            _breaks_even(FULL, losses, -np.inf, 0.0, "below zero the stack is ahead at any price"),
        ),
        Claim(
            "V1-full-energy",
            "a fully connected network without combiner loss, as much of the literature has it, creates energy",
            "energy gain minus one > 0",
            all_positive(
                {"energy gain minus one": _less_one(at_point(FULL_CREATING, _point(PAPER_PRICE, 0.0), "energy_gain"))},
                "its curve is no architecture, it shows what the omission is worth",
            ),
        ),
        Claim(
            "V1-sub",
            "the lossless stack is more efficient than a sub-connected hybrid array at equal prices",
            "> 0",
            all_positive(_ahead(SIM, SUB, prices, lossless) | _ahead(SIM, SUB_FIXED, prices, lossless)),
        ),
        Claim(
            "V1-sub-price",
            f"a sub-connected array breaks even with the lossless stack below {1e3 * HIGHEST_PRICE:g} mW a shifter",
            f"break-even below {1e3 * HIGHEST_PRICE:g} mW",
            _breaks_even(SUB, losses, -np.inf, HIGHEST_PRICE, "100 phase shifters against 400 or 200 meta-elements"),
        ),
        Claim(
            "V1-input",
            "counting the antennas' flux instead of their accepted power, at most 2.8 dB, puts the stack ahead of the "
            "sub-connected array",
            "> 0",
            all_positive(_ahead(FLUX, SUB, (PAPER_PRICE,), lossless), "5 mW an element"),
        ),
    )


def _point(price: float, loss: float) -> dict[str, float]:
    return {"element_power": price, "insertion_loss_db": loss}


def _ahead(upper: str, lower: str, prices: tuple[float, ...], losses: tuple[float, ...]) -> Quantities:
    return {
        f"{upper} minus {lower} at {1e3 * price:g} mW, {loss:g} dB": minus(
            at_point(upper, _point(price, loss)), at_point(lower, _point(price, loss))
        )
        for price, loss in itertools.product(prices, losses)
    }


def _better_stack_minus_bare(loss: float) -> Samples:
    deep, shallow, bare = (at_point(label, _point(PAPER_PRICE, loss)) for label in (SIM, SHALLOW, BARE))
    return lambda results: np.maximum(deep(results), shallow(results)) - bare(results)


def _less_one(samples: Samples) -> Samples:
    return lambda results: samples(results) - 1


def _breaks_even(array: str, losses: tuple[float, ...], low: float, high: float, note: str) -> Check:
    """Return a check that the break-even at the first loss lies between two prices [W]; its note lists all losses."""

    def check(results: "Results") -> Verdict:
        found = [break_even(results, array, loss) for loss in losses]
        price, margin = found[0].mean, 2 * found[0].stderr
        inside = low <= price - margin and price + margin <= high
        outside = price + margin < low or price - margin > high
        each = ", ".join(
            f"{1e3 * e.mean:.3g} ± {1e3 * e.stderr:.2g} mW at {loss:g} dB"
            for e, loss in zip(found, losses, strict=True)
        )
        holds = True if inside else False if outside else None
        return Verdict(holds, 1e3 * price, 1e3 * found[0].stderr, f"{each}, n={found[0].n}; {note}")

    return check
