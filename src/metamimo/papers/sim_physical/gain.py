"""`gain`: one antenna, one direction. The gain that a stack promises, delivers and can have at most."""

from typing import TYPE_CHECKING

import numpy as np

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import scenario_at
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.papers.checks import Grid, Number, Quantities, Samples, all_positive, minus
from metamimo.papers.sim_physical import layers
from metamimo.papers.sim_physical.claims import above, at, cost_grows, steps
from metamimo.papers.sim_physical.scenario import LAYERS, Family, SimPhysical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metamimo.experiments.config import Experiment
    from metamimo.experiments.tasks import Task

FAMILIES: tuple[Family, ...] = ("quarter", "half", "whole")
TITLES = {"quarter": "a quarter wavelength apart", "half": "half a wavelength apart", "whole": "a wavelength apart"}
_GAIN, _LIMIT = "gain", "gain_limit"
_RATES = {_GAIN: "sum_rate", _LIMIT: "upper_bound", **{f"gain_{name}": name for name in layers.AWAY}}
"""Gain of every rate at one watt: 2^R = 1 + SNR gain."""
VARIABLES = (
    *layers.VARIABLES,
    Variable(_GAIN, unit="dBi", long_name="Broadside gain"),
    Variable(_LIMIT, unit="dBi", long_name="Gain of any currents"),
    Variable("gain_phase_error_20", unit="dBi", long_name="Gain at phase errors of 0.2 rad"),
    Variable("gain_lossy", unit="dBi", long_name="Gain with lossy atoms"),
    Variable("gain_two_percent_off", unit="dBi", long_name="Gain 2 % off the carrier"),
)


def compute(experiment: "Experiment", task: "Task") -> "Mapping[str, np.ndarray]":
    """Run one task, and express its rates as gains."""
    results = dict(layers.compute(experiment, task))
    scenario = scenario_at(experiment, task.index)
    assert isinstance(scenario, SimPhysical)
    for name, rate in _RATES.items():
        results[name] = 10 * np.log10(np.expm1(results[rate] * np.log(2)) / scenario.snr)
    return results


def gain(mode: str) -> Study:
    """Return the study: broadside gain of one antenna against layers, for three distances between them."""
    full = mode == "full"
    grid = LAYERS if full else LAYERS[:3]
    families = FAMILIES if full else FAMILIES[:2]
    panels = [Panel(_GAIN, x="n_layers", fixed={"family": f}, title=f"25 atoms a layer, {TITLES[f]}") for f in families]
    panels += [Panel(_LIMIT, x="n_layers", fixed={"family": "quarter"}, title=TITLES["quarter"])]
    return layers.study(
        "gain",
        "Broadside gain of one antenna: promised, delivered, optimal, and the most that any currents have",
        SimPhysical(n_ports=1, n_users=1, broadside=True),
        (grid, families),
        claims(grid),
        trials=10 if full else 4,
        chunk=5 if full else 4,
        compute=compute,
        variables=VARIABLES,
        headline=_GAIN,
        panels=tuple(panels),
    )


def claims(grid: Grid) -> tuple[Claim, ...]:
    """Return the claims; realisations are sets of starts.

    Args:
        grid: numbers of layers.
    """
    return (
        Claim(
            "G1-impossible",
            "a quarter wavelength apart and with three layers or more, the usual model promises an impossible gain",
            "promise minus the limit of any currents > 0",
            all_positive(_beyond_limit("quarter", [n for n in grid if n >= 3])),
        ),
        Claim(
            "G2-possible",
            "half a wavelength apart its promise is below that limit",
            "limit minus promise > 0",
            all_positive(_below_limit("half", grid)),
        ),
        Claim(
            "G3-missed",
            "but it is missed from two layers on",
            "usual minus delivered > 0 at half a wavelength",
            all_positive(above("Usual", "Delivered", "half", [n for n in grid if n > 1], _GAIN)),
        ),
        Claim(
            "G4-nested",
            "every further layer raises the coupled optimum",
            "differences between neighbours > 0 at a quarter and half a wavelength",
            all_positive(
                {
                    name: step
                    for family in ("quarter", "half")
                    for name, step in steps(family, grid, variable=_GAIN).items()
                }
            ),
        ),
        Claim(
            "G5-phase-errors",
            "phase errors of 0.2 rad cost more the more layers there are",
            "cost at most minus at one layer > 0 at half a wavelength",
            all_positive(cost_grows("gain_phase_error_20", "phase errors", grid, _GAIN)),
        ),
        Claim(
            "G6-bandwidth",
            "2 % off the carrier cost more the more layers there are",
            "cost at most minus at one layer > 0 at half a wavelength",
            all_positive(cost_grows("gain_two_percent_off", "2 % off the carrier", grid, _GAIN)),
        ),
    )


def _beyond_limit(family: Family, grid: "Iterable[Number]") -> Quantities:
    return {f"Usual minus limit at {n} layers, {family}": minus(_promise(family, n), _limit(family, n)) for n in grid}


def _below_limit(family: Family, grid: "Iterable[Number]") -> Quantities:
    return {f"limit minus Usual at {n} layers, {family}": minus(_limit(family, n), _promise(family, n)) for n in grid}


def _promise(family: Family, layers: Number) -> Samples:
    return at("Usual", family, layers, _GAIN)


def _limit(family: Family, layers: Number) -> Samples:
    """Return the limit of any currents, which the coupled model knows."""
    return at("Coupled", family, layers, _LIMIT)
