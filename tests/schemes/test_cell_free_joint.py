"""L-BFGS of a cell-free network: gradients from summed amplitudes, and what the scheme promises."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_free_problems import CoupledElements, cell_free

from metamimo.channels.csi import FreshEstimates
from metamimo.errors import ConfigError
from metamimo.metrics.evaluate import evaluate
from metamimo.metrics.power import power_matrices, station_power
from metamimo.problem import Status
from metamimo.schemes.cell_free_joint import amplitudes, cell_free_joint, free_coordinates, loss, own_gradient, point_at
from metamimo.schemes.cell_free_network import CellFreeNetwork
from metamimo.schemes.stochastic_sca import ssca
from metamimo.surfaces.digital import FullyDigital

KEY = jax.random.key(5)


@pytest.mark.parametrize("kind", ["port", "accepted", "radiated"])
def test_own_parts_of_the_gradient_are_those_of_the_whole_function(kind):
    p = cell_free(3, stations=3, kind=kind)
    network = CellFreeNetwork.of(p, "test")
    rules, surface = network.rules, network.surface
    points = network.first(KEY, None, "own", network.channels)
    begin = jax.vmap(partial(free_coordinates, rules, surface))(points)

    @jax.jit
    def objective(x):
        return loss(rules, jax.vmap(partial(amplitudes, rules, surface))(network.stations, network.channels, x).sum(0))

    for x in (1.1 * begin, 0.5 * begin, 3 * begin):
        z = jax.vmap(partial(amplitudes, rules, surface))(network.stations, network.channels, x).sum(0)
        own = jax.vmap(partial(own_gradient, rules, surface), in_axes=(0, 0, 0, None))
        found = own(network.stations, network.channels, x, z)
        np.testing.assert_allclose(found, jax.grad(objective)(x), rtol=1e-9, atol=1e-11)
        along = np.random.default_rng(0).normal(size=x.shape)
        slope = (objective(x + 1e-5 * along) - objective(x - 1e-5 * along)) / 2e-5
        assert float(slope) == pytest.approx(float((found * along).sum()), rel=1e-5, abs=1e-8)
    again = jax.vmap(partial(point_at, rules, surface))(network.stations, network.channels, begin)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(points), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


@pytest.fixture(scope="module")
def run():
    return jax.jit(partial(cell_free_joint, key=KEY, first_steps=20, max_iterations=300))


@pytest.mark.parametrize("kind", ["port", "accepted", "radiated"])
def test_designs_are_feasible_scored_right_and_better_than_the_steps_that_they_start_from(run, kind):
    p = cell_free(2, stations=3, power=10.0, kind=kind)
    solution = run(p)
    used = station_power(p.link, power_matrices(p.link, solution.design.state, kind), solution.design.precoder)
    assert (np.asarray(used) <= np.asarray(p.limits[0].power) * (1 + 1e-9)).all()
    assert p.link.surfaces[0].feasible.contains(solution.design.state[0])
    assert float(solution.value) == pytest.approx(float(evaluate(p, solution.design).sum_rate), rel=1e-12)
    history = np.asarray(solution.history)
    assert history[-1] == pytest.approx(float(solution.value), rel=1e-9)
    assert (np.diff(history[20:]) >= -1e-12 * history[21:]).all()
    assert int(solution.status) == Status.CONVERGED
    steps = jax.jit(partial(ssca, key=KEY, safeguard=False, tolerance=0.0, max_iterations=200))(p)
    assert float(solution.value) > float(steps.value)
    assert int(solution.trials) > int(solution.iterations) > 20


def test_surfaces_without_anything_to_tune_get_precoders():
    surface = FullyDigital.build(np.eye(3))
    solution = jax.jit(partial(cell_free_joint, key=KEY, first_steps=5))(cell_free(1, surface=surface, freq=1))
    assert float(solution.value) > 0
    assert int(solution.status) == Status.CONVERGED


def test_dead_channels_and_zero_power_give_no_nan(run):
    p = cell_free(6, stations=3, kind="port")
    dead = p.link.channel.at[:, :, 1].set(0)
    for channel, power in ((dead, p.limits[0].power), (0 * dead, p.limits[0].power), (dead, 0 * p.limits[0].power)):
        link = dataclasses.replace(p.link, channel=channel)
        q = dataclasses.replace(p, link=link, limits=(dataclasses.replace(p.limits[0], power=power),))
        solution = run(q)
        assert np.isfinite(np.asarray(solution.rates)).all()
        assert np.isfinite(np.asarray(solution.design.precoder)).all()


def test_sampled_channels_are_refused():
    p = cell_free(0, surface=CoupledElements.example())
    sampled = dataclasses.replace(p, csi=FreshEstimates(p.link.channel, jnp.asarray(0.1)))
    with pytest.raises(ConfigError, match=r"csi: L-BFGS needs a constant channel, got samples of FreshEstimates"):
        cell_free_joint(sampled, key=KEY)
