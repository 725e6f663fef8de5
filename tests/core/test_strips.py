"""Strips of elements: guided waves, holograms, hybrid arrays in rows."""

import inspect

import jax
import numpy as np
import pytest

from metamimo.errors import ConfigError, ShapeError
from metamimo.geometry.planar import strip_positions
from metamimo.physics.guides import strip_wave
from metamimo.physics.patterns import Isotropic
from metamimo.surfaces.feasible import UnitModulus
from metamimo.surfaces.hologram_sets import LorentzianCircle, OnOff
from metamimo.surfaces.hybrid import SubConnectedHybrid
from metamimo.surfaces.strips import StripArray, microstrip

GUIDE = {"attenuation": 0.6, "wavenumber": 827.67}


def hologram(feasible, **options):
    lengths = {"wavelength": 0.0107, "spacing": 0.0027, "strip_spacing": 0.0054}
    return microstrip(2, 4, feasible=feasible, **lengths, **GUIDE, **options)


def test_wave_travels_from_its_feed() -> None:
    """Eq. (2): amplitude exp(-alpha rho), phase -beta rho."""
    left, centre = (strip_wave(5, 0.003, feeding=feeding, **GUIDE) for feeding in ("left", "centre"))
    distance = 0.003 * np.arange(5)
    np.testing.assert_allclose(left, np.exp(-(0.6 + 827.67j) * distance), rtol=1e-13)
    np.testing.assert_allclose(centre, centre[::-1], rtol=1e-13)
    np.testing.assert_allclose(centre[2:], left[:3], rtol=1e-13)
    np.testing.assert_allclose(
        strip_wave(5, 0.003, feeding="centre", split=True, **GUIDE) * np.sqrt(2), centre, rtol=1e-13
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_elements": 0}, "n_elements: a strip needs at least 1 element, got 0"),
        ({"spacing": 0.0}, "spacing: must be positive, got 0.0"),
        ({"attenuation": -0.1}, "attenuation: must not be negative, got -0.1"),
        ({"feeding": "right"}, "feeding: must be one of left, centre, got 'right'"),
        ({"split": True}, "split: only a centre feed divides its wave, got feeding='left'"),
    ],
)
def test_impossible_strips_are_refused(changes: dict, message: str) -> None:
    unchecked = inspect.unwrap(strip_wave)  # the run-time type check of the tests would answer first
    with pytest.raises(ConfigError, match=message):
        unchecked(**{"n_elements": 3, "spacing": 0.1, **GUIDE} | changes)


def test_response_is_the_product_of_the_paper() -> None:
    """Eq. (1): Psi V, V block diagonal, elements strip by strip."""
    surface = hologram(LorentzianCircle((8,)), feeding="centre")
    state = surface.feasible.random(jax.random.key(0))
    wave = strip_wave(4, 0.0027, feeding="centre", **GUIDE)
    expected = np.diag(np.asarray(state)) @ np.kron(np.eye(2), wave[:, None])
    np.testing.assert_allclose(surface.response(state)[0], expected, rtol=1e-13)


@pytest.mark.parametrize("feasible", [OnOff((8,), amplitude=0.7), LorentzianCircle((8,)), UnitModulus((8,))])
def test_passive_strips_never_radiate_more_than_they_accept(feasible) -> None:
    surface = hologram(feasible, passive=True)
    states = jax.vmap(feasible.random)(jax.random.split(jax.random.key(0), 200))
    gains = jax.jit(jax.vmap(surface.energy_gain))(states)
    assert 0.05 < float(gains.max()) <= 1 + 1e-12


def test_unit_waves_create_energy() -> None:
    surface = hologram(UnitModulus((8,)))
    state = np.conj(np.asarray(surface.wave).ravel())  # all elements in phase
    assert float(surface.energy_gain(jax.numpy.asarray(state / np.abs(state)))) > 2


def test_rows_are_the_sub_connected_array() -> None:
    """Dividers over a row of elements without coupling: the same class of array as `SubConnectedHybrid`."""
    strips = StripArray.build(np.full((4, 1), 1.0), np.eye(4), feasible=UnitModulus((4,)))
    hybrid = SubConnectedHybrid.build(np.eye(4), 4, matching="elements")
    state = strips.feasible.random(jax.random.key(1))
    np.testing.assert_allclose(strips.response(state), hybrid.response(state), atol=1e-12)


def test_coupling_is_that_of_the_places() -> None:
    places = strip_positions(2, 4, 0.0027, 0.0054)
    np.testing.assert_allclose(places[1] - places[0], [0.0027, 0, 0], atol=1e-15)
    np.testing.assert_allclose(places[4] - places[0], [0, 0.0054, 0], atol=1e-15)
    np.testing.assert_allclose(places.mean(0), 0, atol=1e-15)
    coupling = Isotropic().coupling(places, 0.0107)
    np.testing.assert_allclose(hologram(OnOff((8,))).coupling[0], coupling, rtol=1e-12)


@pytest.mark.parametrize(
    ("wave", "coupling", "size", "message"),
    [
        (np.ones(4), np.eye(4), 4, "wave: must have a row a strip, got shape"),
        (np.ones((2, 2)), np.eye(3), 4, r"coupling: must have shape \(4, 4\), got \(3, 3\)"),
        (np.ones((2, 2)), np.eye(4), 3, r"feasible: must hold states of shape \(4,\), got \(3,\)"),
    ],
)
def test_unfit_parts_are_refused(wave: np.ndarray, coupling: np.ndarray, size: int, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        StripArray.build(wave, coupling, feasible=OnOff((size,)))


def test_amplitude_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="amplitude: must be positive, got 0"):
        OnOff((3,), amplitude=0.0)
