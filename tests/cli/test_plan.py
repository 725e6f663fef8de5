"""The planner: plan files, advice from stored designs, and one small plan from the command line."""

import csv

import numpy as np
import pytest
from cli_tools import metamimo

from metamimo.errors import ConfigError, FeasibilityError
from metamimo.experiments.tasks import all_tasks, program_of
from metamimo.planner.choice import advise, clearly_above, contenders
from metamimo.planner.plan_file import STARTER, Plan, load_plan
from metamimo.planner.report import words
from metamimo.planner.study import stack_study

TOY = """
name: toy
scenario: {n_users: 2, noise_dbm: -125.0, thickness: 2.0}
search: {n_layers: [1, 2], n_elements: [9], n_ports: [2, 3]}
draws: 3
final_draws: 5
"""


class Stored:
    """Stored designs whose energy efficiency is a formula of the cell."""

    def __init__(self, efficiency, outage=()):
        self.efficiency, self.outage = efficiency, outage

    def samples(self, variable, scheme, point):
        noise = np.random.default_rng(0).normal(size=20)  # the same draws everywhere
        if variable == "sum_rate":
            return 10.0 * point.get("n_layers", 0) + noise
        values = self.efficiency(**point) + noise
        if tuple(point.values()) in self.outage:
            values[0] = np.nan
        return values


def plan(**changes):
    search = {"n_layers": (1, 2, 3), "n_elements": (16, 36), "n_ports": (4, 6)}
    return Plan.model_validate({"search": search, **changes})


def peaked(n_layers=0, n_elements=0, n_ports=0):
    return 50.0 - (n_layers - 2) ** 2 + 0.1 * n_elements - n_ports


def test_the_starter_is_a_plan_that_compiles_few_programs(tmp_path):
    (tmp_path / "plan.yaml").write_text(STARTER)
    starter = load_plan(tmp_path / "plan.yaml")
    experiment = stack_study(starter, starter.draws).experiment
    assert len(list(experiment.grid())) == 8 * 5 * 4
    assert starter.draws == 20
    assert starter.scenario.carrier == 28e9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scenario: {n_users: 9}", "n_users: must not exceed n_ports = 6, got 9"),
        ("scenario: {n_users: 5}", "n_ports: must be at least the 5 users, got 4"),
        (
            "scenario: {port_power_dbm: 33.0}",
            "port_power_dbm: an antenna's limit must not exceed that of all, 30.0 dBm",
        ),
        ("scenario: {bandwidth: 0.0}", "bandwidth"),
        ("scenario: {bandwidth: 10 MHz}", "bandwidth"),
        ("scenario: {layers: 3}", "layers"),
        ("search: {n_layers: [3, 1]}", "n_layers: must be increasing whole numbers from 1 on"),
        ("limits: {area: 1.0e-9}", "area: no number of meta-atoms of the search fits into 1e-09 m"),
        ("draws: 1", "draws"),
        ("- 1", "must hold fields such as `scenario:`, got list"),
        ("a: [", "is no YAML file"),
        ("!!python/object/apply:os.system ['true']", "is no YAML file"),
    ],
)
def test_bad_plans_have_one_clear_message(tmp_path, text, message):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load_plan(tmp_path / "plan.yaml")
    assert message in str(error.value)
    assert "\n\n" not in str(error.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"plan: cannot read .*nowhere\.yaml"):
        load_plan(tmp_path / "nowhere.yaml")


def test_best_cell_front_and_crossover_are_those_of_the_formula():
    advice = advise(plan(), Stored(peaked), Stored(lambda n_ports: 45.0 + (n_ports == 6) * 5))
    assert advice.best.name == "L=2 N=36 M=4"
    means = [cell.mean.mean for cell in advice.ranked]
    assert means == sorted(means, reverse=True)
    assert [cell.layers for cell in advice.pareto] == [2, 3]
    assert advice.crossover[4].mean == pytest.approx(50.0 + 3.6 - 4 - 45)
    assert advice.crossover[6].mean < 0
    assert not advice.ties  # equal noise on common draws: every difference is clear
    assert clearly_above(advice.best, advice.ranked[1])
    text = words(plan(), advice)
    assert "Recommended: 2 layers of 36 meta-atoms, 4 antennas" in text
    assert "does not pay" in text


