"""Files and words of a plan: ranked table, maps, Pareto front, and the recommendation."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metamimo.experiments.statistics import Estimate
from metamimo.figures.curves import STYLE
from metamimo.figures.files import replacing
from metamimo.planner.choice import Advice
from metamimo.planner.plan_file import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CELL = ("rank", "layers", "elements", "antennas")
_SHOWN = 8
"""Cells that the text lists; plan.csv has all."""


def words(plan: Plan, advice: Advice) -> str:
    """Return the answer as text."""
    best = advice.best
    lines = [
        f"Recommended: {best.layers} layers of {best.elements} meta-atoms, {best.ports} antennas",
        f"  energy efficiency {_of(best.mean)} Mbit/J, sum rate {best.mean_rate:.1f} bit/s/Hz, n = {best.mean.n}"
        + (f", price {best.price:g}" if any(vars(plan.prices).values()) else ""),
        f"  {len(advice.ties)} other cells are not clearly worse (two paired standard errors)"
        + (f": {', '.join(cell.name for cell in advice.ties[:_SHOWN])}" if advice.ties else ""),
        "",
        f"{'rank':>4}  {'cell':<18} {'Mbit/J':>14}  {'bit/s/Hz':>8}  {'price':>8}",
    ]
    lines += [
        f"{rank:>4}  {cell.name:<18} {_of(cell.mean):>14}  {cell.mean_rate:>8.1f}  {cell.price:>8g}"
        for rank, cell in enumerate(advice.ranked[:_SHOWN], 1)
    ]
    lines += ["", "Pareto front, more rate for less efficiency: " + ", ".join(c.name for c in advice.pareto)]
    lines += ["", "Best stack minus the same antennas without a surface:"]
    for ports, gap in advice.crossover.items():
        verdict = "the stack pays" if gap.mean > 2 * gap.stderr else "does not pay" if gap.mean < 0 else "undecided"
        lines.append(f"  {ports} antennas: {gap.mean:+.2f} ± {gap.stderr:.2f} Mbit/J ({verdict})")
    if advice.left_out:
        missed = sum(cell.outage > 0 for cell in advice.left_out)
        beyond = len(advice.left_out) - missed
        lines += ["", f"Left out: {missed} cells with missed rates or unfinished runs, {beyond} beyond the budget"]
    return "\n".join(lines)


def write_table(advice: Advice, path: Path) -> None:
    """Write every cell, ranked ones first."""
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(
            [
                "rank",
                "layers",
                "elements",
                "antennas",
                "mbit_per_joule",
                "stderr",
                "bit_per_s_hz",
                "price",
                "n",
                "outage",
            ]
        )
        for rank, cell in enumerate(advice.ranked, 1):
            mean = cell.mean
            numbers = [mean.mean, mean.stderr, cell.mean_rate, cell.price, mean.n, 0.0]
            table.writerow([rank, cell.layers, cell.elements, cell.ports, *numbers])
        for cell in advice.left_out:
            table.writerow(["", cell.layers, cell.elements, cell.ports, "", "", "", cell.price, "", cell.outage])


def picture(plan: Plan, advice: Advice) -> "Figure":
    """Draw energy efficiency and sum rate over layers and meta-atoms at the recommended antennas, and the front."""
    import matplotlib.style
    from matplotlib.figure import Figure

    layers, elements = plan.search.n_layers, plan.elements_that_fit()
    shown = [cell for cell in advice.ranked if cell.ports == advice.best.ports]
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(14.4, 4.2), layout="constrained")
        maps = figure.subplots(1, 3)
        quantities = {"Energy efficiency (Mbit/J)": lambda c: c.mean.mean, "Sum rate (bit/s/Hz)": lambda c: c.mean_rate}
        for axes, (name, value) in zip(maps, quantities.items(), strict=False):
            grid = np.full((len(elements), len(layers)), np.nan)
            for cell in shown:
                grid[elements.index(cell.elements), layers.index(cell.layers)] = value(cell)
            image = axes.imshow(grid, origin="lower", aspect="auto")
            axes.set_xticks(range(len(layers)), [str(l) for l in layers])
            axes.set_yticks(range(len(elements)), [str(n) for n in elements])
            title = f"{name}, {advice.best.ports} antennas, n = {advice.best.mean.n}"
            axes.set(xlabel="Layers", ylabel="Meta-atoms per layer", title=title)
            figure.colorbar(image, ax=axes)
        front = maps[2]
        front.plot([c.mean_rate for c in advice.ranked], [c.mean.mean for c in advice.ranked], ".", color="0.7")
        front.plot([c.mean_rate for c in advice.pareto], [c.mean.mean for c in advice.pareto], "o-")
        front.set(xlabel="Sum rate (bit/s/Hz)", ylabel="Energy efficiency (Mbit/J)", title="All cells and Pareto front")
    return figure


def _of(estimate: Estimate) -> str:
    return f"{estimate.mean:.2f} ± {estimate.stderr:.2f}"
