"""Slots in the upper plate of an air-filled parallel-plate waveguide with thin-wire feeds: fields, coupling, powers.

Slots are y-directed magnetic dipoles in the plane z = 0 under a half space; plates are infinite. Magnetic moments are
in A m^2, fields in A/m, both peak phasors. Equation numbers are those of the spec of the cell-free DMA paper.
"""

import math

import numpy as np
from jaxtyping import Complex, Float
from scipy.special import hankel2, j0, kn, y0

from metamimo.geometry.planar import displacements
from metamimo.physics.dipoles import dipole_coupling
from metamimo.physics.wires import WAVE_IMPEDANCE

Slots = Float[np.ndarray, "slot 3"]
Feeds = Float[np.ndarray, "feed 3"]


def half_space_damping(wavenumber: float) -> float:
    """Return k^3 / 3 pi, the damping of a slot by what it radiates into the half space [1/m^3] (eq. 4)."""
    return wavenumber**3 / (3 * math.pi)


def guide_damping(wavenumber: float, height: float) -> float:
    """Return k^2 / 8h, the damping of a slot by what it radiates into the guide [1/m^3] (eq. 4)."""
    return wavenumber**2 / (8 * height)


def radiation_damping(wavenumber: float, height: float) -> float:
    """Return gamma = k^2 / 8h + k^3 / 3 pi of a slot [1/m^3] (eq. 4).

    Conservation of energy forces Im(1 / alpha) = gamma on the polarisability of a lossless slot.

    Args:
        wavenumber: k [rad/m].
        height: of the guide [m].

    >>> k = 2 * math.pi / 0.03
    >>> round(guide_damping(k, 0.005) / half_space_damping(k), 3)  # a guide of a sixth of a wavelength
    1.125
    """
    return guide_damping(wavenumber, height) + half_space_damping(wavenumber)


def reference_strength(
    carrier: float, resonance: Float[np.ndarray, "*slot"] | float, height: float
) -> Float[np.ndarray, "*slot"] | float:
    """Return F_ref = |k_0^2 - k_c^2| / (k_c^2 gamma(k_c)): strengths F in units of it are tangents of a phase.

    At the carrier alpha = x / (1 + jx) / gamma with x = F / F_ref, where the resonance lies above the carrier.

    Args:
        carrier: wavenumber k_c at the carrier [rad/m].
        resonance: wavenumber k_0 at the resonance of the slots [rad/m].
        height: of the guide [m].

    Returns:
        The reference strength [m^3].
    """
    return np.abs(resonance**2 - carrier**2) / (carrier**2 * radiation_damping(carrier, height))


def polarisability(
    strength: Float[np.ndarray, "*slot"], wavenumber: float, resonance: float, height: float, loss: float = 0.0
) -> Complex[np.ndarray, "*slot"]:
    """Return alpha = F k^2 / (k_0^2 - k^2 + j F k^2 (gamma + gamma_loss)) (eq. 4 with losses).

    Args:
        strength: resonance strengths F [m^3].
        wavenumber: k [rad/m].
        resonance: wavenumber k_0 at the resonance [rad/m].
        height: of the guide [m].
        loss: gamma_loss [1/m^3].

    Returns:
        Magnetic polarisabilities [m^3].

    >>> k, h = 2 * math.pi / 0.03, 0.005
    >>> alpha = polarisability(np.array([2e-8]), k, 1.01 * k, h)
    >>> bool(abs((1 / alpha).imag[0] / radiation_damping(k, h) - 1) < 1e-12)
    True
    """
    damping = radiation_damping(wavenumber, height) + loss
    pulled = strength * wavenumber**2
    return pulled / (resonance**2 - wavenumber**2 + 1j * pulled * damping)


