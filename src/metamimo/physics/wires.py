"""Parallel half-wave wire dipoles: mutual impedance and far field, for arrays that are known by their impedance."""

import numpy as np
from jaxtyping import Complex, Float

from metamimo.geometry.planar import displacements

WAVE_IMPEDANCE = 376.730313668
"""Of free space [ohm]."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


def wire_impedance(
    positions: Float[np.ndarray, "wire 3"], wavelength: float, *, radius: float
) -> Complex[np.ndarray, "wire wire"]:
    """Return the impedance matrix of half-wave dipoles along y with sinusoidal currents (induced EMF method).

    Signal model: Z_mn = (j eta / 4 pi) integral (exp(-jkR1) / R1 + exp(-jkR2) / R2) sin k(lambda / 4 - |y|) dy over
    wire m, R1 and R2 the distances to the ends of wire n; a wire sees itself at the distance of its radius.

    Args:
        positions: centres of the wires [m].
        wavelength: wavelength [m].
        radius: radius of the wires [m].

    Returns:
        Z, complex symmetric [ohm].

    >>> wire_impedance(np.zeros((1, 3)), 1.0, radius=1e-4).round(1)
    array([[73.1+42.5j]])
    """
    k, quarter = 2 * np.pi / wavelength, wavelength / 4
    # A panel for each half of the wire: the current has a kink at its feed.
    half = quarter * (_NODES + 1) / 2
    y = np.concatenate([-half, half])
    weights = np.tile(_WEIGHTS * quarter / 2, 2) * np.sin(k * (quarter - np.abs(y)))
    d = displacements(positions, positions)
    across = np.hypot(d[..., 0], d[..., 2])
    across = np.where((across == 0) & (d[..., 1] == 0), radius, across)[..., None]

    def spherical(end: float) -> np.ndarray:
        r = np.hypot(across, d[..., 1:2] + y - end)
        return np.exp(-1j * k * r) / r

    field = spherical(quarter) + spherical(-quarter)
    return 1j * WAVE_IMPEDANCE / (4 * np.pi) * (field * weights).sum(-1)


def wire_rows(
    positions: Float[np.ndarray, "wire 3"],
    directions: Float[np.ndarray, "wave 3"],
    polarisations: Complex[np.ndarray, "wave 3"],
    wavelength: float,
) -> Complex[np.ndarray, "wave wire"]:
    """Return what plane waves see of each wire per ampere (rms) at its feed: |row i|^2 is intensity times 4 pi [W].

    Args:
        positions: centres of the wires [m].
        directions: unit vectors towards the receivers.
        polarisations: unit vectors, orthogonal to the directions, that the field is multiplied with.
        wavelength: wavelength [m].

    Returns:
        The rows [sqrt(ohm)].

    >>> z, x = np.array([[0.0, 0.0, 1.0]]), np.array([[0.0, 1.0 + 0j, 0.0]])
    >>> gain = np.abs(wire_rows(np.zeros((1, 3)), z, x, 1.0)) ** 2 / 73.08
    >>> gain.round(2)  # 2.15 dBi
    array([[1.64]])
    """
    along = directions[:, 1:2]
    across = 1 - along**2
    # cos(pi/2 c) / (1 - c^2) tends to pi / 4 along the wire.
    pattern = np.where(across > 0, np.cos(np.pi / 2 * along) / np.where(across > 0, across, 1), np.pi / 4)
    phases = np.exp(2j * np.pi / wavelength * directions @ positions.T)  # host, once
    return np.sqrt(WAVE_IMPEDANCE / np.pi) * pattern * polarisations[:, 1:2] * phases
