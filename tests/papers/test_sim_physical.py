"""`sim-physical/layers`: declared grid and claims, and one small point of it computed in every model."""

from typing import get_args

import numpy as np
import pytest

from metamimo.errors import ConfigError
from metamimo.experiments.config import SchemeChoice, rebuild, scenario_at
from metamimo.experiments.tasks import all_tasks
from metamimo.papers import registry
from metamimo.papers.sim_physical import gain, simulate
from metamimo.papers.sim_physical.layers import MODELS, VARIABLES
from metamimo.papers.sim_physical.scenario import LAYERS, Family, SimPhysical

SMALL = SimPhysical(n_layers=2, n_elements=4, n_ports=2, n_users=2, paths=5)
CHUNK = simulate.Chunk(SMALL, 7, (0, 1))


@pytest.fixture(scope="module")
def found():
    """Every model that needs no other program than the coupled design does."""
    return {name: simulate.MODELS[name](CHUNK) for name in ("usual", "delivered", "coupled", "random")}


@pytest.mark.parametrize("mode", ["quick", "full"])
@pytest.mark.parametrize("figure", ["layers", "gain"])
def test_study_declares_what_it_computes(figure, mode):
    study = registry.load(f"sim-physical/{figure}", mode)
    experiment = study.experiment
    assert {str(choice.options["model"]) for choice in experiment.schemes} == set(simulate.MODELS)
    assert [claim.id for claim in study.claims] == list(experiment.claims)
    assert study.converged == (0,)
    for index in experiment.grid():
        scenario = scenario_at(experiment, index)
        assert isinstance(scenario, SimPhysical)
        assert scenario.n_layers in LAYERS
    if mode == "full" and figure == "layers":
        assert experiment.trials >= 30
        assert {"half", "quarter", "total"} <= set(experiment.axes[1].values)


def test_geometry_of_the_families():
    at = {family: SimPhysical(family=family, n_layers=6) for family in get_args(Family)}
    assert [at[family].elements for family in get_args(Family)] == [25, 25, 6, 25, 25]
    assert [at[family].spacing for family in get_args(Family)] == [0.5, 0.25, 0.5, 0.5, 1.0]
    assert [at[family].is_nested for family in get_args(Family)] == [True, True, False, False, True]
    with pytest.raises(ConfigError, match="total_elements: must be a multiple of n_layers = 5, got 36"):
        SimPhysical(family="half").replace(family="total", n_layers=5)


def test_every_variable_is_computed(found):
    for results in found.values():
        assert set(results) == {variable.name for variable in VARIABLES} - {"seconds"}
        for name, values in results.items():
            assert np.shape(values)[0] == 2, name


def test_designs_converge_and_use_their_power(found):
    for name in ("coupled", "delivered", "random"):
        assert (found[name]["status"] == 0).all()
        np.testing.assert_allclose(found[name]["radiated"], 1, rtol=1e-6)
        np.testing.assert_allclose(found[name]["energy_gain"], 1, rtol=1e-9)


def test_optimum_is_above_what_was_only_delivered_and_below_the_bound(found):
    best = found["coupled"]["sum_rate"]
    for name in ("delivered", "random"):
        assert (best >= found[name]["sum_rate"] * (1 - 1e-6)).all()
    assert (best <= found["coupled"]["upper_bound"]).all()
    below = simulate.coupled_design(CHUNK._replace(scenario=SMALL.replace(n_layers=1)), "accepted")
    assert (best >= np.asarray(below.measured["sum_rate"]) * (1 - 1e-6)).all()


def test_away_from_its_conditions_a_design_is_worse(found):
    best = found["coupled"]["sum_rate"]
    for name in simulate.EXAMINED:
        assert np.isfinite(found["coupled"][name]).all()
        assert np.isnan(found["usual"][name]).all()
        assert (found["coupled"][name] < best * 1.02).all()
    assert (found["coupled"]["lossy"] < best).all()


def test_results_depend_on_the_trial_and_not_on_its_chunk():
    """The last chunk of a run is padded; a trial's numbers are those of any chunk it is in."""
    study = registry.load("sim-physical/layers", "quick")
    choice = (SchemeChoice(label="Usual", scheme="hybrid-joint", options={"model": "usual"}),)
    small = SMALL.model_dump(exclude={"n_layers", "family"})
    experiment = study.with_scenario(small).experiment
    experiment = rebuild(experiment, schemes=choice, trials=3, chunk=2)
    tasks = [task for task in all_tasks(experiment) if task.index == (1, 0)]
    assert [task.count for task in tasks] == [2, 1]
    parts = [simulate.compute(experiment, task) for task in tasks]
    assert [len(part["sum_rate"]) for part in parts] == [2, 1]
    alone = simulate.MODELS["usual"](simulate.Chunk(scenario_at(experiment, (1, 0)), experiment.seed, (1, 2)))
    np.testing.assert_array_equal(alone["sum_rate"], [parts[0]["sum_rate"][1], parts[1]["sum_rate"][0]])


def test_gain_is_what_the_rate_of_one_user_says():
    """Bare antenna over a ground plane: 7.17 dBi, whatever the power."""
    study = gain.gain("quick")
    choice = (SchemeChoice(label="Bare array", scheme="hybrid-joint", options={"model": "bare"}),)
    experiment = rebuild(study.experiment, schemes=choice, trials=1, chunk=1)
    found = gain.compute(experiment, next(iter(all_tasks(experiment))))
    assert found["gain"] == pytest.approx([7.17], abs=0.005)
    assert set(found) == {variable.name for variable in study.variables}


def test_unknown_models_are_refused():
    study = registry.load("sim-physical/layers", "quick")
    choice = (SchemeChoice(label="X", scheme="hybrid-joint", options={"model": "magic"}),)
    experiment = rebuild(study.experiment, schemes=choice)
    with pytest.raises(ConfigError, match="model: must be one of bare, random, usual"):
        simulate.compute(experiment, next(iter(all_tasks(experiment))))


def test_every_label_is_a_model():
    assert set(MODELS.values()) == set(simulate.MODELS)
