"""Directivity of excited elements: closed forms, the sphere, steering, and the channel that the same slots have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from test_patterns import DIRECTIONS, PATTERNS, POSITIONS, SOLID_ANGLE

from metamimo.channels.dipole_field import line_of_sight
from metamimo.conventions import SPEED_OF_LIGHT
from metamimo.errors import ConfigError
from metamimo.geometry.planar import grid_positions, line_positions
from metamimo.physics.dipole_pairs import DipolePairs
from metamimo.physics.patterns import DipoleOnPlane, FieldSample, Isotropic
from metamimo.physics.radiation import Aperture, angles_of, direction_of
from metamimo.surfaces.coupled import CoupledStack
from metamimo.surfaces.parallel_plate import ParallelPlateDMA

ABOVE = POSITIONS + np.array([0, 0, 1]) * np.linspace(0.2, 0.9, 7)[:, None]
KINDS = (False, True, True, False, True, False, False)
RADIATORS = {name: (pattern, POSITIONS) for name, pattern in PATTERNS.items()} | {
    "pairs": (DipolePairs(KINDS, backplane=False), ABOVE),
    "pairs_over_plane": (DipolePairs(KINDS, backplane=True), ABOVE),
}


def gaussian(seed: int, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def steered(positions: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """One stream whose parts meet in phase in that direction, at the wavelength one."""
    return np.exp(-2j * np.pi * positions @ direction)[:, None]


@pytest.mark.parametrize("name", RADIATORS)
def test_mean_directivity_over_the_sphere_is_one(name: str) -> None:
    radiators, positions = RADIATORS[name]
    aperture = Aperture(radiators, positions, gaussian(0, 7, 3), wavelength=1.1)
    mean = (aperture.directivity(DIRECTIONS).sum(-1) * SOLID_ANGLE).sum() / (4 * np.pi)
    assert mean == pytest.approx(1, abs=1e-8)
    assert (aperture.intensity(DIRECTIONS).sum(-1) * SOLID_ANGLE).sum() == pytest.approx(aperture.radiated, rel=1e-8)


@pytest.mark.parametrize("name", ["pairs", "pairs_over_plane"])
def test_coupling_of_dipole_pairs_is_the_integral_of_their_far_field(name: str) -> None:
    radiators, positions = RADIATORS[name]
    rows = radiators.rows(DIRECTIONS, positions, 1.1)
    weighted = rows * (SOLID_ANGLE / (4 * np.pi))[:, None, None]
    integral = rows.reshape(-1, 7).conj().T @ weighted.reshape(-1, 7)
    np.testing.assert_allclose(integral, radiators.coupling(positions, 1.1), atol=1e-8)


@pytest.mark.parametrize("backplane", [False, True])
def test_dipole_stack_radiates_what_its_receivers_see(backplane: bool) -> None:
    stack = CoupledStack.build(n_layers=2, n_elements=2, n_ports=3, wavelength=1.0, backplane=backplane)
    positions, radiators = stack.elements()
    np.testing.assert_allclose(radiators.coupling(positions, 1.0), stack.coupling[0], atol=1e-12)
    towards = np.abs(DIRECTIONS[::97]) * np.array([1, -1, 1])
    across = np.cross(towards, gaussian(1, len(towards), 3).real)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    axes = (across, np.cross(towards, across))
    x = gaussian(2, stack.n_elements, 1)
    seen = sum(np.abs(np.asarray(stack.plane_wave_rows(towards, axis)) @ x) ** 2 for axis in axes)
    found = 4 * np.pi * Aperture(radiators, positions, x, 1.0).intensity(towards)
    np.testing.assert_allclose(found, seen, rtol=1e-10)


def test_slots_radiate_the_field_of_their_channel() -> None:
    """|h x|^2 = (lambda / 4 pi r)^2 1.5 q 4 pi U with q the part of the field along the wire."""
    surface = ParallelPlateDMA.example()
    positions, radiators = surface.elements()
    np.testing.assert_allclose(radiators.coupling(positions, SPEED_OF_LIGHT / 9.98e9), surface.coupling[0], atol=1e-12)
    users = np.array([[3.0, 4.0, 12.0], [-8.0, 1.0, 4.0]])
    h = np.asarray(line_of_sight(positions, np.zeros((1, 3)), users, surface.frequencies))[0, 0, :, 0]
    wavelength = SPEED_OF_LIGHT / float(surface.frequencies[0])
    state = surface.feasible.random(jax.random.key(0))
    x = np.asarray(surface.drive(state, jnp.asarray(gaussian(0, 2, 2, 1))))[0]
    distance = np.linalg.norm(users, axis=1)
    r = users / distance[:, None]
    along = r[:, 2] ** 2 / (1 - r[:, 1] ** 2)
    expected = (wavelength / (4 * np.pi * distance)) ** 2 * 1.5 * along
    intensity = Aperture(radiators, positions, x, wavelength).intensity(r)[:, 0]
    np.testing.assert_allclose(np.abs(h @ x)[:, 0] ** 2, expected * 4 * np.pi * intensity, rtol=1e-9)


@pytest.mark.parametrize(
    ("pattern", "decibel", "widths"),
    [
        (Isotropic(), 0.0, (np.nan, np.nan)),
        (FieldSample(0.25), 7.78, (90, 90)),
        (DipoleOnPlane(), 4.77, (180, 90)),
    ],
)
def test_single_elements_have_their_textbook_directivity(pattern, decibel, widths) -> None:
    beam = Aperture(pattern, np.zeros((1, 3)), np.full((1, 1), 2j), wavelength=0.03).main_beam()
    assert 10 * np.log10(beam.directivity) == pytest.approx(decibel, abs=5e-3)
    assert (beam.azimuth, beam.elevation) == pytest.approx((0, 0), abs=1e-4)
    np.testing.assert_allclose((beam.azimuth_width, beam.elevation_width), widths, atol=1e-6)


@pytest.mark.parametrize("distance", [0.1, 0.25, 0.4, 0.5])
def test_two_elements_have_their_closed_form(distance: float) -> None:
    """In phase D = 2 / (1 + sinc(2d)) across the axis; in opposite phase the maximum lies on it."""
    pair = line_positions(2, distance)
    same = Aperture(Isotropic(), pair, np.ones((2, 1)), 1.0).main_beam()
    assert same.directivity == pytest.approx(2 / (1 + np.sinc(2 * distance)), rel=1e-9)
    opposite = Aperture(Isotropic(), pair, np.array([[1.0], [-1.0]]), 1.0).main_beam()
    expected = 2 * np.sin(np.pi * distance) ** 2 / (1 - np.sinc(2 * distance))
    assert opposite.directivity == pytest.approx(expected, rel=1e-6)
    assert abs(opposite.azimuth) == pytest.approx(90, abs=0.1)


def test_line_has_the_width_of_its_array_factor() -> None:
    n = 16
    beam = Aperture(Isotropic(), line_positions(n, 0.5), np.ones((n, 1)), 1.0).main_beam()
    assert beam.directivity == pytest.approx(n, rel=1e-9)
    half = brentq(lambda a: (np.sin(n * a / 2) / (n * np.sin(a / 2))) ** 2 - 0.5, 1e-6, 2 * np.pi / n)
    assert beam.azimuth_width == pytest.approx(2 * np.rad2deg(np.arcsin(half / np.pi)), abs=1e-3)
    assert np.isnan(beam.elevation_width)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (31, -12), (-47, 40), (5, 62)])
def test_linear_phase_turns_the_peak(azimuth: float, elevation: float) -> None:
    positions = grid_positions(64, 0.5)
    towards = direction_of(*np.deg2rad([azimuth, elevation]))
    beam = Aperture(Isotropic(), positions, steered(positions, towards), 1.0).main_beam()
    assert (beam.azimuth, beam.elevation) == pytest.approx((azimuth, elevation), abs=2e-3)
    np.testing.assert_allclose(np.rad2deg(angles_of(towards)), (azimuth, elevation), atol=1e-9)


def test_streams_share_the_directivity_by_their_power() -> None:
    positions = grid_positions(64, 0.5)
    one, other = direction_of(0.5, 0.0), direction_of(-0.5, 0.2)
    x = steered(positions, one)
    alone = Aperture(Isotropic(), positions, x, 1.0)
    twice = Aperture(Isotropic(), positions, np.hstack([x, 3j * x]), 1.0)
    np.testing.assert_allclose(twice.directivity(one), alone.directivity(one) * [0.1, 0.9], rtol=1e-12)
    both = Aperture(Isotropic(), positions, np.hstack([x, 2 * steered(positions, other)]), 1.0)
    assert np.rad2deg(-0.5) == pytest.approx(both.main_beam().azimuth, abs=0.3)


def test_narrow_beams_are_found() -> None:
    """40 wavelengths: the lobe is narrower than the coarsest step of the search."""
    positions = line_positions(81, 0.5)
    towards = direction_of(0.4321, 0.0)
    beam = Aperture(FieldSample(0.25), positions, steered(positions, towards), 1.0).main_beam()
    assert np.deg2rad(beam.azimuth) == pytest.approx(0.4321, abs=1e-3)


def test_nothing_has_no_directivity() -> None:
    with pytest.raises(ConfigError, match="excitations: must radiate, got 0"):
        Aperture(Isotropic(), np.zeros((2, 3)), np.zeros((2, 1)), 1.0)
