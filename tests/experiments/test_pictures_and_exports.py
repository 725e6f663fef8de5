"""Files made from stored data: complete, reproducible, and read back by other tools."""

import csv
import dataclasses
import errno
import json

import numpy as np
import pytest
import scipy.io
import xarray as xr
from fake_study import VARIABLES, compute, study

from metamimo.errors import ConfigError, StoreError
from metamimo.experiments.results import open_results
from metamimo.experiments.study import Panel
from metamimo.experiments.tasks import Shard
from metamimo.figures import curves
from metamimo.figures.curves import draw
from metamimo.figures.files import replacing
from metamimo.figures.reproduce import reproduce_study
from metamimo.interop.export import export

FILES = ["claims.json", "curves.csv", "figure.pdf", "figure.png", "provenance.json", "store.zarr"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    reproduce_study(study(), out)
    return out / "fake-paper" / "fig1"


def test_a_run_leaves_its_files(folder):
    assert sorted(p.name for p in folder.iterdir()) == FILES


def test_claims_json(folder):
    records = json.loads((folder / "claims.json").read_text())
    assert [set(record) for record in records] == [
        {"id", "text", "holds", "measured", "stderr", "expected", "note"}
    ] * 3
    assert [record["holds"] for record in records] == [True, False, None]
    assert records[1]["measured"] == pytest.approx(6.674, abs=1e-3)


def test_curves_csv_agrees_with_the_store(folder):
    with (folder / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    curves = open_results(folder).curves("ee")
    assert len(rows) == 8
    for row in rows:
        at = curves.sel(scheme=row["scheme"], atoms=int(row["atoms"]), power_dbm=float(row["power_dbm [dBm]"]))
        assert (row["variable"], row["unit"]) == ("ee", "Mbit/J")
        assert (int(row["n"]), int(row["excluded"])) == (at["n"], at["excluded"])
        assert (float(row["mean"]), float(row["stderr"])) == (at["mean"], at["stderr"])


def test_equal_data_give_equal_files(folder, tmp_path):
    reproduce_study(study(), tmp_path)
    for name in FILES[:-2]:  # provenance and store hold dates and wall times
        assert (tmp_path / "fake-paper" / "fig1" / name).read_bytes() == (folder / name).read_bytes(), name


def test_an_incomplete_run_draws_nothing(tmp_path):
    done = reproduce_study(study(), tmp_path, shard=Shard(1, 2))
    assert (done.summary.missing, done.claims, done.files) == (12, (), ())
    assert [p.name for p in (tmp_path / "fake-paper" / "fig1").iterdir()] == ["store.zarr"]


def test_the_picture_shows_curves_with_error_bars(folder):
    results = open_results(folder)
    panels = [Panel("ee", fixed={"power_dbm": 30.0}), Panel("ee", x="power_dbm", fixed={"atoms": 9}, y_scale="log")]
    left, right = draw(results, panels).axes
    assert left.get_xlabel() == "Atoms"
    assert left.get_ylabel() == "Energy efficiency (Mbit/J)"
    assert right.get_xlabel() == "Power (dBm)"
    assert right.get_yscale() == "log"
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["good", "poor"]
    assert "n = 9 to 10 realisations a point, 2 excluded" in left.get_title()
    curve = left.containers[1]
    assert curve.lines[0].get_ydata() == pytest.approx(results.curves("ee")["mean"].sel(scheme="poor", power_dbm=30.0))
    assert curve.has_yerr


def test_an_axis_of_names_is_drawn_with_them(folder):
    results = open_results(folder)
    named = results.dataset.assign_coords(atoms=[f"{atoms} atoms" for atoms in results.dataset["atoms"].values])
    (axes,) = draw(dataclasses.replace(results, dataset=named), [Panel("ee", fixed={"power_dbm": 30.0})]).axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(named["atoms"].values)
    np.testing.assert_array_equal(axes.containers[0].lines[0].get_xdata(), axes.get_xticks())


def good_has_no_gain(experiment, task):
    results = compute(experiment, task)
    absent = experiment.schemes[task.scheme].label == "good"
    return results | {"gain": np.full(task.count, np.nan) if absent else results["gain"].real}


def test_a_curve_without_values_leaves_the_others_their_colours(tmp_path):
    variables = tuple(dataclasses.replace(v, dtype="float64") if v.name == "gain" else v for v in VARIABLES)
    absent = dataclasses.replace(study(trials=4), compute=good_has_no_gain, variables=variables)
    reproduce_study(absent, tmp_path)
    fixed = {"power_dbm": 30.0}
    results = open_results(tmp_path / "fake-paper" / "fig1")
    for panels in ([Panel("ee", fixed=fixed), Panel("gain", fixed=fixed)], [Panel("gain", fixed=fixed)]):
        axes = draw(results, panels).axes
        assert [c.lines[0].get_color() for c in axes[-1].containers] == ["C1"]
        assert "1 curve without values" in axes[-1].get_title()
        names = [text.get_text() for text in axes[0].get_legend().get_texts()]
        assert names == ["good", "poor"][-len(axes[0].containers) :]


def gain_limits_efficiency(experiment, task):
    results = compute(experiment, task)
    factor = {"good": 1.1, "poor": 2.0}[experiment.schemes[task.scheme].label]
    return results | {"gain": factor * results["ee"]}


def test_only_bounds_close_to_their_curve_are_drawn(tmp_path):
    variables = tuple(dataclasses.replace(v, dtype="float64") if v.name == "gain" else v for v in VARIABLES)
    bounded = dataclasses.replace(study(trials=4), compute=gain_limits_efficiency, variables=variables)
    reproduce_study(bounded, tmp_path)
    results = open_results(tmp_path / "fake-paper" / "fig1")
    fixed = {"power_dbm": 30.0}
    without, axes = draw(results, [Panel("ee", fixed=fixed), Panel("ee", fixed=fixed, bound="gain")]).axes
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_color() for line in dashed] == ["C0"]
    good = results.curves("ee")["mean"].sel(scheme="good", power_dbm=30.0).values
    np.testing.assert_allclose(dashed[0].get_ydata(), 1.1 * good)
    assert "no design exceeds" in axes.get_title()
    assert "no design exceeds" not in without.get_title()


def test_a_panel_names_stored_quantities():
    with pytest.raises(ConfigError, match=r"panels: must name a real variable .*'limit'"):
        dataclasses.replace(study(), panels=(Panel("ee", bound="limit"),))


@pytest.mark.parametrize("panel", [Panel("ee", x="wings"), Panel("ee"), Panel("ee", fixed={"power_dbm": 31.0})])
def test_a_study_refuses_panels_that_it_cannot_draw(panel):
    with pytest.raises(ConfigError, match=r"panels: (must fix axis power_dbm|x must be one of the axes)"):
        dataclasses.replace(study(), panels=(panel,))


def test_a_long_legend_stands_below_the_panels(folder, monkeypatch):
    monkeypatch.setattr(curves, "MOST_INSIDE", 1)
    picture = draw(open_results(folder), [Panel("ee", fixed={"power_dbm": 30.0})])
    assert picture.axes[0].get_legend() is None
    assert [text.get_text() for text in picture.legends[0].get_texts()] == ["good", "poor"]


def test_many_panels_make_several_rows(folder):
    picture = draw(open_results(folder), 7 * [Panel("ee", fixed={"power_dbm": 30.0})])
    width, height = picture.get_size_inches()
    assert len(picture.axes) == 7
    assert [axes.get_subplotspec().rowspan.start for axes in picture.axes] == [0, 0, 0, 0, 1, 1, 1]
    assert width < 3 * height


@pytest.mark.parametrize("panel", [Panel("ee", x="wings"), Panel("ee"), Panel("ee", fixed={"power_dbm": 31.0})])
def test_panels_that_do_not_fit(folder, panel):
    with pytest.raises(ConfigError, match=r"panel: (must fix axis power_dbm|x must be an axis)"):
        draw(open_results(folder), [panel])


def test_a_picture_of_its_own(tmp_path):
    from matplotlib.figure import Figure

    seen = []

    def picture(results):
        seen.append(results.name)
        return Figure()

    reproduce_study(dataclasses.replace(study(trials=4), picture=picture), tmp_path)
    assert seen == ["fake-paper/fig1"]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("old")

    def fill_the_disk():
        with replacing(path) as aside:
            aside.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        fill_the_disk()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("curves.csv", "old")]


