"""The result store: one Zarr v3 group a figure, one chunk a task, and a mask, written last, that says what is done."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metamimo.errors import ConfigError, ShapeError, StoreError
from metamimo.experiments.config import NOT_IN_ID
from metamimo.experiments.environment import differences, provenance
from metamimo.experiments.layout import (
    DONE,
    FORMAT,
    STORE,
    consolidate,
    create,
    remove_leftovers,
    storage_errors,
)
from metamimo.experiments.tasks import Task

if TYPE_CHECKING:
    import zarr

    from metamimo.experiments.study import Study

Block = tuple[int, ...]
_LONGEST_DIFFERENCE = 160


def prepare_folder(out: Path, name: str) -> Path:
    """Return ``out/PAPER/FIGURE``, created; the parent of `out` must exist, so that a typing error makes no folders.

    Raises:
        ConfigError: The parent of `out` is no folder.
        StoreError: The folder cannot be created.
    """
    out = out.expanduser().absolute()
    if not out.parent.is_dir():
        raise ConfigError(f"out: the parent of the output folder must exist (given: {str(out)!r})")
    folder = out / name
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


class Store:
    """An open result store.

    Get one from `open_store`; it is cheap to open and safe to use from one thread of many processes, as long as a
    task is given to one of them.
    """

    def __init__(self, path: Path, attributes: Mapping[str, Any]) -> None:
        self.path = path
        self.attributes = dict(attributes)
        self._arrays: dict[tuple[str, str], zarr.Array[Any]] = {}

    @property
    def variables(self) -> list[str]:
        """Names of the stored quantities, without the mask."""
        return list(self.attributes["variables"])

    def dims(self, name: str) -> tuple[str, ...]:
        """Return the names of an array's dimensions."""
        if name in self.attributes["coordinates"]:
            return (self.attributes["coordinates"][name],)
        extra = () if name == DONE else self.attributes["variables"][name][1]
        return (*self.attributes["dims"], *extra)

    @property
    def chunk(self) -> int:
        """Realisations a task."""
        return int(self.attributes["chunk"])

    @property
    def trials(self) -> int:
        """Length of the trial axis."""
        return int(self.array(DONE).shape[-1])

    def array(self, name: str, mode: Any = "r") -> "zarr.Array[Any]":
        """Return one array of the store.

        Raises:
            StoreError: The array is not there.
        """
        import zarr

        if (name, mode) not in self._arrays:
            try:
                # `open_array` takes this setting from the global configuration only (zarr 3.1).
                with zarr.config.set({"array.write_empty_chunks": True}):
                    self._arrays[name, mode] = zarr.open_array(self.path / name, mode=mode)
            except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
                raise StoreError(f"{self.path}: array {name} is missing or damaged ({error})") from error
        return self._arrays[name, mode]

    def write(self, task: Task, values: Mapping[str, np.ndarray]) -> None:
        """Write one task: every variable, then the mask.

        Args:
            task: What was computed.
            values: One array for each variable, shape ``(task.count, *extra dimensions)``.

        Raises:
            ShapeError: A variable is missing, unknown, or has another shape or kind; nothing is written.
            StoreError: The disk is full or the folder cannot be written; the task is not marked done.
        """
        if set(values) != set(self.variables):
            raise ShapeError(f"compute returned {sorted(values)}, the study declares {sorted(self.variables)}")
        checked = {}
        for name in self.variables:
            array, value = self.array(name, "r+"), np.asarray(values[name])
            expected = (task.count, *array.shape[len(task.region) :])
            if value.shape != expected:
                raise ShapeError(f"{name}: must have shape {expected}, compute returned {value.shape}")
            if not np.can_cast(value.dtype, array.dtype, casting="same_kind"):
                raise ShapeError(f"{name}: must be {array.dtype}, compute returned {value.dtype}")
            checked[name] = value.astype(array.dtype)
        with storage_errors(self.path):
            for name, value in checked.items():
                self.array(name, "r+")[task.region] = value
            self.array(DONE, "r+")[task.region] = np.ones(task.count, dtype=bool)

    def chunk_file(self, name: str, block: Block) -> Path:
        """Return the file that holds one chunk of a variable."""
        extra = (0,) * (len(self.array(name).shape) - len(block))
        return self.path.joinpath(name, "c", *map(str, (*block, *extra)))

    def region(self, block: Block) -> tuple[int | slice, ...]:
        """Return where a chunk's numbers lie in an array, without extra dimensions."""
        first = block[-1] * self.chunk
        return (*block[:-1], slice(first, min(first + self.chunk, self.trials)))

    def discard(self, block: Block) -> None:
        """Forget a chunk of all variables: its mask first, so that no moment shows it done without data."""
        with storage_errors(self.path):
            for name in (DONE, *self.variables):
                self.chunk_file(name, block).unlink(missing_ok=True)


