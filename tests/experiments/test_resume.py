"""Kills, shards, damage and extension: whatever happens, the stored numbers are those of one undisturbed run."""

import random
import subprocess
import time

import numpy as np
import pytest
from fake_study import study
from store_tools import command, promised_bytes, undisturbed

from metamimo.experiments.runner import run
from metamimo.experiments.store import read_store
from metamimo.experiments.tasks import Shard

MANY = 28


def test_sigkill_at_random_moments_and_resume(tmp_path, monkeypatch):
    """Three kills at any moment, while the store is made too, and seven while tasks are written."""
    monkeypatch.setenv("FAKE_SECONDS", "0.01")
    moments = random.Random(3)
    for target in [0, 0, 0, *(moments.randint(1, 4) for _ in range(7))]:
        found = _done_files(tmp_path)
        with subprocess.Popen(command(tmp_path, MANY), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            while _done_files(tmp_path) < found + target:
                assert process.poll() is None
                time.sleep(0.001)
            time.sleep(moments.uniform(0.0, 0.03 if target else 0.3))
            assert process.poll() is None, "the kill must fall inside the run"
            process.kill()
    monkeypatch.setenv("FAKE_SECONDS", "0")
    assert 0 < run(study(trials=MANY), tmp_path).computed < 56
    assert promised_bytes(tmp_path) == undisturbed(MANY)
    assert [p.name for p in tmp_path.iterdir()] == ["store.zarr"]


def _done_files(folder):
    return sum(file.is_file() for file in (folder / "store.zarr" / "done" / "c").rglob("*") if file.suffix == "")


def test_two_shards_at_the_same_moment(tmp_path):
    folder = tmp_path
    both = [subprocess.Popen(command(folder, shard=f"{i}/2")) for i in (1, 2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert promised_bytes(folder) == undisturbed()
    assert sorted(p.name for p in folder.iterdir()) == ["store.zarr"]


def test_shards_one_after_another(tmp_path):
    folder = tmp_path
    first = run(study(), folder, shard=Shard(1, 3))
    assert (first.computed, first.missing, first.total) == (8, 16, 24)
    run(study(), folder, shard=Shard(3, 3))
    assert run(study(), folder, shard=Shard(2, 3)).missing == 0
    assert promised_bytes(folder) == undisturbed()


def test_a_second_run_computes_nothing(tmp_path):
    run(study(), tmp_path)
    assert run(study(), tmp_path).computed == 0


def _delete(file):
    file.unlink()


def _truncate(file):
    file.write_bytes(file.read_bytes()[:-5])


def _empty(file):
    file.write_bytes(b"")


def _flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("harm", [_delete, _truncate, _empty, _flip])
def test_damaged_chunks_are_noticed_named_and_recomputed(tmp_path, harm):
    run(study(), tmp_path)
    places = {
        "ee/c/1/0/1/2": "poor, atoms=4, power_dbm=30.0, trials 8 to 9",
        "rate/c/0/1/0/0/0": "good, atoms=9, power_dbm=20.0, trials 0 to 3",
        "gain/c/0/1/0/1": "good, atoms=9, power_dbm=20.0, trials 4 to 7",
    }
    for chunk in places:
        harm(tmp_path / "store.zarr" / chunk)
    told = []
    assert run(study(), tmp_path, tell=told.append).computed == 3
    assert len(told) == 3
    for chunk, words in places.items():
        assert any(chunk in line and words in line for line in told)
    assert promised_bytes(tmp_path) == undisturbed()


@pytest.mark.parametrize("harm", [_truncate, _flip])
def test_a_damaged_mask_is_noticed(tmp_path, harm):
    run(study(), tmp_path)
    harm(tmp_path / "store.zarr" / "done/c/0/0/0/1")
    told = []
    assert run(study(), tmp_path, tell=told.append).computed == 1
    assert "done/c/0/0/0/1" in told[0]
    assert promised_bytes(tmp_path) == undisturbed()


def test_a_deleted_mask_means_not_done(tmp_path):
    run(study(), tmp_path)
    _delete(tmp_path / "store.zarr" / "done/c/0/0/0/1")
    assert run(study(), tmp_path).computed == 1
    assert promised_bytes(tmp_path) == undisturbed()


def test_a_shard_leaves_damage_of_others_alone(tmp_path):
    """Another process may be computing that very chunk now."""
    run(study(), tmp_path)
    victim = tmp_path / "store.zarr/ee/c/0/0/0/1"
    _truncate(victim)
    told = []
    summary = run(study(), tmp_path, shard=Shard(1, 24), tell=told.append)
    assert (summary.computed, summary.missing, told) == (0, 1, [])
    assert victim.exists()


@pytest.mark.parametrize("more", [11, 12, 13])
def test_more_trials_extend_a_store(tmp_path, more):
    run(study(trials=10), tmp_path)
    run(study(trials=more), tmp_path)
    assert promised_bytes(tmp_path) == undisturbed(more)


def test_fewer_trials_read_a_prefix_and_never_shrink(tmp_path):
    run(study(trials=10), tmp_path)
    summary = run(study(trials=3), tmp_path)
    assert (summary.total, summary.computed, summary.missing) == (8, 0, 0)
    assert promised_bytes(tmp_path) == undisturbed(10)


def test_an_extension_killed_halfway_is_completed(tmp_path):
    run(study(trials=10), tmp_path)
    store = read_store(tmp_path / "store.zarr")
    store.array("ee", "r+").resize((2, 2, 2, 13))
    run(study(trials=13), tmp_path)
    assert promised_bytes(tmp_path) == undisturbed(13)


def test_wall_time_is_stored_but_not_promised(tmp_path):
    run(study(), tmp_path)
    store = read_store(tmp_path / "store.zarr")
    assert "seconds" not in store.attributes["promised"]
    assert np.isfinite(store.array("seconds")[:]).all()
