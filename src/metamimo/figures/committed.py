"""A figure read back from its small files, without the store: curves.csv, claims.json, provenance.json, figure.png."""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metamimo.errors import StoreError

_STATISTICS = ("variable", "unit", "n", "excluded", "mean", "stderr")
_CLAIM = {"id", "text", "holds", "measured", "stderr", "expected", "note"}


@dataclass(frozen=True)
class Cell:
    """One mean: a scheme at a grid point, whose values are texts in the order of `Curves.coordinates`."""

    scheme: str
    point: tuple[str, ...]
    n: int
    excluded: int
    mean: float
    stderr: float


@dataclass(frozen=True)
class Curves:
    """The curves of one variable. Coordinates carry their unit, for example ``power_dbm [dBm]``."""

    variable: str
    unit: str
    coordinates: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class CommittedRun:
    """What a run left in a figure's folder; `provenance` is empty where the run did not write it."""

    name: str
    curves: tuple[Curves, ...]
    claims: tuple[Mapping[str, Any], ...]
    provenance: Mapping[str, Any]
    picture: Path


def read_run(results: Path, name: str) -> CommittedRun | None:
    """Read the files of a figure.

    Args:
        results: The folder of all results.
        name: ``PAPER/FIGURE``.

    Returns:
        Nothing where the figure has no such file.

    Raises:
        StoreError: A file is missing beside others, or cannot be read.
    """
    folder = results / name
    needed = [folder / file for file in ("curves.csv", "claims.json", "figure.png")]
    if not any(path.exists() for path in needed):
        return None
    missing = [path.name for path in needed if not path.exists()]
    if missing:
        raise StoreError(f"{folder}: {', '.join(missing)} must lie beside the other files of the run")
    claims = _json(folder / "claims.json")
    if not isinstance(claims, list) or not all(isinstance(claim, dict) and claim.keys() >= _CLAIM for claim in claims):
        raise StoreError(f"{folder / 'claims.json'}: must be a list of objects with {', '.join(sorted(_CLAIM))}")
    made = folder / "provenance.json"
    provenance = _json(made) if made.exists() else {}
    return CommittedRun(name, _curves(folder / "curves.csv"), tuple(claims), provenance, needed[2])


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StoreError(f"{path}: is damaged ({error})") from error


def _curves(path: Path) -> tuple[Curves, ...]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    header = list(rows[0]) if rows else []
    if not {"scheme", *_STATISTICS} <= set(header):
        raise StoreError(f"{path}: must have the columns scheme, {', '.join(_STATISTICS)} and a row")
    coordinates = tuple(name for name in header if name not in ("scheme", *_STATISTICS))
    found: dict[tuple[str, str], list[Cell]] = {}
    for number, row in enumerate(rows, start=2):
        try:
            cell = Cell(
                row["scheme"],
                tuple(_tidy(row[name]) for name in coordinates),
                int(row["n"]),
                int(row["excluded"]),
                float(row["mean"]),
                float(row["stderr"]),
            )
        except (TypeError, ValueError) as error:
            raise StoreError(f"{path}: line {number} is damaged ({error})") from error
        found.setdefault((row["variable"], row["unit"]), []).append(cell)
    return tuple(Curves(variable, unit, coordinates, tuple(cells)) for (variable, unit), cells in found.items())


def _tidy(text: str) -> str:
    """Return a grid value as people write it: 30 for 30.0."""
    return re.sub(r"(\d)\.0$", r"\1", text)
