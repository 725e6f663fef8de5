"""The store: what is refused, what a full disk leaves, and that other tools can read it."""

import dataclasses
import errno
import json
import os
import shutil
import time
import warnings

import numpy as np
import pytest
import xarray as xr
from fake_study import VARIABLES, compute, study
from store_tools import promised_bytes, undisturbed

from metamimo.errors import ConfigError, MetamimoError, ShapeError, StoreError
from metamimo.experiments.config import Axis, rebuild
from metamimo.experiments.environment import environment, provenance
from metamimo.experiments.results import open_results
from metamimo.experiments.runner import run
from metamimo.experiments.store import open_store, prepare_folder, read_store
from metamimo.experiments.study import Variable


def test_xarray_opens_the_store_as_it_is(tmp_path):
    run(study(trials=10), tmp_path)
    run(study(trials=14), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = xr.open_zarr(tmp_path / "store.zarr").load()
    assert dict(data.sizes) == {"scheme": 2, "atoms": 2, "power_dbm": 2, "trial": 14, "user": 3}
    assert data["scheme"].values.tolist() == ["good", "poor"]
    assert data["power_dbm"].attrs["units"] == "dBm"
    assert data["ee"].dims == ("scheme", "atoms", "power_dbm", "trial")
    assert bool(data["done"].all())


def test_fields_set_together_become_coordinates_of_one_axis(tmp_path):
    base = study()
    axis = Axis(name="layers", fields=("layers", "atoms"), values=((1, 8), (2, 4)))
    two = dataclasses.replace(base, experiment=rebuild(base.experiment, axes=(axis,)), panels=())
    run(two, tmp_path)
    data = xr.open_zarr(tmp_path / "store.zarr")
    assert data["layers"].values.tolist() == [1, 2]
    assert data["atoms"].dims == ("layers",)
    assert data["atoms"].values.tolist() == [8, 4]


def test_attributes_tell_the_making(tmp_path):
    run(study(), tmp_path)
    attributes = read_store(tmp_path / "store.zarr").attributes
    assert attributes["id"] == study().experiment.id
    assert attributes["seed"] == 7
    assert attributes["chunk"] == 4
    assert attributes["experiment"]["scenario"]["noise"] == 1.0
    made = attributes["provenance"]
    assert made["version_numpy"] == np.__version__
    for name in ("version_jax", "version_zarr", "python", "platform", "JAX_ENABLE_X64", "XLA_FLAGS", "commit"):
        assert name in made


def test_other_settings_are_remarked(tmp_path, monkeypatch):
    run(study(), tmp_path)
    monkeypatch.setenv("XLA_FLAGS", "--xla_something=1")
    told = []
    run(study(), tmp_path, tell=told.append)
    assert len(told) == 1
    assert "XLA_FLAGS" in told[0]
    assert "--xla_something=1" in told[0]


def test_a_store_of_another_config_is_refused_and_kept(tmp_path):
    run(study(), tmp_path)
    with pytest.raises(StoreError, match=r"scenario.noise is 1.0 there and 2.0 here.*Choose another output folder"):
        run(study().with_scenario({"noise": 2.0}), tmp_path)
    assert promised_bytes(tmp_path) == undisturbed()


def test_another_chunk_size_is_refused(tmp_path):
    run(study(chunk=4), tmp_path)
    with pytest.raises(StoreError, match=r"chunk must be 4.*given: 5"):
        run(study(chunk=5), tmp_path)


def test_other_variables_are_refused(tmp_path):
    run(study(), tmp_path)
    more = dataclasses.replace(study(), variables=(*VARIABLES, Variable("extra")))
    with pytest.raises(StoreError, match="extra"):
        run(more, tmp_path)


def _foreign(path):
    path.mkdir()
    (path / "thesis.txt").write_text("mine")


def _foreign_zarr(path):
    import zarr

    zarr.create_group(path, zarr_format=3)


def _a_file(path):
    path.write_text("mine")


def _half_metadata(path):
    _whole(path)
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text[: len(text) // 2])


def _no_array(path):
    _whole(path)
    shutil.rmtree(path / "rate")


def _no_coordinate(path):
    _whole(path)
    (path / "atoms" / "c" / "0").unlink()


def _bad_coordinate(path):
    _whole(path)
    (path / "atoms" / "c" / "0").write_bytes(b"1234567890")


def _other_format(path):
    _whole(path)
    meta = json.loads((path / "zarr.json").read_text())
    meta["attributes"]["metamimo"]["format"] = 99
    (path / "zarr.json").write_text(json.dumps(meta))


def _whole(path):
    run(study(), path.parent)


@pytest.mark.parametrize(
    "make",
    [_foreign, _foreign_zarr, _a_file, _half_metadata, _no_array, _no_coordinate, _bad_coordinate, _other_format],
)
def test_foreign_and_truncated_stores_are_refused_and_left_alone(tmp_path, make):
    path = tmp_path / "store.zarr"
    make(path)
    before = _listing(tmp_path)
    with pytest.raises(StoreError, match=r"store\.zarr"):
        run(study(), tmp_path)
    with pytest.raises(StoreError, match=r"store\.zarr"):
        open_results(tmp_path)
    assert _listing(tmp_path) == before


def _listing(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _full_disk_after(monkeypatch, writes):
    """Let so many files be written by zarr, then report a full disk."""
    import zarr.storage._local as local

    left = [writes]
    real = local._put

    def put(path, value, exclusive=False):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real(path, value, exclusive)

    monkeypatch.setattr(local, "_put", put)


@pytest.mark.parametrize("writes", [0, 3, 11])
def test_full_disk_while_the_store_is_made(tmp_path, monkeypatch, writes):
    _full_disk_after(monkeypatch, writes)
    with pytest.raises(StoreError, match=r"No space left.*free some space") as error:
        run(study(), tmp_path)
    assert str(tmp_path) in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writes", [1, 5, 6, 7, 12])
def test_full_disk_inside_a_task(tmp_path, monkeypatch, writes):
    """Five variables and the mask make six writes a task; no cut marks a half-written task as done."""
    small = study(trials=4)
    open_store(small, tmp_path)
    with monkeypatch.context() as patch:
        _full_disk_after(patch, writes)
        with pytest.raises(StoreError, match=r"No space left.*free some space"):
            run(small, tmp_path)
    assert read_store(tmp_path / "store.zarr").array("done")[:].sum() == 4 * (writes // 6)
    run(small, tmp_path)
    assert promised_bytes(tmp_path) == undisturbed(4)


def test_leftovers_of_dead_processes_are_removed(tmp_path):
    import socket
    import subprocess

    gone = subprocess.Popen(["true"])
    gone.wait()
    dead = tmp_path / f".store.zarr-{socket.gethostname()}-{gone.pid}-abc"
    alive = tmp_path / f".store.zarr-{socket.gethostname()}-{os.getpid()}-abc"
    elsewhere = tmp_path / ".store.zarr-another-host-1-abc"
    old = tmp_path / ".store.zarr-another-host-2-abc"
    for folder in (dead, alive, elsewhere, old):
        folder.mkdir()
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    run(study(), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([alive.name, elsewhere.name, "store.zarr"])


def test_output_folder_needs_a_parent(tmp_path):
    with pytest.raises(ConfigError, match="out: the parent of the output folder must exist"):
        prepare_folder(tmp_path / "no" / "such", "fake-paper/fig1")
    assert list(tmp_path.iterdir()) == []
    assert prepare_folder(tmp_path / "new", "fake-paper/fig1") == tmp_path / "new" / "fake-paper" / "fig1"


def test_output_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="file"):
        prepare_folder(tmp_path / "file", "fake-paper/fig1")


def test_a_failing_task_is_named_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_BROKEN", "1")
    told = []
    with pytest.raises(MetamimoError, match=r"6 of 24 tasks failed.*poor, atoms=4.*the fake solver broke"):
        run(study(), tmp_path, tell=told.append)
    assert len(told) == 6
    assert read_store(tmp_path / "store.zarr").array("done")[:].sum() == 60
    monkeypatch.delenv("FAKE_BROKEN")
    assert run(study(), tmp_path).computed == 6


def _short(experiment, task):
    return {name: values[:-1] for name, values in compute(experiment, task).items()}


def _nameless(experiment, task):
    return {"ee": compute(experiment, task)["ee"]}


def _wrong_kind(experiment, task):
    values = compute(experiment, task)
    return {**values, "ee": values["gain"]}


@pytest.mark.parametrize(
    ("wrong", "message"), [(_short, "must have shape"), (_nameless, "declares"), (_wrong_kind, "must be float64")]
)
def test_what_compute_returns_is_checked(tmp_path, wrong, message):
    with pytest.raises(MetamimoError, match=message):
        run(dataclasses.replace(study(), compute=wrong), tmp_path)
    assert not read_store(tmp_path / "store.zarr").array("done")[:].any()


def test_write_refuses_before_touching_the_disk(tmp_path):
    store, _ = open_store(study(), tmp_path)
    before = _listing(tmp_path)
    from metamimo.experiments.tasks import all_tasks

    with pytest.raises(ShapeError):
        store.write(all_tasks(study().experiment)[0], {})
    assert _listing(tmp_path) == before


def test_environment_keeps_flags_of_the_user(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x")
    added = (
        "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false"
        " --xla_cpu_enable_concurrency_optimized_scheduler=false"
    )
    assert environment()["XLA_FLAGS"] == f"--xla_dump_to=x {added}"
    own = added.replace("=1", "=3").replace("false", "true")
    monkeypatch.setenv("XLA_FLAGS", own)
    assert environment()["XLA_FLAGS"] == own
    assert set(provenance()) >= {"XLA_FLAGS", "OPENBLAS_NUM_THREADS", "JAX_ENABLE_X64"}
