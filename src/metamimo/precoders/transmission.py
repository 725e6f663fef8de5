"""How the users share an effective channel: linear precoding or dirty paper coding, behind one contract.

A scheme over the surface state needs five things of its digital stage: a start, steps that improve it, its rate, its
optimum at a fixed state, and the precoder that it stands for. The stage's variable v is the precoder itself for linear
precoding, and the factor of the dual covariances for dirty paper coding; |v|^2 is the transmitted power of both.
"""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Complex, Float, Int

from metamimo.linalg import squared_norm

Channel = Complex[Array, "user rx port"]


class Outcome(eqx.Module):
    """End of a digital stage.

    Attributes:
        variable: v.
        efficiency: rate over (fixed + |v|^2) [nat per channel use and watt].
        status: a `Status`.
        iterations: steps done.
    """

    variable: Any
    efficiency: Float[Array, ""]
    status: Int[Array, ""]
    iterations: Int[Array, ""]


class Transmission(eqx.Module):
    """Contract of a digital stage that maximises rate / (fixed + |v|^2) with |v|^2 <= limit.

    Attributes:
        fixed: power that does not depend on v, times the amplifier efficiency [W].
        limit: limit of |v|^2 [W].
    """

    fixed: Float[Array, ""]
    limit: Float[Array, ""]

    @abc.abstractmethod
    def begin(self, h: Channel) -> Array:
        """Return a first v that every stream can grow from."""

    @abc.abstractmethod
    def improve(self, h: Channel, v: Array, steps: int) -> Array:
        """Take steps that never lower the energy efficiency."""

    @abc.abstractmethod
    def rate(self, h: Channel, v: Array) -> Float[Array, ""]:
        """Return the sum rate, differentiable in h [nat per channel use]."""

    @abc.abstractmethod
    def finish(self, h: Channel, v: Array, *, tolerance: float, strict: bool = False) -> Outcome:
        """Improve until the relative gain of a step is below the tolerance; `strict` as in the paper."""

    @abc.abstractmethod
    def precoder(self, h: Channel, v: Array) -> Complex[Array, "user port stream"]:
        """Return the precoder F [sqrt(W)]."""

    @abc.abstractmethod
    def order(self, users: int) -> Int[Array, " user"] | None:
        """Return the encoding order, None for linear precoding."""

    def efficiency(self, h: Channel, v: Array) -> Float[Array, ""]:
        """Return rate / (fixed + |v|^2)."""
        return self.rate(h, v) / (self.fixed + squared_norm(v))
