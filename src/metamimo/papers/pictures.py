"""Pictures that panels cannot describe, shared by the papers."""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from metamimo.experiments.results import Results
from metamimo.figures.curves import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def convergence(results: Results, checkpoints: tuple[int, ...], axis: str, words: str, quantity: str) -> "Figure":
    """Draw mean histories against iterations, one colour a value of the axis, one line a scheme.

    Args:
        results: stored results with the variable `history`.
        checkpoints: iterations at which the history was kept.
        axis: the only axis of the study.
        words: one value of it in the legend, for example ``"L = {:g}"``.
        quantity: label of the history, with unit.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.subplots()
        values = results.dataset[axis].values.tolist()
        styles = dict(zip(results.schemes, itertools.cycle(("-", "--", "-.", ":")), strict=False))
        counts = []
        for (scheme, style), (number, value) in itertools.product(styles.items(), enumerate(values)):
            histories = results.values("history", scheme, {axis: value})
            kept = histories[np.isfinite(histories).all(-1)]
            counts.append(len(kept))
            label = f"{scheme}, {words.format(value)}"
            axes.plot(1 + np.asarray(checkpoints), kept.mean(0), style, color=f"C{number}", label=label, marker="")
        axes.set(xscale="log", xlabel="1 + iteration", ylabel=quantity)
        axes.set_title(f"mean of n = {min(counts)} to {max(counts)} converged realisations", fontsize="small")
        axes.legend(fontsize="x-small", ncols=2)
    return figure
