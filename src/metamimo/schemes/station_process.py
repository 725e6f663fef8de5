"""One base station as a process of its own: it holds its channel, state and precoder, and sends amplitudes only.

It computes with the functions of `metamimo.schemes.cell_free` and nothing else, so a run over many processes follows
the single-process scheme step by step.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from metamimo.conventions import require_x64
from metamimo.schemes.cell_free import (
    Heard,
    Point,
    Rules,
    Station,
    Track,
    fresh_track,
    listen,
    move,
    no_track,
    targets,
    tracked,
)
from metamimo.schemes.cell_free_network import draw
from metamimo.schemes.station_messages import Correspondent
from metamimo.surfaces.base import Surface

Amplitudes = Complex[np.ndarray, "freq user user2"]


class StationProcess(Correspondent):
    """A station that answers calls, as a dask actor or in this process.

    An iteration is `aim`, one or more `attempt`, `settle`; `look` comes before the first and after a loss. After `look`
    and each `attempt` the amplitudes that wait are summed over all stations, by `outgoing` and `incoming` or by `ring`.

    Args:
        number: which station it is, counted from zero.
        known: (rules, surface, station, channel, sampler or None, first point), all of it its own.
        key: data of the random key for channel samples.
        bits: of every real of a message, or None for all.
    """

    def __init__(self, number: int, known: tuple, key: np.ndarray, bits: int | None) -> None:
        """Take what the station knows."""
        require_x64("a station")
        super().__init__(number)
        self._bits = bits
        known = jax.tree.map(jnp.asarray, known)
        self._own: tuple[Rules, Surface, Station] = known[:3]
        self._channel, self._sampler, self._point = known[3:]
        self._key = jax.random.wrap_key_data(jnp.asarray(key))
        self._best: Point = self._point
        self._track = self._after = no_track(self._point)
        self._heard: Heard
        self._goals: list[Point] = []
        self._attempts: dict[int, tuple[Point, Heard]] = {}
        self._settled = 0

    def look(self, t: int) -> None:
        """Compute the amplitudes where the station stands, on the sample of iteration t; what was best is void."""
        self._best = self._point
        self._heard = _listen(*self._own, self._point, self._sample(t))
        self._send(None, self._heard.amplitudes, self._bits)

    def aim(self, t: int) -> int:
        """Compute gradients and targets from the summed amplitudes; return how many targets there are."""
        self._after, self._goals = _aim(*self._own, self._point, self._track, self._heard, self._sums[None], t)
        return len(self._goals)

    def attempt(self, t: int, target: int, gamma: float) -> None:
        """Compute the amplitudes a share of the way to a target, on the channel sample of iteration t + 1."""
        goal = self._goals[target]
        self._attempts[target] = _attempt(*self._own, self._point, goal, gamma, self._sample(t + 1))
        self._send(target, self._attempts[target][1].amplitudes, self._bits)

    def settle(self, t: int, target: int | None, better: bool) -> None:
        """End iteration t: go to an attempt, or stay; asked twice, do it once."""
        if self._settled > t:
            return
        self._settled, self._track = t + 1, self._after
        if target is not None:
            self._point, self._heard = self._attempts[target]
            self._sums[None] = self._sums[target]
        if better:
            self._best = self._point

    def result(self, best: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return coordinates of the state, and the precoder V: the best that were visited, or the last."""
        point = self._best if best else self._point
        return np.asarray(point.state), np.asarray(point.precoder)

    def _sample(self, t: int) -> Complex[Array, "freq user element"]:
        return self._channel if self._sampler is None else _draw(self._sampler, self._key, t, self._number)


_listen, _draw = jax.jit(listen), jax.jit(draw)


@jax.jit
def _aim(
    rules: Rules, surface: Surface, station: Station, point: Point, track: Track, heard: Heard, z: Array, t: int | Array
) -> tuple[Track, list[Point]]:
    fresh = fresh_track(rules, surface, station, point, heard, z)
    track = tracked(track, fresh, rules.rho(t))
    return track, targets(rules, surface, station, point, track)


@jax.jit
def _attempt(
    rules: Rules, surface: Surface, station: Station, point: Point, goal: Point, gamma: float | Array, channel: Array
) -> tuple[Point, Heard]:
    moved = move(rules, surface, station, point, goal, gamma)
    return moved, listen(rules, surface, station, moved, channel)
