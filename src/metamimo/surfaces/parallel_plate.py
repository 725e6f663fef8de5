"""Parallel-plate waveguide with tunable slots in its upper plate, fed by thin wires: an antenna with exact coupling."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.conventions import SPEED_OF_LIGHT, require_x64
from metamimo.errors import ConfigError, ShapeError
from metamimo.geometry.planar import displacements, feed_line, grid_positions
from metamimo.linalg import cmatmul, hermitian, inverse_root, solve
from metamimo.physics.parallel_plate import (
    feed_fields,
    feed_impedance,
    guide_coupling,
    guide_power,
    half_space_coupling,
    half_space_damping,
    radiation_damping,
    reference_strength,
)
from metamimo.physics.patterns import DipoleOnPlane
from metamimo.physics.wires import WAVE_IMPEDANCE
from metamimo.surfaces.base import Surface
from metamimo.surfaces.feasible import FeasibleSet
from metamimo.surfaces.resonance import ResonanceStrength

_CLOSEST = 1 / 8
"""Least distance of slots without evanescent modes [wavelengths]: nearer, these are a fifth of a coupling and more."""

PortMatrix = Complex[Array, "freq port port"]


class GuidePowers(NamedTuple):
    """Matrices M such that feed currents F carry tr(F^H M F) watts; accepted = radiated + guided + absorbed.

    Attributes:
        accepted: by the feeds, half of the real part of the input impedance.
        radiated: by the slots into the half space.
        guided: what leaves through the guide.
        extracted: what the slots take from the field of the feeds; equals radiated + scattered + absorbed.
        scattered: by the slots into the guide.
        absorbed: by lossy slots.
    """

    accepted: PortMatrix
    radiated: PortMatrix
    guided: PortMatrix
    extracted: PortMatrix
    scattered: PortMatrix
    absorbed: PortMatrix


class ParallelPlateDMA(Surface):
    """Dynamic metasurface antenna: an air-filled parallel-plate guide with wire feeds and slots that are all coupled.

    Signal model: ports carry feed currents i [A, peak], element excitations are x = u_0 m [sqrt(W)] with the magnetic
    moments m = alpha (I - G alpha)^-1 H_f i and u_0^2 = (k eta / 2) k^3 / 3 pi (eqs. 1-4, 10 of the spec of the
    cell-free DMA paper). Every slot has the polarisability 1 / alpha = (k_0^2 - k^2) / (F k^2) + j (gamma +
    gamma_loss); its state is x = F / F_ref (`ResonanceStrength`). All fields are kept in units of kappa = k^3 / 3 pi,
    in which a lone slot radiates |x|^2.

    The real state x and the excitations x share their letter in the literature; here excitations are the rows of
    `response`.

    Port currents are no waves: |i|^2 (kind "port") is the idealised budget of the source, `accepted` is what the feeds
    really take. A state never creates energy, whatever its sign. Without coupling (`coupling=False`) slots do not act
    on each other, as a designer may assume; then the powers of `powers` do not balance.

    Attributes:
        guide: G / kappa.
        feed: sqrt(k eta / 2 kappa) H_f [sqrt(ohm)].
        detuning: (k_0^2 - k^2) / (k^2 F_ref kappa) of every slot.
        damping: (gamma + gamma_loss) / kappa.
        absorption: gamma_loss / kappa.
        scattering: B^wg / kappa.
        wires: Z_b of the feeds without slots [ohm].
        unit: u_0 [sqrt(W) / (A m^2)].
        positions: of the slots [m].
        frequencies: the grid [Hz].
        coupled: whether slots act on each other.
    """

    guide: Complex[Array, "freq element element"]
    feed: Complex[Array, "freq element port"]
    detuning: Float[Array, "freq element"]
    damping: Float[Array, " freq"]
    absorption: Float[Array, " freq"]
    scattering: Float[Array, "freq element element"]
    wires: Complex[Array, "freq port port"]
    coupling: Inexact[Array, "freq element element"]
    unit: Float[Array, " freq"]
    positions: Float[Array, "element 3"]
    frequencies: Float[Array, " freq"]
    feasible: FeasibleSet
    n_ports: int = eqx.field(static=True)
    n_elements: int = eqx.field(static=True)
    coupled: bool = eqx.field(static=True)

    @classmethod
    def build(
        cls,
        slots: Float[np.ndarray, "slot 3"],
        feeds: Float[np.ndarray, "feed 3"],
        *,
        frequencies: Float[np.ndarray, " freq"],
        resonance: float | Float[np.ndarray, " slot"],
        height: float,
        carrier: float | None = None,
        wire_radius: float = 1e-4,
        guide_modes: int = 0,
        loss: float = 0.0,
        coupling: bool = True,
        feasible: FeasibleSet | None = None,
    ) -> "ParallelPlateDMA":
        """Make the antenna for a grid of subcarriers.

        Args:
            slots: positions in the plane z = 0 [m].
            feeds: positions of the wires in the plane z = 0 [m].
            frequencies: of the subcarriers [Hz].
            resonance: f_0 of all slots or of each, outside of the band; above it for a causal element [Hz].
            height: h of the guide, below half a wavelength [m].
            carrier: where F_ref is taken; the mean of the frequencies by default [Hz].
            wire_radius: a of the feeds [m].
            guide_modes: evanescent modes of the guide that couple the slots: none in the source, 20 are accurate.
            loss: gamma_loss over gamma at the carrier.
            coupling: whether slots act on each other.
            feasible: set of real states of shape (slots,); strengths up to 10 by default.

        Returns:
            The surface.

        Raises:
            ShapeError: if positions, resonances or the set do not fit together.
            ConfigError: if a number is out of its range, a resonance lies in the band, slots or feeds are too near to
                each other, or double precision is off.
        """
        require_x64(cls.__name__)
        frequencies = np.asarray(frequencies, float)
        carrier = float(np.sum(frequencies) / max(len(frequencies), 1)) if carrier is None else carrier
        resonances = np.broadcast_to(np.asarray(resonance, float), np.shape(resonance) or (len(slots),))
        _check_numbers(frequencies, resonances, carrier, height, wire_radius, guide_modes, loss)
        _check_places(slots, feeds, SPEED_OF_LIGHT / frequencies.max(), wire_radius, guide_modes)
        feasible = ResonanceStrength((len(slots),)) if feasible is None else feasible
        if feasible.shape != (len(slots),):
            raise ShapeError(f"feasible: must hold states of shape {(len(slots),)}, got {feasible.shape}")
        if resonances.shape != (len(slots),):
            raise ShapeError(f"resonance: must be one number or one a slot, got shape {resonances.shape}")

        k_0, k_c = (2 * np.pi / SPEED_OF_LIGHT * np.asarray(f) for f in (resonances, carrier))
        reference = reference_strength(float(k_c), k_0, height)
        lost = loss * radiation_damping(float(k_c), height)
        parts: dict[str, list[Any]] = {name: [] for name in _ARRAYS}
        for k in (2 * np.pi / SPEED_OF_LIGHT * frequencies).tolist():
            kappa = half_space_damping(k)
            own = guide_coupling(slots, k, height, guide_modes) + half_space_coupling(slots, k)
            values = (
                own / kappa if coupling else np.zeros_like(own),
                np.sqrt(k * WAVE_IMPEDANCE / (2 * kappa)) * feed_fields(slots, feeds, k),
                (k_0**2 - k**2) / (k**2 * reference * kappa),
                (radiation_damping(k, height) + lost) / kappa,
                lost / kappa,
                guide_power(slots, k, height) / kappa,
                feed_impedance(feeds, k, height, wire_radius),
                DipoleOnPlane().coupling(slots, 2 * np.pi / k),
                np.sqrt(k * WAVE_IMPEDANCE / 2 * kappa),
            )
            for name, value in zip(_ARRAYS, values, strict=True):
                parts[name].append(value)
        return cls(
            **{name: jnp.asarray(np.array(values)) for name, values in parts.items()},
            positions=jnp.asarray(slots),
            frequencies=jnp.asarray(frequencies),
            feasible=feasible,
            n_ports=len(feeds),
            n_elements=len(slots),
            coupled=coupling,
        )

    @classmethod
    def on_grid(cls, n_elements: int, n_ports: int, spacing: float, **options: Any) -> "ParallelPlateDMA":
        """Make the antenna with slots on a grid and feeds on a line between its columns.

        Args:
            n_elements: slots, on the grid of `grid_positions`.
            n_ports: feeds, on the line of `feed_line`.
            spacing: distance between neighbouring slots [m].
            **options: of `build`.

        Returns:
            The surface.

        Raises:
            ConfigError: if a count or length is out of its range, or see `build`.

        >>> import jax
        >>> jax.config.update("jax_enable_x64", True)
        >>> options = {"frequencies": np.array([10e9]), "resonance": 10.1e9, "height": 5e-3}
        >>> antenna = ParallelPlateDMA.on_grid(4, 2, 7.5e-3, **options)
        >>> powers = antenna.powers(jnp.array([0.2, 1.0, 3.0, 0.0]))
        >>> bool(jnp.abs(powers.accepted - powers.radiated - powers.guided).max() < 1e-9 * powers.accepted.real.max())
        True
        """
        if not 0 < spacing < np.inf:
            raise ConfigError(f"spacing: must be positive and finite, got {spacing}")
        return cls.build(grid_positions(n_elements, spacing), feed_line(n_ports, n_elements, spacing), **options)

    @classmethod
    def example(cls) -> "ParallelPlateDMA":
        """Return eight slots with two feeds on two subcarriers."""
        return cls.on_grid(
            8, 2, 7.5e-3, frequencies=np.array([9.98e9, 10.02e9]), resonance=10.1e9, height=5e-3, guide_modes=2
        )

    @property
    def ports_are_waves(self) -> bool:
        """Return false: ports carry currents."""
        return False

    def elements(self) -> tuple[Float[np.ndarray, "element 3"], DipoleOnPlane]:
        """Return the slots: x = u_0 m are magnetic dipoles on a conducting plane, of which one alone radiates |x|^2."""
        return np.asarray(self.positions), DipoleOnPlane()

    def polarisabilities(self, state: Float[Array, " element"]) -> Complex[Array, "freq element"]:
        """Return kappa alpha of every slot (eq. 4); zero, and regular, at zero strength."""
        return state / jax.lax.complex(self.detuning, self.damping[:, None] * state)

    def local_fields(
        self, state: Float[Array, " element"], incident: Complex[Array, "freq element wave"]
    ) -> Complex[Array, "freq element wave"]:
        """Return (I - G alpha)^-1 times incident fields: what slots see, their neighbours included (eq. 10)."""
        if not self.coupled:
            return incident
        eye = jnp.eye(self.n_elements)

        def one(each: tuple[Array, Array, Array]) -> Array:
            guide, polarisability, fields = each
            return solve(eye - guide * polarisability, fields)

        # One factorisation after another: a large batch of them is given to the threads that also run the program, and
        # two such batches at once wait for each other for ever (jaxlib 0.10). A matrix built here stays in the cache.
        return jax.lax.map(one, (self.guide, self.polarisabilities(state), incident))

    def response(self, state: Float[Array, " element"]) -> Complex[Array, "freq element port"]:
        """Return u_0 T = u_0 alpha (I - G alpha)^-1 H_f [sqrt(W) / A]; its derivative reuses the factorisation."""
        return self.polarisabilities(state)[..., None] * self.local_fields(state, self.feed)

    def apply_rows(
        self, state: Float[Array, " element"], rows: Complex[Array, "freq *rest element"]
    ) -> Complex[Array, "freq *rest port"]:
        """Return rows @ A(state)."""
        return cmatmul(self._flat(rows), self.response(state)).reshape(*rows.shape[:-1], self.n_ports)

    def rows_forward(
        self, state: Float[Array, " element"], rows: Complex[Array, "freq *rest element"]
    ) -> tuple[Complex[Array, "freq *rest port"], tuple[Array, Array]]:
        """Return rows @ A(state), and the fields of feeds and rows: one factorisation serves the gradient, too."""
        flat = self._flat(rows)
        incident = jnp.concatenate([self.feed, flat.swapaxes(1, 2)], axis=2)
        fields = self.local_fields(state, incident)
        of_feeds, of_rows = fields[..., : self.n_ports], fields[..., self.n_ports :]
        out = cmatmul(flat * self.polarisabilities(state)[:, None, :], of_feeds)
        return out.reshape(*rows.shape[:-1], self.n_ports), (of_feeds, of_rows)

    def rows_backward(
        self,
        state: Float[Array, " element"],
        kept: tuple[Array, Array],
        cotangent: Complex[Array, "freq *rest port"],
    ) -> Float[Array, " element"]:
        """Return the cotangent of the state: alpha' times the fields of feeds and rows in every slot (eqs. 22, 29)."""
        of_feeds, of_rows = kept
        flat = cotangent.reshape(self.feed.shape[0], -1, self.n_ports)
        each = (cmatmul(of_feeds, flat.swapaxes(1, 2)) * of_rows).sum(2)
        # The damping depends on the strength, too: alpha' = r / (r + j d x)^2 with alpha = x / (r + j d x).
        slope = self.detuning / jax.lax.complex(self.detuning, self.damping[:, None] * state) ** 2
        return (slope * each).real.sum(0)

    def impedance(self, state: Float[Array, " element"]) -> PortMatrix:
        """Return Z_in = Z_b + j k eta H_f^T T of the feeds (2.4) [ohm]; symmetric."""
        return self._impedance(self.response(state))

    def accepted_power(self, state: Float[Array, " element"]) -> PortMatrix:
        """Return Re(Z_in) / 2: feed currents F take tr(F^H M F) watts."""
        return self.impedance(state).real.astype(complex) / 2

    def powers(self, state: Float[Array, " element"]) -> GuidePowers:
        """Return all powers of 2.4, from one factorisation."""
        x = self.response(state)

        def quadratic(matrix: Inexact[Array, "freq element element"]) -> PortMatrix:
            return cmatmul(hermitian(x), cmatmul(matrix.astype(complex), x))

        def hermitian_part(matrix: PortMatrix) -> PortMatrix:
            return (matrix + hermitian(matrix)) / 2

        scattered = quadratic(self.scattering)
        crossed = cmatmul(self.feed.imag.astype(complex).swapaxes(1, 2), x)
        return GuidePowers(
            accepted=self._impedance(x).real.astype(complex) / 2,
            radiated=quadratic(self.coupling),
            guided=self.wires.real / 2 + scattered - 2 * hermitian_part(crossed),
            extracted=hermitian_part(1j * cmatmul(hermitian(self.feed), x)),
            scattered=scattered,
            absorbed=self.absorption[:, None, None] * cmatmul(hermitian(x), x),
        )

    def energy_gain(self, state: Float[Array, " element"]) -> Float[Array, ""]:
        """Return the most watts that are radiated per accepted watt."""
        accepted, radiated = self.accepted_power(state), self.power_matrix(state, "radiated")
        root = jax.vmap(inverse_root)(accepted)
        return jnp.linalg.norm(cmatmul(root, cmatmul(radiated, root)), ord=2, axis=(-2, -1)).max()

    def _flat(self, rows: Complex[Array, "freq *rest element"]) -> Complex[Array, "grid row element"]:
        """Return the rows of all subcarriers as one batch where the surface has one frequency."""
        return rows.reshape(self.feed.shape[0], -1, self.n_elements)

    def _impedance(self, response: Complex[Array, "freq element port"]) -> PortMatrix:
        mutual = cmatmul(self.feed.swapaxes(1, 2), response)
        return self.wires + 1j * (mutual + mutual.swapaxes(1, 2))


