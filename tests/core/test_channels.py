"""Fading and path loss: the correlation that is drawn is the coupling that is budgeted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import relative_error

from metamimo.channels.csi import FreshEstimates, Posterior, estimate, mean_square
from metamimo.channels.rayleigh import correlated_rayleigh, path_gain
from metamimo.geometry.planar import grid_positions
from metamimo.physics.patterns import FieldSample, Isotropic, psd_root

draw = jax.jit(correlated_rayleigh, static_argnums=2)


def test_path_gain() -> None:
    distance = jnp.asarray([1.0, 10.0, 100.0])
    gain = path_gain(distance, 0.05, 3.5)
    np.testing.assert_allclose(10 * np.log10(gain), -48.0 - 35 * np.arange(3), atol=0.01)
    assert float(path_gain(jnp.asarray([5.0]), 0.1, 2.0, reference=2.0)[0]) == pytest.approx((0.1 / (20 * np.pi)) ** 2)


@pytest.mark.parametrize("pattern", [Isotropic(), FieldSample(0.25)])
def test_mean_outer_product_of_the_channel_is_the_coupling(pattern) -> None:
    """E[h* h^T] = beta C; 40 000 draws of 16 elements have a sampling error of 2 %."""
    c = pattern.coupling(grid_positions(16, 0.5), 1.0)
    gain = jnp.asarray([0.5, 2.0])
    g = np.asarray(draw(jax.random.key(0), gain, 20_000, jnp.asarray(psd_root(c))))
    assert g.shape == (2, 20_000, 16)
    for user, beta in enumerate(gain):
        assert relative_error(g[user].conj().T @ g[user] / 20_000, float(beta) * c) <= 0.05
    pooled = sum(g[u].conj().T @ g[u] / float(beta) for u, beta in enumerate(gain)) / 40_000
    assert relative_error(pooled, c) <= 0.04
    # Circular: no correlation without the conjugate.
    assert np.linalg.norm(g[0].T @ g[0] / 20_000) <= 0.05 * np.linalg.norm(0.5 * c)


def test_users_fade_independently() -> None:
    g = np.asarray(draw(jax.random.key(1), jnp.ones(2), 4000, jnp.eye(2))).reshape(2, -1)
    assert abs(np.vdot(g[0], g[1])) / g[0].size <= 0.05


def test_estimates_have_the_stated_error() -> None:
    shape = (1, 1, 3, 20, 500)
    channel = jax.random.normal(jax.random.key(0), shape, dtype=complex) * jnp.asarray([1.0, 1e-5, 3.0])[:, None, None]
    error = np.asarray(estimate(jax.random.key(1), channel, 0.1) - channel)
    relative = (np.abs(error) ** 2).mean((-2, -1)) / np.asarray(mean_square(channel))[..., 0, 0]
    np.testing.assert_allclose(relative, 0.1, rtol=0.05)
    np.testing.assert_array_equal(estimate(jax.random.key(1), channel, 0.0), channel)
    fresh = FreshEstimates(channel, jnp.asarray(0.1))
    np.testing.assert_array_equal(fresh.sample(jax.random.key(1)), estimate(jax.random.key(1), channel, 0.1))


def test_posterior_undoes_the_estimate() -> None:
    """H, Hhat and a posterior draw: the draw is distributed like H, and so is its correlation with Hhat."""
    shape, variance, error = (1, 1, 1, 100, 400), 4.0, 0.5
    channel = 2.0 * jax.random.normal(jax.random.key(0), shape, dtype=complex)
    seen = estimate(jax.random.key(1), channel, error)
    posterior = Posterior(seen, jnp.full((1, 1, 1, 1, 1), variance), jnp.asarray(error))
    drawn = np.asarray(posterior.sample(jax.random.key(2)))
    assert (np.abs(drawn) ** 2).mean() == pytest.approx(variance, rel=0.03)
    assert (drawn * np.conj(seen)).mean() == pytest.approx(variance, rel=0.03)
