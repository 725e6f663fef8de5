"""What stacks of electric and magnetic dipole pairs share: geometry, atoms, ports, powers and far field."""

from abc import abstractmethod
from functools import partial
from typing import Any, Literal, TypeVar, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.conventions import require_x64
from metamimo.errors import ConfigError
from metamimo.geometry.planar import grid_positions, line_positions
from metamimo.linalg import cmatmul, inverse_root
from metamimo.physics.dipole_pairs import DipolePairs
from metamimo.physics.dipoles import dipole_coupling, lattice_constant
from metamimo.surfaces.base import Surface
from metamimo.surfaces.feasible import FeasibleSet, UnitModulus
from metamimo.surfaces.passive import whitened

Budget = Literal["accepted", "available"]
Stack = TypeVar("Stack", bound="DipoleStack")

_NARROWEST = 0.2
"""Least layer spacing [wavelengths]: closer atoms are no point dipoles."""
_WIDEST = 0.7


class DipoleStack(Surface):
    """Layers of electric and magnetic dipole pairs over a line of short dipole antennas on a ground plane.

    A subclass says how the dipoles act on each other, in `moments_and_impedance`. Element excitations are the moments
    of all dipoles, [X; I] a, and x^H C x is the radiated power with C = I - Im G. phi = exp(-j theta) is the
    transmission of an atom in an infinite layer, and phi = 1 is an atom that is not there.

    Port waves: with the budget `accepted`, b = R^(1/2) a with R = Re Z, through a lossless network that decouples and
    matches the ports whatever the state, the best case. With `available`, b are the waves of generators with unit
    resistance, a = 2 (Z + I)^-1 b: what the ports reflect is lost, and counts against the limit.

    Currents and moments are in sqrt(W): alone in free space, a dipole of amplitude x radiates |x|^2.

    Attributes:
        atoms: dipole-dipole coupling G of the atoms over gamma, electric ones first, layer by layer.
        feed: field F at the atoms per unit current of an antenna.
        antennas: coupling G_s among the antennas, images included.
        damping: kappa / gamma, damping of a dipole in an infinite layer over that of a lone one.
        pole: coefficient of 1 - phi in 1 / alpha, over gamma: interaction constant, radiation and loss.
        absorption: power that an atom absorbs per |moment|^2.
        positions: of the atoms, then of the antennas [m].
        wavelengths: of the frequencies [m].
        whitening: C^(-1/2) of the first frequency.
        largest_gain: 1 / lambda_min(C), the largest over the frequencies.
        backplane: whether the plane z = 0 conducts.
    """

    atoms: Complex[Array, "freq atom atom"]
    feed: Complex[Array, "freq atom port"]
    antennas: Complex[Array, "freq port port"]
    damping: Float[Array, " freq"]
    pole: Complex[Array, " freq"]
    absorption: Float[Array, " freq"]
    coupling: Inexact[Array, "freq element element"]
    positions: Float[Array, "place 3"]
    wavelengths: Float[Array, " freq"]
    whitening: Float[Array, "element element"]
    largest_gain: Float[Array, ""]
    feasible: FeasibleSet
    n_ports: int = eqx.field(static=True)
    n_elements: int = eqx.field(static=True)
    budget: Budget = eqx.field(static=True)
    backplane: bool = eqx.field(static=True)

    @classmethod
    def build(
        cls: type[Stack],
        *,
        n_layers: int,
        n_elements: int,
        n_ports: int,
        wavelength: float,
        element_spacing: float | None = None,
        layer_spacing: float | None = None,
        feed_distance: float | None = None,
        antenna_spacing: float | None = None,
        antenna_height: float | None = None,
        loss: float = 0.0,
        balanced: bool = True,
        backplane: bool = True,
        budget: Budget = "accepted",
        quality: float = 10.0,
        detuning: tuple[float, ...] = (1.0,),
        feasible: FeasibleSet | None = None,
    ) -> Stack:
        """Make an evenly spaced stack over a line of antennas.

        Args:
            n_layers: layers, 0 for the bare array.
            n_elements: atoms a layer, on a grid that is as square as it can be, with the longer side along x.
            n_ports: antennas, on a line along x.
            wavelength: wavelength at the carrier [m].
            element_spacing: pitch of the atoms; half a wavelength by default [m].
            layer_spacing: distance between layers, at least a fifth of a wavelength; half of one by default [m].
            feed_distance: distance from the antennas to the first layer; `layer_spacing` by default [m].
            antenna_spacing: pitch of the antennas along x; half a wavelength by default [m].
            antenna_height: height of the antennas over the plane z = 0; a quarter wavelength by default [m].
            loss: q, loss of an atom over its damping in a layer; the worst phase transmits (1 - q) / (1 + q).
            balanced: one phase an atom; otherwise electric and magnetic dipoles have their own.
            backplane: whether the plane z = 0 conducts.
            budget: what the port waves count, see above.
            quality: quality factor of the atoms away from the carrier.
            detuning: frequencies of the grid over the carrier.
            feasible: set of states, (n_layers, n_elements) or (2, n_layers, n_elements); unit modulus by default.

        Returns:
            The surface.

        Raises:
            ConfigError: if a length, count, loss, factor or budget is out of its range.

        >>> import jax
        >>> jax.config.update("jax_enable_x64", True)
        >>> from metamimo.surfaces.coupled import CoupledStack
        >>> stack = CoupledStack.build(n_layers=2, n_elements=9, n_ports=2, wavelength=0.01)
        >>> gain = jax.jit(lambda key: stack.energy_gain(stack.feasible.random(key)))(jax.random.key(0))
        >>> round(float(gain), 12)
        1.0
        """
        require_x64(cls.__name__)
        half = wavelength / 2
        pitch = half if element_spacing is None else element_spacing
        gap = half if layer_spacing is None else layer_spacing
        first = gap if feed_distance is None else feed_distance
        height = half / 2 if antenna_height is None else antenna_height
        spread = half if antenna_spacing is None else antenna_spacing
        lengths = {"wavelength": wavelength, "antenna_spacing": spread, "antenna_height": height, "quality": quality}
        for name, length in lengths.items():
            if not length > 0:
                raise ConfigError(f"{name}: must be positive, got {length}")
        for name, count, least in (("n_layers", n_layers, 0), ("n_elements", n_elements, 1), ("n_ports", n_ports, 1)):
            if count < least:
                raise ConfigError(f"{name}: must be at least {least}, got {count}")
        if not 0 < pitch <= _WIDEST * wavelength:
            raise ConfigError(f"element_spacing: must lie in (0, {_WIDEST}] wavelengths, got {pitch / wavelength:g}")
        for name, length in (("layer_spacing", gap), ("feed_distance", first)):
            if not length >= _NARROWEST * wavelength:
                raise ConfigError(
                    f"{name}: point dipoles need at least {_NARROWEST} wavelengths, got {length / wavelength:g}"
                )
        if not loss >= 0:
            raise ConfigError(f"loss: must not be negative, got {loss}")
        if budget not in get_args(Budget):
            raise ConfigError(f"budget: must be one of {', '.join(get_args(Budget))}, got {budget!r}")
        if not detuning or not min(detuning) > 0:
            raise ConfigError(f"detuning: frequencies over the carrier must be positive, got {detuning}")
        shape = (n_layers, n_elements) if balanced else (2, n_layers, n_elements)
        feasible = UnitModulus(shape=shape) if feasible is None else feasible
        if feasible.shape != shape:
            raise ConfigError(f"feasible: must hold states of shape {shape}, got {feasible.shape}")

        place = partial(grid_positions, n_elements, pitch, long_side="x")
        layers = [place(height + first + i * gap) for i in range(n_layers)]
        atoms = np.concatenate([np.zeros((0, 3)), *layers])
        feeds = line_positions(n_ports, spread) + np.array([0, 0, height])
        n = 2 * len(atoms)
        # Antennas are electric dipoles: of all couplings, those of atoms come first.
        order = np.concatenate([np.arange(len(atoms)), len(atoms) + n_ports + np.arange(len(atoms))])
        order = np.concatenate([order, len(atoms) + np.arange(n_ports)])
        grid = wavelength / np.asarray(detuning, float)
        electric = np.concatenate([atoms, feeds])
        every = np.stack([dipole_coupling(electric, atoms, w, backplane=backplane) for w in grid])
        every = every[:, order[:, None], order]
        damping, pole, absorption = _atom(pitch / wavelength, loss, quality, np.asarray(detuning, float))
        coupling = np.eye(n + n_ports) - np.imag(every)
        whitening, largest_gain = whitened(coupling)
        return cls(
            atoms=jnp.asarray(every[:, :n, :n]),
            feed=jnp.asarray(every[:, :n, n:]),
            antennas=jnp.asarray(every[:, n:, n:]),
            damping=jnp.asarray(damping),
            pole=jnp.asarray(pole),
            absorption=jnp.asarray(absorption),
            coupling=jnp.asarray(coupling),
            positions=jnp.asarray(electric),
            wavelengths=jnp.asarray(grid),
            whitening=whitening,
            largest_gain=largest_gain,
            feasible=feasible,
            n_ports=n_ports,
            n_elements=n + n_ports,
            budget=budget,
            backplane=backplane,
        )

    @abstractmethod
    def moments_and_impedance(
        self, state: Complex[Array, "..."]
    ) -> tuple[Complex[Array, "freq atom port"], Complex[Array, "freq port port"]]:
        """Return the moments X of the atoms per unit port current, and Z of the ports over that of a lone antenna."""

    def elements(self) -> tuple[Float[np.ndarray, "element 3"], DipolePairs]:
        """Return the dipoles: electric ones of the atoms, magnetic ones at the same places, then the antennas."""
        places, atoms = np.asarray(self.positions), (self.n_elements - self.n_ports) // 2
        magnetic = np.repeat([False, True, False], [atoms, atoms, self.n_ports])
        positions = np.concatenate([places[:atoms], places])
        return positions, DipolePairs(tuple(magnetic.tolist()), self.backplane)

    def polarisabilities(self, state: Complex[Array, "..."]) -> Complex[Array, "freq atom"]:
        """Return alpha gamma of every dipole, electric ones first.

        1 / (alpha gamma) = j damping (1 + phi) / (1 - phi) + pole: the impedance of a lossless resonator, whose
        imaginary part is one; regular at phi = 1, where the atom is not there.
        """
        both = state if state.ndim == 3 else jnp.stack([state, state])
        phi = both.ravel()
        return (1 - phi) / (1j * self.damping[:, None] * (1 + phi) + self.pole[:, None] * (1 - phi))

    def impedance(self, state: Complex[Array, "..."]) -> Complex[Array, "freq port port"]:
        """Return Z of the ports over that of a lone antenna; symmetric."""
        return self.moments_and_impedance(state)[1]

    def response(self, state: Complex[Array, "..."]) -> Complex[Array, "freq element port"]:
        """Return [X; I] times the port currents per port wave."""
        moments, impedance = self.moments_and_impedance(state)
        ports = jnp.broadcast_to(jnp.eye(self.n_ports, dtype=complex), impedance.shape)
        return cmatmul(jnp.concatenate([moments, ports], axis=1), self.currents(impedance))

    def apply_rows(
        self, state: Complex[Array, "..."], rows: Complex[Array, "freq *rest element"]
    ) -> Complex[Array, "freq *rest port"]:
        """Return rows @ A(state)."""
        flat = rows.reshape(self.feed.shape[0], -1, self.n_elements)
        return cmatmul(flat, self.response(state)).reshape(*rows.shape[:-1], self.n_ports)

    def rows_forward(
        self, state: Complex[Array, "..."], rows: Complex[Array, "freq *rest element"]
    ) -> tuple[Complex[Array, "freq *rest port"], Any]:
        """Return rows @ A(state) and the map of cotangents, which holds the factored solution."""
        return jax.vjp(lambda s: self.apply_rows(s, rows), state)

    def rows_backward(
        self, state: Complex[Array, "..."], kept: Any, cotangent: Complex[Array, "freq *rest port"]
    ) -> Complex[Array, "..."]:
        """Return the cotangent of the state."""
        return kept(cotangent)[0]

    def absorbed_power(self, state: Complex[Array, "..."]) -> Complex[Array, "freq port port"]:
        """Return M such that port waves F lose tr(F^H M F) watts in the atoms."""
        moments = self.response(state)[:, : -self.n_ports]
        return self.absorption[:, None, None] * cmatmul(moments.conj().swapaxes(1, 2), moments)

    def plane_wave_rows(
        self,
        directions: Float[Array | np.ndarray, "*wave 3"],
        polarisations: Inexact[Array | np.ndarray, "*wave 3"],
        freq: int = 0,
    ) -> Complex[Array, "*wave element"]:
        """Return the rows that plane waves from some directions see, in the order of the elements.

        The gain over isotropic of port waves b of one watt is |row A(state) b|^2.

        Args:
            directions: unit vectors towards the receivers.
            polarisations: unit vectors orthogonal to them, that the field is multiplied with.
            freq: which frequency of the grid.

        Returns:
            Gain amplitudes: atoms' electric dipoles, their magnetic ones, then the antennas.
        """
        wavenumber = 2 * jnp.pi / self.wavelengths[freq]
        atoms = (self.n_elements - self.n_ports) // 2
        # An electric dipole is seen by its part across the direction; a magnetic one is turned by 90 degrees.
        seen_electric = polarisations[..., :1]
        seen_magnetic = -1j * jnp.cross(directions, polarisations)[..., 1:2]

        def phases(positions: Array) -> Array:
            return jnp.exp(1j * wavenumber * (directions[..., None, :] * positions).sum(-1))

        direct = phases(self.positions)
        image = phases(self.positions * jnp.array([1, 1, -1])) if self.backplane else jnp.zeros(())
        electric, magnetic = seen_electric * (direct - image), seen_magnetic * (direct + image)[..., :atoms]
        rows = [electric[..., :atoms], magnetic, electric[..., atoms:]]
        return jnp.sqrt(1.5) * jnp.concatenate(rows, axis=-1)

    def currents(self, impedance: Complex[Array, "freq port port"]) -> Complex[Array, "freq port port"]:
        """Return the port currents per port wave."""
        if self.budget == "accepted":
            resistance = (impedance.real + impedance.real.swapaxes(1, 2)) / 2
            return jax.vmap(inverse_root)(resistance).astype(complex)
        return 2 * jnp.linalg.inv(impedance + jnp.eye(self.n_ports))


def _atom(
    pitch: float, loss: float, quality: float, detuning: Float[np.ndarray, " freq"]
) -> tuple[Float[np.ndarray, " freq"], Complex[np.ndarray, " freq"], Float[np.ndarray, " freq"]]:
    """Return damping, pole and absorption of a Lorentz resonator that is tuned at the carrier.

    1 / alpha = (w_0^2 - w^2) / (F w^2) + j (gamma + loss kappa) with F = 1 / (quality kappa); a state sets w_0 so that
    it means the same transmission at the carrier for every quality factor.
    """
    kappa, c = 3 / (4 * np.pi * pitch**2), lattice_constant(pitch)
    # Over gamma of the carrier; gamma of another frequency is detuning^3 times that.
    gamma, x = detuning**3, 1 / detuning**2
    reactance = c * x + (x - 1) * quality * kappa
    return kappa * x / gamma, reactance / gamma + 1j * (1 + loss * kappa / gamma), loss * kappa / gamma