_ARRAYS = ("guide", "feed", "detuning", "damping", "absorption", "scattering", "wires", "coupling", "unit")


def _check_numbers(
    frequencies: Float[np.ndarray, " freq"],
    resonances: Float[np.ndarray, " slot"],
    carrier: float,
    height: float,
    wire_radius: float,
    guide_modes: int,
    loss: float,
) -> None:
    """Refuse numbers that describe no antenna."""
    several = {"frequencies": frequencies, "resonance": resonances}
    for name, values in several.items():
        if values.ndim != 1 or not values.size or not (np.isfinite(values) & (values > 0)).all():
            raise ConfigError(f"{name}: must be positive and finite, got {values.tolist()}")
    for name, value in {"carrier": carrier, "height": height, "wire_radius": wire_radius}.items():
        if not 0 < value < np.inf:
            raise ConfigError(f"{name}: must be positive and finite, got {value}")
    if not 0 <= loss < np.inf:
        raise ConfigError(f"loss: must not be negative, got {loss}")
    if guide_modes < 0:
        raise ConfigError(f"guide_modes: must not be negative, got {guide_modes}")
    low, high = min(frequencies.min(), carrier), max(frequencies.max(), carrier)
    inside = resonances[(resonances >= low) & (resonances <= high)]
    if inside.size:
        raise ConfigError(
            f"resonance: must lie outside of the band {low:g} to {high:g} Hz, where no strength tunes a slot, "
            f"got {inside[0]:g} Hz"
        )
    half = SPEED_OF_LIGHT / high / 2
    if not height < half:
        raise ConfigError(f"height: the guide carries one mode below half a wavelength, {half:g} m, got {height:g} m")