def open_store(study: "Study", folder: Path) -> tuple[Store, list[str]]:
    """Open the store of a study in a folder, creating or extending it as needed.

    Args:
        study: The study; a larger number of trials than stored extends the store, a smaller one leaves it as it is.
        folder: An existing folder; the store is its entry ``store.zarr``.

    Returns:
        The store, and remarks for people (settings that differ from those the store was made with).

    Raises:
        StoreError: The store is foreign, damaged, of another experiment or another chunk size, or the disk is full.
    """
    path = folder / STORE
    with storage_errors(folder):
        remove_leftovers(folder)
        if not path.exists():
            create(study, path)
    store = read_store(path)
    _check_same_experiment(study, store)
    with storage_errors(folder):
        _extend(store, study.experiment.trials)
    return store, differences(store.attributes["provenance"], provenance())


def read_store(path: Path) -> Store:
    """Open an existing store for reading, whatever experiment made it.

    Raises:
        StoreError: There is no store, or it was not made by metamimo, or its metadata are damaged.
    """
    if not path.exists():
        raise StoreError(f"{path}: no such store")
    try:
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]["metamimo"]
        known = attributes["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise StoreError(f"{path}: not a store made by metamimo, or its metadata are damaged ({reason})") from error
    if known != FORMAT:
        raise StoreError(f"{path}: store format must be {FORMAT} (given: {known!r})")
    store = Store(path, attributes)
    for name in (DONE, *store.variables):
        store.array(name)
    for name in attributes["coordinates"]:
        _check_coordinate(store, name)
    return store


def _check_coordinate(store: Store, name: str) -> None:
    """A lost coordinate would read as zeros; there is nothing to compute it from, so it is an error."""
    try:
        if not (store.path / name / "c" / "0").is_file():
            raise FileNotFoundError("its file is missing")
        store.array(name)[:]
    except Exception as error:
        raise StoreError(f"{store.path}: coordinate {name} is damaged ({error})") from error


def _check_same_experiment(study: "Study", store: Store) -> None:
    wanted, found = study.experiment, store.attributes
    if found["id"] != wanted.id:
        detail = "; ".join(_changed(found["experiment"], wanted.model_dump(mode="json")))
        raise StoreError(
            f"{store.path}: was made by another experiment (id {found['id']}, this one is {wanted.id}; {detail}). "
            "Choose another output folder, or delete that store"
        )
    if store.chunk != wanted.chunk:
        raise StoreError(
            f"{store.path}: chunk must be {store.chunk}, the size this store was made with (given: {wanted.chunk})"
        )
    declared = {v.name: [v.dtype, list(v.dims)] for v in study.variables}
    if found["variables"] != declared:
        raise StoreError(
            f"{store.path}: holds variables {found['variables']}, this version of the study stores {declared}. "
            "Choose another output folder, or delete that store"
        )


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return in words which entries of two configurations differ, leaving out those that do not change numbers."""
    lines = []
    for key in sorted((old.keys() | new.keys()) - NOT_IN_ID):
        there, here = old.get(key), new.get(key)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            lines += _changed(there, here, f"{prefix}{key}.")
        elif there != here:
            text = f"{prefix}{key} is {there!r} there and {here!r} here"
            lines.append(text if len(text) <= _LONGEST_DIFFERENCE else f"{prefix}{key} differs")
    return lines


def _extend(store: Store, trials: int) -> None:
    """Lengthen the trial axis; repeating it after a kill in the middle completes it."""
    axis = len(store.array(DONE).shape) - 1
    names = [*store.variables, DONE]
    lengths = {name: store.array(name).shape[axis] for name in names}
    target = max(trials, *lengths.values())
    listed = json.loads((store.path / "zarr.json").read_text())["consolidated_metadata"]["metadata"]
    if all(length == target for length in lengths.values()) and listed[DONE]["shape"][axis] == target:
        return
    for name in names:
        array = store.array(name, "r+")
        array.resize((*array.shape[:axis], target, *array.shape[axis + 1 :]))
    consolidate(store.path)
    store._arrays.clear()
