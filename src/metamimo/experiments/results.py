"""Stored results as labelled arrays: what is done, what counts, and the curves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metamimo.errors import ConfigError, StoreError
from metamimo.experiments.claims import MissingPoint
from metamimo.experiments.integrity import read_verified
from metamimo.experiments.layout import DONE, STORE
from metamimo.experiments.store import read_store

if TYPE_CHECKING:
    import xarray as xr

STATUS = "status"


@dataclass(frozen=True)
class Results:
    """The stored numbers of one study.

    Attributes:
        dataset: Dimensions (scheme, axes..., trial, extra...). Real and complex variables are nan where a realisation
            is not
            done. Two masks stand beside them: ``done``, and ``counts`` (done and converged).
        attributes: What the store remembers: id, experiment, seed, versions, settings.
        folder: Where the store lies.
        damaged: Names of chunk files that are marked done but cannot be read; their realisations are shown as not done.
    """

    dataset: "xr.Dataset"
    attributes: Mapping[str, Any]
    folder: Path
    damaged: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the swept quantities."""
        return tuple(str(dim) for dim in self.dataset[DONE].dims[1:-1])

    @property
    def schemes(self) -> tuple[str, ...]:
        """Labels of the curves."""
        return tuple(str(label) for label in self.dataset["scheme"].values)

    @property
    def name(self) -> str:
        """Name of the figure, PAPER/FIGURE."""
        return str(self.attributes["experiment"]["name"])

    def values(self, variable: str, scheme: str, point: Mapping[str, Any] | None = None) -> np.ndarray:
        """Return one variable of one scheme at one grid point, without the realisations that do not count.

        Args:
            variable: Name of a stored variable.
            scheme: Label of the scheme.
            point: Axis values; an axis of length one may be left out.

        Returns:
            Shape (trial, ...), real or complex; realisations that are not done or not converged are nan.

        Raises:
            ConfigError: The variable or an axis is unknown, or the point leaves an axis open.
            MissingPoint: The run has no such scheme or grid point.
        """
        chosen = self._select(variable, scheme, point or {})
        kept = chosen.where(chosen["counts"])
        return kept.transpose("trial", ...).values

    def samples(self, variable: str, scheme: str, point: Mapping[str, Any] | None = None) -> np.ndarray:
        """Return `values` of a variable without extra dimensions, shape (trial,), for the statistics functions."""
        values = self.values(variable, scheme, point)
        if values.ndim != 1:
            raise ConfigError(f"{variable}: has extra dimensions, reduce its `values` first")
        return values

    def _select(self, variable: str, scheme: str, point: Mapping[str, Any]) -> "xr.DataArray":
        self._variable(variable)
        if scheme not in self.schemes:
            raise MissingPoint(f"this run has no scheme {scheme!r}")
        for name in point:
            if name not in self.axes:
                raise ConfigError(f"point: {name!r} is no axis of this run; axes are {', '.join(self.axes)}")
        picked: dict[str, int] = {"scheme": self.schemes.index(scheme)}
        for axis in self.axes:
            grid = self.dataset[axis].values.tolist()
            if axis not in point and len(grid) > 1:
                raise ConfigError(f"point: must give a value of axis {axis}, one of {grid}")
            wanted = point.get(axis, grid[0])
            if wanted not in grid:
                raise MissingPoint(f"this run has no point {axis}={wanted!r}, only {grid}")
            picked[axis] = grid.index(wanted)
        return (
            self.dataset[[variable, "counts"]]
            .isel(picked)[variable]
            .assign_coords(counts=self.dataset["counts"].isel(picked))
        )

    def _variable(self, name: str) -> "xr.DataArray":
        if name not in self.attributes["variables"]:
            known = ", ".join(self.attributes["variables"])
            raise ConfigError(f"variable: the store holds {known} (given: {name!r})")
        return self.dataset[name]

    def curves(self, variable: str) -> "xr.Dataset":
        """Return the curves of a variable: what a picture or a table shows.

        Args:
            variable: Name of a real stored variable; extra dimensions stay.

        Returns:
            Over (scheme, axes...): ``n`` realisations that count and are finite, ``excluded`` realisations that are
            done but do not (not converged, or not finite), ``mean``, and ``stderr`` (nan where n < 2).
        """
        import xarray as xr

        data = self._variable(variable)
        if data.dtype.kind == "c":
            raise ConfigError(f"variable: curves need a real variable, {variable} is {data.dtype}")
        kept = data.where(self.dataset["counts"] & np.isfinite(data))
        n = kept.notnull().sum("trial")
        spread = kept.std("trial", ddof=1).where(n > 1)
        curves = xr.Dataset(
            {
                "n": n,
                "excluded": self.dataset[DONE].sum("trial") - n,
                "mean": kept.mean("trial"),
                "stderr": spread / np.sqrt(n.where(n > 1)),
            }
        )
        curves.attrs = {"variable": variable, **data.attrs}
        return curves


def open_results(folder: Path | str, trials: int | None = None) -> Results:
    """Open the stored results of a figure.

    Args:
        folder: Folder of the figure (``DIR/PAPER/FIGURE``), or the store itself.
        trials: Use only the first so many realisations.

    Raises:
        StoreError: There is no store, it is foreign or damaged.
    """
    import xarray as xr

    path = Path(folder)
    store = read_store(path if path.name == STORE else path / STORE)
    arrays, done, damage = read_verified(store)

    def labelled(name: str, values: np.ndarray) -> tuple[Any, np.ndarray, dict[str, Any]]:
        return store.dims(name), values, dict(store.array(name).attrs)

    data: dict[str, Any] = {}
    for name, values in arrays.items():
        shown = done.reshape(done.shape + (1,) * (values.ndim - done.ndim))
        hidden = np.where(shown, values, np.nan).astype(values.dtype) if values.dtype.kind in "fc" else values
        data[name] = labelled(name, hidden)
    converged = np.isin(arrays[STATUS], store.attributes["converged"]) if STATUS in arrays else True
    data[DONE] = labelled(DONE, done)
    counts_notes = {"long_name": "realisation is finished and converged"}
    data["counts"] = (data[DONE][0], done & converged, counts_notes)
    coordinates = {name: labelled(name, np.asarray(store.array(name)[:])) for name in store.attributes["coordinates"]}
    dataset = xr.Dataset(data, coordinates)
    if trials is not None:
        dataset = dataset.isel(trial=slice(0, trials))
    return Results(dataset, store.attributes, store.path.parent, tuple(item.chunk for item in damage))


def find_stores(folder: Path) -> list[Path]:
    """Return the stores in a folder and below, sorted.

    Raises:
        StoreError: There is none.
    """
    found = [folder] if folder.name == STORE else sorted(folder.rglob(STORE))
    if not found:
        raise StoreError(f"{folder}: no {STORE} in this folder or below")
    return found


def summary_line(path: Path) -> str:
    """Return in one line what a store holds: name, id, finished and excluded realisations, damage."""
    results = open_results(path)
    done, counts = results.dataset[DONE].values, results.dataset["counts"].values
    parts = [f"{results.name} (id {results.attributes['id']}, made {results.attributes['created']})"]
    parts.append(f"{done.sum()} of {done.size} realisations done, {done.shape[-1]} a point")
    if not_converged := int((done & ~counts).sum()):
        parts.append(f"{not_converged} excluded because they did not converge")
    if results.damaged:
        parts.append(f"{len(results.damaged)} damaged chunks, first {results.damaged[0]}: run again to compute them")
    return f"{path.parent}: " + "; ".join(parts)
