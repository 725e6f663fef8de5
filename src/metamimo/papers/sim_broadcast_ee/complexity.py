"""Figures 8 and 9 of the paper: complex multiplications of one outer iteration, against antennas.

Counts are exact: one "realisation", no standard error, the same in every run.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from metamimo.experiments.claims import Claim, Verdict
from metamimo.experiments.config import Axis, Experiment, Scalar, SchemeChoice, scenario_at
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.sim_broadcast_ee.multiplications import (
    Size,
    covariance_step,
    cyclic_sweep,
    precoder_step,
    sim_dpc_iteration,
    sim_lp_iteration,
    sim_nolp_iteration,
)
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_broadcast_ee.studies import study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metamimo.experiments.results import Results

COUNT = "multiplications"
AXIS = "n_ports"
LP_NOSIM = "LP-NoSIM"
STREAMS = 8
"""K N_r of the default scenario: the antennas from which every stream can have its own."""
VARIABLES = (
    Variable(COUNT, long_name="Complex multiplications per iteration"),
    Variable("status", dtype="int32", long_name="Status (0: defined, 4: fewer antennas than streams)"),
)
DEFINED, UNDEFINED = 0, 4  # Status.CONVERGED and Status.INFEASIBLE; importing them would load JAX for a polynomial

_STEPS: dict[str, Scalar] = {"inner": 3, "line_search": 3}
FIG8_SCHEMES = (
    SchemeChoice(label="SIM-DPC", scheme="sim-dpc", options=_STEPS),
    SchemeChoice(label="SIM-LP", scheme="sim-lp", options=_STEPS),
    SchemeChoice(label="SIM-NoLP-RedRF", scheme="sim-nolp-redrf", options={"line_search": 3}),
    SchemeChoice(label="SIM-NoLP", scheme="sim-nolp", options={"line_search": 3}),
    SchemeChoice(label=LP_NOSIM, scheme="lp-nosim"),
)
FIG9_SCHEMES = (
    SchemeChoice(label="DPC-NoSIM", scheme="dpc-nosim"),
    SchemeChoice(label="DPC-bench", scheme="dpc-bench"),
    SchemeChoice(label=LP_NOSIM, scheme="lp-nosim"),
)
SIM = tuple(choice.label for choice in FIG8_SCHEMES[:4])
DPC = tuple(choice.label for choice in FIG9_SCHEMES[:2])
_COUNTS: dict[str, Callable[..., int]] = {
    "sim-dpc": sim_dpc_iteration,
    "sim-lp": sim_lp_iteration,
    # Counted over all antennas: those that are switched off are carried along as zeros.
    "sim-nolp-redrf": sim_nolp_iteration,
    "sim-nolp": sim_nolp_iteration,
    "lp-nosim": precoder_step,
    "dpc-nosim": covariance_step,
    "dpc-bench": cyclic_sweep,
}


def compute(experiment: Experiment, task: Task) -> Mapping[str, np.ndarray]:
    """Return the count of one scheme at one grid point."""
    scenario = scenario_at(experiment, task.index)
    assert isinstance(scenario, SimBroadcast)
    choice = experiment.schemes[task.scheme]
    size = Size(scenario.n_ports, scenario.n_users, scenario.n_rx, scenario.n_layers, scenario.n_elements)
    defined = choice.scheme != "sim-nolp-redrf" or size.ports >= size.users * size.rx
    count = float(_COUNTS[choice.scheme](size, **choice.options)) if defined else np.nan
    status = np.int32(DEFINED if defined else UNDEFINED)
    return {COUNT: np.full(task.count, count), "status": np.full(task.count, status)}


def fig8(mode: str) -> Study:
    """Return Fig. 8: multiplications per outer iteration of the schemes with a stack, and of LP-NoSIM."""
    grid = _grid(mode)
    return _study("fig8", "Complex multiplications per outer iteration", FIG8_SCHEMES, grid, fig8_claims(grid))


def fig9(mode: str) -> Study:
    """Return Fig. 9: multiplications per iteration of the precoder and covariance stages without a stack."""
    grid = _grid(mode)
    title = "Complex multiplications per iteration without a stack"
    return _study("fig9", title, FIG9_SCHEMES, grid, fig9_claims(grid))


def fig8_claims(grid: tuple[int, ...]) -> tuple[Claim, ...]:
    """Return the claims on Fig. 8.

    Args:
        grid: numbers of antennas.
    """
    return (
        Claim(
            "8a",
            "LP-NoSIM is lowest, by orders of magnitude",
            "every SIM scheme over LP-NoSIM above 100",
            _all_ratios(SIM, (LP_NOSIM,), grid, low=100.0),
        ),
        Claim(
            "8b",
            "the SIM schemes cannot be told apart on a logarithmic axis",
            "any one over any other below 1.25, a tenth of a decade",
            _all_ratios(
                SIM,
                SIM,
                grid,
                high=1.25,
                note="the factor is ours; SIM-NoLP-RedRF is counted over all antennas, over its active ones alone it "
                "would stay as it is at 8 antennas",
            ),
        ),
    )


def fig9_claims(grid: tuple[int, ...]) -> tuple[Claim, ...]:
    """Return the claims on Fig. 9.

    Args:
        grid: numbers of antennas.
    """
    few, many = [p for p in grid if p <= STREAMS], [p for p in grid if p > STREAMS]
    enough = [p for p in grid if p >= STREAMS]
    return (
        Claim(
            "9a",
            "LP-NoSIM is highest at the two smallest numbers of antennas (4, 8)",
            "LP-NoSIM over either other above 1",
            _all_ratios(
                (LP_NOSIM,),
                DPC,
                few,
                low=1.0,
                note="a consistency check: the weight of an eigendecomposition was set with it in view",
            ),
        ),
        Claim(
            "9b",
            "both DPC-NoSIM and DPC-bench exceed LP-NoSIM for more antennas",
            "either over LP-NoSIM above 1",
            _all_ratios(DPC, (LP_NOSIM,), many, low=1.0),
        ),
        Claim(
            "9c",
            "LP-NoSIM is nearly flat from as many antennas as streams",
            f"{enough[-1]} over {enough[0]} antennas below 2",
            _check([(LP_NOSIM, enough[-1], LP_NOSIM, enough[0])], high=2.0, note="the factor is ours"),
        ),
        Claim(
            "9d",
            "DPC-bench lies above DPC-NoSIM from 8 antennas on",
            "DPC-bench over DPC-NoSIM above 1",
            _all_ratios(
                DPC[1:],
                DPC[:1],
                enough,
                low=1.0,
                note="per iteration; the numbers of iterations to one energy efficiency differ",
            ),
        ),
    )


def _all_ratios(
    tops: Iterable[str],
    bottoms: Iterable[str],
    grid: Iterable[int],
    low: float = 0.0,
    high: float = math.inf,
    note: str = "",
) -> "Callable[[Results], Verdict]":
    """Return a check of every scheme of one list over every other one of a second, at equal numbers of antennas."""
    pairs = itertools.product(tops, bottoms, tuple(grid))
    return _check([(top, ports, bottom, ports) for top, bottom, ports in pairs if top != bottom], low, high, note)


def _check(
    ratios: list[tuple[str, int, str, int]], low: float = 0.0, high: float = math.inf, note: str = ""
) -> "Callable[[Results], Verdict]":
    """Return a check that ratios of counts lie strictly within bounds; undefined counts are left out.

    Args:
        ratios: upper scheme and antennas, lower scheme and antennas.
        low: lower bound.
        high: upper bound.
        note: added to the verdict's note.
    """

    def check(results: "Results") -> Verdict:
        found = {}
        for top, p, bottom, q in ratios:
            (a,), (b,) = results.samples(COUNT, top, {AXIS: p}), results.samples(COUNT, bottom, {AXIS: q})
            if math.isfinite(a) and math.isfinite(b):
                found[f"{top} at {p} over {bottom} at {q} antennas"] = float(a / b)
        # On a logarithmic scale both bounds are equally near.
        name, worst = min(found.items(), key=lambda item: min(item[1] / max(low, 1e-300), high / item[1]))
        text = f"exact count, least favourable of {len(found)}: {name}"
        return Verdict(low < worst < high, worst, None, f"{text}; {note}" if note else text)

    return check


def _grid(mode: str) -> tuple[int, ...]:
    return (4, 8, 16, 32, 64) if mode == "full" else (4, 8, 32)


def _study(
    figure: str, title: str, schemes: tuple[SchemeChoice, ...], grid: tuple[int, ...], checks: tuple[Claim, ...]
) -> Study:
    return study(
        figure,
        title,
        (Axis(name=AXIS, values=grid, label="Antennas $N_t$"),),
        schemes,
        checks,
        trials=1,
        chunk=1,
        scenario=SimBroadcast(),
        compute=compute,
        variables=VARIABLES,
        headline=COUNT,
        picture=_picture,
        converged=(DEFINED,),
    )


def _picture(results: "Results") -> "Figure":
    """Draw the counts on logarithmic axes, without the number of realisations: nothing here is random."""
    from metamimo.figures.curves import draw

    figure = draw(results, [Panel(COUNT, x_scale="log", y_scale="log")])
    (axes,) = figure.axes
    grid = results.dataset[AXIS].values.tolist()
    axes.set_xticks(grid, [str(ports) for ports in grid])
    axes.minorticks_off()
    axes.set_title("exact counts", fontsize="small")
    return figure
