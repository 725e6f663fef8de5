"""Feasible sets of holographic elements: switched on or off, or resonant with coupled amplitude and phase."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact, Key

from metamimo.errors import ConfigError
from metamimo.surfaces.feasible import FeasibleSet, UnitModulus


class OnOff(FeasibleSet):
    """Elements that radiate with amplitude c or not at all, state in {0, c} (Zhi et al. 2025, section II).

    Attributes:
        shape: shape of one state.
        amplitude: c, positive.

    >>> import jax.numpy as jnp
    >>> OnOff(shape=(3,)).project(jnp.array([0.7 + 2j, 0.2, -1.0])).tolist()
    [1.0, 0.0, 0.0]
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    smooth: bool = eqx.field(static=True, default=False)
    amplitude: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        if not self.amplitude > 0:
            raise ConfigError(f"amplitude: must be positive, got {self.amplitude}")

    @classmethod
    def example(cls) -> "OnOff":
        """Return a small instance, whose amplitude is not one."""
        return cls(shape=(2, 3), amplitude=0.8)

    @property
    def largest_modulus(self) -> float:
        """Return c."""
        return self.amplitude

    def random(self, key: Key[Array, ""], batch: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Draw every element with a fair coin."""
        return self.amplitude * jax.random.bernoulli(key, shape=batch + self.shape).astype(float)

    def project(self, x: Inexact[Array, "..."]) -> Float[Array, "..."]:
        """Return the nearer of the two amplitudes (eq. 29); c at equal distance."""
        return self.amplitude * (jnp.real(x) >= self.amplitude / 2).astype(float)

    def contains(self, state: Inexact[Array, "..."], atol: float = 1e-9) -> Bool[Array, ""]:
        """Tell whether every entry is one of the two amplitudes up to `atol`."""
        return jnp.all(jnp.abs(state - self.project(state)) <= atol)


class LorentzianCircle(FeasibleSet):
    """Resonant elements, state (j + e^(j phi)) / 2: amplitude and phase lie on one circle (Zhi et al. 2025, eq. 3).

    The circle passes through 0 (resonance far away) and j (in resonance). Read as a polarisability under exp(+jwt) it
    has the wrong sign of a passive element: the state is minus its polarisability over that in resonance, since an
    aperture radiates as the opposite dipole. No rate depends on that common sign.

    >>> import jax.numpy as jnp
    >>> circle = LorentzianCircle(shape=(2,))
    >>> circle.project(jnp.array([3j, 1.0 + 0.5j])).tolist()
    [1j, (0.5+0.5j)]
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    smooth: bool = eqx.field(static=True, default=True)

    @property
    def circle(self) -> tuple[complex, float]:
        """Return centre and radius of the circle that the entries lie on."""
        return 0.5j, 0.5

    @classmethod
    def example(cls) -> "LorentzianCircle":
        """Return a small instance."""
        return cls(shape=(2, 3))

    def random(self, key: Key[Array, ""], batch: tuple[int, ...] = ()) -> Complex[Array, "..."]:
        """Draw phi uniform on the circle."""
        return self.from_real(jax.random.uniform(key, batch + self.shape, maxval=2 * math.pi))

    def project(self, x: Inexact[Array, "..."]) -> Complex[Array, "..."]:
        """Return the nearest point of the circle (eq. 30)."""
        return (1j + UnitModulus(self.shape).project(2 * x - 1j)) / 2

    def contains(self, state: Inexact[Array, "..."], atol: float = 1e-9) -> Bool[Array, ""]:
        """Tell whether every entry lies on the circle up to `atol`."""
        return jnp.all(jnp.abs(jnp.abs(2 * state - 1j) - 1) <= 2 * atol)

    def from_real(self, p: Float[Array, "..."]) -> Complex[Array, "..."]:
        """Return (j + e^(jp)) / 2."""
        return jax.lax.complex(jnp.cos(p) / 2, (1 + jnp.sin(p)) / 2)

    def to_real(self, state: Inexact[Array, "..."]) -> Float[Array, "..."]:
        """Return phi in (-pi, pi]."""
        return jnp.angle(2 * state - 1j)
