"""Guided waves that feed the elements of a surface."""

from typing import Literal, get_args

import numpy as np

from metamimo.errors import ConfigError

Feeding = Literal["left", "centre"]


def strip_wave(
    n_elements: int,
    spacing: float,
    *,
    attenuation: float,
    wavenumber: float,
    feeding: Feeding = "left",
    split: bool = False,
) -> np.ndarray:
    """Return the wave at the elements of a microstrip, v_n = exp(-(alpha + j beta) rho_n) (Zhi et al. 2025, eq. 2).

    The guide is matched at its end and does not feel what the elements take: nothing is reflected, nothing used up.

    Args:
        n_elements: elements along the strip.
        spacing: distance between them [m].
        attenuation: alpha of the amplitude [Np/m].
        wavenumber: beta of the guided wave [rad/m].
        feeding: `left`, rho_n = n spacing, or `centre`, rho_n = |n - (N - 1)/2| spacing.
        split: whether the wave of a centre feed divides its power between the two halves, 1/sqrt(2) each.

    Returns:
        v, shape (n_elements,).

    Raises:
        ConfigError: if a count, length or constant is out of its range, or a left feed is to be split.

    >>> import numpy as np
    >>> strip_wave(3, 0.5, attenuation=0.0, wavenumber=np.pi, feeding="centre").round(9).tolist()
    [-1j, (1+0j), -1j]
    """
    if n_elements < 1:
        raise ConfigError(f"n_elements: a strip needs at least 1 element, got {n_elements}")
    if not spacing > 0:
        raise ConfigError(f"spacing: must be positive, got {spacing}")
    if not attenuation >= 0:
        raise ConfigError(f"attenuation: must not be negative, got {attenuation}")
    if feeding not in get_args(Feeding):
        raise ConfigError(f"feeding: must be one of {', '.join(get_args(Feeding))}, got {feeding!r}")
    if split and feeding != "centre":
        raise ConfigError(f"split: only a centre feed divides its wave, got feeding={feeding!r}")
    place = np.arange(n_elements) - ((n_elements - 1) / 2 if feeding == "centre" else 0)
    wave = np.exp(-(attenuation + 1j * wavenumber) * np.abs(place) * spacing)
    return wave * np.sqrt(0.5) if split else wave
