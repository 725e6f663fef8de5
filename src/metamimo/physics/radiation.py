"""What excited elements radiate: directivity in any direction, the main beam and its width.

Azimuth is counted from boresight (+z) towards +x and elevation from the xz plane towards +y: (cos e sin a, sin e, cos e
cos a).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.optimize import minimize, root_scalar

from metamimo.errors import ConfigError
from metamimo.physics.patterns import Radiators

Angle = np.ndarray | float
Pattern = Callable[[np.ndarray], Any]
"""Directivity of unit vectors (..., 3), a number for a single one."""

_BLOCK = 1 << 20
"""Directions times elements that are computed at once: 16 MiB for each polarisation."""
_COARSEST = np.deg2rad(2.0)
_PER_LOBE = 5.0
"""Samples from null to null of the narrowest lobe, two wavelengths over the aperture."""
_HIGH = 0.5
_MOST_PEAKS = 8


@dataclass(frozen=True)
class Aperture:
    """Elements and the streams on them, at one frequency.

    Attributes:
        radiators: how the elements radiate.
        positions: of the elements, shape (n, 3) [m].
        excitations: x of every stream, shape (n, stream) [sqrt(W)].
        wavelength: wavelength [m].

    >>> from metamimo.physics.patterns import DipoleOnPlane
    >>> slot = Aperture(DipoleOnPlane(), np.zeros((1, 3)), np.ones((1, 1)), wavelength=0.03)
    >>> beam = slot.main_beam()
    >>> round(float(10 * np.log10(beam.directivity)), 3), round(beam.azimuth_width, 3), round(beam.elevation_width, 3)
    (4.771, 180.0, 90.0)
    """

    radiators: Radiators
    positions: np.ndarray
    excitations: np.ndarray
    wavelength: float

    def __post_init__(self) -> None:
        """Refuse an aperture that radiates nothing."""
        if not self.radiated > 0:
            raise ConfigError(f"excitations: must radiate, got {self.radiated} W")

    @cached_property
    def radiated(self) -> float:
        """Return x^H C x of all streams [W], which is the integral of `intensity` over the sphere."""
        x = self.excitations
        return float(np.real(x.conj() * (self.radiators.coupling(self.positions, self.wavelength) @ x)).sum())

    @property
    def width(self) -> float:
        """Return the largest extent of the aperture, the diagonal of the box around its elements [m]."""
        return float(np.linalg.norm(np.ptp(self.positions, axis=0)))

    @property
    def step(self) -> float:
        """Return an angle that resolves the narrowest lobe [rad]."""
        return min(_COARSEST, 2 * self.wavelength / (_PER_LOBE * max(self.width, self.wavelength)))

    def intensity(self, direction: np.ndarray) -> np.ndarray:
        """Return the radiant intensity U of every stream, sum over polarisations of |E x|^2 / (4 pi).

        Args:
            direction: unit vectors, shape (..., 3).

        Returns:
            U, shape (..., stream) [W/sr].
        """
        flat = direction.reshape(-1, 3)
        blocks = np.array_split(flat, max(1, -(-flat.shape[0] * len(self.positions) // _BLOCK)))
        each = [self.radiators.rows(block, self.positions, self.wavelength) @ self.excitations for block in blocks]
        field = np.concatenate(each)
        return (np.abs(field) ** 2).sum(-2).reshape(*direction.shape[:-1], -1) / (4 * np.pi)

    def directivity(self, direction: np.ndarray) -> np.ndarray:
        """Return the part of every stream in the directivity, D = 4 pi U / P with P radiated by all streams.

        Args:
            direction: unit vectors, shape (..., 3).

        Returns:
            Parts that add up to the directivity, whose mean over the sphere is one; shape (..., stream).
        """
        return 4 * np.pi * self.intensity(direction) / self.radiated

    def main_beam(self) -> "MainBeam":
        """Return the direction of the largest directivity; of equal ones, that nearest to boresight."""

        def total(direction: np.ndarray) -> np.ndarray | float:
            return self.directivity(direction).sum(-1)

        peak = _peak(total, self.step)
        azimuth, elevation = (float(angle) for angle in angles_of(peak))
        value = float(total(peak))
        cuts = (
            (azimuth, lambda a: total(direction_of(a, elevation))),
            (elevation, lambda e: total(direction_of(azimuth, e))),
        )
        widths = [_half_power_width(cut, centre, value, self.step) for centre, cut in cuts]
        return MainBeam(value, *np.rad2deg([azimuth, elevation, *widths]).tolist())


@dataclass(frozen=True)
class MainBeam:
    """The main beam of an aperture.

    Attributes:
        directivity: D, no decibels.
        azimuth, elevation: where it points [degree].
        azimuth_width, elevation_width: angles between the half-power directions on the cuts of constant elevation and
            of constant azimuth through the peak; nan where the cut never falls to one half [degree].
    """

    directivity: float
    azimuth: float
    elevation: float
    azimuth_width: float
    elevation_width: float


def direction_of(azimuth: Angle, elevation: Angle) -> np.ndarray:
    """Return unit vectors, shape (..., 3), of angles in radians.

    >>> direction_of(0.0, 0.0)
    array([0., 0., 1.])
    """
    a, e = np.broadcast_arrays(azimuth, elevation)
    return np.stack([np.cos(e) * np.sin(a), np.sin(e), np.cos(e) * np.cos(a)], axis=-1)


def angles_of(direction: np.ndarray) -> tuple[Angle, Angle]:
    """Return azimuth and elevation of unit vectors of shape (..., 3) [rad].

    >>> [round(float(np.rad2deg(angle)), 6) for angle in angles_of(direction_of(np.deg2rad(30.0), np.deg2rad(-20.0)))]
    [30.0, -20.0]
    """
    return np.arctan2(direction[..., 0], direction[..., 2]), np.arcsin(np.clip(direction[..., 1], -1, 1))


def _peak(total: Pattern, step: float) -> np.ndarray:
    """Return the direction of the maximum: the best of the local ones on a grid, each refined."""
    rings = int(np.ceil(np.pi / step)) + 1
    theta = np.linspace(0, np.pi, rings)[:, None]
    phi = np.arange(2 * rings) * np.pi / rings
    sine = np.sin(theta)
    grid = np.stack(np.broadcast_arrays(sine * np.cos(phi), sine * np.sin(phi), np.cos(theta)), axis=-1)
    values = total(grid)
    around = np.pad(np.pad(values, ((1, 1), (0, 0)), "edge"), ((0, 0), (1, 1)), "wrap")
    top = maximum_filter(around, size=3)[1:-1, 1:-1]
    starts = grid[(values >= top) & (values >= _HIGH * values.max())]
    refined = [_refined(total, start, step) for start in _best(total, starts)[:_MOST_PEAKS]]
    return _best(total, np.array(refined))[0]


def _best(total: Pattern, directions: np.ndarray) -> np.ndarray:
    """Return directions in the order of falling values; those equal but for rounding, by their angle to boresight."""
    values = total(directions)
    return directions[np.lexsort((-directions[:, 2], -np.round(values / values.max(), 9)))]


def _refined(total: Pattern, start: np.ndarray, step: float) -> np.ndarray:
    """Climb from a direction, on the plane that touches the sphere there."""
    first = np.cross(start, [0.0, 1.0, 0.0] if abs(start[1]) < 0.9 else [1.0, 0.0, 0.0])
    first /= np.linalg.norm(first)
    axes = np.stack([first, np.cross(start, first)])

    def towards(offset: np.ndarray) -> np.ndarray:
        moved = start + offset @ axes
        return moved / np.linalg.norm(moved)

    # A pattern may end at the horizon, so no gradient is asked for.
    simplex = np.array([[0.0, 0.0], [step / 2, 0.0], [0.0, step / 2]])
    options = {"initial_simplex": simplex, "xatol": 1e-7, "fatol": 1e-12}
    reference = float(total(start))
    found = minimize(lambda o: -total(towards(o)) / reference, np.zeros(2), method="Nelder-Mead", options=options)
    return towards(found.x) if -found.fun > 1 else start


def _half_power_width(cut: Callable[[Any], Any], centre: float, peak: float, step: float) -> float:
    """Return the angle between the nearest half-power points on both sides, nan if there are none [rad]."""
    offsets = np.linspace(0, np.pi, int(np.ceil(np.pi / step)) + 1)
    width = 0.0
    for side in (1, -1):
        below = np.flatnonzero(cut(centre + side * offsets) < peak / 2)
        if not below.size:
            return np.nan
        ends = offsets[below[0] - 1], offsets[below[0]]
        width += root_scalar(
            lambda t, side=side: float(cut(np.asarray(centre + side * t))) - peak / 2, bracket=ends
        ).root
    return width
