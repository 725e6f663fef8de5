"""Far field of electric and magnetic dipoles over a ground plane, the elements of a stack of coupled dipoles."""

from dataclasses import dataclass

import numpy as np

from metamimo.physics.dipoles import dipole_coupling
from metamimo.physics.patterns import Radiators


@dataclass(frozen=True)
class DipolePairs(Radiators):
    """Electric dipoles along x and magnetic ones along y, each of which radiates |x|^2 alone in free space.

    C = I - Im G with the coupling G of `dipole_coupling`, images included.

    Args:
        magnetic: which elements are magnetic dipoles.
        backplane: whether the plane z = 0 conducts; then nothing is radiated below it.

    >>> pair = DipolePairs((False, True), backplane=False)  # a Huygens source: everything forwards, nothing backwards
    >>> towards = np.array([[0, 0, 1.0], [0, 0, -1.0]])
    >>> field = pair.rows(towards, np.zeros((2, 3)), wavelength=1.0) @ np.array([1, 1j]) / 2**0.5
    >>> (np.abs(field) ** 2).sum(-1).round(12)
    array([3., 0.])
    """

    magnetic: tuple[bool, ...]
    backplane: bool

    def rows(self, direction: np.ndarray, positions: np.ndarray, wavelength: float) -> np.ndarray:
        """Return sqrt(3 / 2) times the part of every dipole across the direction, with its image."""
        # Any two axes across the direction do; one that is made from z fails on the z axis only.
        reference = np.where(np.abs(direction[..., 2:]) < 0.9, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
        first = np.cross(direction, reference)
        first = first / np.linalg.norm(first, axis=-1, keepdims=True)
        axes = np.stack([first, np.cross(direction, first)], axis=-2)
        magnetic = np.asarray(self.magnetic)
        # A magnetic dipole is seen turned by 90 degrees, and a conducting plane turns the image of an electric one.
        turned = -1j * np.cross(direction[..., None, :], axes)
        seen = np.where(magnetic, turned[..., 1:2], axes[..., :1])
        wavenumber = 2 * np.pi / wavelength
        phase = np.exp(1j * wavenumber * (direction @ positions.T))
        if self.backplane:
            image = np.exp(1j * wavenumber * (direction @ (positions * np.array([1, 1, -1])).T))
            phase = np.where(direction[..., 2:] > 0, phase + np.where(magnetic, 1, -1) * image, 0)
        return np.sqrt(1.5) * seen * phase[..., None, :]

    def coupling(self, positions: np.ndarray, wavelength: float) -> np.ndarray:
        """Return I - Im G."""
        magnetic = np.asarray(self.magnetic)
        g = dipole_coupling(positions[~magnetic], positions[magnetic], wavelength, backplane=self.backplane)
        # The couplings come with electric dipoles first.
        place = np.argsort(np.argsort(magnetic, kind="stable"))
        return np.eye(len(positions)) - np.imag(g)[np.ix_(place, place)]
