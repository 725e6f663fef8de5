"""A base station that also takes its part in L-BFGS: its own coordinates, gradient and pairs, shared inner products."""

import jax
import numpy as np
from jaxtyping import Array, Float

from metamimo.optimise.spread_lbfgs import Part, own_products, turned
from metamimo.schemes.cell_free import Channel, Rules, Station
from metamimo.schemes.cell_free_joint import Amplitudes, amplitudes, free_coordinates, own_gradient, point_at
from metamimo.schemes.station_process import StationProcess
from metamimo.surfaces.base import Surface


class DescendingStation(StationProcess):
    """A station that answers the calls of L-BFGS, too, for a constant channel.

    An iteration is `differentiate`, `turn`, one or more `step`, `take`; `begin` comes before the first and after a
    loss. After `begin` and each `step` amplitudes wait to be summed, after `differentiate` inner products.
    """

    _part: Part | None = None
    _candidate: Float[Array, " n"]

    def begin(self) -> None:
        """Compute the amplitudes of the best point so far; what was remembered of the way is void."""
        rules, surface, _ = self._own
        x = _coordinates(rules, surface, self._best) if self._part is None else self._part.x
        self._part = Part.start(x)
        self._send("here", _amplitudes(*self._own, self._channel, x), self._bits)

    def differentiate(self) -> None:
        """Compute the gradient from the summed amplitudes, and inner products; those are sent with all their bits."""
        part = self._running
        self._part, products = _differentiate(*self._own, self._channel, part, self._sums["here"])
        # Two reals travel as a complex number.
        self._send("products", np.asarray(products).view(complex), None)

    def turn(self) -> float:
        """Find the direction from the summed products; return the slope along it, the same for everybody."""
        self._part, slope = _turned(self._running, np.asarray(self._sums["products"]).view(float))
        return float(slope)

    def step(self, length: float) -> None:
        """Compute the amplitudes a step along the direction away."""
        part = self._running
        self._candidate = part.x + length * part.direction
        self._send("there", _amplitudes(*self._own, self._channel, self._candidate), self._bits)

    def take(self) -> None:
        """Go where the last step led."""
        self._part = self._running.after_step(self._candidate)
        self._sums["here"] = self._sums["there"]

    def result(self, best: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return coordinates of the state, and the precoder V, at the end of L-BFGS if that was run."""
        if self._part is not None:
            self._best = self._point = _point(*self._own, self._channel, self._part.x)
        return super().result(best)

    @property
    def _running(self) -> Part:
        assert self._part is not None
        return self._part


_coordinates, _amplitudes, _point, _turned = map(jax.jit, (free_coordinates, amplitudes, point_at, turned))


@jax.jit
def _differentiate(
    rules: Rules, surface: Surface, station: Station, channel: Channel, part: Part, z: Amplitudes
) -> tuple[Part, Float[Array, " product"]]:
    part = part.with_gradient(own_gradient(rules, surface, station, channel, part.x, z))
    return part, own_products(part)
