"""What is read back: masks, curves, and the points that claims ask for."""

import numpy as np
import pytest
from fake_study import study

from metamimo.errors import ConfigError, StoreError
from metamimo.experiments.claims import MissingPoint
from metamimo.experiments.results import find_stores, open_results, summary_line
from metamimo.experiments.runner import run
from metamimo.experiments.statistics import jain_index
from metamimo.experiments.tasks import Shard

POINT = {"atoms": 4, "power_dbm": 30.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("results")
    run(study(), path)
    return path


@pytest.fixture(scope="module")
def results(folder):
    return open_results(folder)


def _draws(trial):
    return np.random.default_rng([7, trial]).standard_normal(3)


def test_curves_count_converged_realisations_only(results):
    """Trial 6 of `poor` does not converge."""
    curves = results.curves("ee")
    assert curves["n"].sel(scheme="good").values.tolist() == [[10, 10], [10, 10]]
    assert curves["n"].sel(scheme="poor").values.tolist() == [[9, 9], [9, 9]]
    assert curves["excluded"].sel(scheme="poor").values.tolist() == [[1, 1], [1, 1]]
    kept = np.array([_draws(t).sum() for t in range(10) if t != 6]) + 4 + 3
    at = curves.sel(scheme="poor", **POINT)
    assert at["mean"].item() == pytest.approx(kept.mean(), rel=1e-12)
    assert at["stderr"].item() == pytest.approx(kept.std(ddof=1) / 3, rel=1e-12)


def test_samples_mark_what_does_not_count(results):
    samples = results.samples("ee", "poor", POINT)
    assert np.isnan(samples).nonzero()[0].tolist() == [6]
    assert np.isfinite(results.samples("ee", "good", POINT)).all()


def test_values_keep_extra_dimensions_and_complex_numbers(results):
    rates = results.values("rate", "good", POINT)
    assert rates == pytest.approx(np.abs([_draws(t) for t in range(10)]) * 4)
    assert jain_index(rates).shape == (10,)
    assert np.iscomplexobj(results.values("gain", "good", POINT))
    with pytest.raises(ConfigError, match="extra dimensions"):
        results.samples("rate", "good", POINT)


def test_points_that_were_not_run(results):
    with pytest.raises(MissingPoint, match="no point atoms=5"):
        results.samples("ee", "good", {**POINT, "atoms": 5})
    with pytest.raises(MissingPoint, match="no scheme 'best'"):
        results.samples("ee", "best", POINT)


def test_questions_that_make_no_sense(results):
    with pytest.raises(ConfigError, match="must give a value of axis atoms"):
        results.samples("ee", "good", {"power_dbm": 30.0})
    with pytest.raises(ConfigError, match="'wings' is no axis"):
        results.samples("ee", "good", {**POINT, "wings": 2})
    with pytest.raises(ConfigError, match=r"the store holds ee, .*given: 'eee'"):
        results.samples("eee", "good", POINT)
    with pytest.raises(ConfigError, match="need a real variable"):
        results.curves("gain")


def test_fewer_trials(folder):
    assert open_results(folder, trials=3).curves("ee")["n"].values.max() == 3


def test_an_unfinished_store_shows_what_is_done(tmp_path):
    run(study(), tmp_path, shard=Shard(1, 2))
    results = open_results(tmp_path)
    done = results.dataset["done"].values
    assert 0 < done.sum() < done.size
    assert np.array_equal(np.isfinite(results.dataset["ee"].values), done)
    assert results.curves("ee")["n"].sum() + results.curves("ee")["excluded"].sum() == done.sum()


def test_damage_is_taken_out_and_named(tmp_path):
    run(study(trials=4), tmp_path)
    (tmp_path / "store.zarr/rate/c/0/1/0/0/0").unlink()
    results = open_results(tmp_path)
    assert results.damaged == ("rate/c/0/1/0/0/0",)
    assert not results.dataset["done"].values[0, 1, 0].any()
    assert np.isnan(results.dataset["ee"].values[0, 1, 0]).all()
    assert "1 damaged chunk" in summary_line(tmp_path / "store.zarr")


def test_summary(folder):
    assert find_stores(folder) == [folder / "store.zarr"]
    line = summary_line(folder / "store.zarr")
    for words in ("fake-paper/fig1", study().experiment.id, "80 of 80 realisations", "4 excluded"):
        assert words in line


def test_no_store(tmp_path):
    with pytest.raises(StoreError, match="no such store"):
        open_results(tmp_path)
    with pytest.raises(StoreError, match=r"no store.zarr"):
        find_stores(tmp_path)