def guide_coupling(slots: Slots, wavenumber: float, height: float, modes: int = 0) -> Complex[np.ndarray, "slot slot"]:
    """Return the field H_y at every slot per moment of every other, through the guide (G^wg + G^ev, eq. 1).

    G^wg = -j k^2 / 8h (H_0(k rho) - cos(2 phi) H_2(k rho)) is the mode that propagates. The evanescent ones add
    (k^2 + d^2/dy^2) sum_p K_0(kappa_p rho) / (pi h), kappa_p^2 = (p pi / h)^2 - k^2, which is real: no power moves.

    Args:
        slots: positions [m].
        wavenumber: k [rad/m].
        height: h of the guide, below half a wavelength [m].
        modes: evanescent modes that are counted.

    Returns:
        Symmetric, zero on the diagonal [1/m^3].

    >>> pair = np.array([[0.0, 0.0, 0.0], [0.0075, 0.0, 0.0]])
    >>> k = 2 * math.pi / 0.03
    >>> far = guide_coupling(pair, k, 0.005)[0, 1] / guide_damping(k, 0.005)
    >>> bool(abs(far - -1j * (hankel2(0, k * 0.0075) - hankel2(2, k * 0.0075))) < 1e-12)  # along x
    True
    """
    rho, double = _polar(slots)
    safe = np.where(rho > 0, rho, 1.0)
    k, z = wavenumber, wavenumber * safe
    coupling = -1j * guide_damping(k, height) * (hankel2(0, z) - double * hankel2(2, z))
    for p in range(1, modes + 1):
        kappa = math.sqrt((p * math.pi / height) ** 2 - k**2)
        # d^2/dy^2 K_0(kappa rho) = kappa^2 (sin^2 K_0 - cos(2 phi) K_1 / (kappa rho)).
        radial = (k**2 + kappa**2 * (1 - double) / 2) * kn(0, kappa * safe)
        coupling = coupling + (radial - double * kappa * kn(1, kappa * safe) / safe) / (math.pi * height)
    return np.where(rho > 0, coupling, 0)


def half_space_coupling(slots: Slots, wavenumber: float) -> Complex[np.ndarray, "slot slot"]:
    """Return the field H_y at every slot per moment of every other, through the half space (G^fs, eq. 1).

    G^fs = 2 (k^2 + d^2/dy^2) exp(-jk rho) / (4 pi rho): a magnetic dipole and its image.

    Args:
        slots: positions [m].
        wavenumber: k [rad/m].

    Returns:
        Symmetric, zero on the diagonal [1/m^3].
    """
    none = np.zeros((0, 3))
    lone = dipole_coupling(none, slots, 2 * math.pi / wavenumber, backplane=False)
    return half_space_damping(wavenumber) * lone


def feed_fields(slots: Slots, feeds: Feeds, wavenumber: float) -> Complex[np.ndarray, "slot feed"]:
    """Return H_f, the field H_y at every slot per ampere of every feed: -(jk/4) (dx / rho) H_1(k rho) (eq. 2).

    Args:
        slots: positions [m].
        feeds: positions of thin z-directed wires over the whole height, apart from the slots [m].
        wavenumber: k [rad/m].

    Returns:
        The fields [1/m].

    >>> near = feed_fields(np.array([[0.01, 0.0, 0.0]]), np.zeros((1, 3)), 1e-3)
    >>> round(float(near[0, 0].real) * 2 * math.pi * 0.01, 6)  # the law of Ampere
    1.0
    """
    d = displacements(slots, feeds)
    rho = np.hypot(d[..., 0], d[..., 1])
    return -0.25j * wavenumber * d[..., 0] / rho * hankel2(1, wavenumber * rho)


def feed_impedance(feeds: Feeds, wavenumber: float, height: float, radius: float) -> Complex[np.ndarray, "feed feed"]:
    """Return Z_b of the feeds without slots: (k eta h / 4) H_0(k rho), with 1 - j Y_0(ka) on the diagonal (2.4).

    Args:
        feeds: positions [m].
        wavenumber: k [rad/m].
        height: h of the guide [m].
        radius: a of the wires [m].

    Returns:
        Symmetric [ohm].
    """
    rho, _ = _polar(feeds)
    safe = np.where(rho > 0, rho, 1.0)
    own = 1 - 1j * y0(wavenumber * radius)
    mutual = j0(wavenumber * rho) - 1j * np.where(rho > 0, y0(wavenumber * safe), 0)
    return wavenumber * WAVE_IMPEDANCE * height / 4 * np.where(rho > 0, mutual, own)


def guide_power(slots: Slots, wavenumber: float, height: float) -> Float[np.ndarray, "slot slot"]:
    """Return B^wg = (k^2 / 8h) I - Im G^wg [1/m^3]: moments m scatter (k eta / 2) m^H B^wg m watts into the guide."""
    return guide_damping(wavenumber, height) * np.eye(len(slots)) - np.imag(guide_coupling(slots, wavenumber, height))


def _polar(places: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    """Return distances in the plane and cos(2 phi) of their directions; zero where there is none."""
    d = displacements(places, places)
    square = d[..., 0] ** 2 + d[..., 1] ** 2
    double = (d[..., 0] ** 2 - d[..., 1] ** 2) / np.where(square > 0, square, 1.0)
    return np.sqrt(square), double
