"""Claims on Fig. 10: energy efficiency against meta-atoms for several powers of a meta-atom."""

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


def fig10(elements: Grid, prices: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 10.

    Args:
        elements: numbers of meta-atoms a layer.
        prices: powers of a meta-atom [W].
    """
    return (
        Claim(
            "C21",
            "energy efficiency rises with the meta-atoms, peaks, and falls",
            "> 0",
            all_positive(_peaks(elements, prices)),
        ),
        Claim(
            "C22",
            "a larger power of a meta-atom is always worse, and the gap grows with their number",
            "> 0",
            all_positive(_worse(elements, prices)),
        ),
        Claim(
            "C23-few",
            "5 dBm is 170 % above 20 dBm at one number of meta-atoms",
            "ratio reaches 2.7 between the smallest and the largest number",
            all_positive(_reaches(elements, prices, 2.7)),
        ),
        Claim(
            "C23-many",
            "5 dBm is 400 % above 20 dBm at another",
            "ratio reaches 5",
            all_positive(
                _reaches(elements, prices, 5.0),
                "in milliwatts no design could exceed EE(5) / EE(20) = 20 / 5, so the unit of the figure is dBm",
            ),
        ),
        Claim(
            "C23-milliwatt",
            "the ratio of two prices bounds that of the energy efficiencies",
            "EE(5 dBm) over EE(20 dBm) times 1 / 31.6 at most 1",
            all_within(_bounded(elements, prices), 0.0, 1.0),
        ),
    )


def _at(n: Number, price: Number) -> Samples:
    return at_point(ALL_CHAINS, {"n_elements": n, "element_power": price}, EE)


def _peaks(elements: Grid, prices: Grid) -> Quantities:
    """Return the rise to, and the fall from, the middle of the grid of the two outer prices."""
    if len(elements) < 3:
        return {}
    found = {}
    for price in (prices[0], prices[-1]):
        best = elements[-3] if price == prices[0] else elements[len(elements) // 3]
        for other in (elements[0], elements[-1]):
            name = f"{1e3 * price:.3g} mW, N={best} minus {other}"
            found[name] = minus(_at(best, price), _at(other, price))
    return found


def _worse(elements: Grid, prices: Grid) -> Quantities:
    low, high = prices[0], prices[-1]
    gaps = {n: minus(_at(n, low), _at(n, high)) for n in elements}
    found = {f"{1e3 * low:.3g} minus {1e3 * high:.3g} mW, N={n}": gap for n, gap in gaps.items()}
    # The gap itself must shrink again once both are small; the ratio tells what the paper means.
    first, last = elements[0], elements[-1]
    found[f"ratio at N={last} minus ratio at N={first}"] = minus(_ratio(last, low, high), _ratio(first, low, high))
    return found


def _ratio(n: Number, low: float, high: float) -> Samples:
    top, bottom = _at(n, low), _at(n, high)
    return lambda results: top(results) / bottom(results)


def _reaches(elements: Grid, prices: Grid, level: float) -> Quantities:
    low, high = prices[0], prices[-1]
    at_most, at_least = _ratio(elements[0], low, high), _ratio(elements[-1], low, high)
    return {
        f"{level:g} minus ratio at N={elements[0]}": lambda results: level - at_most(results),
        f"ratio at N={elements[-1]} minus {level:g}": lambda results: at_least(results) - level,
    }


def _bounded(elements: Grid, prices: Grid) -> Pairs:
    low, high = prices[0], prices[-1]

    def scaled(n: Number) -> Samples:
        return lambda results: _at(n, low)(results) * low / high

    return {f"N={n}": (scaled(n), _at(n, high)) for n in elements}