def test_close_cells_go_to_the_final_and_win_by_all_their_draws():
    """The best cell on the first draws leads by luck: its own noise is high there and low later."""

    class Lucky(Stored):
        def samples(self, variable, scheme, point):
            noise = np.random.default_rng(list(point.values())).normal(size=100)
            lucky = tuple(point.values()) == (1, 16, 4)
            return (
                50.0
                + (5.0 if tuple(point.values()) == (3, 16, 4) else -5.0 * lucky)
                + noise
                + 11 * lucky * (np.arange(100) < 20)
            )

    few = plan(search={"n_layers": (1, 2, 3), "n_elements": (16,), "n_ports": (4,)})
    bare, stored = Stored(lambda n_ports: 45.0), Lucky(None)
    first = advise(few, stored, bare)
    assert first.best.key == (1, 16, 4)
    finalists = contenders(first)
    assert finalists == {(1, 16, 4), (3, 16, 4)}
    last = advise(few, stored, bare, finalists)
    assert last.best.key == (3, 16, 4)
    assert last.best.mean.n == 100
    assert contenders(last) <= finalists
    assert "n = 100" in words(few, last)


def test_cells_beyond_the_budget_or_with_outage_are_left_out():
    costly = plan(limits={"budget": 80.0}, prices={"element": 1.0})
    advice = advise(costly, Stored(peaked, outage={(2, 36, 4)}), Stored(lambda n_ports: 0.0))
    assert {cell.name for cell in advice.left_out} == {"L=2 N=36 M=4", "L=3 N=36 M=4", "L=3 N=36 M=6"}
    assert advice.best.name == "L=1 N=36 M=4"
    assert "1 cells with missed rates or unfinished runs, 2 beyond the budget" in words(costly, advice)


def test_nothing_left_says_what_to_change():
    with pytest.raises(FeasibilityError, match=r"no cell of the search is within the budget and meets min_rate = 0\.5"):
        advise(plan(limits={"budget": 1.0}, prices={"fixed": 2.0}), Stored(peaked), Stored(lambda n_ports: 0.0))


def test_layers_and_antennas_share_one_program():
    study = stack_study(plan(), 20)
    tasks = all_tasks(study.experiment)
    assert len({(scenario_of(study, task).n_elements) for task in tasks}) == 2
    assert len({program_of(study.experiment, task) for task in tasks}) <= 4


def scenario_of(study, task):
    from metamimo.experiments.config import scenario_at

    return scenario_at(study.experiment, task.index)


def test_a_small_plan_runs_resumes_and_names_its_files(tmp_path):
    started = metamimo(tmp_path, "init", "toy.yaml")
    assert started.returncode == 0
    assert metamimo(tmp_path, "init", "toy.yaml").returncode == 2
    nowhere = metamimo(tmp_path, "init", "nowhere/toy.yaml")
    assert nowhere.returncode == 2
    assert "nowhere: No such file or directory" in nowhere.stderr
    (tmp_path / "toy.yaml").write_text(TOY)
    first = metamimo(tmp_path, "plan", "toy.yaml")
    assert first.returncode == 0, first.stderr
    assert "Recommended: " in first.stdout
    folder = tmp_path / "runs" / "plan-toy"
    assert {path.name for path in folder.glob("*.*")} == {"plan.csv", "plan.txt", "figure.png", "figure.pdf"}
    rows = list(csv.DictReader((folder / "plan.csv").open()))
    assert len(rows) == 4
    assert all(float(row["mbit_per_joule"]) > 0 for row in rows)
    assert rows[0]["n"] == "5"
    assert {row["n"] for row in rows} <= {"3", "5"}
    again = metamimo(tmp_path, "plan", "toy.yaml")
    assert again.stdout == first.stdout