def test_csv_export(folder, tmp_path):
    path = export(folder, "csv", tmp_path / "all.csv")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    data = open_results(folder).dataset
    assert len(rows) == 80
    for row in rows:
        at = data.sel(scheme=row["scheme"], atoms=int(row["atoms"]), power_dbm=float(row["power_dbm"]))
        at = at.isel(trial=int(row["trial"]))
        assert float(row["ee"]) == at["ee"]
        assert float(row["rate_2"]) == at["rate"][2]
        assert complex(float(row["gain_real"]), float(row["gain_imag"])) == at["gain"]
        assert (row["counts"] == "True") == bool(at["counts"])


def test_netcdf_export(folder, tmp_path):
    path = export(folder.parent.parent, "netcdf", tmp_path / "all.nc")
    data = open_results(folder).dataset
    with xr.open_dataset(path, engine="h5netcdf") as back:
        assert back["scheme"].values.tolist() == ["good", "poor"]
        for name in ("ee", "rate", "status", "done", "counts", "seconds"):
            assert np.array_equal(back[name].values, data[name].values), name
        assert np.array_equal(back["gain_real"] + 1j * back["gain_imag"], data["gain"].values)
        assert back["ee"].attrs["units"] == "Mbit/J"
        assert back.attrs["experiment_id"] == study().experiment.id


def test_matlab_export(folder):
    path = export(folder, "mat")
    assert path == folder / "results.mat"
    back = scipy.io.loadmat(path, squeeze_me=True)
    path.unlink()
    data = open_results(folder).dataset
    for name in ("ee", "rate", "gain", "status", "done"):
        assert np.array_equal(back[name], data[name].values), name
    assert back["dims_rate"] == "scheme,atoms,power_dbm,trial,user"
    assert back["scheme"].tolist() == ["good", "poor"]
    assert json.loads(str(back["config"]))["scenario"]["noise"] == 1.0


def test_export_of_nothing_and_of_too_much(folder, tmp_path):
    with pytest.raises(StoreError, match=r"no store.zarr"):
        export(tmp_path, "csv")
    with pytest.raises(ConfigError, match="to: must be one of csv, netcdf, mat"):
        export(folder, "xls")
    with pytest.raises(ConfigError, match="parent of the file must exist"):
        export(folder, "csv", tmp_path / "no" / "x.csv")
    for name in ("a", "b"):
        reproduce_study(study(trials=1), tmp_path / name)
    with pytest.raises(ConfigError, match="must hold one store"):
        export(tmp_path, "csv")
