"""Rayleigh-Sommerfeld propagation between two parallel planes, in three discretisations.

`sampled` is eq. (1) of Perović et al. 2024 and of the SIM MISO paper: the kernel at the element centres times the
element area. On a half-wave grid it aliases the evanescent spectrum, so some modes gain energy below one wavelength
of spacing. `clipped` limits the singular values of the sampled matrix to one. `band_limited` integrates the exact
plane-wave propagator over the band that the receiving grid can represent; its symbol never exceeds one, so it cannot
create energy.
"""

from typing import get_args

import numpy as np

from metamimo.errors import ConfigError
from metamimo.geometry.planar import displacements
from metamimo.physics.kernels import Kernel


def propagation_matrix(
    observers: np.ndarray, sources: np.ndarray, wavelength: float, area: float, kernel: Kernel = "sampled"
) -> np.ndarray:
    """Return the propagation coefficients from the elements of one plane to those of the next.

    Signal model: x_next = W x with, for the distance r and cos(chi) = d_z / r,
    W_nm = (A cos(chi) / r) (1 / (2 pi r) + j / lambda) exp(-j 2 pi r / lambda),
    the conjugate of the papers' eq. (1) because this package uses exp(+jwt).

    Args:
        observers: positions on the receiving plane, shape (n, 3) [m].
        sources: positions on the emitting plane, shape (m, 3) [m].
        wavelength: wavelength [m].
        area: area A of an element [m^2]; for `band_limited` the grid pitch is its square root.
        kernel: discretisation, see the module's text.

    Returns:
        W, shape (n, m), complex, without unit.

    Raises:
        ConfigError: if the kernel is unknown, a length is not positive, or the planes are not apart and parallel.

    >>> import numpy as np
    >>> w = propagation_matrix(np.array([[0, 0, 0.5]]), np.zeros((1, 3)), wavelength=1.0, area=0.25)
    >>> np.round(w, 4)
    array([[-0.1592-0.5j]])
    """
    if kernel not in get_args(Kernel):
        raise ConfigError(f"kernel: must be one of {', '.join(get_args(Kernel))}, got {kernel!r}")
    for name, length in (("wavelength", wavelength), ("area", area)):
        if not length > 0:
            raise ConfigError(f"{name}: must be positive, got {length}")
    offsets = displacements(np.asarray(observers, float), np.asarray(sources, float))
    gap = offsets[0, 0, 2]
    if not gap > 0 or not np.allclose(offsets[..., 2], gap, rtol=1e-12, atol=0):
        raise ConfigError(f"observers: must lie on one plane beyond the sources' plane, got a distance of {gap} m")
    if kernel == "band_limited":
        return _band_limited(offsets, gap, wavelength, np.sqrt(area))
    sampled = _sampled(offsets, gap, wavelength, area)
    return sampled if kernel == "sampled" else clip_singular_values(sampled)


def clip_singular_values(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix with every singular value above one set to one: the nearest contraction."""
    u, s, vh = np.linalg.svd(matrix, full_matrices=False)
    return (u * np.minimum(s, 1.0)) @ vh


def _sampled(offsets: np.ndarray, gap: float, wavelength: float, area: float) -> np.ndarray:
    r = np.linalg.norm(offsets, axis=-1)
    return area * gap / r**2 * (1 / (2 * np.pi * r) + 1j / wavelength) * np.exp(-2j * np.pi * r / wavelength)


def _band_limited(offsets: np.ndarray, gap: float, wavelength: float, pitch: float) -> np.ndarray:
    """Integrate (d^2 / 4 pi^2) exp(-j k_z d_z) exp(j (k_x dx + k_y dy)) over |k_x|, |k_y| <= pi / d.

    Polar coordinates in each octant; k_rho = k sin(t) inside the light circle and k_rho^2 = k^2 + q^2 outside remove
    the square-root singularity at k_z = 0, so Gauss-Legendre converges fast. The quadrant's symmetry leaves cosines.
    """
    k = 2 * np.pi / wavelength
    along_x, x_index = np.unique(np.round(np.abs(offsets[..., 0]) / pitch, 9), return_inverse=True)
    along_y, y_index = np.unique(np.round(np.abs(offsets[..., 1]) / pitch, 9), return_inverse=True)
    # The integrand turns pi times per pitch of offset at most: nodes in proportion, plus a floor for its smooth part.
    count = int(40 + 2.5 * max(along_x[-1], along_y[-1]) + 4 * gap / wavelength)
    node, weight = np.polynomial.legendre.leggauss(count)
    node, weight = (node + 1) / 2, weight / 2
    # The integrand has kinks at the corner of the band and where its edge crosses the light circle: pieces end there.
    crossing = np.arccos(np.clip(k * pitch / np.pi, 1.0, np.sqrt(2.0)) ** -1)
    ends = np.unique([0.0, crossing, np.pi / 4, np.pi / 2 - crossing, np.pi / 2])
    angle = (ends[:-1, None] + np.diff(ends)[:, None] * node).ravel()
    angle_weight = (np.diff(ends)[:, None] * weight).ravel()
    edge = np.pi / pitch / np.maximum(np.cos(angle), np.sin(angle))

    top = np.arcsin(np.minimum(1.0, edge / k))[:, None]
    t = top * node
    inside = k**2 * np.sin(t) * np.cos(t) * np.exp(-1j * k * np.cos(t) * gap) * (top * weight)
    q_top = np.sqrt(np.maximum(edge**2 - k**2, 0.0))[:, None]
    q = q_top * node
    outside = q * np.exp(-q * gap) * (q_top * weight)
    k_rho = np.concatenate([k * np.sin(t), np.sqrt(k**2 + q**2)], axis=1)
    density = angle_weight[:, None] * np.concatenate([inside, outside], axis=1)

    k_x = (k_rho * np.cos(angle)[:, None]).ravel()
    k_y = (k_rho * np.sin(angle)[:, None]).ravel()
    in_x = np.cos(np.outer(along_x * pitch, k_x)) * density.ravel()
    table = 4 * pitch**2 / (4 * np.pi**2) * (in_x @ np.cos(np.outer(k_y, along_y * pitch)))
    return table[x_index.reshape(offsets.shape[:2]), y_index.reshape(offsets.shape[:2])]
