"""Table I: leading terms of the multiplications of one outer iteration, for each solver of the elements."""

from collections.abc import Callable, Mapping

import numpy as np

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, SchemeChoice, scenario_at
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.checks import Grid, Pairs, all_within, at
from metamimo.papers.hmimo_multicell.figures import study
from metamimo.papers.hmimo_multicell.scenario import HolographicCells

AXIS, COUNT = "per_strip", "multiplications"
STEPS = 10
"""Steps of majorisation and minimisation."""
VARIABLES = (
    Variable(COUNT, long_name="Multiplications of an iteration, leading terms"),
    Variable("status", dtype="int32", long_name="Status (0: defined)"),
)


def shared(scenario: HolographicCells) -> float:
    """Return L^2 K (N_u M + d M^2) + L K N_u^3: receivers, weights, precoders and quadratics of all stations."""
    cells, users, rx = scenario.n_cells, scenario.n_users, scenario.n_rx
    elements = scenario.n_chains * scenario.per_strip
    return cells**2 * users * (rx * elements + rx * elements**2) + cells * users * rx**3


def hidden_convexity(scenario: HolographicCells) -> float:
    """Return the shared part and L M^3, an eigendecomposition a station."""
    return shared(scenario) + scenario.n_cells * _elements(scenario) ** 3


def majorisation(scenario: HolographicCells) -> float:
    """Return the shared part, L M^3 for the largest eigenvalue, and L T M^2 for the steps."""
    elements = _elements(scenario)
    return shared(scenario) + scenario.n_cells * (elements**3 + STEPS * elements**2)


def sphere_decoding(scenario: HolographicCells) -> float:
    """Return the shared part, L M^4 for the bounds of all levels, and L 2^M M^2 if every node has to be visited."""
    elements = _elements(scenario)
    return shared(scenario) + scenario.n_cells * (elements**4 + 2.0**elements * elements**2)


COUNTS: dict[str, Callable[[HolographicCells], float]] = {
    "WMMSE-HC": hidden_convexity,
    "WMMSE-MM": majorisation,
    "WMMSE-SD, worst case": sphere_decoding,
}


def compute(experiment: Experiment, task: Task) -> Mapping[str, np.ndarray]:
    """Return the count of one solver at one grid point."""
    scenario = scenario_at(experiment, task.index)
    assert isinstance(scenario, HolographicCells)
    count = COUNTS[experiment.schemes[task.scheme].label](scenario)
    return {COUNT: np.full(task.count, count), "status": np.zeros(task.count, np.int32)}


def table1(mode: str) -> Study:
    """Return Table I: multiplications of an iteration against elements of a strip."""
    counts = (2, 4, 6, 8) if mode == "full" else (2, 4)
    return study(
        "table1",
        "Multiplications of an outer iteration, leading terms",
        (Axis(name=AXIS, values=counts, label="Elements of a strip $N$"),),
        tuple(SchemeChoice(label=label, scheme="count") for label in COUNTS),
        claims(counts),
        mode,
        compute=compute,
        variables=VARIABLES,
        sizes={},
        headline=COUNT,
        panels=(Panel(COUNT, y_scale="log"),),
    )


def claims(counts: Grid) -> tuple[Claim, ...]:
    """Return the claims on Table I.

    Args:
        counts: elements of a strip.
    """
    first, last = counts[0], counts[-1]

    def growth(label: str) -> Pairs:
        return {f"{label}, {last:g} over {first:g}": (at(label, AXIS, last, COUNT), at(label, AXIS, first, COUNT))}

    return (
        Claim(
            "T1a",
            "hidden convexity and majorisation are polynomial, of third order",
            f"growth from {first:g} to {last:g} elements at most that of a cube",
            all_within(growth("WMMSE-HC") | growth("WMMSE-MM"), 1.0, (last / first) ** 3 * (1 + 1e-9)),
        ),
        Claim(
            "T1b",
            "sphere decoding is exponential in the worst case",
            "growth above that of a fourth power",
            all_within(growth("WMMSE-SD, worst case"), (last / first) ** 4, float("inf")),
        ),
    )


def _elements(scenario: HolographicCells) -> int:
    return scenario.n_chains * scenario.per_strip
