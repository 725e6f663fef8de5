"""Pictures that panels cannot describe."""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from metamimo.experiments.results import Results
from metamimo.figures.curves import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def convergence(results: Results, checkpoints: tuple[int, ...]) -> "Figure":
    """Draw Fig. 2: mean energy efficiency against iterations, one colour a number of layers, one line a scheme.

    Args:
        results: stored results with the variable `history`.
        checkpoints: iterations at which the history was kept.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.subplots()
        layers = results.dataset["n_layers"].values.tolist()
        styles = dict(zip(results.schemes, itertools.cycle(("-", "--")), strict=False))
        for (scheme, style), (number, count) in itertools.product(styles.items(), enumerate(layers)):
            values = results.values("history", scheme, {"n_layers": count})
            kept = values[np.isfinite(values).all(-1)]
            label = f"{scheme}, L = {count}"
            axes.plot(1 + np.asarray(checkpoints), kept.mean(0), style, color=f"C{number}", label=label, marker="")
        counts = results.curves("energy_efficiency")["n"].values
        axes.set(xscale="log", xlabel="1 + iteration", ylabel="Energy efficiency (Mbit/J)")
        axes.set_title(f"mean of n = {counts.min()} to {counts.max()} converged realisations", fontsize="small")
        axes.legend(fontsize="x-small", ncols=2)
    return figure