def _check_places(
    slots: Float[np.ndarray, "slot 3"],
    feeds: Float[np.ndarray, "feed 3"],
    wavelength: float,
    wire_radius: float,
    guide_modes: int,
) -> None:
    """Refuse places at which the model of points and thin wires breaks down."""
    for name, places in (("slots", slots), ("feeds", feeds)):
        if not len(places) or not np.isfinite(places).all() or (places[:, 2] != 0).any():
            raise ConfigError(f"{name}: needs at least one finite position in the plane z = 0, got {places.tolist()}")
    nearest = _nearest(slots, slots)
    least = 0.0 if guide_modes else _CLOSEST * wavelength
    if not nearest > 0 or nearest < least * (1 - 1e-9):
        raise ConfigError(
            f"slots: must be at least {least:g} m apart with guide_modes={guide_modes}, got {nearest:g} m; "
            "guide_modes=20 counts the evanescent modes that couple near slots"
        )
    for name, others in (("slot", slots), ("feed", feeds)):
        nearest = _nearest(feeds, others)
        if not nearest > wire_radius:
            raise ConfigError(
                f"feeds: must be farther than the wire radius {wire_radius:g} m from every {name}, got {nearest:g} m"
            )


def _nearest(these: Float[np.ndarray, "a 3"], those: Float[np.ndarray, "b 3"]) -> float:
    """Return the smallest distance of two different places."""
    distance = np.linalg.norm(displacements(these, those), axis=-1)
    if these is those:
        distance = distance + np.where(np.eye(len(these), dtype=bool), np.inf, 0)
    return float(distance.min())
