"""Fading and path loss: the correlation that is drawn is the coupling that is budgeted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import relative_error

from metamimo.channels.clustered import clustered_paths, log_distance_gain, path_channel
from metamimo.channels.csi import FreshEstimates, Posterior, estimate, mean_square
from metamimo.channels.near_field import near_field, near_users, spherical_waves
from metamimo.channels.plane_waves import PlaneWaves, aperture_channel, dipole_channel, scattered_waves
from metamimo.channels.rayleigh import correlated_rayleigh, path_gain
from metamimo.errors import ConfigError
from metamimo.geometry.cells import cell_sites, users_around
from metamimo.geometry.planar import grid_positions, strip_positions
from metamimo.physics.diffraction import propagation_matrix
from metamimo.physics.patterns import FieldSample, Isotropic, psd_root
from metamimo.surfaces.coupled import CoupledStack

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


def test_plane_waves_fill_the_half_sphere_with_the_given_power() -> None:
    waves = scattered_waves(jax.random.key(0), jnp.asarray([0.5, 2.0]), 20_000)
    r, e = np.asarray(waves.directions), np.asarray(waves.polarisations)
    np.testing.assert_allclose((r**2).sum(-1), 1, atol=1e-12)
    np.testing.assert_allclose((e**2).sum(-1), 1, atol=1e-12)
    np.testing.assert_allclose((r * e).sum(-1), 0, atol=1e-12)
    assert r[..., 2].min() >= 0
    # Uniform over the half sphere: z is uniform, and x and y have no mean.
    np.testing.assert_allclose([r[..., 2].mean(), (r[..., 2] ** 2).mean()], [1 / 2, 1 / 3], atol=0.01)
    np.testing.assert_allclose(r[..., :2].mean((0, 1)), 0, atol=0.01)
    np.testing.assert_allclose((np.abs(waves.gains) ** 2).sum(1), [0.5, 2.0], rtol=0.03)
    assert e[0, np.argmax(r[0, :, 2])] == pytest.approx([1, 0, 0], abs=0.05)


def test_aperture_of_plane_waves_has_its_gain_and_its_pattern() -> None:
    """Uniform phase: 4 pi n a / lambda^2 at broadside; from random directions the channel correlates as C does."""
    places, wavelength, area = grid_positions(25, 0.005), 0.01, 0.005**2
    up = PlaneWaves(jnp.array([[[0.0, 0.0, 1.0]]]), jnp.array([[[1.0, 0.0, 0.0]]]), jnp.ones((1, 1), complex))
    row = np.asarray(aperture_channel(places, area, wavelength, up))[0, 0]
    assert np.abs(row.sum()) ** 2 / 25 == pytest.approx(4 * np.pi * 25 * area / wavelength**2)
    many = scattered_waves(jax.random.key(1), jnp.ones(100_000), 2)
    h = np.asarray(aperture_channel(places, area, wavelength, many))[:, 0]
    # Directions are those of half a sphere: twice the coupling, which counts radiated power over the whole.
    expected = 2 * FieldSample(area).coupling(places, wavelength)
    assert relative_error(h.conj().T @ h / len(h), expected) <= 0.04


def test_dipoles_see_the_same_waves_as_rows_of_their_own() -> None:
    stack = CoupledStack.build(n_layers=1, n_elements=4, n_ports=2, wavelength=0.01)
    waves = scattered_waves(jax.random.key(2), jnp.ones(3), 5)
    channel = np.asarray(dipole_channel(stack, waves))
    rows = [np.asarray(stack.plane_wave_rows(waves.directions[u], waves.polarisations[u])) for u in range(3)]
    expected = [np.asarray(waves.gains[u]) @ rows[u] for u in range(3)]
    np.testing.assert_allclose(channel[:, 0], expected, atol=1e-12)


def test_propagation_of_the_usual_model_is_the_papers_conjugated() -> None:
    """Check 16: w of the spec, exp(+jwt), against eq. (1) of arXiv 2504.15737, exp(-jwt)."""
    a, d = 0.005, 0.004
    observers, sources = grid_positions(9, a, d), grid_positions(9, a)
    r = np.linalg.norm(observers[:, None] - sources, axis=-1)
    paper = a**2 * d / r**2 * (1 / (2 * np.pi * r) - 1j / 0.01) * np.exp(2j * np.pi * r / 0.01)
    ours = propagation_matrix(observers, sources, 0.01, a**2)
    np.testing.assert_allclose(ours, paper.conj(), rtol=1e-12)


# Several cells, clustered paths, near users.


@pytest.mark.parametrize("cells", [1, 2, 3, 6])
def test_sites_are_a_regular_polygon(cells: int) -> None:
    sites = cell_sites(cells, 200.0)
    np.testing.assert_allclose(sites.mean(0), 0, atol=1e-12)
    if cells > 1:
        neighbours = np.linalg.norm(sites - np.roll(sites, 1, axis=0), axis=1)
        np.testing.assert_allclose(neighbours, 200, rtol=1e-12)


@pytest.mark.parametrize(("cells", "distance", "name"), [(0, 1.0, "cells"), (2, 0.0, "distance")])
def test_impossible_sites_are_refused(cells: int, distance: float, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: must be"):
        cell_sites(cells, distance)


def test_users_stay_around_their_own_station() -> None:
    sites = jnp.asarray(cell_sites(3, 200.0))
    places = np.asarray(users_around(jax.random.key(0), sites, 500, 10.0, 100.0)).reshape(3, 500, 2)
    distance = np.linalg.norm(places - np.asarray(sites)[:, None], axis=-1)
    assert 10 <= distance.min() <= distance.max() <= 100
    # Uniform in area: half of them beyond the radius that halves it.
    assert np.mean(distance > np.sqrt((10**2 + 100**2) / 2)) == pytest.approx(0.5, abs=0.04)


def test_clustered_paths_carry_their_gain_and_point_forward() -> None:
    gain = jnp.full((1, 2000), 0.3)
    paths = clustered_paths(
        jax.random.key(1), gain, clusters=3, rays=4, spread=np.deg2rad(7.5), elevation=np.deg2rad(30)
    )
    power = (np.abs(np.asarray(paths.gains)) ** 2).sum(-1)
    assert power.mean() == pytest.approx(0.3, rel=0.03)
    directions = np.asarray(paths.departures)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1, rtol=1e-12)
    assert np.mean(directions[..., 2] > 0) > 0.95
    assert np.abs(np.arcsin(directions[..., 1])).mean() < np.deg2rad(25)


def test_clustered_channel_is_the_sum_of_its_paths() -> None:
    """An element nearer to the user is ahead: exp(+jk r . r_n)."""
    places = strip_positions(2, 3, 0.25, 0.5)
    paths = clustered_paths(jax.random.key(2), jnp.ones((2, 3)), clusters=2, rays=2, spread=0.1, elevation=0.5)
    h = np.asarray(path_channel(paths, places, 1.0, 2))
    g, r, a = (np.asarray(part) for part in (paths.gains, paths.departures, paths.arrivals))
    for b, u, m, n in ((0, 0, 0, 0), (1, 2, 1, 5)):
        waves = g[b, u] * np.exp(1j * np.pi * m * a[b, u]) * np.exp(2j * np.pi * r[b, u] @ places[n])
        assert h[b, u, m, n] == pytest.approx(waves.sum(), rel=1e-12)


def test_shadowing_has_its_mean_and_spread() -> None:
    distance = jnp.full((1, 4000), 50.0)
    gain = log_distance_gain(jax.random.key(3), distance, loss_db=72.0, exponent=2.92, shadowing_db=8.7)
    decibel = 10 * np.log10(np.asarray(gain))
    assert decibel.mean() == pytest.approx(-72 - 29.2 * np.log10(50), abs=0.5)
    assert decibel.std() == pytest.approx(8.7, rel=0.05)


def test_near_field_tends_to_a_plane_wave() -> None:
    places = grid_positions(16, 0.5)
    for distance, close in ((1e2, 0.3), (1e4, 3e-3)):
        direction = np.array([0.6, 0.0, 0.8])
        h = np.asarray(spherical_waves(places, jnp.asarray(distance * direction)[None, None], 1.0))[0, 0]
        plane = np.exp(2j * np.pi * places @ direction)
        turn = np.vdot(plane, h) / abs(np.vdot(plane, h))
        np.testing.assert_allclose(h * 4 * np.pi * distance, turn * plane, atol=close)


def test_near_users_are_where_they_were_drawn() -> None:
    places = np.asarray(near_users(jax.random.key(4), 500, 2, r_min=1.0, r_max=3.0, widest=0.7, spacing=0.01))
    np.testing.assert_allclose(places[:, 1] - places[:, 0], np.tile([0.01, 0, 0], (500, 1)), atol=1e-12)
    centre = places.mean(1)
    distance = np.linalg.norm(centre, axis=1)
    assert 1 <= distance.min() <= distance.max() <= 3
    assert np.arccos(centre[:, 2] / distance).max() <= 0.7 + 1e-12
    h = near_field(jax.random.key(4), grid_positions(4, 0.005), 0.01, 500, 2, r_min=1.0, r_max=3.0, widest=0.7)
    assert h.shape == (500, 2, 4)
