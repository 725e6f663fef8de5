"""Signs, units, orders, keys, and the precision switch."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from metamimo.channels.rayleigh import correlated_rayleigh
from metamimo.conventions import NAT_TO_BIT, db_to_linear, dbm_to_watt, watt_to_dbm
from metamimo.geometry.users import annulus_distances
from metamimo.physics.diffraction import propagation_matrix
from metamimo.randomness import purpose_key, trial_key

PURPOSES = ("users", "large_scale", "fading", "csi_error", "start", "scheme")


@pytest.mark.parametrize(("dbm", "watt"), [(30.0, 1.0), (0.0, 1e-3), (-94.0, 10**-12.4)])
def test_dbm_is_relative_to_a_milliwatt(dbm: float, watt: float) -> None:
    assert dbm_to_watt(dbm) == pytest.approx(watt, rel=1e-14)
    assert watt_to_dbm(watt) == pytest.approx(dbm, abs=1e-12)


def test_ratios_and_nats() -> None:
    assert db_to_linear(3.0) == pytest.approx(1.9952623149688795, rel=1e-15)
    assert NAT_TO_BIT * np.log(8.0) == pytest.approx(3.0, rel=1e-15)


def test_outgoing_wave_lags_with_distance() -> None:
    """The kernel is -A d/dz of exp(-jkr) / (2 pi r), Rayleigh and Sommerfeld's first integral under exp(+jwt)."""
    wavelength, area, step = 0.7, 0.09, 1e-5

    def green(p: np.ndarray) -> complex:
        r = np.linalg.norm(p)
        return np.exp(-2j * np.pi * r / wavelength) / (2 * np.pi * r)

    for place in ([0.0, 0.0, 0.5], [0.3, -0.2, 0.6], [2.0, 1.0, 9.0]):
        p, dz = np.array(place), np.array([0, 0, step])
        expected = -area * (green(p + dz) - green(p - dz)) / (2 * step)
        w = propagation_matrix(p[None], np.zeros((1, 3)), wavelength, area)[0, 0]
        assert abs(w - expected) <= 1e-8 * abs(expected)


def test_phase_advances_as_minus_k_r() -> None:
    gaps = np.linspace(100.0, 101.0, 41)
    w = [propagation_matrix(np.array([[0, 0, z]]), np.zeros((1, 3)), 1.0, 0.25)[0, 0] for z in gaps]
    slope = np.diff(np.unwrap(np.angle(w))) / np.diff(gaps)
    np.testing.assert_allclose(slope, -2 * np.pi, rtol=1e-4)


def test_keys_depend_on_seed_trial_and_purpose_only() -> None:
    key = trial_key(7, 3)
    assert jnp.array_equal(
        jax.random.key_data(key), jax.random.key_data(jax.random.fold_in(jax.random.key(7), jnp.asarray(3)))
    )
    data = {
        tuple(np.asarray(jax.random.key_data(purpose_key(trial_key(s, t), p))))
        for s in (0, 1)
        for t in (0, 1)
        for p in PURPOSES
    }
    assert len(data) == 4 * len(PURPOSES)
    # The table is part of every stored result: a purpose that changed its number would change all draws.
    for number, purpose in enumerate(PURPOSES):
        expected = jax.random.fold_in(key, number)
        assert jnp.array_equal(jax.random.key_data(purpose_key(key, purpose)), jax.random.key_data(expected))


def test_more_users_leave_the_first_ones_in_place() -> None:
    key = trial_key(0, 5)
    few, many = (annulus_distances(purpose_key(key, "users"), n, 100.0, 200.0) for n in (3, 8))
    np.testing.assert_array_equal(few, many[:3])
    small, large = (
        jax.jit(correlated_rayleigh, static_argnums=2)(purpose_key(key, "fading"), jnp.ones(n), 2, jnp.eye(4))
        for n in (3, 8)
    )
    np.testing.assert_array_equal(small, large[:3])
    assert len(np.unique(np.asarray(many))) == 8


def test_users_are_uniform_in_area() -> None:
    d = np.asarray(annulus_distances(jax.random.key(1), 2000, 100.0, 200.0))
    assert d.min() >= 100
    assert d.max() <= 200
    assert kstest((d**2 - 1e4) / 3e4, "uniform").pvalue > 1e-3
    assert kstest((d - 100) / 100, "uniform").pvalue < 1e-3


SINGLE_PRECISION = """
import jax, numpy as np
import metamimo, metamimo.surfaces.stacked, metamimo.surfaces.digital, metamimo.precoders.energy_efficient
from metamimo.errors import ConfigError
from metamimo.surfaces.registry import SURFACES
assert not jax.config.read("jax_enable_x64"), "importing the package switched double precision on"
for name in SURFACES:
    try:
        SURFACES.get(name).example()
    except ConfigError as error:
        assert "jax_enable_x64" in str(error), str(error)
        assert 'jax.config.update("jax_enable_x64", True)' in str(error), str(error)
    else:
        raise SystemExit(f"{name} was built in single precision without a word")
"""


def test_single_precision_is_refused_by_the_name_of_the_switch() -> None:
    environment = {**os.environ, "JAX_ENABLE_X64": "0"}
    done = subprocess.run(
        [sys.executable, "-c", SINGLE_PRECISION], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
