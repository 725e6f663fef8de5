"""Feasible sets: which states a surface can take; `shape` is that of one surface, batch axes lead."""

import math
from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact, Int, Key

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

    @property
    def largest_modulus(self) -> float:
        """Return the largest modulus of an entry: one, unless a set amplifies or attenuates all of its states."""
        return 1.0

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

    @property
    def circle(self) -> tuple[complex, float]:
        """Return centre and radius of the circle that the entries lie on."""
        return 0j, 1.0

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


class PhaseDependentAmplitude(FeasibleSet):
    """Elements that lose more at some phases: |state| = b(theta), arg(state) = theta.

    Model of a resonant element with one varactor (Abeywickrama et al. 2020, eq. 5):
    b(theta) = (1 - floor) ((sin(theta - centre) + 1) / 2)^steepness + floor.

    Attributes:
        floor: amplitude where the element loses most, in (0, 1].
        steepness: 0 for constant amplitude one.
        centre: phase half a turn's quarter before the amplitude is largest [rad].

    >>> import jax.numpy as jnp
    >>> lossy = PhaseDependentAmplitude.of((1,), floor=0.2, steepness=1.6, centre=0.43 * jnp.pi)
    >>> [round(float(abs(lossy.from_real(jnp.array([t])))[0]), 3) for t in (0.0, 0.93 * jnp.pi)]
    [0.201, 1.0]
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    floor: Float[Array, ""]
    steepness: Float[Array, ""]
    centre: Float[Array, ""]
    smooth: bool = eqx.field(static=True, default=True)

    @classmethod
    def of(
        cls, shape: tuple[int, ...], *, floor: float, steepness: float = 1.6, centre: float = 0.43 * math.pi
    ) -> "PhaseDependentAmplitude":
        """Make the set; the defaults are those of the source.

        Raises:
            ConfigError: if the floor does not lie in (0, 1] or the steepness is negative.
        """
        if not 0 < floor <= 1:
            raise ConfigError(f"floor: the least amplitude must lie in (0, 1], got {floor}")
        if not steepness >= 0:
            raise ConfigError(f"steepness: must not be negative, got {steepness}")
        low, steep, turn = (jnp.asarray(value, float) for value in (floor, steepness, centre))
        return cls(shape=shape, floor=low, steepness=steep, centre=turn)

    @classmethod
    def example(cls) -> "PhaseDependentAmplitude":
        """Return a small instance."""
        return cls.of((2, 3), floor=0.5)

    def random(self, key: Key[Array, ""], batch: tuple[int, ...] = ()) -> Complex[Array, "..."]:
        """Draw phases uniform on the circle."""
        return self.from_real(jax.random.uniform(key, batch + self.shape, maxval=2 * math.pi))

    def project(self, x: Complex[Array, "..."]) -> Complex[Array, "..."]:
        """Return the nearest state: the best of a grid of phases, refined by bisection of the distance's slope."""
        x = jnp.asarray(x, complex)
        grid = jnp.arange(_GRID) * (2 * math.pi / _GRID)
        start = grid[jnp.argmin(jnp.abs(x[..., None] - self.from_real(grid)), -1)]
        member = self.from_real(jnp.angle(x))

        def slope(theta: Array) -> Array:
            value, tangent = jax.jvp(self.from_real, (theta,), (jnp.ones_like(theta),))
            return ((value - x).conj() * tangent).real

        def halve(_: Int[Array, ""], ends: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = ends
            middle = (low + high) / 2
            rising = slope(middle) > 0
            return jnp.where(rising, low, middle), jnp.where(rising, middle, high)

        width = 2 * math.pi / _GRID
        low, high = jax.lax.fori_loop(0, 50, halve, (start - width, start + width))
        nearest = self.from_real((low + high) / 2)
        # Members stay as they are, to the last bit that their own phase gives.
        return jnp.where(jnp.abs(member - x) <= jnp.abs(nearest - x), member, nearest)

    def contains(self, state: Complex[Array, "..."], atol: float = 1e-9) -> Bool[Array, ""]:
        """Tell whether every entry lies on the curve up to `atol`."""
        return jnp.all(jnp.abs(state - self.from_real(jnp.angle(state))) <= atol)

    def from_real(self, p: Float[Array, "..."]) -> Complex[Array, "..."]:
        """Return b(p) exp(j p)."""
        share = (jnp.sin(p - self.centre) + 1) / 2
        # The power's slope at zero is not finite for exponents below one; zero itself is harmless there.
        inside = jnp.where(share > 0, share, 1.0)
        amplitude = (1 - self.floor) * jnp.where(share > 0, inside**self.steepness, 0.0**self.steepness) + self.floor
        return jax.lax.complex(amplitude * jnp.cos(p), amplitude * jnp.sin(p))

    def to_real(self, state: Complex[Array, "..."]) -> Float[Array, "..."]:
        """Return the phase in (-pi, pi]."""
        return jnp.angle(state)


_GRID = 64
