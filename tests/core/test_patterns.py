"""Element patterns and the coupling matrices that belong to them: nothing creates energy in the far field."""

import numpy as np
import pytest

from metamimo.geometry.planar import grid_positions
from metamimo.physics.patterns import DipoleOnPlane, FieldSample, Isotropic, psd_inverse_root, psd_root

PATTERNS = {"isotropic": Isotropic(), "field_sample": FieldSample(0.25), "dipole_on_plane": DipoleOnPlane()}
POSITIONS = np.vstack([grid_positions(6, 0.45), [[1.3, -0.7, 0.0]]])


def sphere() -> tuple[np.ndarray, np.ndarray]:
    """Directions and solid angles, each hemisphere integrated by itself since patterns end at the horizon."""
    node, weight = np.polynomial.legendre.leggauss(40)
    cosine = np.concatenate([(node - 1) / 2, (node + 1) / 2])
    weight = np.concatenate([weight, weight]) / 2
    azimuth = np.arange(100) * 2 * np.pi / 100
    sine = np.sqrt(1 - cosine**2)[:, None]
    direction = np.stack(
        [sine * np.cos(azimuth), sine * np.sin(azimuth), np.broadcast_to(cosine[:, None], (80, 100))], axis=-1
    )
    return direction.reshape(-1, 3), np.repeat(weight * 2 * np.pi / 100, 100)


DIRECTIONS, SOLID_ANGLE = sphere()


@pytest.mark.parametrize("wavelength", [1.0, 1.6])
@pytest.mark.parametrize("name", PATTERNS)
def test_coupling_is_the_integral_of_the_pattern(name: str, wavelength: float) -> None:
    pattern = PATTERNS[name]
    phase = np.exp(2j * np.pi / wavelength * DIRECTIONS @ POSITIONS.T)
    density = pattern.gain(DIRECTIONS, wavelength) * SOLID_ANGLE / (4 * np.pi)
    expected = (phase * density[:, None]).T @ phase.conj()
    np.testing.assert_allclose(pattern.coupling(POSITIONS, wavelength), expected, atol=1e-8)


def test_isotropic_coupling_is_the_sinc_of_the_distances() -> None:
    distance = np.linalg.norm(POSITIONS[:, None] - POSITIONS, axis=-1)
    for wavelength in (1.0, 1.6):
        found = Isotropic().coupling(POSITIONS, wavelength)
        np.testing.assert_allclose(found, np.sinc(2 * distance / wavelength), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "diagonal"), [("isotropic", 1.0), ("field_sample", np.pi / 6), ("dipole_on_plane", 1.0)]
)
def test_coupling_is_hermitian_and_positive_with_the_stated_diagonal(name: str, diagonal: float) -> None:
    c = PATTERNS[name].coupling(grid_positions(100, 0.5), 1.0)
    np.testing.assert_array_equal(c, c.conj().T)
    np.testing.assert_allclose(np.diag(c), diagonal, atol=1e-9)
    assert np.linalg.eigvalsh(c)[0] >= -1e-9


@pytest.mark.parametrize(("name", "largest"), [("isotropic", 2.67), ("field_sample", 0.991)])
def test_largest_eigenvalue_on_the_half_wave_grid(name: str, largest: float) -> None:
    c = PATTERNS[name].coupling(grid_positions(100, 0.5), 1.0)
    assert np.linalg.eigvalsh(c)[-1] == pytest.approx(largest, rel=2e-3)


@pytest.mark.parametrize("name", PATTERNS)
def test_mean_gain_over_the_sphere_is_one_per_radiated_watt(name: str) -> None:
    pattern, rng = PATTERNS[name], np.random.default_rng(0)
    for _ in range(5):
        x = rng.standard_normal(7) + 1j * rng.standard_normal(7)
        radiated = (x.conj() @ pattern.coupling(POSITIONS, 1.0) @ x).real
        field = np.exp(2j * np.pi * DIRECTIONS @ POSITIONS.T) @ x
        gain = pattern.gain(DIRECTIONS, 1.0) * np.abs(field) ** 2 / radiated
        assert (gain * SOLID_ANGLE).sum() / (4 * np.pi) == pytest.approx(1.0, abs=1e-8)


def test_coincident_and_nearly_coincident_elements_are_continuous() -> None:
    for pattern in PATTERNS.values():
        near = [
            pattern.coupling(np.array([[0, 0, 0], [d, 0, 0]]), 1.0)[0, 1] for d in (0.0, 1e-9, 1.5e-7, 1.7e-7, 1e-5)
        ]
        np.testing.assert_allclose(near, near[0], rtol=1e-8)


def test_roots_of_a_singular_matrix() -> None:
    c = Isotropic().coupling(grid_positions(25, 0.15), 1.0)
    assert np.linalg.eigvalsh(c)[0] < 1e-9
    root = psd_root(c)
    np.testing.assert_allclose(root @ root, c, atol=1e-12)
    np.testing.assert_allclose(root, root.conj().T, atol=1e-14)
    inverse = psd_inverse_root(c)
    projector = inverse @ c @ inverse
    np.testing.assert_allclose(projector @ projector, projector, atol=1e-10)
    value = np.linalg.eigvalsh(c)
    assert np.trace(projector) == pytest.approx((value > 1e-2 * value[-1]).sum(), abs=1e-9)
    assert 1 < np.trace(projector) < 25
