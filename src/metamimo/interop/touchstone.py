"""Scattering matrices from Touchstone files, which field solvers and network analysers write."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from metamimo.errors import ConfigError


class Network(NamedTuple):
    """What a Touchstone file holds.

    Attributes:
        frequencies: shape (freq,) [Hz].
        scattering: S, shape (freq, port, port).
        reference: resistance that all ports are referred to [ohm].
    """

    frequencies: np.ndarray
    scattering: np.ndarray
    reference: float


def read_touchstone(path: Path, *, reference: float = 50.0) -> Network:
    """Read a Touchstone file (.sNp or .ts; S, Y or Z parameters) with scikit-rf.

    Install the library with ``pip install metamimo[touchstone]``. The result fits
    `MultiportSurface.from_scattering`, whose ports are the feeds first, then receive and transmit port of every atom.

    Args:
        path: the file.
        reference: resistance that all ports are referred to in the result [ohm].

    Returns:
        Frequencies, scattering matrices and reference resistance.

    Raises:
        ConfigError: if the file is missing or no Touchstone file, the reference not positive, or the library missing.
    """
    try:
        import skrf
    except ImportError as error:
        raise ConfigError("touchstone: needs scikit-rf; pip install 'metamimo[touchstone]'") from error
    if not reference > 0:
        raise ConfigError(f"reference: must be positive, got {reference}")
    if not path.is_file():
        raise ConfigError(f"path: there is no file {path}")
    network = skrf.Network()
    try:
        # Not the constructor, which takes files of other kinds, too, pickles among them.
        network.read_touchstone(str(path))
    except Exception as error:
        raise ConfigError(f"path: {path} cannot be read as a Touchstone file ({error})") from error
    network.renormalize(np.array(reference))
    return Network(np.asarray(network.f), np.asarray(network.s), reference)
