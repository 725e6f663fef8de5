"""The messages of one station: what waits to be summed over all of them, by a central processor or around a ring."""

import threading
from typing import Any

import numpy as np
from jaxtyping import Array, Complex

from metamimo.schemes.messages import Traffic, message, quantised

Numbers = Complex[np.ndarray, "..."]
Letter = tuple[int, int]
"""Exchange and step of it that a message in the ring belongs to."""


class ExchangeStopped(RuntimeError):
    """A sum over the ring did not come to its end, because a station of it was lost."""


class Correspondent:
    """One of several that add up complex numbers: `outgoing` and `incoming` through a centre, or `ring`.

    Args:
        number: which one it is, counted from zero.
    """

    def __init__(self, number: int) -> None:
        """Start with nothing sent and nothing received."""
        self._number = number
        self._sums: dict[Any, Numbers] = {}
        self._waiting: tuple[Any, Numbers, int | None]
        self._sent = Traffic()
        self._next: Any = None
        self._inbox: dict[Letter, np.ndarray] = {}
        self._mail, self._stopped = threading.Condition(), False

    def outgoing(self) -> Numbers:
        """Return the message with what waits."""
        _, content, bits = self._waiting
        self._sent += message(content.size, bits)
        return quantised(content, bits)

    def incoming(self, z: Numbers) -> None:
        """Take the sum of what waited everywhere."""
        self._sums[self._waiting[0]] = z

    def connect(self, following: Any) -> None:
        """Learn who comes next in the ring, and forget letters of another one."""
        self._next, self._stopped = following, False
        self._inbox.clear()

    def ring(self, exchange: int, place: int, size: int, timeout: float) -> Numbers:
        """Sum what waits over the ring: partial sums go round once, then the sums.

        Args:
            exchange: number of this exchange, so that late letters of another are not mistaken.
            place: of this station in the ring.
            size: stations in the ring.
            timeout: how long to wait for a letter [s].

        Returns:
            The sum, at every station the same bits.

        Raises:
            ExchangeStopped: if the ring was told to stop, or a letter did not come.
        """
        _, waiting, bits = self._waiting
        parts = np.array_split(waiting.ravel(), size)
        for step in range(2 * (size - 1)):
            going, coming = (place - step) % size, (place - step - 1) % size
            if step < size:
                # From here on the part is a sum, and everybody has to have it with the same rounding.
                parts[going] = quantised(parts[going], bits)
            self._sent += message(parts[going].size, bits)
            # Nobody waits for the receipt: that letters come round is what counts, and a lost neighbour gives none.
            self._next.letter((exchange, step), parts[going])
            letter = self._letter((exchange, step), timeout)
            parts[coming] = parts[coming] + letter if step < size - 1 else letter
        z = np.concatenate(parts).reshape(waiting.shape)
        self.incoming(z)
        return z

    async def letter(self, name: Letter, content: np.ndarray) -> None:
        """Take a letter from the station before in the ring, while `ring` waits for it in another thread."""
        with self._mail:
            self._inbox[name] = content
            self._mail.notify_all()

    async def stop(self) -> None:
        """Let `ring` give up."""
        with self._mail:
            self._stopped = True
            self._mail.notify_all()

    def sent(self) -> Traffic:
        """Return what the station has sent so far."""
        return self._sent

    def _send(self, name: Any, content: Array | np.ndarray, bits: int | None) -> None:
        """Let numbers wait for the next exchange, whose sum will have the name."""
        self._waiting = name, np.asarray(content), bits

    def _letter(self, name: Letter, timeout: float) -> np.ndarray:
        with self._mail:
            if not self._mail.wait_for(lambda: name in self._inbox or self._stopped, timeout) or self._stopped:
                raise ExchangeStopped(f"station {self._number}: no letter {name} came")
            return self._inbox.pop(name)
