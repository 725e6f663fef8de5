"""Dask workers: the same bytes as inline, a lost worker is noticed, wrong settings are refused."""

import dataclasses
import os
from pathlib import Path

import pytest
from fake_study import compute, study
from store_tools import promised_bytes, undisturbed

from metamimo.errors import ConfigError, MetamimoError
from metamimo.experiments.dask_executor import Dask, _work_checked
from metamimo.experiments.environment import environment
from metamimo.experiments.runner import run
from metamimo.experiments.store import open_store, read_store
from metamimo.experiments.tasks import all_tasks


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_give_the_bytes_of_an_inline_run(tmp_path, workers):
    before = dict(os.environ)
    assert run(study(), tmp_path, Dask(workers)).missing == 0
    assert promised_bytes(tmp_path) == undisturbed()
    assert dict(os.environ) == before


def _deadly(experiment, task):
    """Take the whole worker process down: at one task always, at another the first time only."""
    marker = Path(os.environ["FAKE_MARKER"])
    if (task.scheme, task.index) == (1, (0, 0)):
        os._exit(1)
    if (task.scheme, task.index) == (0, (1, 0)) and not marker.exists():
        marker.touch()
        os._exit(1)
    return compute(experiment, task)


def test_lost_workers_are_noticed_and_their_tasks_done_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_MARKER", str(tmp_path / "marker"))
    monkeypatch.setattr("metamimo.experiments.dask_executor._MOST_DEATHS", 2)
    told = []
    deadly = dataclasses.replace(study(trials=4), compute=_deadly)
    with pytest.raises(MetamimoError, match=r"1 of 8 tasks failed.*poor, atoms=4, power_dbm=20.0.*2 workers died"):
        run(deadly, tmp_path, Dask(2), tell=told.append)
    assert sum("was lost" in line for line in told) == 2
    run(study(trials=4), tmp_path)
    assert promised_bytes(tmp_path) == undisturbed(4)


def _fails_somewhere(experiment, task):
    if task.scheme == 1:
        raise ValueError("the fake solver broke")
    return compute(experiment, task)


def test_a_running_scheduler_by_address_and_a_failing_task(tmp_path):
    from distributed import LocalCluster

    broken = dataclasses.replace(study(trials=4), compute=_fails_somewhere)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        pytest.raises(MetamimoError, match=r"4 of 8 tasks failed.*the fake solver broke"),
    ):
        run(broken, tmp_path, Dask(scheduler=cluster.scheduler_address))
    assert read_store(tmp_path / "store.zarr").array("done")[0].all()


def test_a_wrong_scheduler_address(tmp_path, monkeypatch):
    monkeypatch.setattr("metamimo.experiments.dask_executor._CONNECT_SECONDS", 1)
    with pytest.raises(ConfigError, match="scheduler: must be the address"):
        run(study(), tmp_path, Dask(scheduler="tcp://127.0.0.1:1"))


def test_a_worker_with_other_settings_is_refused(tmp_path, monkeypatch):
    open_store(study(), tmp_path)
    expected = environment()
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    task = all_tasks(study().experiment)[0]
    with pytest.raises(ConfigError, match=r"worker environment: must have OPENBLAS_NUM_THREADS='1'"):
        _work_checked(compute, study().experiment, tmp_path / "store.zarr", task, expected)


def test_workers_and_scheduler_exclude_each_other():
    with pytest.raises(ConfigError, match=r"workers: cannot be set.*given: 2"):
        Dask(workers=2, scheduler="tcp://127.0.0.1:1")
