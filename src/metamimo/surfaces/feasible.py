"""Feasible sets: which states a surface can take; `shape` is that of one surface, batch axes lead."""

import math
from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact, Key

from metamimo.errors import ConfigError


class FeasibleSet(eqx.Module):
    """Set of states of one surface.

    Attributes:
        shape: shape of one state.
        smooth: whether `from_real` and `to_real` exist; gradient schemes refuse a set without them.
    """

    shape: eqx.AbstractVar[tuple[int, ...]]
    smooth: eqx.AbstractVar[bool]

    @classmethod
    @abstractmethod
    def example(cls) -> "FeasibleSet":
        """Return a small instance, on which the conformance suite runs."""

    @abstractmethod
    def random(self, key: Key[Array, ""], batch: tuple[int, ...] = ()) -> Inexact[Array, "..."]:
        """Draw a state of shape `batch + shape`, uniform on the set."""

    @abstractmethod
    def project(self, x: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """Return the nearest state of the set."""

    @abstractmethod
    def contains(self, state: Inexact[Array, "..."], atol: float = 1e-9) -> Bool[Array, ""]:
        """Tell whether every entry lies on the set up to `atol`."""

    def from_real(self, p: Float[Array, "..."]) -> Inexact[Array, "..."]:
        """Map free real parameters onto the set."""
        raise self._not_smooth()

    def to_real(self, state: Inexact[Array, "..."]) -> Float[Array, "..."]:
        """Return parameters that `from_real` maps to the state (warm starts, hand-over, polishing)."""
        raise self._not_smooth()

    def _not_smooth(self) -> ConfigError:
        return ConfigError(
            f"feasible: {type(self).__name__} is a discrete set, gradient schemes need a smooth one: "
            "optimise on the continuous set and project, or choose a scheme for discrete states"
        )


class UnitModulus(FeasibleSet):
    """Lossless transmission with any phase, |x| = 1.

    >>> import jax.numpy as jnp
    >>> UnitModulus(shape=(2,)).project(jnp.array([2.0j, 0.0])).tolist()
    [1j, (1+0j)]
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    smooth: bool = eqx.field(static=True, default=True)

    @classmethod
    def example(cls) -> "UnitModulus":
        """Return a small instance."""
        return cls(shape=(2, 3))

    def random(self, key: Key[Array, ""], batch: tuple[int, ...] = ()) -> Complex[Array, "..."]:
        """Draw phases uniform on the circle."""
        return self.from_real(jax.random.uniform(key, batch + self.shape, maxval=2 * math.pi))

    def project(self, x: Complex[Array, "..."]) -> Complex[Array, "..."]:
        """Return x / |x|, and 1 where x is zero."""
        # Real arithmetic: XLA's complex absolute value and division cost several times as much.
        largest = jnp.maximum(jnp.abs(x.real), jnp.abs(x.imag))
        unit = 1 / jnp.where(largest > 0, largest, 1)
        real, imag = x.real * unit, x.imag * unit
        scale = 1 / jnp.sqrt(jnp.where(largest > 0, real**2 + imag**2, 1))
        return jax.lax.complex(jnp.where(largest > 0, real * scale, 1), imag * scale)

    def contains(self, state: Complex[Array, "..."], atol: float = 1e-9) -> Bool[Array, ""]:
        """Tell whether every modulus is one up to `atol`."""
        return jnp.all(jnp.abs(jnp.abs(state) - 1) <= atol)

    def from_real(self, p: Float[Array, "..."]) -> Complex[Array, "..."]:
        """Return exp(j p)."""
        return jax.lax.complex(jnp.cos(p), jnp.sin(p))

    def to_real(self, state: Complex[Array, "..."]) -> Float[Array, "..."]:
        """Return the phase in (-pi, pi]."""
        return jnp.angle(state)


class QuantizedPhase(FeasibleSet):
    """Lossless transmission with the 2^bits phases 2 pi m / 2^bits.

    >>> import jax.numpy as jnp
    >>> QuantizedPhase(shape=(1,), bits=1).project(jnp.array([1j - 0.1])).real.tolist()
    [-1.0]
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    bits: int = eqx.field(static=True)
    smooth: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        if self.bits < 1:
            raise ConfigError(f"bits: a phase needs at least 1 bit, got {self.bits}")

    @classmethod
    def example(cls) -> "QuantizedPhase":
        """Return a small instance."""
        return cls(shape=(2, 3), bits=2)

    def random(self, key: Key[Array, ""], batch: tuple[int, ...] = ()) -> Complex[Array, "..."]:
        """Draw levels uniformly."""
        return self._level(jax.random.randint(key, batch + self.shape, 0, 2**self.bits))

    def project(self, x: Complex[Array, "..."]) -> Complex[Array, "..."]:
        """Return the nearest level (ties: round half to even)."""
        return self._level(self.levels(x))

    def levels(self, x: Complex[Array, "..."]) -> Array:
        """Return the level number m of the nearest phase, 0 <= m < 2^bits: the control word of the element."""
        return jnp.mod(jnp.round(jnp.angle(x) * 2**self.bits / (2 * math.pi)), 2**self.bits).astype(int)

    def contains(self, state: Complex[Array, "..."], atol: float = 1e-9) -> Bool[Array, ""]:
        """Tell whether every entry is a level up to `atol`."""
        return jnp.all(jnp.abs(state - self.project(state)) <= atol)

    def _level(self, m: Array) -> Complex[Array, "..."]:
        phase = m * (2 * math.pi / 2**self.bits)
        return jax.lax.complex(jnp.cos(phase), jnp.sin(phase))


class Fixed(FeasibleSet):
    """Nothing to tune: the state of a surface without tunable elements has no entries."""

    shape: tuple[int, ...] = eqx.field(static=True, default=(0,))
    smooth: bool = eqx.field(static=True, default=True)

    @classmethod
    def example(cls) -> "Fixed":
        """Return a small instance."""
        return cls()

    def random(self, key: Key[Array, ""], batch: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Return the empty state."""
        return jnp.zeros(batch + self.shape)

    def project(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the argument."""
        return x

    def contains(self, state: Float[Array, "..."], atol: float = 1e-9) -> Bool[Array, ""]:
        """Return true."""
        return jnp.array(True)

    def from_real(self, p: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the argument."""
        return p

    def to_real(self, state: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the argument."""
        return state
