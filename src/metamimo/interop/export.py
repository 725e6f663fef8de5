"""Stored results as CSV, netCDF and MATLAB files."""

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metamimo.errors import ConfigError
from metamimo.experiments.results import Results, find_stores, open_results
from metamimo.figures.files import replacing

if TYPE_CHECKING:
    import xarray as xr

SUFFIXES = {"csv": ".csv", "netcdf": ".nc", "mat": ".mat"}
_MAT_NAME = 63


def export(folder: Path, to: str, out: Path | None = None) -> Path:
    """Write all stored numbers of one figure to a file of another format.

    CSV is a long table: one row for each scheme, grid point and realisation, one column for each variable (for each
    entry where a variable has extra dimensions). netCDF and MATLAB files keep the arrays, with names for dimensions
    and coordinates. Complex variables become two real ones, ``NAME_real`` and ``NAME_imag``, except in MATLAB files.

    Args:
        folder: A figure's folder or a folder with a single store below.
        to: "csv", "netcdf" or "mat".
        out: The file; ``results.csv``, ``results.nc`` or ``results.mat`` beside the store if left out.

    Returns:
        The file.

    Raises:
        ConfigError: The format is unknown, the folder holds several stores, or the parent of `out` is missing.
        StoreError: There is no store, or the disk is full.
    """
    if to not in SUFFIXES:
        raise ConfigError(f"to: must be one of {', '.join(SUFFIXES)} (given: {to!r})")
    stores = find_stores(folder)
    if len(stores) > 1:
        raise ConfigError(f"folder: must hold one store, choose one of {', '.join(str(s.parent) for s in stores)}")
    path = out or stores[0].with_name(f"results{SUFFIXES[to]}")
    if not path.parent.is_dir():
        raise ConfigError(f"out: the parent of the file must exist (given: {str(path)!r})")
    results = open_results(stores[0])
    writer = {"csv": _write_csv, "netcdf": _write_netcdf, "mat": _write_mat}[to]
    with replacing(path) as aside:
        writer(results, aside)
    return path


def _write_csv(results: Results, path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows(_rows(results))


def _rows(results: Results) -> Iterator[list[Any]]:
    data = _real_pairs(results.dataset)
    dims = [str(dim) for dim in data["done"].dims]
    coordinates = {str(name): c for dim in dims for name, c in data.coords.items() if c.dims == (dim,)}
    columns = [(str(name), index) for name in data.data_vars for index in _extra_indices(data[name], dims)]
    yield [*coordinates, "trial", *("_".join(map(str, (name, *index))) for name, index in columns)]
    arrays = {name: data[name].transpose(*dims, ...).values for name, _ in columns}
    for position in itertools.product(*(range(data.sizes[dim]) for dim in dims)):
        at = dict(zip(dims, position, strict=True))
        labels = [c.values[at[str(c.dims[0])]].item() if c.dtype.kind in "ifb" else c.values[at[str(c.dims[0])]]
                  for c in coordinates.values()]  # fmt: skip
        yield [*labels, at["trial"], *(arrays[name][position + index].item() for name, index in columns)]


def _extra_indices(array: "xr.DataArray", dims: list[str]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(array.sizes[dim]) for dim in array.dims if dim not in dims))


def _write_netcdf(results: Results, path: Path) -> None:
    data = _real_pairs(results.dataset)
    data.attrs = {"name": results.name, "experiment_id": results.attributes["id"], "config": _config(results)}
    data.to_netcdf(path, engine="h5netcdf")


def _write_mat(results: Results, path: Path) -> None:
    from scipy.io import savemat

    data = results.dataset
    content: dict[str, Any] = {str(name): _for_matlab(array.values) for name, array in data.variables.items()}
    content |= {f"dims_{name}": ",".join(map(str, data[name].dims)) for name in data.data_vars}
    content["config"] = _config(results)
    for name in content:
        if len(name) > _MAT_NAME:
            raise ConfigError(f"variable: MATLAB names have at most {_MAT_NAME} characters (given: {name!r})")
    savemat(path, content, do_compression=True, oned_as="column", long_field_names=True)


def _for_matlab(values: np.ndarray) -> np.ndarray:
    """Return text as a cell array; MATLAB has no strings of NumPy's kind."""
    return values if values.dtype.kind in "bifc" else np.array([str(v) for v in values.tolist()], dtype=object)


def _real_pairs(data: "xr.Dataset") -> "xr.Dataset":
    """Replace complex variables by real ones, because CSV and netCDF have none."""
    for name, array in data.data_vars.items():
        if array.dtype.kind == "c":
            parts = {f"{name}_real": array.real, f"{name}_imag": array.imag}
            data = data.drop_vars([name]).assign(parts)
    return data


def _config(results: Results) -> str:
    import json

    return json.dumps(results.attributes["experiment"], sort_keys=True)
