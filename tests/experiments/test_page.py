"""The page of a paper: everything on it comes from the small files of its runs, and nothing stale passes for new."""

import csv
import dataclasses
import errno
import json
import re
import shutil
from pathlib import Path

import fake_study
import pytest
from typer.testing import CliRunner

from metamimo.cli import app
from metamimo.errors import ConfigError, StoreError
from metamimo.experiments.config import rebuild
from metamimo.experiments.results import open_results
from metamimo.figures.committed import Cell, Curves, read_run
from metamimo.figures.markdown import curve_table
from metamimo.figures.page import page, write_page
from metamimo.figures.reproduce import reproduce_study
from metamimo.figures.tables import write_provenance
from metamimo.papers import registry

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 10


def study_passive(mode="quick"):
    """Return the fake figure again, with another value of a parameter."""
    study = fake_study.study(mode)
    scenario = study.experiment.scenario.replace(noise=2.5)
    experiment = rebuild(study.experiment, name="fake-paper/fig1-passive", scenario=scenario)
    return dataclasses.replace(study, experiment=experiment)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results folder with a figure and its twin; a second figure of the paper is registered but was never run."""
    folder = tmp_path_factory.mktemp("results")
    entries = {
        "fake-paper/fig1": ("fake_study", "study"),
        "fake-paper/fig1-passive": ("test_page", "study_passive"),
        "fake-paper/fig10": ("fake_study", "study_of_users"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, (module, function) in entries.items():
            patch.setitem(registry.FIGURES, name, registry.Entry(module, function, ""))
        for study in (fake_study.study("full"), study_passive("full")):
            reproduce_study(study, folder)
        yield folder


@pytest.fixture
def alone(results, tmp_path):
    """A copy of the figure without its twin, to be changed."""
    shutil.copytree(results / "fake-paper" / "fig1", tmp_path / "results" / "fake-paper" / "fig1")
    return tmp_path / "results"


def cells(line):
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_provenance_says_what_made_the_data(results):
    folder = results / "fake-paper" / "fig1"
    record = json.loads((folder / "provenance.json").read_text())
    stored = open_results(folder)
    study = fake_study.study("full")
    assert record["figure"] == "fake-paper/fig1"
    assert record["title"] == study.experiment.title
    assert record["experiment"] == study.experiment.id
    assert (record["realisations"], record["seed"]) == (TRIALS, 7)
    assert record["scenario"] == study.experiment.scenario.model_dump()
    assert record["process_seconds"] == pytest.approx(float(stored.dataset["seconds"].sum()))
    assert {**record["made_with"], "platform": stored.attributes["provenance"]["platform"]} == (
        stored.attributes["provenance"]
    )


def test_provenance_without_wall_times(results, tmp_path):
    stored = open_results(results / "fake-paper" / "fig1")
    variables = {name: v for name, v in stored.attributes["variables"].items() if name != "seconds"}
    write_provenance(
        dataclasses.replace(stored, attributes={**stored.attributes, "variables": variables}), tmp_path / "p.json"
    )
    assert json.loads((tmp_path / "p.json").read_text())["process_seconds"] is None


def test_a_full_disk_leaves_the_old_provenance(results, tmp_path, monkeypatch):
    path = tmp_path / "provenance.json"
    path.write_text("old")

    def full_disk(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("metamimo.figures.files.os.replace", full_disk)
    with pytest.raises(StoreError, match="No space left"):
        write_provenance(open_results(results / "fake-paper" / "fig1"), path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("provenance.json", "old")]


def test_pictures_are_linked_from_where_the_page_lies(results, tmp_path):
    (tmp_path / "docs" / "papers").mkdir(parents=True)
    out = write_page("fake-paper", results, tmp_path / "docs" / "papers" / "page.md")
    links = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", out.read_text())
    assert len(links) == 2
    assert all((out.parent / link).resolve().is_file() and not Path(link).is_absolute() for link in links)


def test_every_mean_is_on_the_page(results, tmp_path):
    text = page("fake-paper", results, tmp_path)
    with (results / "fake-paper" / "fig1" / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = text[text.index("As in the paper: `ee`") : text.index("Band-limited kernel: ")]
    assert "[Mbit/J] against `atoms`" in table
    shown = {tuple(cells(line)[:2]): cells(line)[2:] for line in table.splitlines() if line.startswith("| ")}
    assert shown["scheme", "`power_dbm [dBm]`"] == ["4", "9", "16"]
    assert len(rows) == 12
    for row in rows:
        column = ["4", "9", "16"].index(row["atoms"])
        cell = shown[row["scheme"], row["power_dbm [dBm]"].removesuffix(".0")][column]
        mean, stderr = (float(number) for number in re.match(r"(\S+) ± (\S+)", cell).groups())
        assert mean == pytest.approx(float(row["mean"]), abs=0.005)
        assert stderr == pytest.approx(float(row["stderr"]), abs=0.005)
        assert ("1 excluded" in cell) == (row["excluded"] == "1")


def test_summary_counts_and_explains_claims(results, tmp_path):
    text = page("fake-paper", results, tmp_path)
    assert "| as declared | 1 | 1 | 1 | 1 | 0 |" in text
    assert "| again with the band-limited kernel | 1 | 1 | 1 | 1 | 0 |" in text
    assert "Not run yet: fig10." in text
    summary = text[text.index("## Summary") : text.index("## Parameters")]
    listed = [cells(line)[:2] for line in summary.splitlines() if line.startswith("| fig1")]
    assert listed == [["fig1", "f2"], ["fig1", "f3"], ["fig1-passive", "f2"], ["fig1-passive", "f3"]]
    assert "no point atoms=99" in summary


def test_fitted_claims_are_counted(alone):
    path = alone / "fake-paper" / "fig1" / "claims.json"
    claims = json.loads(path.read_text())
    claims[0]["note"] += "; fitted: noise was chosen with it in view"
    path.write_text(json.dumps(claims))
    assert "| as declared | 1 | 1 | 1 | 1 | 1 |" in page("fake-paper", alone, alone)


def test_verdicts_of_both_runs_stand_side_by_side(results, tmp_path):
    text = page("fake-paper", results, tmp_path)
    row = next(line for line in text.splitlines() if line.startswith("| f2 |"))
    measured = [
        json.loads((results / "fake-paper" / figure / "claims.json").read_text())[1]["measured"]
        for figure in ("fig1", "fig1-passive")
    ]
    for cell, value in zip(cells(row)[3:], measured, strict=True):
        assert cell.startswith(f"**DOES NOT HOLD**: {value:.4g} ± ")


def test_a_twin_alone_is_not_taken_for_the_figure(results, tmp_path):
    shutil.copytree(results / "fake-paper" / "fig1-passive", tmp_path / "fake-paper" / "fig1-passive")
    text = page("fake-paper", tmp_path, tmp_path)
    assert "Not run yet: fig1, fig10." in text
    assert "## fig1: " in text
    assert "| claim | what the source says | expected | band-limited kernel |" in text
    assert "Band-limited kernel: `ee`" in text


def test_parameters_have_unit_and_mark(results, tmp_path):
    fake = page("fake-paper", results, tmp_path)
    assert "`FakeScenario`, the scenario of fig1, fig1-passive, fig10:" in fake
    assert "| `power_dbm` | 30 | dBm |  |" in fake
    real = page("sim-broadcast-ee", ROOT / "results", tmp_path)
    assert "| `noise_dbm` | -94 | dBm | [chosen] |" in real
    assert "| `n_elements` | 100 |  | [seed] |" in real
    assert "| `path_loss_exponent` | 3.5 |  | [lit] |" in real
    assert "| `bandwidth` | 20000000 | Hz | [chosen] |" in real


def test_what_made_a_run_is_named(results, tmp_path):
    text = page("fake-paper", results, tmp_path)
    made = json.loads((results / "fake-paper" / "fig1" / "provenance.json").read_text())
    (line,) = [line for line in text.splitlines() if line.startswith("As in the paper: n = 10, experiment")]
    for part in (
        made["experiment"],
        made["made_with"]["version_jax"],
        made["made_with"]["python"],
        "minutes of one process",
    ):
        assert part in line
    assert "Other than in the table of parameters: `noise` = 2.5." in text


def test_a_page_admits_that_its_files_are_old(alone):
    folder = alone / "fake-paper" / "fig1"
    assert "has changed since" not in page("fake-paper", alone, alone)
    record = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps({**record, "experiment": "0123456789abcdef"}))
    claims = json.loads((folder / "claims.json").read_text())
    (folder / "claims.json").write_text(json.dumps(claims[:1]))
    text = page("fake-paper", alone, alone)
    assert f"its id is {fake_study.study('full').experiment.id} now" in text
    (folder / "provenance.json").unlink()
    assert "do not say which commit and versions made them" in page("fake-paper", alone, alone)


def test_claims_declared_since_a_run_are_named(tmp_path):
    """The stored run of a real figure is one claim short."""
    source = ROOT / "results" / "sim-broadcast-ee" / "fig3"
    folder = tmp_path / "sim-broadcast-ee" / "fig3"
    folder.mkdir(parents=True)
    for name in ("curves.csv", "figure.png", "claims.json"):
        shutil.copy(source / name, folder / name)
    claims = [claim for claim in json.loads((folder / "claims.json").read_text()) if claim["id"] != "3a"]
    (folder / "claims.json").write_text(json.dumps(claims))
    assert re.search(
        r"Claims declared since this run, not checked on it: .*\b3a\b", page("sim-broadcast-ee", tmp_path, tmp_path)
    )


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("figure.png", None, "figure.png must lie beside"),
        ("claims.json", None, "claims.json must lie beside"),
        ("claims.json", "[{", "claims.json: is damaged"),
        ("claims.json", '[{"id": "a"}]', "claims.json: must be a list of objects with"),
        ("provenance.json", "{", "provenance.json: is damaged"),
        ("curves.csv", "", "curves.csv: must have the columns scheme, variable"),
        ("curves.csv", "scheme,n\na,1\n", "curves.csv: must have the columns scheme, variable"),
        ("curves.csv", "scheme,x,variable,unit,n,excluded,mean,stderr\na,1,ee,,ten,0,1,1\n", "line 2 is damaged"),
        ("curves.csv", "scheme,x,variable,unit,n,excluded,mean,stderr\na,1,ee,,10,0,1\n", "line 2 is damaged"),
    ],
)
def test_damaged_files_are_named(alone, file, content, words):
    path = alone / "fake-paper" / "fig1" / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(StoreError, match=re.escape(words)):
        page("fake-paper", alone, alone)


def test_bad_arguments(results, tmp_path):
    with pytest.raises(ConfigError, match=r"paper: must be one of .*fake-paper, .*'nothing'"):
        page("nothing", results, tmp_path)
    with pytest.raises(ConfigError, match="results: must be a folder"):
        page("fake-paper", tmp_path / "no", tmp_path)
    with pytest.raises(StoreError, match="No such file"):
        write_page("fake-paper", results, tmp_path / "no" / "page.md")


def test_a_figure_without_files_was_not_run(results):
    assert read_run(results, "fake-paper/fig10") is None


def test_coordinates_that_change_together_are_one_axis():
    grid = (("1", "400"), ("2", "200"), ("4", "100"))
    table = curve_table(Curves("ee", "", ("layers", "elements"), tuple(Cell("a", p, 3, 0, 2.0, 0.25) for p in grid)))
    assert (
        table[0]
        == "`ee` against `layers`, `elements`; mean ± standard error; n = 3 realisations in every cell, none excluded."
    )
    assert table[2] == "| scheme | 1, 400 | 2, 200 | 4, 100 |"
    assert table[4] == "| a | 2.00 ± 0.25 | 2.00 ± 0.25 | 2.00 ± 0.25 |"


def test_an_axis_of_one_value_is_named_in_the_caption():
    nan = float("nan")
    found = (Cell("a", ("2", "4"), 1, 0, 928.0, nan), Cell("a", ("2", "8"), 0, 1, nan, nan))
    caption, _, header, _, row = curve_table(Curves("count", "1", ("layers", "ports"), found))
    assert caption == "`count` [1] against `ports`, `layers` = 2; one value a cell."
    assert (header, row) == ("| scheme | 4 | 8 |", "| a | 928 | none (n = 0, 1 excluded) |")


def test_the_command_writes_the_page(results, tmp_path):
    out = tmp_path / "page.md"
    done = CliRunner().invoke(app, ["page", "fake-paper", "--results", str(results), "--out", str(out)])
    assert (done.exit_code, done.output.strip()) == (0, str(out))
    assert out.read_text() == page("fake-paper", results, tmp_path)
    done = CliRunner().invoke(app, ["page", "nothing", "--results", str(results), "--out", str(out)])
    assert done.exit_code == 2
    assert "error: paper: must be one of" in done.output


@pytest.mark.parametrize("paper", sorted(path.name for path in (ROOT / "results").iterdir()))
def test_the_committed_page_is_that_of_the_committed_results(paper):
    """Run `metamimo page PAPER --out docs/papers/PAPER.md` where this fails."""
    committed = ROOT / "docs" / "papers" / f"{paper}.md"
    assert committed.read_text(encoding="utf-8") == page(paper, ROOT / "results", committed.parent)
