"""Figures of the paper as studies: what is swept, which schemes run, what is drawn, which claims are checked.

Figure 2 and Table I need no channel and are in `growth` and `complexity`; Figure 7 and Table II look at the tree
searches and are in `trees`.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, Scalar, SchemeChoice
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.hmimo_multicell import claims
from metamimo.papers.hmimo_multicell.scenario import CITATION, HolographicCells

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from metamimo.experiments.results import Results

SEED = 2502
FULL_TRIALS = 100
QUICK_TRIALS = 4
PAPER = HolographicCells()
WIDE = HolographicCells(per_strip=8, area=0.5)
"""Two wavelengths a row: eight elements of a hologram, whose cells have half the area, or four of other arrays."""
SUM_RATE = Panel("sum_rate", bound="upper_bound")
CHECKPOINTS = (0, 1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 453, 640, 905)
"""Iterations at which Fig. 3 keeps the history."""
FIXED = 100
"""Iterations of baselines that do not come to rest."""
_LONG = {"max_iterations": 2_000}

VARIABLES = (
    Variable("sum_rate", unit="bit/s/Hz", long_name="Sum rate of all cells"),
    Variable("rate", dims=("user",), unit="bit/s/Hz", long_name="Rate of each user"),
    Variable("served", dtype="int32", long_name="Served users"),
    Variable("accepted", unit="W", long_name="Power |f|^2 of all chains"),
    Variable("emitted", unit="W", long_name="Power |x|^2 of all elements"),
    Variable("radiated", unit="W", long_name="Radiated power x^H C x, isotropic elements"),
    Variable("upper_bound", unit="bit/s/Hz", long_name="Sum rate that no design exceeds"),
    Variable("status", dtype="int32", long_name="Status (0: converged)"),
    Variable("iterations", dtype="int32", long_name="Iterations"),
    Variable("nodes", dtype="int64", long_name="Nodes of tree searches, or evaluations of the objective"),
    Variable("largest_fall", long_name="Largest relative fall of the sum rate in an iteration"),
    Variable("start_spread", unit="bit/s/Hz", long_name="Best minus worst start"),
    Variable("seconds", unit="s", long_name="Wall time of a realisation", promised=False),
)


def choice(label: str, scheme: str, array: str, **options: Scalar) -> SchemeChoice:
    """Return a curve: a scheme on an array of `simulate.Kind`."""
    return SchemeChoice(label=label, scheme=scheme, options={"array": array, **options})


def compute(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.papers.hmimo_multicell.simulate").compute(experiment, task)


def compute_history(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task of Fig. 3, whose results hold the history at the checkpoints."""
    simulate = importlib.import_module("metamimo.papers.hmimo_multicell.simulate")
    return simulate.compute(experiment, task, checkpoints=CHECKPOINTS)


def fig3(mode: str) -> Study:
    """Return Fig. 3: sum rate against iterations of the descent, for elements on or off and on the circle."""
    powers = (20.0, 30.0, 40.0) if mode == "full" else (20.0, 30.0)
    more = (
        Variable("history", dims=("checkpoint",), unit="bit/s/Hz", long_name="Sum rate after an iteration"),
        Variable("iterations_95", unit="", long_name="Iterations to 95 % of the final sum rate"),
    )
    return study(
        "fig3",
        "Convergence of the block descent",
        (Axis(name="power_dbm", values=powers, unit="dBm", label="Power of a station $P$"),),
        (
            choice("WMMSE-HC", "wmmse-hc", "binary left", **_LONG),
            choice("WMMSE-MM", "wmmse-mm", "Lorentz left", **_LONG),
        ),
        claims.fig3(powers),
        mode,
        compute=compute_history,
        variables=(*VARIABLES, *more),
        sizes={"user": _USERS, "checkpoint": len(CHECKPOINTS)},
        panels=(Panel("sum_rate"), Panel("iterations_95", y_scale="log")),
        picture=_convergence,
    )


def fig4(mode: str) -> Study:
    """Return Fig. 4: sum rate against power, solvers of the elements against each other."""
    powers = (20.0, 25.0, 30.0, 35.0, 40.0) if mode == "full" else (20.0, 30.0)
    return study(
        "fig4",
        "Sum rate against the power of a station, for every solver of the elements",
        (Axis(name="power_dbm", values=powers, unit="dBm", label="Power of a station $P$"),),
        (
            choice("WMMSE-MM", "wmmse-mm", "Lorentz left", **_LONG),
            choice("WMMSE-MM, leaps", "wmmse-mm", "Lorentz left", leaps=True, tolerance=1e-5, **_LONG),
            choice("Joint, Lorentz", "network-joint", "Lorentz left"),
            choice("WMMSE-SD", "wmmse-sd", "binary left", **_LONG),
            choice("WMMSE-HC", "wmmse-hc", "binary left", **_LONG),
            choice("WMMSE-HC, polished", "wmmse-hc", "binary left", polish=True, **_LONG),
            choice("WMMSE-HC, 8 starts", "wmmse-hc", "binary left", starts=8, **_LONG),
            choice("CPP, Lorentz", "wmmse-cpp", "Lorentz left", returned="last", max_iterations=FIXED),
            choice("CPP, binary", "wmmse-cpp", "binary left", returned="last", max_iterations=FIXED),
        ),
        claims.fig4(powers),
        mode,
    )


