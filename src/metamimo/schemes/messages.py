"""What stations of a cell-free network send each other: how much, and with how many bits."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Complex

from metamimo.errors import ConfigError

Form = Literal["cpu", "ring", "mesh"]

FULL_BITS = 64
"""Bits of a real number that is not quantised, and of the scale of a message that is."""


@dataclass(frozen=True)
class Traffic:
    """What has been sent.

    Attributes:
        numbers: complex numbers.
        bits: bits, the scales of quantised messages included.
    """

    numbers: int = 0
    bits: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        """Return both together."""
        return Traffic(self.numbers + other.numbers, self.bits + other.bits)


def message(numbers: int, bits: int | None) -> Traffic:
    """Return what one message of complex numbers costs, each real of them sent with `bits` (all of them if None)."""
    return Traffic(numbers, 2 * FULL_BITS * numbers if bits is None else 2 * bits * numbers + FULL_BITS)


def exchange_numbers(form: Form, *, stations: int, freq: int, users: int) -> int:
    """Return the complex numbers that one sum of all amplitudes costs (spec 7).

    Args:
        form: `cpu`: every station sends its own amplitudes to one place and gets the sum; `ring`: all-reduce over a
            ring of stations; `mesh`: every station sends to every other.
        stations: number of stations B.
        freq: number of subcarriers K.
        users: number of users U.

    >>> [exchange_numbers(form, stations=4, freq=16, users=4) for form in ("cpu", "ring", "mesh")]
    [2048, 1536, 3072]
    """
    amplitudes = freq * users**2
    factor = {"cpu": 2 * stations, "ring": 2 * (stations - 1), "mesh": stations * (stations - 1)}[form]
    return factor * amplitudes


def central_numbers(*, stations: int, freq: int, users: int, elements: int, ports: int) -> float:
    """Return the complex numbers of one central design: all channels up, precoders and real states down (spec 7).

    A state counts as half a complex number.

    >>> central_numbers(stations=4, freq=16, users=4, elements=64, ports=4)
    17536.0
    """
    return stations * (freq * users * elements + freq * ports * users) + stations * elements / 2


def quantised(z: Complex[np.ndarray, "..."], bits: int | None) -> Complex[np.ndarray, "..."]:
    """Return what arrives of a message whose real and imaginary parts are rounded to 2^bits - 1 even levels.

    The levels reach up to the largest part of the message, which is sent beside it.

    Args:
        z: the message.
        bits: bits of a real; None for all.

    >>> quantised(np.array([1.0 + 0.4j, -0.1 - 1.0j]), 2).tolist()
    [(1+0j), (-0-1j)]
    """
    if bits is None:
        return z
    real, imag = np.real(z), np.imag(z)
    largest = max(np.abs(real).max(initial=0), np.abs(imag).max(initial=0))
    if not (0 < largest < np.inf):
        return z
    step = largest / (2 ** (bits - 1) - 1)
    return np.round(real / step) * step + 1j * (np.round(imag / step) * step)


def check_bits(bits: int | None) -> None:
    """Refuse numbers of bits that leave no level besides zero.

    Raises:
        ConfigError: if there are fewer than two.
    """
    if bits is not None and bits < 2:
        raise ConfigError(f"bits: a real needs at least 2, got {bits}")
