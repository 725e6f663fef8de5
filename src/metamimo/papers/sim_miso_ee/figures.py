"""Figures of the paper as studies: what is swept, which schemes run, what is drawn, which claims are checked.

Pairs of figures that show energy efficiency and sum rate of the same designs are one study each: 3 and 4, 5 and 6, 8
and 9.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metamimo.conventions import dbm_to_watt
from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, Scalar, SchemeChoice
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.quantities import VARIABLES
from metamimo.papers.sim_miso_ee import claims
from metamimo.papers.sim_miso_ee.claims.labels import (
    ALL_CHAINS,
    DIGITAL,
    FP,
    JOINT,
    LBFGS,
    LOW_RANK,
    NO_SIM,
    PGA,
    PGA_ALL_CHAINS,
    SDP,
    WAVE,
)
from metamimo.papers.sim_miso_ee.scenario import CITATION, SimMiso

if TYPE_CHECKING:
    import numpy as np

SEED = 2504
FULL_TRIALS = 100
QUICK_TRIALS = 4
CLARABEL_TRIALS = 8
STARTS = 4
ROUNDS = 200
"""Most rounds until one gains less than a thousandth; the paper stops after 10, where many designs still improve."""


def _choice(label: str, scheme: str, **options: Scalar) -> SchemeChoice:
    return SchemeChoice(label=label, scheme=scheme, options=options)


SCHEMES = {
    choice.label: choice
    for choice in (
        _choice(JOINT, "hybrid-joint", starts=STARTS),
        _choice(ALL_CHAINS, "hybrid-joint", starts=STARTS, selection="none"),
        _choice(PGA, "hybrid-pga", max_rounds=ROUNDS),
        _choice(PGA_ALL_CHAINS, "hybrid-pga", max_rounds=ROUNDS, selection="none"),
        _choice(FP, "hybrid-fp", max_rounds=ROUNDS),
        _choice(LBFGS, "hybrid-lbfgs", max_rounds=ROUNDS),
        _choice(SDP, "hybrid-sdp", max_rounds=ROUNDS),
        _choice(LOW_RANK, "hybrid-sdp", max_rounds=ROUNDS, backend="low_rank"),
        _choice(WAVE, "wave-sim", starts=STARTS, max_iterations=50_000),
        _choice(DIGITAL, "digital-pre"),
        _choice(NO_SIM, "hybrid-joint", bare=True),
    )
}

BOTH = ("energy_efficiency", "sum_rate")
CHECKPOINTS = tuple(range(21))
"""Rounds at which Fig. 2 keeps the history."""
PAPER = SimMiso()
SMALL = SimMiso(n_ports=4, n_layers=2, n_elements=16)
"""Size of the paper's semidefinite runs."""
PRICES = tuple(dbm_to_watt(power) for power in (5.0, 10.0, 15.0, 20.0))


