"""Claims on Figs. 3 and 4: energy efficiency and sum rate against antennas and meta-atoms."""

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
from metamimo.papers.sim_miso_ee.claims.labels import (
    ALL_CHAINS,
    DIGITAL,
    JOINT,
    NO_SIM,
    PGA,
    PGA_ALL_CHAINS,
    SE,
    WAVE,
)


def fig3(ports: Grid, elements: Grid) -> tuple[Claim, ...]:
    """Return the claims on Figs. 3 and 4.

    Args:
        ports: numbers of antennas.
        elements: numbers of meta-atoms a layer.
    """
    n, few, many = elements[0], ports[0], ports[-1]
    middle = ports[len(ports) // 2]
    return (
        Claim(
            "C3",
            "with all chains charged, energy efficiency rises with the antennas, peaks, and falls",
            "> 0",
            all_positive(_peak(ALL_CHAINS, ports, n) | _peak(PGA_ALL_CHAINS, ports, n)),
        ),
        Claim(
            "C4",
            "with selected chains it does not fall: more antennas reach a plateau",
            "most antennas over the middle of the grid 0.98 to 1.1",
            all_within(
                {
                    f"{JOINT}, {many} over {middle} antennas, N={count}": (
                        _at(JOINT, many, count),
                        _at(JOINT, middle, count),
                    )
                    for count in elements
                },
                0.98,
                1.1,
                "the band is ours",
            ),
        ),
        Claim(
            "C5",
            "the best hybrid scheme is above Wave-SIM by 15 %, and above Digital-Pre by 80 %",
            "Hybrid-Joint minus 1.15 Wave-SIM, minus 1.8 Digital-Pre > 0",
            all_positive(
                _above(JOINT, WAVE, 1.15, ports, elements, EE) | _above(JOINT, DIGITAL, 1.8, ports, elements, EE)
            ),
        ),
        Claim(
            "C5-pga",
            "Hybrid-PGA lies above Wave-SIM and Digital-Pre",
            "> 0",
            all_positive(_above(PGA, WAVE, 1.0, ports, elements, EE) | _above(PGA, DIGITAL, 1.0, ports, elements, EE)),
        ),
        Claim(
            "C6",
            "the sum rate grows with the antennas",
            "> 0",
            all_positive(
                {
                    f"sum rate of {ALL_CHAINS}, {many} minus {few} antennas, N={count}": minus(
                        _at(ALL_CHAINS, many, count, SE), _at(ALL_CHAINS, few, count, SE)
                    )
                    for count in elements
                }
            ),
        ),
        Claim(
            "C7",
            "the sum rate is above Wave-SIM by 10 %, and above Digital-Pre by 79 %",
            "Hybrid-Joint minus 1.1 Wave-SIM, minus 1.79 Digital-Pre > 0",
            all_positive(
                _above(JOINT, WAVE, 1.1, ports, elements, SE) | _above(JOINT, DIGITAL, 1.79, ports, elements, SE)
            ),
        ),
        Claim(
            "C8",
            "more meta-atoms can replace antennas: 10 % more sum rate at the same number of antennas",
            "largest over smallest N above 1.05",
            all_within(_atoms(ports, elements), 1.05, 2.0, "the band is ours"),
        ),
        Claim(
            "V-no-sim",
            "the stack is more energy efficient than the same antennas without it (the paper does not ask)",
            "Hybrid-Joint minus No-SIM > 0",
            all_positive(_above(JOINT, NO_SIM, 1.0, ports, elements, EE), "the spec expects that it is not"),
        ),
    )


def _at(scheme: str, ports: Number, elements: Number, variable: str = EE) -> Samples:
    return at_point(scheme, {"n_ports": ports, "n_elements": elements}, variable)


def _above(top: str, bottom: str, factor: float, ports: Grid, elements: Grid, variable: str) -> Quantities:
    def gap(p: Number, n: Number) -> Samples:
        upper, lower = _at(top, p, n, variable), _at(bottom, p, n, variable)
        return lambda results: upper(results) - factor * lower(results)

    return {
        f"{variable} of {top} minus {factor:g} times {bottom}, M={p}, N={n}": gap(p, n) for p in ports for n in elements
    }


def _peak(scheme: str, ports: Grid, n: Number) -> Quantities:
    if len(ports) < 3:
        return {}
    best = ports[1]
    return {
        f"{scheme}, {best} minus {other} antennas, N={n}": minus(_at(scheme, best, n), _at(scheme, other, n))
        for other in (ports[0], ports[-1])
    }


def _atoms(ports: Grid, elements: Grid) -> Pairs:
    if len(elements) < 2:
        return {}
    return {
        f"sum rate of {ALL_CHAINS}, N={elements[-1]} over {elements[0]}, M={p}": (
            _at(ALL_CHAINS, p, elements[-1], SE),
            _at(ALL_CHAINS, p, elements[0], SE),
        )
        for p in ports
    }
