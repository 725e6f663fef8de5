"""Feasible set of resonant slots whose resonance strength is tuned."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metamimo.errors import ConfigError
from metamimo.surfaces.feasible import FeasibleSet


class ResonanceStrength(FeasibleSet):
    """Resonance strengths x = F / F_ref in a box, 0 <= x <= most.

    At the carrier a slot has the polarisability (1 - exp(-2 j theta)) / (2 j gamma) with theta = arctan x: the strength
    moves it along the Lorentzian circle, and theta is its natural coordinate. A causal element has x >= 0; negative
    strengths stay lossless, and sources that leave F free reach them.

    Source: spec of the cell-free DMA paper, 2.1 and the box of section 3.

    Attributes:
        shape: shape of one state.
        most: largest strength.
        allow_negative: whether the box is -most <= x <= most.

    >>> import jax.numpy as jnp
    >>> ResonanceStrength((3,), most=2.0).project(jnp.array([-1.0, 0.5, 7.0])).tolist()
    [0.0, 0.5, 2.0]
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    most: float = eqx.field(static=True, default=10.0)
    allow_negative: bool = eqx.field(static=True, default=False)
    smooth: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        if not 0 < self.most < math.inf:
            raise ConfigError(f"most: must be positive and finite, got {self.most}")

    @classmethod
    def example(cls) -> "ResonanceStrength":
        """Return a small instance."""
        return cls(shape=(2, 3), most=2.0)

    @property
    def largest_modulus(self) -> float:
        """Return the largest strength."""
        return self.most

    @property
    def least(self) -> float:
        """Return the smallest strength."""
        return -self.most if self.allow_negative else 0.0

    def random(self, key: Key[Array, ""], batch: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Draw theta uniform: polarisabilities at the carrier are uniform on the arc of the circle that is reached."""
        low, high = math.atan(self.least), math.atan(self.most)
        return self.project(jnp.tan(jax.random.uniform(key, batch + self.shape, minval=low, maxval=high)))

    def project(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the strengths clipped to the box (eq. 21)."""
        return jnp.clip(x, self.least, self.most)

    def contains(self, state: Float[Array, "..."], atol: float = 1e-9) -> Bool[Array, ""]:
        """Tell whether every entry lies in the box up to `atol`."""
        return jnp.all((state >= self.least - atol) & (state <= self.most + atol))

    def from_real(self, p: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return tan(theta) with theta = least + (most - least) sin^2(p / 2), both ends as phases."""
        low, high = math.atan(self.least), math.atan(self.most)
        return self.project(jnp.tan(low + (high - low) * jnp.sin(p / 2) ** 2))

    def to_real(self, state: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return p in [0, pi]."""
        low, high = math.atan(self.least), math.atan(self.most)
        share = jnp.clip((jnp.arctan(state) - low) / (high - low), 0, 1)
        return 2 * jnp.arcsin(jnp.sqrt(share))