def compute(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.papers.sim_miso_ee.simulate").compute(experiment, task)


def compute_history(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task of Fig. 2, whose results hold the history at the checkpoints."""
    return importlib.import_module("metamimo.papers.sim_miso_ee.simulate").compute(experiment, task, CHECKPOINTS)


def fig2(mode: str) -> Study:
    """Return Fig. 2: energy efficiency against rounds of the alternation, at the size of the semidefinite runs."""
    values = (0.0, 0.5) if mode == "full" else (0.5,)
    histories = (
        Variable("history", dims=("checkpoint",), unit="Mbit/J", long_name="Energy efficiency after a round"),
        Variable("largest_fall", long_name="Largest relative fall of the energy efficiency in a round"),
    )
    return _study(
        "fig2",
        "Convergence of the alternating schemes, and where other methods end",
        (Axis(name="min_rate", values=values, unit="bit/s/Hz", label="Least rate $R^{min}$"),),
        mode,
        claims.fig2(values),
        (JOINT, LOW_RANK, PGA, FP, LBFGS, WAVE, DIGITAL),
        scenario=SMALL,
        compute=compute_history,
        variables=(*VARIABLES, *histories),
        sizes={"user": "n_users", "checkpoint": len(CHECKPOINTS)},
        picture=_convergence,
    )


def fig2_clarabel(mode: str) -> Study:
    """Return Hybrid-SDP of Fig. 2 with both solvers of the layer programs, on few draws."""
    full = mode == "full"
    return _study(
        "fig2-clarabel",
        "Hybrid-SDP with an interior-point solver and with the low-rank one",
        (Axis(name="min_rate", values=(0.5,), unit="bit/s/Hz", label="Least rate $R^{min}$"),),
        mode,
        claims.fig2_clarabel(0.5),
        (SDP, LOW_RANK),
        scenario=SMALL if full else SMALL.replace(n_layers=1, n_elements=9),
        trials=CLARABEL_TRIALS if full else 2,
        chunk=1,
    )


def fig3(mode: str) -> Study:
    """Return Figs. 3 and 4: energy efficiency and sum rate against antennas and meta-atoms."""
    ports, elements = ((4, 5, 6, 8, 10, 12), (36, 64)) if mode == "full" else ((4, 6), (16,))
    return _study(
        "fig3",
        "Energy efficiency and sum rate against antennas and meta-atoms",
        (
            Axis(name="n_ports", values=ports, label="Antennas $M$"),
            Axis(name="n_elements", values=elements, label="Meta-atoms per layer $N$"),
        ),
        mode,
        claims.fig3(ports, elements),
        (JOINT, ALL_CHAINS, PGA, PGA_ALL_CHAINS, WAVE, DIGITAL, NO_SIM),
        panels=_panels("n_ports", "n_elements", elements, "$N$ = {}"),
    )


def fig5(mode: str) -> Study:
    """Return Figs. 5 and 6: energy efficiency and sum rate against meta-atoms, over power limits and least rates."""
    full = mode == "full"
    elements = (9, 16, 25, 36, 49, 64) if full else (16, 36)
    powers, rates = ((10.0, 20.0, 30.0, 40.0), (0.5, 8.0, 10.0)) if full else ((10.0, 30.0), (0.5, 8.0))
    efficient = {"min_rate": rates[0], "objective": "energy_efficiency"}
    fast = {"min_rate": rates[0], "objective": "sum_rate"}
    return _study(
        "fig5",
        "Energy efficiency and sum rate against meta-atoms, over power limits and least rates",
        (
            Axis(name="n_elements", values=elements, label="Meta-atoms per layer $N$"),
            Axis(name="power_dbm", values=powers, unit="dBm", label="Power limit $P_{max}$"),
            Axis(name="min_rate", values=rates, unit="bit/s/Hz", label="Least rate $R^{min}$"),
            Axis(name="objective", values=("energy_efficiency", "sum_rate")),
        ),
        mode,
        claims.fig5(elements, powers, rates),
        (ALL_CHAINS,),
        scenario=PAPER.replace(port_power_dbm=60.0),
        panels=(
            *_panels("n_elements", "power_dbm", powers, "{:g} dBm, energy efficiency maximised", **efficient),
            *_panels("n_elements", "power_dbm", powers, "{:g} dBm, sum rate maximised", ("sum_rate",), **fast),
        ),
    )


def fig7(mode: str) -> Study:
    """Return Fig. 7: energy efficiency against the power limit for several limits of an antenna."""
    full = mode == "full"
    powers = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0) if full else (5.0, 20.0, 35.0)
    limits = (5.0, 10.0, 15.0, 20.0, 30.0) if full else (10.0, 20.0)
    return _study(
        "fig7",
        "Energy efficiency against the power limit for several limits of an antenna",
        (
            Axis(name="power_dbm", values=powers, unit="dBm", label="Power limit $P_{max}$"),
            Axis(name="port_power_dbm", values=limits, unit="dBm", label="Limit of an antenna $P_m^{max}$"),
        ),
        mode,
        claims.fig7(powers, limits),
        (JOINT, ALL_CHAINS),
        panels=_panels("power_dbm", "port_power_dbm", limits, "{:g} dBm", ("energy_efficiency",)),
    )


def fig8(mode: str) -> Study:
    """Return Figs. 8 and 9: energy efficiency and sum rate against layers for several numbers of meta-atoms."""
    full = mode == "full"
    layers = (1, 2, 3, 4, 5, 6, 8, 10) if full else (1, 2, 3, 5, 8)
    elements = (16, 25, 36, 49, 64) if full else (36,)
    return _study(
        "fig8",
        "Energy efficiency and sum rate against layers",
        (
            Axis(name="n_layers", values=layers, label="Layers $L$"),
            Axis(name="n_elements", values=elements, label="Meta-atoms per layer $N$"),
        ),
        mode,
        claims.fig8(layers, elements),
        (JOINT, ALL_CHAINS, NO_SIM) if full else (JOINT, ALL_CHAINS),
        panels=_panels("n_layers", "n_elements", elements, "$N$ = {}"),
    )


def fig8_pga(mode: str) -> Study:
    """Return Figs. 8 and 9 with the paper's optimiser, at one number of meta-atoms."""
    full = mode == "full"
    layers = (1, 2, 3, 4, 5, 6, 8, 10) if full else (1, 3, 8)
    return _study(
        "fig8-pga",
        "Energy efficiency and sum rate against layers, by projected gradient ascent",
        (Axis(name="n_layers", values=layers, label="Layers $L$"),),
        mode,
        claims.fig8_pga(layers),
        (PGA, PGA_ALL_CHAINS),
        panels=tuple(Panel(variable, x="n_layers") for variable in BOTH),
    )


def fig10(mode: str) -> Study:
    """Return Fig. 10: energy efficiency against meta-atoms for several powers of a meta-atom, 5 to 20 dBm."""
    full = mode == "full"
    elements = (9, 16, 25, 36, 49, 64, 81, 100) if full else (16, 36, 64)
    prices = PRICES if full else PRICES[::3]
    return _study(
        "fig10",
        "Energy efficiency against meta-atoms for several powers of a meta-atom",
        (
            Axis(name="n_elements", values=elements, label="Meta-atoms per layer $N$"),
            Axis(name="element_power", values=prices, unit="W", label="Power of a meta-atom $P_{atom}$"),
        ),
        mode,
        claims.fig10(elements, prices),
        (JOINT, ALL_CHAINS),
        panels=_panels("n_elements", "element_power", prices, "{:.3g} W", ("energy_efficiency",)),
    )


_BOUNDS = {"energy_efficiency": "upper_bound", "sum_rate": ""}
"""What is stored bounds the objective."""


def _panels(
    x: str, axis: str, values: tuple[Scalar, ...], title: str, shown: tuple[str, ...] = BOTH, **fixed: Scalar
) -> tuple[Panel, ...]:
    """Return a panel of every shown variable against `x` for every value of another axis."""
    return tuple(
        Panel(variable, x=x, fixed={axis: value, **fixed}, title=title.format(value), bound=_BOUNDS[variable])
        for variable in shown
        for value in values
    )


def _convergence(results: Any) -> Any:
    """Draw Fig. 2; pictures are loaded only where one is drawn."""
    return importlib.import_module("metamimo.papers.sim_miso_ee.pictures").convergence(results, CHECKPOINTS)


def _study(
    figure: str,
    title: str,
    axes: tuple[Axis, ...],
    mode: str,
    checks: tuple[Claim, ...],
    labels: tuple[str, ...],
    *,
    scenario: SimMiso = PAPER,
    trials: int | None = None,
    chunk: int = 10,
    compute: Any = compute,
    variables: tuple[Variable, ...] = VARIABLES,
    **shown: Any,
) -> Study:
    full = mode == "full"
    experiment = Experiment(
        name=f"sim-miso-ee/{figure}",
        title=title,
        scenario=scenario,
        axes=axes,
        schemes=tuple(SCHEMES[label] for label in labels),
        trials=trials or (FULL_TRIALS if full else QUICK_TRIALS),
        chunk=chunk if full else QUICK_TRIALS,
        seed=SEED,
        cites=(CITATION,),
        claims=tuple(claim.id for claim in checks),
    )
    fields = {"sizes": {"user": "n_users"}, **shown}
    return Study(experiment, compute, variables, "energy_efficiency", claims=checks, **fields)
