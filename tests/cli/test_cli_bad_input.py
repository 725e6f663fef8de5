"""Bad input: one message that names field, rule and value, exit code 2, no traceback, nothing half-written."""

import os
import shutil

import pytest
from cli_tools import metamimo

FIGURE = "fake-paper/fig1"


def _files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reproduce", "fake-paper/fig9"], ["figure", "registered PAPER/FIG", "'fake-paper/fig9'", "fake-paper/fig1"]),
        (["reproduce", "nonsense"], ["figure", "'nonsense'", "metamimo list"]),
        (["cite", "fake-paper/fig9"], ["figure", "'fake-paper/fig9'"]),
        (["reproduce", FIGURE, "--set", "noise=-1"], ["noise", "greater than 0", "-1"]),
        (["reproduce", FIGURE, "--set", "layers=0"], ["layers", "greater than 0", "0"]),
        (["reproduce", FIGURE, "--set", "layers=two"], ["layers", "valid integer", "'two'"]),
        (["reproduce", FIGURE, "--set", "noise=NaN"], ["noise", "finite number", "nan"]),
        (["reproduce", FIGURE, "--set", "layer=1"], ["layer", "no such field", "did you mean layers"]),
        (["reproduce", FIGURE, "--set", "atoms=4"], ["atoms", "sweeps this field"]),
        (["reproduce", FIGURE, "--set", "noise"], ["set", "FIELD=VALUE", "'noise'"]),
        (["reproduce", FIGURE, "--trials", "0"], ["--trials", "1"]),
        (["reproduce", FIGURE, "--workers", "0"], ["--workers", "1"]),
        (["reproduce", FIGURE, "--shard", "3/2"], ["shard", "1 <= i <= n", "'3/2'"]),
        (["reproduce", FIGURE, "--executor", "cloud"], ["--executor", "cloud", "inline"]),
        (["reproduce", FIGURE, "--executor", "inline", "--workers", "2"], ["executor", "must be dask"]),
        (["reproduce", FIGURE, "--workers", "2", "--scheduler", "tcp://x:1"], ["workers", "running scheduler", "2"]),
        (["reproduce", FIGURE, "--out", "no/such"], ["out", "parent", "must exist", "no/such"]),
        (["status", "nothing"], ["nothing", "store.zarr"]),
        (["export", "nothing", "--to", "csv"], ["nothing", "store.zarr"]),
        (["export", "nothing", "--to", "xls"], ["--to", "xls", "netcdf"]),
        (["frobnicate"], ["frobnicate"]),
    ],
)
def test_one_message_and_exit_code_two(tmp_path, arguments, words):
    done = metamimo(tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert _files(tmp_path) == []


def test_a_foreign_store_is_refused(tmp_path):
    store = tmp_path / "runs" / FIGURE / "store.zarr"
    store.mkdir(parents=True)
    (store / "thesis.txt").write_text("mine")
    before = _files(tmp_path)
    for arguments in (["reproduce", FIGURE], ["status", "runs"], ["export", "runs", "--to", "mat"]):
        done = metamimo(tmp_path, *arguments)
        assert done.returncode == 2
        assert "not a store made by metamimo" in done.stderr
        assert "Traceback" not in done.stderr
    assert _files(tmp_path) == before


def test_a_truncated_store_is_refused(tmp_path):
    assert metamimo(tmp_path, "reproduce", FIGURE, "--trials", "1").returncode == 0
    store = tmp_path / "runs" / FIGURE / "store.zarr"
    shutil.rmtree(store / "rate")
    before = _files(tmp_path)
    done = metamimo(tmp_path, "reproduce", FIGURE, "--trials", "1")
    assert done.returncode == 2
    assert "array rate is missing or damaged" in done.stderr
    assert _files(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "runs").mkdir(mode=0o500)
    done = metamimo(tmp_path, "reproduce", FIGURE)
    assert done.returncode == 2
    assert "Permission denied" in done.stderr


def test_a_full_disk(tmp_path):
    """Every write of the store fails as on a full disk."""
    done = metamimo(tmp_path, "reproduce", FIGURE, FAKE_DISK_FULL="1")
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert _files(tmp_path / "runs" / FIGURE) == []


def test_failed_tasks_end_with_code_one(tmp_path):
    done = metamimo(tmp_path, "reproduce", FIGURE, FAKE_BROKEN="1")
    assert done.returncode == 1
    assert "6 of 24 tasks failed" in done.stderr
    assert "the fake solver broke" in done.stderr
    assert "Traceback" not in done.stderr
