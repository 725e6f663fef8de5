"""`layers`: how many layers do we need, physically? Usual model, what it delivers, and the coupled optimum."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, SchemeChoice
from metamimo.experiments.study import Compute, Panel, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.checks import Grid
from metamimo.papers.sim_physical.claims import claims
from metamimo.papers.sim_physical.scenario import CITATION, LAYERS, Family, SimPhysical

if TYPE_CHECKING:
    import numpy as np

SEED = 2501
FAMILIES: tuple[Family, ...] = ("half", "quarter", "total", "thickness")
MODELS = {
    "Coupled": "coupled",
    "Coupled, available power": "coupled-available",
    "Usual": "usual",
    "Usual, clipped": "usual-clipped",
    "Usual, band-limited": "usual-band-limited",
    "Delivered": "delivered",
    "Delivered, band-limited": "delivered-band-limited",
    "Random phases": "random",
    "Bare array": "bare",
}
TITLES = {
    "half": "25 atoms a layer, half a wavelength apart",
    "quarter": "25 atoms a layer, a quarter wavelength apart",
    "total": "36 atoms in all, half a wavelength apart",
    "thickness": "25 atoms a layer, three wavelengths in all",
}
AWAY = ("phase_error_20", "lossy", "two_percent_off")
_RATE = "bit/s/Hz"
VARIABLES = (
    Variable("sum_rate", unit=_RATE, long_name="Sum rate"),
    Variable("rate", dims=("user",), unit=_RATE, long_name="Rate of each user"),
    Variable("served", dtype="int32", long_name="Served users"),
    Variable("radiated", unit="W", long_name="Radiated power per watt of the budget"),
    Variable("energy_gain", unit="W/W", long_name="Most power the model emits per watt"),
    Variable("upper_bound", unit=_RATE, long_name="Upper bound over all phases"),
    Variable("start_spread", unit=_RATE, long_name="Best of all starts minus worst random one"),
    Variable("best_start", dtype="int32", long_name="Best start: random ones, usual design, grown or band-limited"),
    Variable("phase_error_5", unit=_RATE, long_name="Sum rate at phase errors of 0.05 rad"),
    Variable("phase_error_20", unit=_RATE, long_name="Sum rate at phase errors of 0.2 rad"),
    Variable("lossy", unit=_RATE, long_name="Sum rate with lossy atoms"),
    Variable("one_percent_off", unit=_RATE, long_name="Sum rate 1 % off the carrier"),
    Variable("two_percent_off", unit=_RATE, long_name="Sum rate 2 % off the carrier"),
    Variable("status", dtype="int32", long_name="Status (0: converged)"),
    Variable("iterations", dtype="int32", long_name="Iterations of all starts"),
    Variable("line_search_trials", dtype="int32", long_name="Evaluations of all starts"),
    Variable("seconds", unit="s", long_name="Wall time of a realisation", promised=False),
)


def compute(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.papers.sim_physical.simulate").compute(experiment, task)


def layers(mode: str) -> Study:
    """Return the study: sum rate against layers, in four families of geometry."""
    full = mode == "full"
    grid = LAYERS if full else LAYERS[:3]
    families = FAMILIES if full else FAMILIES[:2]
    panels = [Panel("sum_rate", x="n_layers", fixed={"family": family}, title=TITLES[family]) for family in families]
    panels += [
        Panel(name, x="n_layers", fixed={"family": "half"}, title=TITLES["half"]) for name in (*AWAY, "upper_bound")
    ]
    return study(
        "layers",
        "Sum rate against layers: what the usual model promises, what it delivers, and the coupled optimum",
        SimPhysical(),
        (grid, families),
        claims(grid),
        trials=50 if full else 4,
        chunk=5 if full else 4,
        panels=tuple(panels),
    )


def study(
    figure: str,
    title: str,
    scenario: SimPhysical,
    grid: tuple[Grid, tuple[Family, ...]],
    checks: tuple[Claim, ...],
    *,
    trials: int,
    chunk: int,
    compute: Compute = compute,
    variables: tuple[Variable, ...] = VARIABLES,
    headline: str = "sum_rate",
    panels: tuple[Panel, ...],
) -> Study:
    """Return a study of every model of the stack over layers and families.

    Args:
        figure: its name after ``sim-physical/``.
        title: one line above curves and pictures.
        scenario: what is not swept.
        grid: numbers of layers, families.
        checks: claims.
        trials, chunk: realisations, and how many of them a task computes.
        compute, variables, headline, panels: as in `Study`.
    """
    experiment = Experiment(
        name=f"sim-physical/{figure}",
        title=title,
        scenario=scenario,
        axes=(Axis(name="n_layers", values=grid[0], label="Layers"), Axis(name="family", values=grid[1])),
        schemes=tuple(
            SchemeChoice(label=label, scheme="hybrid-joint", options={"model": model})
            for label, model in MODELS.items()
        ),
        trials=trials,
        chunk=chunk,
        seed=SEED,
        cites=(CITATION,),
        claims=tuple(claim.id for claim in checks),
    )
    return Study(experiment, compute, variables, headline, sizes={"user": "n_users"}, panels=panels, claims=checks)
