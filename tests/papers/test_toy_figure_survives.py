"""A run of the real solvers is killed, resumed, split and spread over workers: the stored bytes stay the same."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_study import study

from metamimo.experiments.dask_executor import Dask
from metamimo.experiments.runner import run

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "experiments"))
from store_tools import promised_bytes  # noqa: E402

TASKS = 12
RUN = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from toy_study import study
from metamimo.experiments.runner import run
from metamimo.experiments.tasks import Shard
run(study(), Path(sys.argv[2]), shard=Shard.parse(sys.argv[3]))
"""


def start(folder, shard="1/1"):
    return subprocess.Popen([sys.executable, "-c", RUN, str(HERE), str(folder), shard])


def done_files(folder):
    return sum(file.is_file() for file in (folder / "store.zarr" / "done" / "c").rglob("*"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    summary = run(study(), folder)
    assert (summary.total, summary.computed, summary.missing) == (TASKS, TASKS, 0)
    return promised_bytes(folder)


def test_sigkill_and_resume(tmp_path, monkeypatch, undisturbed):
    """Kills while the first program's results are written, at the second's start, and in its middle."""
    monkeypatch.setenv("TOY_SECONDS", "0.3")
    for wanted in (2, 6, 8):
        with start(tmp_path) as process:
            while done_files(tmp_path) < wanted:
                assert process.poll() is None, "the kill must fall inside the run"
                time.sleep(0.005)
            process.kill()
        assert process.returncode == -9
    monkeypatch.setenv("TOY_SECONDS", "0")
    summary = run(study(), tmp_path)
    assert 0 < summary.computed <= TASKS - 8
    assert summary.missing == 0
    assert promised_bytes(tmp_path) == undisturbed


def test_two_shards_at_the_same_moment(tmp_path, undisturbed):
    both = [start(tmp_path, f"{i}/2") for i in (1, 2)]
    assert [process.wait(300) for process in both] == [0, 0]
    assert run(study(), tmp_path).computed == 0
    assert promised_bytes(tmp_path) == undisturbed


def test_dask_workers(tmp_path, undisturbed):
    assert run(study(), tmp_path, Dask(2)).missing == 0
    assert promised_bytes(tmp_path) == undisturbed