ARRAYS = (
    choice("Digital", "wmmse-fixed", "digital", **_LONG),
    choice("Hybrid", "wmmse-mm", "hybrid", **_LONG),
    choice("Lorentz, centre", "wmmse-mm", "Lorentz centre", **_LONG),
    choice("Lorentz, left", "wmmse-mm", "Lorentz left", **_LONG),
    choice("Binary, centre", "wmmse-hc", "binary centre", **_LONG),
    choice("Binary, left", "wmmse-hc", "binary left", **_LONG),
)


def fig5(mode: str) -> Study:
    """Return Fig. 5: sum rate against power for every array on one aperture, in the paper's power."""
    return _arrays("fig5", "the sum of |x|^2 limited on average, unit wave", WIDE, ARRAYS, claims.fig5, mode)


def fig5_split(mode: str) -> Study:
    """Return Fig. 5 with the wave of a centre feed divided between its halves."""
    scenario = WIDE.replace(budget="split wave")
    return _arrays("fig5-split", "the wave of centre feeds divided", scenario, ARRAYS, claims.fig5_split, mode)


FIELD_ARRAYS = tuple(
    choice(curve.label, "network-flips" if curve.scheme == "wmmse-hc" else "network-joint", array, starts=4)
    for curve in ARRAYS
    for array in (str(curve.options["array"]),)
)


def fig5_field(mode: str) -> Study:
    """Return Fig. 5 with the radiated power x^H C x of every station limited, in the design itself."""
    scenario = WIDE.replace(budget="field", area=1.0)
    return _arrays("fig5-field", "the radiated power limited", scenario, FIELD_ARRAYS, claims.fig5_field, mode)


def fig6(mode: str) -> Study:
    """Return Fig. 6: sum rate against elements of a strip for both feeds, and zero-forcing."""
    counts = (2, 4, 6, 8) if mode == "full" else (2, 4)
    return study(
        "fig6",
        "Sum rate against elements of a strip",
        (Axis(name="per_strip", values=counts, label="Elements of a strip $N$"),),
        (
            *(
                choice(f"{name}, {feed}", scheme, f"{states} {feed}", **_LONG)
                for name, scheme, states in (
                    ("SD", "wmmse-sd", "binary"),
                    ("HC", "wmmse-hc", "binary"),
                    ("MM", "wmmse-mm", "Lorentz"),
                )
                for feed in ("left", "centre")
            ),
            choice("ZF-HC", "zf-hc", "binary left", returned="last", max_iterations=15),
        ),
        claims.fig6(counts),
        mode,
    )


def _arrays(
    figure: str, words: str, scenario: HolographicCells, curves: tuple[SchemeChoice, ...], checks: Any, mode: str
) -> Study:
    powers = (20.0, 30.0, 40.0) if mode == "full" else (20.0, 30.0)
    return study(
        figure,
        f"Sum rate against the power of a station on one aperture: {words}",
        (Axis(name="power_dbm", values=powers, unit="dBm", label="Power of a station $P$"),),
        curves,
        checks(powers),
        mode,
        scenario=scenario,
        panels=(SUM_RATE, Panel("radiated", y_scale="log")),
    )


_USERS = PAPER.n_cells * PAPER.n_users


def study(
    figure: str,
    title: str,
    axes: tuple[Axis, ...],
    curves: tuple[SchemeChoice, ...],
    checks: tuple[Claim, ...],
    mode: str,
    *,
    scenario: HolographicCells = PAPER,
    compute: Any = compute,
    variables: tuple[Variable, ...] = VARIABLES,
    headline: str = "sum_rate",
    trials: int = FULL_TRIALS,
    **shown: Any,
) -> Study:
    """Return a study of this paper.

    Args:
        figure: its name after ``hmimo-multicell/``.
        title: one line above curves and pictures.
        axes, curves, scenario: what is computed.
        checks: claims.
        mode: `quick` or `full`.
        trials: realisations at full size.
        compute, variables, headline: as in `Study`.
        shown: other fields of `Study`, such as `panels` or `picture`.
    """
    full = mode == "full"
    experiment = Experiment(
        name=f"hmimo-multicell/{figure}",
        title=title,
        scenario=scenario,
        axes=axes,
        schemes=curves,
        trials=trials if full else QUICK_TRIALS,
        chunk=10 if full else QUICK_TRIALS,
        seed=SEED,
        cites=(CITATION,),
        claims=tuple(claim.id for claim in checks),
    )
    panels = (SUM_RATE,) if headline == "sum_rate" else ()
    fields = {"sizes": {"user": scenario.n_cells * scenario.n_users}, "panels": panels, **shown}
    return Study(experiment, compute, variables, headline, claims=checks, **fields)


def _convergence(results: "Results") -> "Figure":
    """Draw Fig. 3 as the paper does, against iterations; pictures are loaded only where one is drawn."""
    pictures = importlib.import_module("metamimo.papers.pictures")
    return pictures.convergence(results, CHECKPOINTS, "power_dbm", "{:g} dBm", "Sum rate (bit/s/Hz)")
