"""How a store lies on the disk: made aside, renamed into place, and cleaned up after dead processes."""

import contextlib
import errno
import os
import shutil
import socket
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metamimo.errors import StoreError
from metamimo.experiments.environment import provenance

if TYPE_CHECKING:
    from metamimo.experiments.study import Study

STORE = "store.zarr"
FORMAT = 1
DONE = "done"
_ABANDONED_SECONDS = 3600.0


@contextlib.contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the operating system into a `StoreError` that names the folder and what to do."""
    try:
        yield
    except OSError as error:
        advice = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "; free some space and start again, finished tasks are kept"
        raise StoreError(f"{folder}: {error.strerror or error}{advice}") from error


def create(study: "Study", path: Path) -> None:
    """Build the store aside and rename it, so that a kill leaves a whole store or none."""
    prefix = f".{STORE}-{socket.gethostname()}-{os.getpid()}-"
    building = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    try:
        os.chmod(building, 0o777 & ~_umask())
        _build(study, building)
        try:
            os.rename(building, path)
        except OSError as error:
            # Another process of the same run was faster; its store is as good as ours.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _build(study: "Study", path: Path) -> None:
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    experiment = study.experiment
    dims = ("scheme", *(axis.name for axis in experiment.axes), "trial")
    attributes = {
        "format": FORMAT,
        "id": experiment.id,
        "experiment": experiment.model_dump(mode="json", exclude={"trials"}),
        "scenario_class": type(experiment.scenario).__name__,
        "chunk": experiment.chunk,
        "seed": experiment.seed,
        "variables": {v.name: [v.dtype, list(v.dims)] for v in study.variables},
        "promised": [v.name for v in study.variables if v.promised],
        "dims": dims,
        "coordinates": {"scheme": "scheme"} | {field: axis.name for axis in experiment.axes for field in axis.fields},
        "converged": list(study.converged),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "provenance": provenance(),
    }
    group = zarr.create_group(path, zarr_format=3, attributes={"metamimo": attributes}, overwrite=True)
    lead = (len(experiment.schemes), *(len(axis.values) for axis in experiment.axes))
    # The checksum comes last: it covers the bytes that lie on the disk.
    compressors = [ZstdCodec(), Crc32cCodec()]

    def add(name: str, dtype: str, extra: tuple[str, ...], notes: dict[str, Any]) -> None:
        sizes = tuple(study.size_of(dim) for dim in extra)
        group.create_array(
            name,
            shape=(*lead, experiment.trials, *sizes),
            chunks=(*(1 for _ in lead), experiment.chunk, *sizes),
            dtype=dtype,
            fill_value=_fill(dtype),
            dimension_names=(*dims, *extra),
            compressors=compressors,
            attributes=notes,
            config={"write_empty_chunks": True},
        )

    for v in study.variables:
        add(v.name, v.dtype, v.dims, {"units": v.unit, "long_name": v.long_name or v.name})
    add(DONE, "bool", (), {"long_name": "realisation is finished"})

    def add_coordinate(name: str, dim: str, values: tuple[Any, ...], notes: dict[str, Any]) -> None:
        text = any(isinstance(value, str) for value in values)
        data = np.array([str(v) for v in values] if text else values, dtype=np.dtypes.StringDType() if text else None)
        array = group.create_array(
            name,
            shape=data.shape,
            dtype=str if text else data.dtype,
            compressors=compressors,
            dimension_names=(dim,),
            attributes=notes,
            config={"write_empty_chunks": True},
        )
        array[:] = data

    add_coordinate("scheme", "scheme", tuple(s.label for s in experiment.schemes), {"long_name": "scheme"})
    scenario = type(experiment.scenario)
    for axis in experiment.axes:
        for field in axis.fields:
            main = field == axis.name
            unit = (axis.unit if main else "") or scenario.unit_of(field)
            label = (axis.label if main else "") or field
            add_coordinate(field, axis.name, axis.coordinate(field), {"units": unit, "long_name": label})
    consolidate(path)


def consolidate(path: Path) -> None:
    """Collect the metadata in one place, so that xarray opens the store without a word."""
    import zarr

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(path, zarr_format=3)


def _fill(dtype: str) -> Any:
    kind = np.dtype(dtype).kind
    return {"b": False, "i": -1, "f": float("nan"), "c": complex("nan+nanj")}[kind]


def remove_leftovers(folder: Path) -> None:
    """Remove half-built stores and chunk files of dead processes."""
    host = socket.gethostname()
    for building in folder.glob(f".{STORE}-*"):
        owner, _, rest = building.name.removeprefix(f".{STORE}-").rpartition("-")[0].rpartition("-")
        dead = owner == host and rest.isdigit() and not _alive(int(rest))
        if dead or _age(building) > _ABANDONED_SECONDS:
            shutil.rmtree(building, ignore_errors=True)
    for partial in (folder / STORE).rglob("*.partial"):
        if _age(partial) > _ABANDONED_SECONDS:
            partial.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
