"""Claims on Figs. 5 and 6: energy efficiency and sum rate over power limits and least rates."""

import itertools

from metamimo.experiments.claims import Claim
from metamimo.papers.checks import EE, Grid, Number, Quantities, Samples, all_positive, at_point, minus, not_monotone
from metamimo.papers.sim_miso_ee.claims.labels import ALL_CHAINS, SE

EFFICIENT, FULL_POWER = "energy_efficiency", "sum_rate"


def fig5(elements: Grid, powers: Grid, rates: Grid) -> tuple[Claim, ...]:
    """Return the claims on Figs. 5 and 6.

    Args:
        elements: numbers of meta-atoms a layer.
        powers: power limits [dBm].
        rates: least rates [bit/s/Hz].
    """
    n = 36 if 36 in elements else elements[-1]
    curve = [_at(n, power, rates[0], FULL_POWER) for power in powers]
    efficient = {
        f"energy efficiency from {a:g} to {b:g} dBm, N={n}": minus(_at(n, b, rates[0]), _at(n, a, rates[0]))
        for a, b in zip(powers[:1], powers[-1:], strict=True)
    }
    return (
        Claim(
            "C9-full-power",
            "energy efficiency rises and then falls with the power limit, where all power is used",
            "one clear rise and one clear fall",
            not_monotone({f"full power, N={n}": curve}),
        ),
        Claim(
            "C9",
            "energy efficiency falls at large power limits",
            "least limit minus largest > 0",
            all_positive(
                {name: _negative(samples) for name, samples in efficient.items()},
                "cannot hold: the limit is an inequality, so more never lowers the optimum; Fig. 7 agrees with that",
            ),
        ),
        Claim(
            "C10",
            "a larger least rate lowers the energy efficiency, the more the larger it is",
            "> 0",
            all_positive(_price_of_rates(n, powers, rates)),
        ),
        Claim(
            "C11",
            "the sum rate grows with the power limit with diminishing returns",
            "> 0",
            all_positive(_diminishing(n, powers, rates[0])),
        ),
        Claim(
            "C12",
            "at a high power limit a larger least rate raises the sum rate of the efficient design",
            "> 0",
            all_positive(
                {
                    f"sum rate at {rates[-1]:g} minus {rates[0]:g} bit/s/Hz, {powers[-1]:g} dBm, N={n}": minus(
                        _at(n, powers[-1], rates[-1], EFFICIENT, SE), _at(n, powers[-1], rates[0], EFFICIENT, SE)
                    )
                },
                "at 10 dBm large least rates are infeasible, not harmless: those points have no curve",
            ),
        ),
    )


def _at(n: Number, power: Number, rate: Number, objective: str = EFFICIENT, variable: str = EE) -> Samples:
    point = {"n_elements": n, "power_dbm": power, "min_rate": rate, "objective": objective}
    return at_point(ALL_CHAINS, point, variable)  # type: ignore[arg-type]


def _negative(samples: Samples) -> Samples:
    return lambda results: -samples(results)


def _price_of_rates(n: Number, powers: Grid, rates: Grid) -> Quantities:
    power = powers[-1]
    value = [_at(n, power, rate) for rate in rates]
    found = {f"{rates[0]:g} minus {rates[-1]:g} bit/s/Hz at {power:g} dBm, N={n}": minus(value[0], value[-1])}
    if len(rates) > 2:
        first, second = minus(value[0], value[1]), minus(value[1], value[2])
        found[f"loss from {rates[1]:g} to {rates[2]:g} minus that from {rates[0]:g} to {rates[1]:g}"] = minus(
            second, first
        )
    return found


def _diminishing(n: Number, powers: Grid, rate: Number) -> Quantities:
    value = [_at(n, power, rate, FULL_POWER, SE) for power in powers]
    steps = [minus(b, a) for a, b in itertools.pairwise(value)]
    found = {f"sum rate from {a:g} dBm on, N={n}": step for a, step in zip(powers, steps, strict=False)}
    pairs = zip(powers[1:], steps, steps[1:], strict=False)
    return found | {f"step before {a:g} dBm minus step after": minus(first, second) for a, first, second in pairs}
