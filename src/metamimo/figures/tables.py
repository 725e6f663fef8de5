"""curves.csv, claims.json and provenance.json: what stands behind a picture, small enough to commit."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from metamimo.experiments.claims import CheckedClaim
from metamimo.experiments.layout import DONE
from metamimo.experiments.results import Results
from metamimo.figures.files import replacing

SECONDS = "seconds"


def curve_rows(results: Results, variables: Iterable[str]) -> tuple[list[str], list[list[Any]]]:
    """Return header and rows of a long table: one row for each variable, scheme and grid point.

    Args:
        results: Stored results.
        variables: Real variables without extra dimensions.

    Returns:
        scheme, every swept field with its unit, variable with unit, n, excluded, mean, stderr.
    """
    coordinates = [str(name) for dim in results.axes for name in _fields(results, dim)]
    units = {name: results.dataset[name].attrs.get("units", "") for name in coordinates}
    header = ["scheme", *(_with_unit(name, units[name]) for name in coordinates), "variable", "unit"]
    header += ["n", "excluded", "mean", "stderr"]
    rows = []
    for variable in variables:
        curves = results.curves(variable)
        unit = curves.attrs.get("units", "")
        stacked = curves.stack(cell=("scheme", *results.axes), create_index=False)
        for i in range(stacked.sizes["cell"]):
            cell = stacked.isel(cell=i)
            rows.append(
                [str(cell["scheme"].item()), *(cell[name].item() for name in coordinates), variable, unit]
                + [cell[name].item() for name in ("n", "excluded", "mean", "stderr")]
            )
    return header, rows


def write_curves(results: Results, variables: Sequence[str], path: Path) -> None:
    """Write the curves of some variables as CSV, numbers in full precision."""
    header, rows = curve_rows(results, variables)
    with replacing(path) as aside, aside.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_claims(checked: Sequence[CheckedClaim], path: Path) -> None:
    """Write the claim table as a JSON list; a number that is not finite is written as text."""
    _write_json([{key: _plain(value) for key, value in item.as_record().items()} for item in checked], path)


def write_provenance(results: Results, path: Path) -> None:
    """Write what made the data as JSON: experiment, scenario, realisations, seed, versions, commit, settings and cost.

    ``process_seconds`` is the sum of the wall times of all realisations, null where they are not stored. The date and
    the versions are those of the store's making.
    """
    stored, done = results.attributes, results.dataset[DONE]
    seconds = results.dataset[SECONDS].where(done).sum().item() if SECONDS in stored["variables"] else None
    record = {
        "figure": results.name,
        "title": stored["experiment"]["title"],
        "experiment": stored["id"],
        "scenario_class": stored["scenario_class"],
        "scenario": stored["experiment"]["scenario"],
        "realisations": done.sizes["trial"],
        "seed": stored["seed"],
        "created": stored["created"],
        "process_seconds": seconds,
        # The operating system's name decides no number, and is that of a machine nobody else has.
        "made_with": {key: value for key, value in stored["provenance"].items() if key != "platform"},
    }
    _write_json(record, path)


def _write_json(data: Any, path: Path) -> None:
    with replacing(path) as aside:
        aside.write_text(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _fields(results: Results, dim: str) -> list[str]:
    """Return the coordinates along an axis, the one that names it first."""
    others = [str(name) for name, c in results.dataset.coords.items() if c.dims == (dim,) and name != dim]
    return [dim, *others]


def _with_unit(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit else name


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and value - value != 0 else value
