"""Element patterns: one object gives the far field of the elements of an array and their coupling matrix.

C_nm = integral dOmega D(r) / (4 pi) exp(j k r . (r_m - r_n)), so that the array radiates x^H C x watts. Under isotropic
scattering C is also the correlation matrix of the channel: drawing with one and budgeting with another would create or
destroy energy.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import spherical_jn

from metamimo.geometry.planar import displacements


class Radiators(ABC):
    """How the elements of an array radiate, each in its own way; where all are alike, see `ElementPattern`."""

    @abstractmethod
    def rows(self, direction: np.ndarray, positions: np.ndarray, wavelength: float) -> np.ndarray:
        """Return what every element contributes to the far field.

        Args:
            direction: unit vectors, shape (..., 3).
            positions: of the elements, shape (n, 3) [m].
            wavelength: wavelength [m].

        Returns:
            E, shape (..., polarisation, n), of such a size that excitations x radiate |E x|^2 / (4 pi) W/sr, summed
            over orthogonal polarisations.
        """

    @abstractmethod
    def coupling(self, positions: np.ndarray, wavelength: float) -> np.ndarray:
        """Return C for element positions of shape (n, 3) [m]; shape (n, n), Hermitian, positive semidefinite."""


class ElementPattern(Radiators):
    """How one element radiates, where all are alike and turned alike; add a pattern by subclassing."""

    @abstractmethod
    def gain(self, direction: np.ndarray, wavelength: float) -> np.ndarray:
        """Return the gain per |x|^2 towards unit vectors of shape (..., 3)."""

    def rows(self, direction: np.ndarray, positions: np.ndarray, wavelength: float) -> np.ndarray:
        """Return sqrt(gain) exp(jk r . r_n): all elements send the same polarisation."""
        phase = 2 * np.pi / wavelength * (direction @ positions.T)
        return (np.sqrt(self.gain(direction, wavelength))[..., None] * np.exp(1j * phase))[..., None, :]


@dataclass(frozen=True)
class Isotropic(ElementPattern):
    """Unit gain in every direction, as both papers on stacked metasurfaces assume: C_nm = sinc(2 d_nm / lambda).

    >>> import numpy as np
    >>> Isotropic().coupling(np.array([[0, 0, 0], [0.25, 0, 0]]), wavelength=1.0).round(4)
    array([[1.    , 0.6366],
           [0.6366, 1.    ]])
    """

    def gain(self, direction: np.ndarray, wavelength: float) -> np.ndarray:
        """Return one for every direction."""
        return np.ones(direction.shape[:-1])

    def coupling(self, positions: np.ndarray, wavelength: float) -> np.ndarray:
        """Return sinc(2 d / lambda), sinc(x) = sin(pi x) / (pi x)."""
        return np.sinc(2 * _distances(positions) / wavelength)


@dataclass(frozen=True)
class FieldSample(ElementPattern):
    """Sample of the field on an area a, what the Rayleigh-Sommerfeld kernel takes an element to be.

    Gain (4 pi a / lambda^2) cos^2(theta) into z > 0 per |x|^2; in closed form (Sonine's integral)
    C_nm = (2 pi a / lambda^2) j_1(k d_nm) / (k d_nm), with the diagonal 2 pi a / (3 lambda^2).

    Args:
        area: area of the element [m^2].

    >>> import numpy as np
    >>> FieldSample(0.25).coupling(np.zeros((1, 3)), wavelength=1.0).round(6)
    array([[0.523599]])
    """

    area: float

    def gain(self, direction: np.ndarray, wavelength: float) -> np.ndarray:
        """Return 4 pi a cos^2(theta) / lambda^2 in the upper half space, else zero."""
        cosine = np.maximum(direction[..., 2], 0.0)
        return 4 * np.pi * self.area / wavelength**2 * cosine**2

    def coupling(self, positions: np.ndarray, wavelength: float) -> np.ndarray:
        """Return the closed form of the class's text."""
        z = 2 * np.pi / wavelength * _distances(positions)
        return 2 * np.pi * self.area / wavelength**2 * _first_over(z)


@dataclass(frozen=True)
class DipoleOnPlane(ElementPattern):
    """Magnetic dipole along y on a conducting plane, a small slot in it.

    Gain 3 (cos^2 phi + cos^2 theta sin^2 phi) = 3 (1 - r_y^2) into z > 0; in closed form, with z = k d_nm and s the
    sine of the angle between d_nm and x, C_nm = (3 / 2) (j_0(z) - j_1(z) / z + s^2 j_2(z)).

    >>> import numpy as np
    >>> DipoleOnPlane().coupling(np.array([[0, 0, 0], [0.25, 0, 0]]), wavelength=1.0).round(4)
    array([[1.    , 0.5679],
           [0.5679, 1.    ]])
    """

    def gain(self, direction: np.ndarray, wavelength: float) -> np.ndarray:
        """Return 3 (1 - r_y^2) in the upper half space, else zero."""
        return np.where(direction[..., 2] > 0, 3 * (1 - direction[..., 1] ** 2), 0.0)

    def coupling(self, positions: np.ndarray, wavelength: float) -> np.ndarray:
        """Return the closed form of the class's text, for elements in one plane z = const."""
        d = displacements(positions, positions)
        distance = _distances(positions)
        sine = d[..., 1] / np.where(distance > 0, distance, 1.0)
        z = 2 * np.pi / wavelength * distance
        return 1.5 * (spherical_jn(0, z) - _first_over(z) + sine**2 * spherical_jn(2, z))


def psd_root(matrix: np.ndarray) -> np.ndarray:
    """Return the Hermitian square root; eigenvalues that rounding made negative count as zero.

    Correlation matrices of dense arrays are numerically singular, so Cholesky is no alternative.
    """
    value, vector = np.linalg.eigh(matrix)
    return (vector * np.sqrt(np.maximum(value, 0.0))) @ vector.conj().T


def psd_inverse_root(matrix: np.ndarray, floor: float = 1e-2) -> np.ndarray:
    """Return the Hermitian inverse root on the eigenmodes above `floor` times the largest; zero on the others."""
    value, vector = np.linalg.eigh(matrix)
    kept = value > floor * value[-1]
    inverse = np.where(kept, 1 / np.sqrt(np.where(kept, value, 1.0)), 0.0)
    return (vector * inverse) @ vector.conj().T


def _first_over(z: np.ndarray) -> np.ndarray:
    """Return j_1(z) / z, 1/3 at zero."""
    return np.where(z > 1e-6, spherical_jn(1, z) / np.where(z > 0, z, 1.0), 1 / 3)


def _distances(positions: np.ndarray) -> np.ndarray:
    return np.linalg.norm(displacements(positions, positions), axis=-1)
