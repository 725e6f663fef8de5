"""`fair`: the stacked surface against hybrid and digital arrays on its own aperture, over prices and losses.

The paper compares a stack of 10 x 10 elements with a bare array of 4 x 4. Here every architecture has the aperture of
one layer (rule R1 of the fair comparison) and 1 W of accepted power, hears the same users through the same fading, is
designed with linear precoding by the same method and number of starts, and consumes by the same model: the price is
that of a meta-element or of a phase shifter, the insertion loss that of a layer or of a phase shifter.
"""

import contextlib
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from metamimo.experiments.config import Axis, Experiment, Scalar, SchemeChoice
from metamimo.experiments.statistics import TooFewTrials
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.figures.curves import MARKERS, STYLE
from metamimo.papers.checks import EE
from metamimo.papers.sim_broadcast_ee.fair_claims import (
    BARE,
    DIGITAL,
    FLUX,
    FULL,
    FULL_CREATING,
    FULL_LOSSLESS,
    HIGHEST_PRICE,
    PAPER_PRICE,
    SAMPLED,
    SHALLOW,
    SIM,
    SUB,
    SUB_FIXED,
    break_even,
    claims,
)
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_broadcast_ee.studies import STOP, study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metamimo.experiments.results import Results

PRICES = (1e-3, 2e-3, PAPER_PRICE, 10e-3, HIGHEST_PRICE)
LOSSES = (0.0, 0.5, 1.0, 1.5)

LINES = {"SIM-LP": "-", "Hybrid": "--", "Digital": ":"}
"""How a family of curves is drawn."""

VARIABLES = (
    Variable(EE, unit="Mbit/J", long_name="Energy efficiency"),
    Variable("sum_rate", unit="bit/s/Hz", long_name="Sum rate"),
    Variable("accepted", unit="W", long_name="Power accepted by the ports"),
    Variable("radiated", unit="W", long_name="Radiated power x^H C x, field samples"),
    Variable("consumed", unit="W", long_name="Consumed power"),
    Variable("energy_gain", unit="W/W", long_name="Most watts that the model can emit per watt fed"),
    Variable("n_tunable", dtype="int32", long_name="Tunable elements"),
    Variable("served", dtype="int32", long_name="Served users"),
    Variable("status", dtype="int32", long_name="Status (0: converged)"),
    Variable("iterations", dtype="int32", long_name="Iterations of all starts"),
    Variable("start_spread", unit="Mbit/J", long_name="Best minus worst start"),
    Variable("seconds", unit="s", long_name="Wall time of a design", promised=False),
)


def _tuned(label: str, architecture: str, **changes: Scalar) -> SchemeChoice:
    options = {"architecture": architecture, "starts": 2, **STOP, **changes}
    return SchemeChoice(label=label, scheme="sim-lp", options=options)


SCHEMES = (
    _tuned(SIM, "stack"),
    _tuned(SHALLOW, "stack", n_layers=2),
    _tuned(SAMPLED, "stack", kernel="sampled"),
    _tuned(FLUX, "stack-flux"),
    _tuned(FULL, "hybrid-full"),
    _tuned(FULL_LOSSLESS, "hybrid-full-decoupled"),
    _tuned(FULL_CREATING, "hybrid-full-no-combiners"),
    _tuned(SUB, "hybrid-sub-decoupled"),
    _tuned(SUB_FIXED, "hybrid-sub"),
    SchemeChoice(label=DIGITAL, scheme="lp-nosim", options={"architecture": "digital-aperture"}),
    SchemeChoice(label=BARE, scheme="lp-nosim", options={"architecture": "digital-bare"}),
)


def compute(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.papers.sim_broadcast_ee.fair_simulate").compute(experiment, task)


def fair(mode: str) -> Study:
    """Return the comparison: energy efficiency against the price of a tunable element and the insertion loss."""
    full = mode == "full"
    prices = PRICES if full else PRICES[::2]
    losses = LOSSES if full else LOSSES[::3]
    return study(
        "fair",
        "Stacked surface, hybrid and digital arrays on one aperture, accepted power limited to 1 W",
        (
            Axis(name="element_power", values=prices, unit="W", label="Price of a meta-element or phase shifter"),
            Axis(name="insertion_loss_db", values=losses, unit="dB", label="Insertion loss a layer or phase shifter"),
        ),
        SCHEMES,
        claims(prices, losses),
        trials=50 if full else 4,
        chunk=25 if full else 4,
        scenario=SimBroadcast(kernel="band_limited"),
        compute=compute,
        variables=VARIABLES,
        panels=(Panel(EE), Panel("radiated")),
        picture=picture,
    )


def picture(results: "Results") -> "Figure":
    """Draw energy efficiency over the price and over the loss, and the break-even price over the loss."""
    import matplotlib.style
    from matplotlib.figure import Figure

    curves = results.curves(EE)
    prices, losses = curves["element_power"].values.tolist(), curves["insertion_loss_db"].values.tolist()
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(14.4, 5.6), layout="constrained")
        by_price, by_loss, even = figure.subplots(1, 3)
        for number, label in enumerate(results.schemes):
            marker, line = MARKERS[number % len(MARKERS)], LINES[label.partition(",")[0]]
            look = {"marker": marker, "linestyle": line, "color": f"C{number}", "label": label}
            one = curves.isel(scheme=number)
            for axes, x, at in (
                (by_price, 1e3 * np.array(prices), {"insertion_loss_db": losses[0]}),
                (by_loss, np.array(losses), {"element_power": PAPER_PRICE}),
            ):
                chosen = one.sel(at)
                axes.errorbar(x, chosen["mean"].values, yerr=chosen["stderr"].values, **look)
            if label in (FULL, FULL_LOSSLESS, SUB):
                with contextlib.suppress(TooFewTrials):  # as a claim stays open
                    found = [break_even(results, label, loss) for loss in losses]
                    even.errorbar(losses, [1e3 * e.mean for e in found], yerr=[1e3 * e.stderr for e in found], **look)
        by_price.set(xscale="log", xlabel="Price of a meta-element or phase shifter (mW)")
        by_price.set(ylabel="Energy efficiency (Mbit/J)", title=f"insertion loss {losses[0]:g} dB")
        by_loss.set(xlabel="Insertion loss a layer or phase shifter (dB)", title=f"price {1e3 * PAPER_PRICE:g} mW")
        even.set(yscale="symlog", xlabel="Insertion loss a layer or phase shifter (dB)")
        even.set(
            ylabel="Break-even price of a phase shifter (mW)", title=f"against the better SIM, {1e3 * PAPER_PRICE:g} mW"
        )
        even.axhline(0.0, color="0.6", linewidth=0.8)
        figure.legend(*by_price.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        low, high = int(curves["n"].min()), int(curves["n"].max())
        count = f"n = {low}" if low == high else f"n = {low} to {high}"
        figure.suptitle(f"mean and standard error of {count} converged realisations", fontsize="small")
    return figure
