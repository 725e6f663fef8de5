"""Coupled dipoles: kernels, images, the infinite layer, and the far field."""

import numpy as np
import pytest

from metamimo.physics.dipoles import dipole_coupling, interaction, lattice_constant

K = 2 * np.pi
GAMMA = K**3 / (6 * np.pi)
NONE = np.zeros((0, 3))


def places(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform([-1, -1, 0.3], [1, 1, 2], (count, 3))


def green(d: np.ndarray) -> np.ndarray:
    r = np.linalg.norm(d, axis=-1)
    return np.exp(-1j * K * r) / (4 * np.pi * r)


@pytest.mark.parametrize("seed", range(5))
def test_kernels_are_derivatives_of_the_scalar_field(seed: int) -> None:
    e, m = places(seed, 2)[:1], places(seed, 2)[1:]
    h = 1e-4
    steps = h * np.eye(3)

    def second(d: np.ndarray, axis: int) -> complex:
        return (green(d + steps[axis]) - 2 * green(d) + green(d - steps[axis])) / h**2

    both = dipole_coupling(np.concatenate([e, m]), np.concatenate([e, m]), 1.0, backplane=False) * GAMMA
    d = (e - m)[0]
    slope = (green(d + steps[2]) - green(d - steps[2])) / (2 * h)
    size = abs(both[0, 1])
    assert abs(both[0, 1] - (K**2 * green(d) + second(d, 0))) <= 1e-6 * size
    assert abs(both[2, 3] - (K**2 * green(d) + second(d, 1))) <= 1e-6 * size
    assert abs(both[0, 3] - K * slope) <= 1e-6 * size
    assert abs(both[2, 1] + K * slope) <= 1e-6 * size


@pytest.mark.parametrize("backplane", [False, True])
def test_coupling_is_reciprocal_and_radiates(backplane: bool) -> None:
    g = dipole_coupling(places(1, 6), places(2, 5), 1.0, backplane=backplane)
    np.testing.assert_allclose(g, g.T, rtol=0, atol=1e-12)
    assert np.linalg.eigvalsh(np.eye(11) - g.imag).min() >= -1e-9
    assert (np.diagonal(g) == 0).all() != backplane


def test_plane_shorts_the_electric_field_on_it() -> None:
    """An electric dipole hardly off the plane radiates nothing; a magnetic one twice the field."""
    low = np.array([[0.0, 0.0, 1e-4]])
    g = dipole_coupling(low, low, 1.0, backplane=True)
    assert 1 - g[0, 0].imag == pytest.approx(0, abs=1e-5)
    assert 1 - g[1, 1].imag == pytest.approx(2, abs=1e-5)


def test_shift_and_mirror_change_nothing() -> None:
    e, m = places(3, 4), places(4, 3)
    g = dipole_coupling(e, m, 1.0, backplane=True)
    shift = np.array([0.37, -1.2, 0.0])
    np.testing.assert_allclose(dipole_coupling(e + shift, m + shift, 1.0, backplane=True), g, atol=1e-10)
    for mirror in ([-1, 1, 1], [1, -1, 1]):
        np.testing.assert_allclose(dipole_coupling(e * mirror, m * mirror, 1.0, backplane=True), g, atol=1e-10)


@pytest.mark.parametrize(("pitch", "expected"), [(1 / 2, -10.53632), (1 / 3, -14.76771), (1 / 4, -11.48085)])
def test_interaction_of_an_infinite_layer(pitch: float, expected: float) -> None:
    kappa = K / (2 * pitch**2)
    assert interaction(pitch).imag * GAMMA == pytest.approx(GAMMA - kappa, abs=1e-10)
    assert lattice_constant(pitch) * GAMMA == pytest.approx(expected, abs=1e-5)


def test_interaction_is_the_sum_over_a_large_layer() -> None:
    """A Gaussian taper lets the sum converge; what it changes falls with its width squared."""
    pitch, width = 0.5, 40.0
    n = np.arange(-400, 401) * pitch
    x, y = (a.ravel() for a in np.meshgrid(n, n))
    around = np.column_stack([x, y, 0 * x])[(x != 0) | (y != 0)]
    weights = np.exp(-(np.linalg.norm(around, axis=1) ** 2) / (2 * width**2))
    direct = row_of_fields(around) @ weights
    assert abs(direct.real - lattice_constant(pitch)) * GAMMA <= 1e-3 * abs(lattice_constant(pitch)) * GAMMA


def row_of_fields(sources: np.ndarray) -> np.ndarray:
    """Return G_xx over gamma at the origin, written out once more."""
    r = K * np.linalg.norm(sources, axis=1)
    c = (K * sources[:, 0] / r) ** 2
    return 1.5 * np.exp(-1j * r) / r * (1 - c + (3 * c - 1) * (1 / r**2 + 1j / r))
