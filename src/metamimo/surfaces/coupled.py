"""Stacked metasurface of coupled dipoles: a model that conserves energy for every state."""

from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.conventions import require_x64
from metamimo.errors import ConfigError
from metamimo.geometry.planar import grid_positions, line_positions
from metamimo.linalg import cmatmul
from metamimo.physics.dipoles import dipole_coupling, lattice_constant, plane_wave_rows
from metamimo.surfaces.base import Surface
from metamimo.surfaces.feasible import FeasibleSet, UnitModulus

Budget = Literal["accepted", "available"]

_NARROWEST = 0.2
"""Least layer spacing [wavelengths]: closer atoms are no point dipoles."""
_WIDEST = 0.7
_FLOOR = 1e-14


class CoupledStack(Surface):
    """Layers of lossless electric and magnetic dipole pairs, all coupled by the exact field, antennas included.

    Signal model: moments X a with X = S Lambda, Lambda = (I - G S)^-1 F for the port currents a of short dipole
    antennas over a ground plane, S = diag(alpha) and phi = exp(-j theta) the transmission of an atom in an infinite
    layer; Z = I + j (G_s + F^T X) is the impedance of the ports over that of a lone antenna. Element excitations are
    the moments of all dipoles, [X; I] a, and x^H C x is the radiated power with C = I - Im G. phi = 1 is an atom that
    is not there: a layer of such atoms changes nothing.

    Port waves: with the budget `accepted`, b = R^(1/2) a with R = Re Z, through a lossless network that decouples and
    matches the ports whatever the state, the best case. With `available`, b are the waves of generators with unit
    resistance, a = 2 (Z + I)^-1 b: what the ports reflect is lost, and counts against the limit.

    Currents and moments are in sqrt(W): alone in free space, a dipole of amplitude x radiates |x|^2. The equations are
    those of coupled dipoles (Purcell and Pennypacker 1973), with pairs of electric and magnetic ones.

    Attributes:
        atoms: dipole-dipole coupling G of the atoms over gamma, electric ones first, layer by layer.
        feed: field F at the atoms per unit current of an antenna.
        antennas: coupling G_s among the antennas, images included.
        damping: kappa / gamma, damping of a dipole in an infinite layer over that of a lone one.
        pole: coefficient of 1 - phi in 1 / alpha, over gamma: interaction constant, radiation and loss.
        absorption: power that an atom absorbs per |moment|^2.
        positions: of the atoms, then of the antennas [m].
        wavelengths: of the frequencies [m].
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
    # C^(-1/2) of the first frequency, and 1 / lambda_min(C) of all.
    _whitening: Float[Array, "element element"]
    _largest_gain: Float[Array, ""]
    feasible: FeasibleSet
    n_ports: int = eqx.field(static=True)
    n_elements: int = eqx.field(static=True)
    budget: Budget = eqx.field(static=True)
    backplane: bool = eqx.field(static=True)

    @classmethod
    def build(
        cls,
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
    ) -> "CoupledStack":
        """Make an evenly spaced stack over a line of antennas.

        Args:
            n_layers: layers, 0 for the bare array.
            n_elements: atoms a layer.
            n_ports: antennas.
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
        >>> stack = CoupledStack.build(n_layers=2, n_elements=9, n_ports=2, wavelength=0.01)
        >>> gain = jax.jit(lambda key: stack.energy_gain(stack.feasible.random(key)))(jax.random.key(0))
        >>> round(float(gain), 12)
        1.0
        """
        require_x64("CoupledStack")
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

        layers = [grid_positions(n_elements, pitch, height + first + i * gap) for i in range(n_layers)]
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
        values, vectors = np.linalg.eigh(coupling)
        values = np.maximum(values, _FLOOR)
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
            _whitening=jnp.asarray(vectors[0] / np.sqrt(values[0])),
            _largest_gain=jnp.asarray(1 / values.min()),
            feasible=feasible,
            n_ports=n_ports,
            n_elements=n + n_ports,
            budget=budget,
            backplane=backplane,
        )

    @classmethod
    def example(cls) -> "CoupledStack":
        """Return two layers of four atoms over four antennas."""
        return cls.build(n_layers=2, n_elements=4, n_ports=4, wavelength=1.0)

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
        return self._seen(state, jnp.zeros((self.feed.shape[0], 0, self.n_elements), complex))[1]

    def response(self, state: Complex[Array, "..."]) -> Complex[Array, "freq element port"]:
        """Return [X; I] times the port currents per port wave."""
        alpha = self.polarisabilities(state)
        lam = _fields(alpha, self.atoms, self.feed)
        moments = alpha[..., None] * lam
        impedance = self._impedance(_symmetric(cmatmul(self.feed.swapaxes(1, 2), moments)))
        currents = self._currents(impedance)
        ports = jnp.broadcast_to(jnp.eye(self.n_ports, dtype=complex), currents.shape)
        return cmatmul(jnp.concatenate([moments, ports], axis=1), currents)

    def apply_rows(
        self, state: Complex[Array, "..."], rows: Complex[Array, "freq *rest element"]
    ) -> Complex[Array, "freq *rest port"]:
        """Return rows @ A(state) from one factorisation, whose derivative needs no other."""
        # Rows of all subcarriers are one batch where the surface has one frequency.
        flat = rows.reshape(self.feed.shape[0], -1, self.n_elements)
        gain, impedance = self._seen(state, flat)
        return cmatmul(gain, self._currents(impedance)).reshape(*rows.shape[:-1], self.n_ports)

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

    def gain_limits(self) -> Float[Array, " mode"]:
        """Return 1 / lambda_min(C): radiated power x^H C x never exceeds |b|^2."""
        return jnp.full(self.n_ports, self._largest_gain)

    def envelope(
        self, rows: Complex[Array, "*rest element"]
    ) -> tuple[Complex[Array, "*rest element"], Float[Array, " mode"]] | None:
        """Return rows C^(-1/2) with gains of one: C^(1/2) A never amplifies, whatever the state.

        None on a grid of several frequencies, each of which has a C of its own.
        """
        if self.coupling.shape[0] > 1:
            return None
        return cmatmul(rows, self._whitening.astype(rows.dtype)), jnp.ones(self.n_ports)

    def plane_wave_rows(
        self, directions: Float[np.ndarray, "wave 3"], polarisations: Complex[np.ndarray, "wave 3"], freq: int = 0
    ) -> Complex[Array, "wave element"]:
        """Return the rows that plane waves from some directions see, in the order of the elements.

        Args:
            directions: unit vectors towards the receivers.
            polarisations: unit vectors orthogonal to them.
            freq: which frequency of the grid.
        """
        atoms = (self.n_elements - self.n_ports) // 2
        places, wavelength = np.asarray(self.positions), float(self.wavelengths[freq])
        rows = plane_wave_rows(places, places[:atoms], directions, polarisations, wavelength, backplane=self.backplane)
        electric, feeds, magnetic = np.split(rows, [atoms, atoms + self.n_ports], axis=1)
        return jnp.asarray(np.concatenate([electric, magnetic, feeds], axis=1))

    def _seen(self, state: Array, rows: Array) -> tuple[Array, Array]:
        """Return rows @ [X; I] and Z."""
        atoms = self.feed.shape[1]
        incident = jnp.concatenate([self.feed, rows[..., :atoms].swapaxes(1, 2)], axis=2)
        product = jax.vmap(_scattered)(self.polarisabilities(state), self.atoms, incident)
        gain = rows[..., atoms:] + product[:, self.n_ports :, : self.n_ports]
        return gain, self._impedance(product[:, : self.n_ports, : self.n_ports])

    def _impedance(self, product: Array) -> Array:
        return jnp.eye(self.n_ports) + 1j * (self.antennas + product)

    def _currents(self, impedance: Complex[Array, "freq port port"]) -> Complex[Array, "freq port port"]:
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


def _symmetric(a: Array) -> Array:
    return (a + a.swapaxes(-1, -2)) / 2


def _fields(alpha: Array, coupling: Array, incident: Array) -> Array:
    """Return the local fields (I - G S)^-1 F."""
    matrix = jnp.eye(alpha.shape[-1]) - coupling * alpha[..., None, :]
    return jnp.linalg.solve(matrix, incident)


@jax.custom_vjp
def _scattered(
    alpha: Complex[Array, " atom"], coupling: Complex[Array, "atom atom"], incident: Complex[Array, "atom wave"]
) -> Complex[Array, "wave wave"]:
    """Return K = F^T S (I - G S)^-1 F: what comes back of every wave to every other; symmetric by reciprocity.

    dK = Lambda^T dS Lambda with the fields Lambda = (I - G S)^-1 F: the derivative takes no other factorisation.
    """
    return _scattered_fwd(alpha, coupling, incident)[0]


def _scattered_fwd(alpha: Array, coupling: Array, incident: Array) -> tuple[Array, tuple[Array, Array]]:
    lam = _fields(alpha, coupling, incident)
    return _symmetric(cmatmul(incident.T, alpha[:, None] * lam)), (alpha, lam)


def _scattered_bwd(kept: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array, Array]:
    alpha, lam = kept
    weight = _symmetric(cotangent)
    pulled = cmatmul(lam, weight)
    moments = alpha[:, None] * lam
    # Of S: lambda^T dS lambda; of G: X^T dG X; of F: dF^T X and its transpose.
    return (pulled * lam).sum(1), cmatmul(alpha[:, None] * pulled, moments.T), 2 * alpha[:, None] * pulled


_scattered.defvjp(_scattered_fwd, _scattered_bwd)


@jax.custom_jvp
def inverse_root(a: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Return a^(-1/2) of a positive definite matrix; equal eigenvalues do not disturb its derivative."""
    values, vectors = jnp.linalg.eigh(a)
    return (vectors / jnp.sqrt(values)) @ vectors.T  # real product


@inverse_root.defjvp
def _inverse_root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """In the eigenbasis, (f_i - f_j) / (v_i - v_j) = -1 / (s_i s_j (s_i + s_j)) with s the roots of the eigenvalues."""
    (a,), (da,) = primals, tangents
    values, vectors = jnp.linalg.eigh(a)
    s = jnp.sqrt(values)
    inner = vectors.T @ da @ vectors  # real product
    inner = -inner / (s[:, None] * s * (s[:, None] + s))
    return (vectors / s) @ vectors.T, vectors @ inner @ vectors.T  # real product
