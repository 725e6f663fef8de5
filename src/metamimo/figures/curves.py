"""Curves with error bars, drawn from panels that describe a picture as data."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metamimo.errors import ConfigError
from metamimo.experiments.results import Results
from metamimo.experiments.study import SHOWN_BOUND, Panel
from metamimo.figures.files import replacing

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE = Path(__file__).with_name("metamimo.mplstyle")
MARKERS = "osD^vPX*"
MOST_IN_A_ROW = 5
MOST_INSIDE = 4
"""More names would cover curves: the legend then stands below all panels."""
_METADATA = {"png": {"Software": "metamimo"}, "pdf": {"Creator": "metamimo", "CreationDate": None, "ModDate": None}}


def draw(results: Results, panels: Sequence[Panel]) -> "Figure":
    """Draw one set of axes for each panel, one curve with error bars (one standard error) for each scheme.

    Args:
        results: Stored results.
        panels: What to show.

    Returns:
        Not yet written; see `save`.

    Raises:
        ConfigError: A panel names an unknown axis, or leaves an axis without a fixed value.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(STYLE):
        rows = math.ceil(len(panels) / MOST_IN_A_ROW)
        columns = math.ceil(len(panels) / rows)
        figure = Figure(figsize=(4.8 * columns, 3.6 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, one in zip(panels, axes, strict=False):
            _draw_panel(results, panel, one)
        for unused in axes[len(panels) :]:
            unused.remove()
        drawn = {}
        for one in figure.axes:
            drawn.update(zip(*reversed(one.get_legend_handles_labels()), strict=True))
        names = [label for label in results.schemes if label in drawn]
        handles = [drawn[label] for label in names]
        if len(names) <= MOST_INSIDE:
            axes[0].legend(handles, names)
        else:
            figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 2 * columns))
    return figure


def save(figure: "Figure", folder: Path, name: str = "figure") -> list[Path]:
    """Write ``NAME.png`` and ``NAME.pdf`` without dates, so that equal data give equal files."""
    import matplotlib.style

    paths = []
    with matplotlib.style.context(STYLE):
        for kind, metadata in _METADATA.items():
            paths.append(folder / f"{name}.{kind}")
            with replacing(paths[-1]) as aside:
                figure.savefig(aside, format=kind, metadata=metadata)
    return paths


def _draw_panel(results: Results, panel: Panel, axes: "Axes") -> None:
    x = panel.x or results.axes[0]
    if x not in results.axes:
        raise ConfigError(f"panel: x must be an axis of the data, one of {', '.join(results.axes)} (given: {x!r})")
    curves = _along(results.curves(panel.variable), x, panel)
    # A quantity that a scheme does not have is nan everywhere; that is no exclusion.
    has_values = (curves["n"] > 0).any(x).values
    for number, label in enumerate(results.schemes):
        if not has_values[number]:
            continue
        one = curves.isel(scheme=number)
        points = _places(one[x].values), one["mean"].values, one["stderr"].values
        # The colour is that of the scheme, not of the next curve, so that all panels agree with one legend.
        axes.errorbar(*points, marker=MARKERS[number % len(MARKERS)], color=f"C{number}", label=label)
    bounded = bool(panel.bound) and _draw_bounds(curves, _along(results.curves(panel.bound), x, panel), x, axes)
    axes.set(xscale=panel.x_scale, yscale=panel.y_scale, xlabel=_label(curves[x].attrs), ylabel=_label(curves.attrs))
    if curves[x].dtype.kind not in "if":
        axes.set_xticks(_places(curves[x].values), [str(name) for name in curves[x].values], rotation=30, ha="right")
    elif panel.x_scale == "linear":
        axes.set_xticks(curves[x].values)
    drawn = curves.isel(scheme=np.flatnonzero(has_values))
    counts = drawn["n"].values if has_values.any() else np.zeros(1)
    low, high, excluded = int(counts.min()), int(counts.max()), int(drawn["excluded"].sum())
    shown = f"n = {low}" if low == high else f"n = {low} to {high}"
    note = f"{shown} realisations a point" + (f", {excluded} excluded" if excluded else "")
    absent = int((~has_values).sum())
    note += f", {absent} curve{'s' if absent > 1 else ''} without values" if absent else ""
    note += "\ndashed: no design exceeds it" if bounded else ""
    axes.set_title(f"{panel.title}\n{note}" if panel.title else note, fontsize="small")


def _places(values: np.ndarray) -> np.ndarray:
    """Return where the points of an axis stand: numbers at their place, names side by side."""
    return values if values.dtype.kind in "if" else np.arange(len(values))


def _along(curves: "xr.Dataset", x: str, panel: Panel) -> "xr.Dataset":
    """Return the curves against one axis, all others at the panel's values."""
    for name in map(str, curves["mean"].dims):
        if name not in ("scheme", x):
            grid = curves[name].values.tolist()
            value = panel.fixed.get(name, grid[0] if len(grid) == 1 else None)
            if value not in grid:
                raise ConfigError(f"panel: must fix axis {name} to one of {grid} (given: {value!r})")
            curves = curves.isel({name: grid.index(value)})
    return curves


def _draw_bounds(curves: "xr.Dataset", bounds: "xr.Dataset", x: str, axes: "Axes") -> bool:
    """Draw the bounds that lie close to their curves, equal ones once; tell whether there is any."""
    drawn: list[np.ndarray] = []
    for number in range(curves.sizes["scheme"]):
        mean, bound = (each["mean"].isel(scheme=number).values for each in (curves, bounds))
        close = np.where(bound <= SHOWN_BOUND * mean, bound, np.nan)
        if np.isfinite(close).any() and not any(np.array_equal(close, one, equal_nan=True) for one in drawn):
            axes.plot(_places(curves[x].values), close, linestyle="--", color=f"C{number}", linewidth=1)
            drawn.append(close)
    return bool(drawn)


def _label(attributes: dict) -> str:
    name, unit = attributes.get("long_name", ""), attributes.get("units", "")
    return f"{name} ({unit})" if unit else str(name)
