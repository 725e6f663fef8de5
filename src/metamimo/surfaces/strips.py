"""Parallel strips of elements, each fed by one RF chain: microstrip holograms and hybrid arrays in rows."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.conventions import require_x64
from metamimo.errors import ConfigError, ShapeError
from metamimo.geometry.planar import strip_positions
from metamimo.linalg import squared_norm
from metamimo.physics.guides import Feeding, strip_wave
from metamimo.physics.patterns import Isotropic
from metamimo.surfaces.base import Surface
from metamimo.surfaces.feasible import FeasibleSet
from metamimo.surfaces.hologram_sets import LorentzianCircle


class StripArray(Surface):
    """Strips of elements, the wave of every chain reaching the elements of its own strip only.

    Signal model: x = diag(state) V a with V = blkdiag(v_1, ..., v_S), v_s the wave at the elements of strip s that one
    sqrt(W) of port wave makes (Zhi et al. 2025, eqs. 1 and 2). Elements are counted strip by strip.

    A unit wave at every element, as in the source, has no energy balance: `energy_gain` says how many watts a state
    radiates per watt of port wave. `passive` scales the wave so that no state radiates more than the ports accept; then
    it is the weakest of all such feeds.

    Attributes:
        wave: v, strip by strip.
        feasible: set of states of shape (elements,).
        coupling: C of the elements.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> rows = StripArray.build(np.full((2, 4), 0.5), np.eye(8), feasible=LorentzianCircle(shape=(8,)))
    >>> round(float(rows.energy_gain(jnp.full(8, 1j))), 12)
    1.0
    """

    wave: Complex[Array, "port per_port"]
    feasible: FeasibleSet
    coupling: Inexact[Array, "1 element element"]
    n_ports: int = eqx.field(static=True)
    n_elements: int = eqx.field(static=True)

    @classmethod
    def build(
        cls, wave: np.ndarray, coupling: np.ndarray, *, feasible: FeasibleSet, passive: bool = False
    ) -> "StripArray":
        """Make the array from the wave on its strips and the coupling matrix of its elements.

        Args:
            wave: v, shape (strips, elements of a strip); `metamimo.physics.guides.strip_wave` for a microstrip,
                1/sqrt(N) throughout for a divider of a hybrid array.
            coupling: C of the elements, shape (n, n), n = strips times elements of a strip.
            feasible: set of states of shape (n,).
            passive: whether the wave is scaled so that no state radiates more than the ports accept.

        Returns:
            The surface.

        Raises:
            ShapeError: if the shapes do not fit.
            ConfigError: if double precision is off.
        """
        require_x64(cls.__name__)
        if wave.ndim != 2:
            raise ShapeError(f"wave: must have a row a strip, got shape {wave.shape}")
        if coupling.shape != (wave.size, wave.size):
            raise ShapeError(f"coupling: must have shape {(wave.size, wave.size)}, got {coupling.shape}")
        if feasible.shape != (wave.size,):
            raise ShapeError(f"feasible: must hold states of shape {(wave.size,)}, got {feasible.shape}")
        if passive:
            strongest = (np.abs(wave) ** 2).sum(1).max() * feasible.largest_modulus**2
            wave = wave / np.sqrt(strongest * np.linalg.eigvalsh(coupling)[-1])
        return cls(
            wave=jnp.asarray(wave, complex),
            feasible=feasible,
            coupling=jnp.asarray(coupling)[None],
            n_ports=wave.shape[0],
            n_elements=wave.size,
        )

    @classmethod
    def example(cls) -> "StripArray":
        """Return two centre-fed microstrips of four resonant elements, scaled to be passive."""
        wave = strip_wave(4, 0.25, attenuation=0.1, wavenumber=2.8 * np.pi, feeding="centre", split=True)
        coupling = Isotropic().coupling(strip_positions(2, 4, 0.25, 0.5), 1.0)
        return cls.build(np.tile(wave, (2, 1)), coupling, feasible=LorentzianCircle(shape=(8,)), passive=True)

    def response(self, state: Inexact[Array, " element"]) -> Complex[Array, "1 element port"]:
        """Return diag(state) V."""
        excited = state.reshape(self.wave.shape) * self.wave
        return (excited[:, :, None] * jnp.eye(self.n_ports)[:, None]).reshape(1, self.n_elements, self.n_ports)

    def rows_forward(
        self, state: Inexact[Array, " element"], rows: Complex[Array, "freq *rest element"]
    ) -> tuple[Complex[Array, "freq *rest port"], Complex[Array, "freq *rest element"]]:
        """Return rows @ A(state), strip by strip."""
        excited = state.reshape(self.wave.shape) * self.wave
        return (rows.reshape(*rows.shape[:-1], *self.wave.shape) * excited).sum(-1), rows

    def rows_backward(
        self,
        state: Inexact[Array, " element"],
        kept: Complex[Array, "freq *rest element"],
        cotangent: Complex[Array, "freq *rest port"],
    ) -> Inexact[Array, " element"]:
        """Return the cotangent of the state: rows times the wave times the cotangent of their port, summed."""
        each = kept.reshape(*kept.shape[:-1], *self.wave.shape) * cotangent[..., None]
        pulled = (each.reshape(-1, *self.wave.shape).sum(0) * self.wave).ravel()
        return pulled if jnp.iscomplexobj(state) else pulled.real

    def factors(self) -> tuple[Complex[Array, "element element"], Complex[Array, "element port"]]:
        """Return I and V."""
        identity = jnp.eye(self.n_elements, dtype=complex)
        return identity, self.response(jnp.ones(self.n_elements))[0]

    def gain_limits(self) -> Float[Array, " port"]:
        """Return |v_s|^2 times the largest |state|^2: columns without a common element are orthogonal."""
        return self.feasible.largest_modulus**2 * jnp.sort(squared_norm(self.wave, 1))[::-1]


def microstrip(
    strips: int,
    per_strip: int,
    *,
    wavelength: float,
    spacing: float,
    strip_spacing: float,
    attenuation: float,
    wavenumber: float,
    feasible: FeasibleSet,
    feeding: Feeding = "left",
    split: bool = False,
    passive: bool = False,
) -> StripArray:
    """Return a hologram of microstrips with isotropic elements.

    Signal model: x = diag(state) blockdiag(v, ..., v) w, w the waves of the RF chains and v that along a strip
    (Zhi et al. 2025, eqs. 1 and 2).

    Args:
        strips: microstrips, that is RF chains.
        per_strip: elements of a strip.
        wavelength: wavelength in free space [m].
        spacing: distance between the elements of a strip [m].
        strip_spacing: distance between strips [m].
        attenuation: of the guided wave's amplitude [Np/m].
        wavenumber: of the guided wave [rad/m].
        feasible: set of states of shape (strips * per_strip,).
        feeding: `left` or `centre`.
        split: whether a centre feed divides its power between the two halves.
        passive: see `StripArray.build`.

    Returns:
        The surface.

    Raises:
        ConfigError: if a number is out of its range.

    >>> import jax
    >>> from metamimo.surfaces.hologram_sets import OnOff
    >>> jax.config.update("jax_enable_x64", True)
    >>> surface = microstrip(
    ...     2, 3, wavelength=0.01, spacing=0.0025, strip_spacing=0.005, attenuation=5.0, wavenumber=900.0,
    ...     feasible=OnOff((6,)),
    ... )
    >>> surface.response(jnp.ones(6)).shape
    (1, 6, 2)
    """
    if not wavelength > 0 or not strip_spacing > 0:
        raise ConfigError(f"wavelength, strip_spacing: must be positive, got {wavelength}, {strip_spacing}")
    wave = strip_wave(per_strip, spacing, attenuation=attenuation, wavenumber=wavenumber, feeding=feeding, split=split)
    coupling = Isotropic().coupling(strip_positions(strips, per_strip, spacing, strip_spacing), wavelength)
    return StripArray.build(np.tile(wave, (strips, 1)), coupling, feasible=feasible, passive=passive)
