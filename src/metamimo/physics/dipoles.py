"""Exact free-space coupling of electric and magnetic dipoles, over a ground plane or without.

Dipoles are x-directed electric and y-directed magnetic ones; magnetic moments and fields carry a factor j, which makes
every coupling matrix complex symmetric. All couplings are in units of the radiation damping gamma = k^3 / 6 pi, so that
an isolated dipole of amplitude a radiates |a|^2.
"""

import functools

import numpy as np
from jaxtyping import Complex, Float

from metamimo.geometry.planar import displacements

Kernels = tuple[Complex[np.ndarray, "observer source"], ...]

_REACH = 90
"""Floquet orders to each side: at the lowest height of `lattice_constant` the last one is below 1e-17."""
_HEIGHTS = np.linspace(0.07, 0.35, 9)


def dipole_coupling(
    electric: Float[np.ndarray, "e 3"],
    magnetic: Float[np.ndarray, "m 3"],
    wavelength: float,
    *,
    backplane: bool,
) -> Complex[np.ndarray, "e+m e+m"]:
    """Return the field at every dipole per unit amplitude of every other, electric dipoles first.

    Signal model: E_x = (k^2 + d^2/dx^2) g p + k dg/dz q and j H_y = -k dg/dz p + (k^2 + d^2/dy^2) g q with
    g = exp(-jkr) / (4 pi r); a perfectly conducting plane z = 0 adds the image of every source, that of the dipole
    itself included. No dipole acts on itself directly: its self term belongs to its polarisability.

    Args:
        electric: positions of the electric dipoles [m].
        magnetic: positions of the magnetic dipoles [m].
        wavelength: wavelength [m].
        backplane: whether the plane z = 0 conducts perfectly.

    Returns:
        G / gamma, complex symmetric.

    >>> far = dipole_coupling(np.zeros((1, 3)), np.array([[0, 0, 100.0]]), 1.0, backplane=False)
    >>> np.abs(far).round(4)  # 3 / (2 k r) on the axis
    array([[0.    , 0.0024],
           [0.0024, 0.    ]])
    """
    wavenumber = 2 * np.pi / wavelength
    every = np.concatenate([electric, magnetic])
    count = len(electric)
    direct = _joined(_kernels(wavenumber * displacements(every, every)), count, sign=1)
    if not backplane:
        return direct
    image = every * np.array([1, 1, -1])
    return direct + _joined(_kernels(wavenumber * displacements(every, image)), count, sign=-1)


def _kernels(d: Float[np.ndarray, "observer source 3"]) -> Kernels:
    """Return G_xx, G_yy and G_z over gamma for displacements in units of 1/k; zero where they vanish."""
    r = np.linalg.norm(d, axis=-1)
    safe = np.where(r > 0, r, 1)
    f = 1.5 * np.exp(-1j * safe) / safe
    slope = -(1j + 1 / safe) * f
    curvature = (-1 + 2j / safe + 2 / safe**2) * f
    sideways, along = f + slope / safe, (curvature - slope / safe) / safe**2
    kernels = (sideways + d[..., 0] ** 2 * along, sideways + d[..., 1] ** 2 * along, slope * d[..., 2] / safe)
    return tuple(np.where(r > 0, kernel, 0) for kernel in kernels)


def _joined(kernels: Kernels, count: int, *, sign: int) -> Complex[np.ndarray, "n n"]:
    """Put the kernels of all pairs where their kinds of dipoles meet; the plane turns an electric image round."""
    xx, yy, z = kernels
    e, m = slice(None, count), slice(count, None)
    return np.block([[sign * xx[e, e], z[e, m]], [-sign * z[m, e], yy[m, m]]])


@functools.lru_cache(maxsize=64)
def lattice_constant(pitch: float) -> float:
    """Return c / gamma: the real part of what an infinite square layer of equal dipoles does to one of them.

    The Floquet series of the layer's field above the dipole, without the dipole's own field, is even and analytic in
    the height: it is evaluated at a few heights and extrapolated to zero.

    Args:
        pitch: pitch of the layer [wavelengths], below 1.

    Returns:
        The interaction constant over gamma.

    >>> round(lattice_constant(0.5) * (2 * np.pi) ** 3 / (6 * np.pi), 5)
    -10.53632
    """
    return interaction(pitch).real


def interaction(pitch: float) -> complex:
    """Return C / gamma, whose imaginary part is 1 - kappa / gamma in exact arithmetic; see `lattice_constant`."""
    k = 2 * np.pi
    order = k * np.arange(-_REACH, _REACH + 1) / pitch
    gx, gy = np.meshgrid(order, order)
    kz = np.conj(np.sqrt(k**2 - gx**2 - gy**2 + 0j))  # waves that decay or run upwards
    heights = _HEIGHTS * pitch
    values = []
    for z in heights:
        layer = ((k**2 - gx**2) * np.exp(-1j * kz * z) / (2j * kz)).sum() / pitch**2
        own = _kernels(np.array([[[0.0, 0.0, k * z]]]))[0][0, 0]
        values.append(layer * 6 * np.pi / k**3 - own)
    # Lagrange's polynomial in z^2 at zero.
    nodes = heights**2
    weights = [np.prod(np.delete(nodes, i) / (np.delete(nodes, i) - node)) for i, node in enumerate(nodes)]
    return complex(np.dot(weights, values))  # host, once
