"""A newcomer's first hour on the command line."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest
from cli_tools import metamimo, start

FIGURE = "fake-paper/fig1"


def test_help_answers_at_once():
    """The least of five, because other processes share the machine's caches."""
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code = "from metamimo.cli import app; app(prog_name='metamimo')"
        done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    for name in ("list", "reproduce", "status", "export", "page", "cite", "doctor"):
        assert f"\n  {name} " in done.stdout
    assert min(seconds) < 0.3


def test_engine_and_command_line_leave_jax_alone():
    code = (
        "import sys, metamimo.cli; heavy = {'jax', 'numpy', 'pydantic', 'rich', 'xarray'} & set(sys.modules);"
        "assert not heavy, heavy;"
        "import metamimo.papers.registry; assert 'numpy' not in sys.modules;"
        "import metamimo.experiments.runner, metamimo.experiments.results, metamimo.experiments.dask_executor;"
        "import metamimo.experiments.doctor, metamimo.figures.reproduce, metamimo.interop.export;"
        "heavy = {'jax', 'matplotlib', 'distributed'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first-hour")
    return folder, metamimo(folder, "reproduce", FIGURE)


def test_reproduce_ends_with_claims_and_files(finished):
    folder, done = finished
    assert done.returncode == 0, done.stderr
    where = folder / "runs" / FIGURE
    assert {p.name for p in where.iterdir()} == {
        "store.zarr", "curves.csv", "figure.png", "figure.pdf", "claims.json", "provenance.json",
    }  # fmt: skip
    for name in ("store.zarr", "curves.csv", "figure.png", "figure.pdf", "claims.json"):
        assert str(where / name) in done.stdout
    for mark in ("holds  f1", "DOES NOT HOLD  f2", "open  f3"):
        assert mark in done.stdout
    assert "24/24 tasks" in done.stderr
    made = json.loads((where / "store.zarr" / "zarr.json").read_text())["attributes"]["metamimo"]["provenance"]
    assert (made["JAX_ENABLE_X64"], made["OPENBLAS_NUM_THREADS"]) == ("1", "1")


def test_list_status_cite_export(finished):
    folder, _ = finished
    assert FIGURE in metamimo(folder, "list").stdout
    status = metamimo(folder, "status", "runs")
    assert "80 of 80 realisations done" in status.stdout
    cited = metamimo(folder, "cite", FIGURE).stdout
    assert "@article{fake, title={Fake}}" in cited
    assert "@software{metamimo," in cited
    exported = metamimo(folder, "export", "runs", "--to", "csv", "--out", "all.csv")
    assert exported.stdout.strip() == "all.csv"
    assert (folder / "all.csv").read_text().startswith("scheme,atoms,power_dbm,trial,")


def test_shards_say_what_is_missing_and_the_last_one_draws(tmp_path):
    first = metamimo(tmp_path, "reproduce", FIGURE, "--shard", "1/2")
    assert first.returncode == 0
    assert "12 of 24 tasks are missing" in first.stdout
    assert not (tmp_path / "runs" / FIGURE / "figure.png").exists()
    second = metamimo(tmp_path, "reproduce", FIGURE, "--shard", "2/2")
    assert "DOES NOT HOLD  f2" in second.stdout


def test_all_figures_of_a_paper_on_workers(tmp_path):
    done = metamimo(tmp_path, "reproduce", "fake-paper/all", "--trials", "2", "--workers", "1")
    assert done.returncode == 0, done.stderr
    for figure in ("fig1", "fig2"):
        assert (tmp_path / "runs" / "fake-paper" / figure / "figure.pdf").exists()


def test_a_changed_field_is_another_experiment(tmp_path):
    changed = metamimo(tmp_path, "reproduce", FIGURE, "--trials", "1", "--set", "noise=2.5")
    assert changed.returncode == 0, changed.stderr
    plain = metamimo(tmp_path, "reproduce", FIGURE, "--trials", "1")
    assert plain.returncode == 2
    assert "scenario.noise is 2.5 there and 1.0 here" in plain.stderr


def test_full_and_quick_do_not_mix(finished):
    folder, _ = finished
    done = metamimo(folder, "reproduce", FIGURE, "--full")
    assert done.returncode == 2
    assert "another experiment" in done.stderr
    assert "Choose another output folder" in done.stderr


def test_ctrl_c_says_how_to_go_on(tmp_path):
    with start(tmp_path, "reproduce", FIGURE, FAKE_SECONDS="0.5") as process:
        mask = tmp_path / "runs" / FIGURE / "store.zarr" / "done" / "c"
        while not mask.exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run the same command again to go on" in stderr
    assert "Traceback" not in stderr


def test_doctor_reports_and_advises(tmp_path):
    well = metamimo(tmp_path, "doctor")
    assert well.returncode == 0, well.stdout
    for subject in ("python", "packages", "devices", "precision", "compilation cache", "processors", "disk space"):
        assert f"ok       {subject}: " in well.stdout
    (tmp_path / "file").write_text("")
    ill = metamimo(tmp_path, "doctor", JAX_COMPILATION_CACHE_DIR=str(tmp_path / "file" / "x"), JAX_PLATFORMS="warp")
    assert ill.returncode == 1
    assert "PROBLEM  devices: JAX does not start" in ill.stdout
    assert "set METAMIMO_CACHE to a folder you can write to" in ill.stdout
