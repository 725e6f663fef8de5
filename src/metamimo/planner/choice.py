"""What the stored designs of a plan say: ranking, Pareto front, crossover with the bare array, recommendation."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metamimo.errors import FeasibilityError
from metamimo.experiments.statistics import Estimate, mean_estimate
from metamimo.planner.plan_file import Plan
from metamimo.planner.study import BARE, STACK

if TYPE_CHECKING:
    from metamimo.experiments.results import Results


Finalists = frozenset[tuple[int, int, int]]
"""(layers, elements, ports) of the cells that met the final draws."""
MOST_FINALISTS = 8
_CLOSE = 3.0
"""Paired standard errors below the best within which a cell goes to the final."""


@dataclass(frozen=True)
class Cell:
    """One cell of the grid.

    Attributes:
        layers, elements, ports: the design.
        efficiency: energy efficiency of each draw [Mbit/J]; nan where the rates were missed.
        rate: sum rate of each draw [bit/s/Hz].
        price: what it costs.
    """

    layers: int
    elements: int
    ports: int
    efficiency: np.ndarray
    rate: np.ndarray
    price: float

    @property
    def name(self) -> str:
        """How the cell is called in tables."""
        return f"L={self.layers} N={self.elements} M={self.ports}"

    @property
    def key(self) -> tuple[int, int, int]:
        """Layers, elements, ports."""
        return self.layers, self.elements, self.ports

    @property
    def outage(self) -> float:
        """Share of draws without a design that meets the rates."""
        return float(np.isnan(self.efficiency).mean())

    @property
    def mean(self) -> Estimate:
        """Mean energy efficiency [Mbit/J]."""
        return mean_estimate(self.efficiency)

    @property
    def mean_rate(self) -> float:
        """Mean sum rate [bit/s/Hz]."""
        return mean_estimate(self.rate).mean


@dataclass(frozen=True)
class Advice:
    """The answer to a plan.

    Attributes:
        ranked: cells that are within the limits and met the rates in every draw, best first.
        left_out: cells beyond the budget or with outage.
        best: first of the ranked.
        ties: cells that are not clearly worse than the best, two paired standard errors.
        pareto: cells that no other cell beats in both energy efficiency and sum rate, by rising rate.
        crossover: antennas to (best stack minus bare array), paired [Mbit/J].
    """

    ranked: tuple[Cell, ...]
    left_out: tuple[Cell, ...]
    best: Cell
    ties: tuple[Cell, ...]
    pareto: tuple[Cell, ...]
    crossover: dict[int, Estimate]


def advise(plan: Plan, stacks: "Results", bare: "Results", finalists: Finalists = frozenset()) -> Advice:
    """Return the advice that the stored designs support.

    Args:
        plan: the plan.
        stacks: results of `stack_study`.
        bare: results of `bare_study`.
        finalists: cells that have the final draws, too.

    Raises:
        FeasibilityError: if no cell is within the limits and meets the rates in every draw.
    """
    cells = [
        _cell(plan, stacks, finalists, layers, elements, ports)
        for layers in plan.search.n_layers
        for elements in plan.elements_that_fit()
        for ports in plan.search.n_ports
    ]
    budget = np.inf if plan.limits.budget is None else plan.limits.budget
    allowed = [cell for cell in cells if cell.price <= budget and cell.outage == 0]
    if not allowed:
        raise FeasibilityError(
            f"plan {plan.name}: no cell of the search is within the budget and meets min_rate = "
            f"{plan.scenario.min_rate} bit/s/Hz in all {plan.draws} draws; raise power_dbm, the budget or the search, "
            "or lower min_rate"
        )
    ranked = sorted(allowed, key=lambda cell: -cell.mean.mean)
    best = ranked[0]
    return Advice(
        ranked=tuple(ranked),
        left_out=tuple(cell for cell in cells if cell not in allowed),
        best=best,
        ties=tuple(cell for cell in ranked[1:] if not clearly_above(best, cell)),
        pareto=tuple(_pareto(ranked)),
        crossover=_crossover(plan, ranked, bare),
    )


def contenders(advice: Advice) -> Finalists:
    """Return the best cell and those that may as well be it, at most `MOST_FINALISTS` of them."""
    close = [cell for cell in advice.ranked if cell is advice.best or not clearly_above(advice.best, cell, _CLOSE)]
    return frozenset(cell.key for cell in close[:MOST_FINALISTS])


def clearly_above(a: Cell, b: Cell, errors: float = 2.0) -> bool:
    """Tell whether one cell is above another by more than so many standard errors, paired on their common draws."""
    gap = _gap(a.efficiency, b.efficiency)
    return gap.mean > errors * gap.stderr


def _gap(a: np.ndarray, b: np.ndarray) -> Estimate:
    common = min(a.size, b.size)
    return mean_estimate(a[:common] - b[:common])


def _cell(plan: Plan, results: "Results", finalists: Finalists, layers: int, elements: int, ports: int) -> Cell:
    point = {"n_layers": layers, "n_elements": elements, "n_ports": ports}
    draws = plan.draws_of_finalists if (layers, elements, ports) in finalists else plan.draws
    return Cell(
        layers,
        elements,
        ports,
        results.samples("energy_efficiency", STACK, point)[:draws],
        results.samples("sum_rate", STACK, point)[:draws],
        plan.price(layers, elements, ports),
    )


def _pareto(cells: list[Cell]) -> list[Cell]:
    """Return the front; the cells come best energy efficiency first."""
    front: list[Cell] = []
    for cell in cells:
        if not front or cell.mean_rate > front[-1].mean_rate:
            front.append(cell)
    return front


def _crossover(plan: Plan, ranked: list[Cell], bare: "Results") -> dict[int, Estimate]:
    found = {}
    for ports in plan.search.n_ports:
        best = next((cell for cell in ranked if cell.ports == ports), None)
        if best is not None:
            without = bare.samples("energy_efficiency", BARE, {"n_ports": ports})
            found[ports] = _gap(best.efficiency, without)
    return found
