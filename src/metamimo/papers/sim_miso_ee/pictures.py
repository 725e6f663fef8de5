"""Pictures that panels cannot describe."""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from metamimo.experiments.results import Results
from metamimo.figures.curves import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def convergence(results: Results, rounds: tuple[int, ...]) -> "Figure":
    """Draw Fig. 2: mean energy efficiency against rounds, one set of axes a least rate.

    Schemes that do not alternate are drawn as level lines at their end.

    Args:
        results: stored results with the variable `history`.
        rounds: rounds at which the history was kept.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    rates = results.dataset["min_rate"].values.tolist()
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(6.4 * len(rates), 4.8), layout="constrained")
        for axes, rate in zip(np.atleast_1d(figure.subplots(1, len(rates))), rates, strict=True):
            styles = itertools.cycle(("-", "--", "-.", ":"))
            for (number, scheme), style in zip(enumerate(results.schemes), styles, strict=False):
                values = results.values("history", scheme, {"min_rate": rate})
                kept = values[np.isfinite(values).all(-1)]
                axes.plot(rounds, kept.mean(0), style, color=f"C{number}", label=f"{scheme}, n={len(kept)}", marker="")
            axes.set(xlabel="Round", ylabel="Energy efficiency (Mbit/J)", title=f"$R^{{min}}$ = {rate:g} bit/s/Hz")
            axes.legend(fontsize="x-small")
    return figure
