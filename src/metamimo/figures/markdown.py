"""Curves and claims as Markdown tables."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metamimo.experiments.claims import Verdict
from metamimo.figures.claim_table import MARKS, measured
from metamimo.figures.committed import Cell, Curves

_EQUAL = 1e-12
"""Standard error over mean that is nothing but rounding of equal numbers."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a Markdown table as lines.

    >>> table(["a", "b"], [["1", "x|y"]])
    ['| a | b |', '|---|---|', '| 1 | x\\\\|y |']
    """
    lines = ["| " + " | ".join(_escaped(text) for text in header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(_escaped(text) for text in row) + " |" for row in rows]


def curve_table(curves: Curves) -> list[str]:
    """Return one variable as a caption and a table: the longest axis from left to right, schemes and others downwards.

    The caption has the number of realisations of most cells; a cell that differs, or lost some, says so itself.
    """
    axes = _axes(curves)
    across = max(axes, key=lambda axis: len(_values(curves, axis)))
    down = [axis for axis in axes if axis != across and len(_values(curves, axis)) > 1]
    fixed = [axis for axis in axes if axis != across and axis not in down]
    usual = Counter(cell.n for cell in curves.cells).most_common(1)[0][0]
    cells = {(cell.scheme, *(_value(cell, axis) for axis in (*down, across))): cell for cell in curves.cells}
    schemes = dict.fromkeys(cell.scheme for cell in curves.cells)
    columns = _values(curves, across)
    rows = []
    for scheme, *rest in itertools.product(schemes, *(_values(curves, axis) for axis in down)):
        row = [cells.get((scheme, *rest, column)) for column in columns]
        rows.append([scheme, *rest, *(cell_text(cell, usual) if cell else "" for cell in row)])
    header = ["scheme", *(_name(curves, axis) for axis in down), *columns]
    return [_caption(curves, across, fixed, usual), "", *table(header, rows)]


def cell_text(cell: Cell, usual: int) -> str:
    """Return a mean with its standard error, and its counts where they are unusual.

    >>> cell_text(Cell("a", (), 198, 2, 20.2134, 0.2251), usual=200)
    '20.21 ± 0.23 (n = 198, 2 excluded)'
    >>> cell_text(Cell("a", (), 1, 0, 1116352.0, math.nan), usual=1)
    '1,116,352'
    >>> cell_text(Cell("a", (), 200, 0, 0.0709547, 1e-18), usual=200)  # the same in all realisations
    '0.07095'
    """
    notes = [] if cell.n == usual else [f"n = {cell.n}"]
    notes += [f"{cell.excluded} excluded"] if cell.excluded else []
    text = _with_error(cell.mean, cell.stderr)
    return f"{text} ({', '.join(notes)})" if notes else text


def claim_table(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Return the claims of one or more runs of a figure, one column of verdicts a run.

    Args:
        runs: Title of the column to the records of claims.json.
    """
    claims = {claim["id"]: claim for records in runs.values() for claim in records}
    by_run = [{claim["id"]: claim for claim in records} for records in runs.values()]
    header = ["claim", "what the source says", "expected", *runs]
    rows = [
        [key, claim["text"], claim["expected"], *(verdict_text(run[key]) if key in run else "" for run in by_run)]
        for key, claim in claims.items()
    ]
    return table(header, rows)


def verdict_text(claim: Mapping[str, Any]) -> str:
    """Return a verdict with its number and what stands behind it."""
    stderr = None if claim["stderr"] is None else float(claim["stderr"])
    verdict = Verdict(claim["holds"], claim["measured"], stderr, claim["note"])
    return f"**{MARKS[verdict.holds]}**: {measured(verdict)}" + (f"; {verdict.note}" if verdict.note else "")


def _caption(curves: Curves, across: tuple[int, ...], fixed: list[tuple[int, ...]], usual: int) -> str:
    unit = f" [{curves.unit}]" if curves.unit else ""
    point = "".join(f", {_name(curves, axis)} = {_values(curves, axis)[0]}" for axis in fixed)
    plain = all(cell.n == usual and not cell.excluded for cell in curves.cells)
    where = "in every cell, none excluded" if plain else "where a cell says nothing else"
    random = any(math.isfinite(cell.stderr) for cell in curves.cells)
    what = f"mean ± standard error; n = {usual} realisations {where}" if random else "one value a cell"
    return f"`{curves.variable}`{unit} against {_name(curves, across)}{point}; {what}."


def _axes(curves: Curves) -> list[tuple[int, ...]]:
    """Return the axes as groups of coordinates: those that always change together are one."""
    groups: list[tuple[int, ...]] = []
    for index in range(len(curves.coordinates)):
        for position, group in enumerate(groups):
            lengths = {len(_values(curves, axis)) for axis in (group, (index,), (*group, index))}
            if len(lengths) == 1 and lengths != {1}:
                groups[position] = (*group, index)
                break
        else:
            groups.append((index,))
    return groups


def _values(curves: Curves, axis: tuple[int, ...]) -> list[str]:
    return list(dict.fromkeys(_value(cell, axis) for cell in curves.cells))


def _value(cell: Cell, axis: tuple[int, ...]) -> str:
    return ", ".join(cell.point[index] for index in axis)


def _name(curves: Curves, axis: tuple[int, ...]) -> str:
    return ", ".join(f"`{curves.coordinates[index]}`" for index in axis)


def _with_error(mean: float, stderr: float) -> str:
    if math.isnan(mean):
        return "none"
    if not math.isfinite(stderr):
        return f"{mean:,.0f}" if mean.is_integer() else f"{mean:.4g}"
    if stderr <= _EQUAL * abs(mean):
        return f"{mean:.4g}"
    # Two significant digits of the error decide how many of the mean are shown.
    digits = max(0, 1 - math.floor(math.log10(stderr)))
    return f"{mean:.{digits}f} ± {stderr:.{digits}f}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
