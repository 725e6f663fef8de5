"""One task of the real figure at toy size: padding, shapes, types, and what another grid point leaves alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_study import LOUD, TOY, toy_experiment

from metamimo.experiments.config import Axis
from metamimo.experiments.tasks import Task, all_tasks
from metamimo.papers import chunks
from metamimo.papers.sim_broadcast_ee import quantised, quantised_simulate, simulate
from metamimo.papers.sim_broadcast_ee.figures import SCHEMES
from metamimo.papers.sim_broadcast_ee.studies import VARIABLES
from metamimo.papers.stacks import deepest_stack
from metamimo.problem import Status
from metamimo.randomness import trial_key

SIZES = Axis(name="n_elements", values=(9, 16))
ALL_SCHEMES = toy_experiment(axis=SIZES, schemes=SCHEMES)
LABELS = [choice.label for choice in SCHEMES]
BARE = LABELS.index("LP-NoSIM")


@pytest.fixture(params=range(len(SCHEMES)), ids=LABELS)
def tasks(request):
    """The two tasks of a scheme at nine elements: a whole chunk, and one of a single realisation."""
    return [t for t in all_tasks(ALL_SCHEMES) if (t.scheme, t.index) == (request.param, (0,))]


def test_tasks_return_what_the_study_declares(tasks):
    whole, last = tasks
    assert (whole.count, last.count) == (2, 1)
    for task in tasks:
        results = simulate.compute(ALL_SCHEMES, task)
        assert set(results) == {variable.name for variable in VARIABLES}
        for variable in VARIABLES:
            value = results[variable.name]
            assert value.shape == (task.count, *({"user": 2}[dim] for dim in variable.dims)), variable.name
            assert value.dtype.kind == np.dtype(variable.dtype).kind, variable.name
            assert np.isfinite(value).all(), variable.name
        assert (results["status"] == Status.CONVERGED).all()
        assert (results["accepted"] <= 1 + 1e-9).all()
        assert (results["energy_efficiency"] <= results["upper_bound"]).all()
        assert (results["energy_efficiency"] > 0).all()
        np.testing.assert_allclose(results["rate"].sum(-1), results["sum_rate"], rtol=1e-12)
        efficiency = results["sum_rate"] * LOUD.bandwidth / results["consumed"]
        np.testing.assert_allclose(results["energy_efficiency"] * 1e6, efficiency, rtol=1e-12)


def test_a_padded_chunk_gives_the_bits_of_a_whole_one(tasks):
    """Who else is in the chunk, and how much of it is wanted, changes no bit of a realisation."""
    padded = simulate.compute(ALL_SCHEMES, tasks[1])
    whole = simulate.compute(ALL_SCHEMES, dataclasses.replace(tasks[1], count=2))
    other = simulate.compute(ALL_SCHEMES, dataclasses.replace(tasks[1], first=1, count=2))
    for variable in VARIABLES:
        if variable.promised:
            name = variable.name
            assert padded[name].tobytes() == whole[name][:1].tobytes() == other[name][1:].tobytes(), name


def test_realisations_differ():
    values = simulate.compute(ALL_SCHEMES, Task(BARE, (0,), 0, 2, 2))["energy_efficiency"]
    assert abs(values[0] / values[1] - 1) > 1e-3


def test_another_number_of_elements_leaves_the_bare_array_alone():
    """Users and fading of LP-NoSIM do not know how large the metasurface is that other schemes use."""
    small, large = (simulate.compute(ALL_SCHEMES, Task(BARE, (i,), 0, 2, 2)) for i in (0, 1))
    for variable in VARIABLES:
        if variable.promised:
            assert small[variable.name].tobytes() == large[variable.name].tobytes(), variable.name


def test_another_number_of_elements_leaves_the_users_where_they_are(monkeypatch):
    seen, annulus_distances = [], simulate.annulus_distances

    def spy(*arguments):
        seen.append(annulus_distances(*arguments))
        return seen[-1]

    def users_of(elements):
        surface = simulate.stack(TOY.replace(n_elements=elements), 2)
        numbers = simulate.physical(TOY, surface)

        def distances(trial):
            simulate.draw_problem(surface, numbers, trial_key(5, trial), 2, 2)
            return seen.pop()

        return jax.jit(jax.vmap(distances))(jnp.arange(3)).tolist()

    monkeypatch.setattr(simulate, "annulus_distances", spy)
    few = users_of(9)
    assert few == users_of(16)
    assert len({distance for users in few for distance in users}) == 6
    assert all(TOY.r_min <= distance <= TOY.r_max for users in few for distance in users)


def test_rates_of_users_who_are_not_there_are_nan(monkeypatch):
    """Padding is host code, so stand-ins for the compiled programs are enough."""
    monkeypatch.setattr(chunks, "_program", lambda *_: lambda *_: {"rate": jnp.ones((2, 1))})
    monkeypatch.setattr(chunks, "_bounds", lambda *_: lambda *_: jnp.ones(2))
    experiment = toy_experiment(axis=Axis(name="n_users", values=(1, 3)))
    rates = simulate.compute(experiment, Task(0, (0,), 0, 1, 2))["rate"]
    np.testing.assert_array_equal(rates, [[1, np.nan, np.nan]])


def test_depth_of_the_stack_is_shared_by_points_of_equal_size():
    axis = Axis(name="n_layers", fields=("n_layers", "n_elements"), values=((1, 16), (3, 16), (4, 9)))
    experiment = toy_experiment(axis=axis)
    depths = [deepest_stack(experiment, TOY.replace(**axis.settings(i)).n_elements) for i in range(3)]
    assert depths == [3, 3, 4]


def test_readings_of_discrete_phases_start_from_one_continuous_design():
    scenario = quantised.QuantisedBroadcast(**LOUD.model_dump())
    experiment = toy_experiment(
        axis=Axis(name="bits", values=(1, quantised.CONTINUOUS)), schemes=quantised.SCHEMES[2:], scenario=scenario
    )
    found = {
        (choice.label, bits): quantised_simulate.compute(experiment, Task(scheme, (index,), 0, 2, 2))
        for scheme, choice in enumerate(experiment.schemes)
        for index, bits in enumerate((1, quantised.CONTINUOUS))
        if bits == 1 or scheme == 0
    }
    assert quantised_simulate._continuous.cache_info().misses == 1
    assert all(set(results) == {variable.name for variable in VARIABLES} for results in found.values())
    efficiency = {key: results["energy_efficiency"] for key, results in found.items()}
    assert (efficiency["SIM-LP rounded", 1] <= efficiency["SIM-LP re-optimised", 1] * (1 + 1e-9)).all()
