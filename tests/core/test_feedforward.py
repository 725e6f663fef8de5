"""Stack in which waves only run forwards: against the coupled model, and against a sweep written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.surfaces.coupled import CoupledStack
from metamimo.surfaces.feedforward import FeedforwardStack

SIZES = {"n_elements": 9, "n_ports": 3, "wavelength": 1.0}

responses = jax.jit(lambda surface, many: jax.lax.map(surface.moments_and_impedance, many))


def states(seed, *shape):
    return np.exp(2j * np.pi * np.random.default_rng(seed).random(shape))


def test_one_layer_in_open_space_is_the_coupled_one_without_reaction_on_the_antennas():
    sizes = SIZES | {"n_layers": 1, "backplane": False}
    state = states(0, 2, 1, 9)
    moments, bare = responses(FeedforwardStack.build(**sizes), state)
    expected, _ = responses(CoupledStack.build(**sizes), state)
    np.testing.assert_allclose(moments, expected, atol=1e-13)
    antennas = np.eye(3) + 1j * np.asarray(CoupledStack.build(**sizes).antennas)
    np.testing.assert_allclose(bare[0], antennas, atol=1e-15)


@pytest.mark.parametrize("balanced", [True, False])
def test_layers_are_the_sweep_of_one_after_the_other(balanced):
    surface = FeedforwardStack.build(n_layers=3, balanced=balanced, loss=0.02, **SIZES)
    state = states(1, 1, *surface.feasible.shape)
    moments, _ = responses(surface, state)
    alpha = np.asarray(jax.jit(lambda s: surface.polarisabilities(s))(state[0]))[0]
    coupling, feed = np.asarray(surface.atoms)[0], np.asarray(surface.feed)[0]
    layer = np.tile(np.repeat(np.arange(3), 9), 2)
    expected = np.zeros_like(feed)
    for l in range(3):
        here, below = layer == l, layer < l
        field = feed[here] + coupling[np.ix_(here, below)] @ expected[below]
        inside = np.eye(18) - coupling[np.ix_(here, here)] * alpha[here]
        expected[here] = alpha[here, None] * np.linalg.solve(inside, field)
    np.testing.assert_allclose(moments[0, 0], expected, rtol=1e-11, atol=1e-13)


def test_bare_array_is_that_of_the_coupled_model():
    sizes = SIZES | {"n_layers": 0}
    empty = jnp.ones((0, 9), complex)
    forward, coupled = FeedforwardStack.build(**sizes), CoupledStack.build(**sizes)
    np.testing.assert_allclose(forward.response(empty), coupled.response(empty), atol=1e-13)


def test_close_layers_create_energy():
    """Why it is a diagnostic: on average six layers a quarter wavelength apart make several watts out of one."""
    surface = FeedforwardStack.build(n_layers=6, n_elements=25, n_ports=4, wavelength=1.0, layer_spacing=0.25)
    power = jax.jit(lambda many: jax.lax.map(lambda s: surface.power_matrix(s, "radiated"), many))
    radiated = np.trace(np.asarray(power(states(0, 6, 6, 25)))[:, 0], axis1=1, axis2=2).real / 4
    assert radiated.max() > 3
