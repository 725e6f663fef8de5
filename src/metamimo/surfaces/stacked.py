"""Stacked intelligent metasurface: programmable transmissive layers in front of a small antenna array."""

from functools import partial
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact, Int

from metamimo.conventions import db_to_linear, require_x64
from metamimo.errors import ConfigError, ShapeError
from metamimo.geometry.planar import grid_positions, line_positions
from metamimo.linalg import cmatmul, matmul_planes, planes
from metamimo.physics.diffraction import propagation_matrix
from metamimo.physics.kernels import Kernel
from metamimo.physics.patterns import ElementPattern, FieldSample
from metamimo.surfaces.base import Surface
from metamimo.surfaces.feasible import FeasibleSet, UnitModulus

AntennaArray = Literal["grid", "line"]
Hops = tuple[Float[Array, "3 element element"], ...]
"""Planes of each hop, or of the one that serves all."""


class StackedSurface(Surface):
    """Layers of phase-shifting elements with free propagation between them (Perović et al. 2024, eq. 2).

    Signal model: x = Phi^L W^L ... Phi^2 W^2 Phi^1 W^1 a, Phi^l = diag(state[l]). The number of layers is data:
    arrays hold the deepest stack of a sweep and `n_layers` says how many layers exist, so one compiled program serves
    them all. `apply_rows` carries the few rows of the user side through the layers, never an N x N product, and its
    closed-form gradient covers the state and the rows; the surface's own arrays get zero from it: differentiate
    `response` for geometry.

    Attributes:
        first: W^1 from the ports to the first layer.
        hops: W^2, W^3, ...; one entry where all hops are equal (evenly spaced layers).
        n_layers: number of layers L in use.
    """

    first: Complex[Array, "element port"]
    hops: Complex[Array, "hop element element"]
    n_layers: Int[Array, ""]
    coupling: Inexact[Array, "1 element element"]
    feasible: FeasibleSet
    n_ports: int = eqx.field(static=True)
    n_elements: int = eqx.field(static=True)
    # Squared singular values of W^1 and of every hop, as many as W^1 has.
    _first_gains: Float[Array, " mode"]
    _hop_gains: Float[Array, "hop mode"]
    # Prepared copies for the hot path, forwards and backwards.
    _first: Float[Array, "3 element port"]
    _first_t: Float[Array, "3 port element"]
    _hops: Hops
    _hops_t: Hops

    def __init__(
        self,
        first: Complex[np.ndarray, "element port"],
        hops: Complex[np.ndarray, "hop element element"],
        coupling: Inexact[np.ndarray, "element element"],
        *,
        n_layers: int,
        max_layers: int | None = None,
        feasible: FeasibleSet | None = None,
    ) -> None:
        """Make a stack from its propagation matrices.

        Args:
            first: W^1, shape (n, ports).
            hops: W^2 ... W^L, shape (L_max - 1, n, n), or (1, n, n) if all are equal.
            coupling: C of the elements of the last layer, shape (n, n).
            n_layers: layers in use.
            max_layers: layers that the state has room for; `n_layers` by default.
            feasible: set of states of shape (max_layers, n); unit modulus by default.

        Raises:
            ConfigError: if the number of layers is below 1 or above `max_layers`, or double precision is off.
            ShapeError: if the matrices do not fit together.
        """
        require_x64("StackedSurface")
        max_layers = n_layers if max_layers is None else max_layers
        if not 1 <= n_layers <= max_layers:
            raise ConfigError(f"n_layers: must lie between 1 and max_layers = {max_layers}, got {n_layers}")
        n, ports = first.shape
        if hops.shape[1:] != (n, n) or (hops.shape[0] != 1 and hops.shape[0] < max_layers - 1):
            raise ShapeError(f"hops: must have shape (1 or {max_layers - 1}, {n}, {n}), got {hops.shape}")
        if coupling.shape != (n, n):
            raise ShapeError(f"coupling: must have shape ({n}, {n}), got {coupling.shape}")
        feasible = UnitModulus(shape=(max_layers, n)) if feasible is None else feasible
        if feasible.shape != (max_layers, n):
            raise ShapeError(f"feasible: must hold states of shape ({max_layers}, {n}), got {feasible.shape}")
        self.first, self.hops = jnp.asarray(first, complex), jnp.asarray(hops, complex)
        self.n_layers = jnp.asarray(n_layers)
        self.coupling = jnp.asarray(coupling)[None]
        self.feasible, self.n_ports, self.n_elements = feasible, ports, n
        self._first_gains = jnp.asarray(_squared_singular_values(first))
        self._hop_gains = jnp.asarray(_squared_singular_values(hops)[:, : min(n, ports)])
        self._first, self._first_t = planes(self.first), planes(self.first.T)
        self._hops = tuple(planes(self.hops))
        # Even stacks of equal grids are reciprocal, W = W^T: one copy stays in the cache instead of two.
        self._hops_t = (
            self._hops if np.array_equal(hops, hops.swapaxes(1, 2)) else tuple(planes(self.hops.swapaxes(1, 2)))
        )

    @classmethod
    def build(
        cls,
        *,
        n_layers: int,
        n_elements: int,
        n_ports: int,
        wavelength: float,
        element_spacing: float,
        antenna_spacing: float,
        layer_spacing: float,
        pattern: ElementPattern,
        feed_distance: float | None = None,
        kernel: Kernel = "sampled",
        insertion_loss_db: float = 0.0,
        max_layers: int | None = None,
        antenna_array: AntennaArray = "grid",
        feasible: FeasibleSet | None = None,
    ) -> "StackedSurface":
        """Make an evenly spaced stack of square-pitch grids in front of an antenna array.

        Args:
            n_layers: layers in use.
            n_elements: elements a layer.
            n_ports: antennas.
            wavelength: wavelength [m].
            element_spacing: pitch of the elements, whose area is its square [m].
            antenna_spacing: pitch of the antennas [m].
            layer_spacing: distance between layers [m].
            pattern: pattern of the elements, which sets their coupling matrix.
            feed_distance: distance from the antennas to the first layer [m]; `layer_spacing` by default.
            kernel: discretisation of the propagation, see `metamimo.physics.diffraction`.
            insertion_loss_db: power loss of every layer [dB], not negative.
            max_layers: layers that the state has room for.
            antenna_array: antennas on a `grid` that is as square as it can be, or on a `line`, which the longer side of
                a layer then follows.
            feasible: set of states of shape (max_layers, n_elements); unit modulus by default.

        Returns:
            The surface.

        Raises:
            ConfigError: if a length is not positive, a count below 1, the loss negative, or the kernel or the antenna
                array unknown.

        >>> import jax
        >>> jax.config.update("jax_enable_x64", True)
        >>> from metamimo.physics.patterns import Isotropic
        >>> stack = StackedSurface.build(n_layers=2, n_elements=9, n_ports=4, wavelength=0.05, element_spacing=0.025,
        ...                              antenna_spacing=0.025, layer_spacing=0.025, pattern=Isotropic())
        >>> stack.response(stack.feasible.random(jax.random.key(0))).shape
        (1, 9, 4)
        """
        if not insertion_loss_db >= 0:
            raise ConfigError(f"insertion_loss_db: must not be negative, got {insertion_loss_db}")
        for name, count in (("n_layers", n_layers), ("n_elements", n_elements), ("n_ports", n_ports)):
            if count < 1:
                raise ConfigError(f"{name}: must be at least 1, got {count}")
        feed_distance = layer_spacing if feed_distance is None else feed_distance
        lengths = {
            "element_spacing": element_spacing,
            "antenna_spacing": antenna_spacing,
            "layer_spacing": layer_spacing,
            "feed_distance": feed_distance,
        }
        for name, length in lengths.items():
            if not length > 0:
                raise ConfigError(f"{name}: must be positive, got {length}")
        area = element_spacing**2
        if antenna_array not in get_args(AntennaArray):
            raise ConfigError(
                f"antenna_array: must be one of {', '.join(get_args(AntennaArray))}, got {antenna_array!r}"
            )
        on_line = antenna_array == "line"
        antennas = (line_positions if on_line else grid_positions)(n_ports, antenna_spacing)
        place = partial(grid_positions, n_elements, element_spacing, long_side="x" if on_line else "y")
        layer, following = place(feed_distance), place(feed_distance + layer_spacing)
        transmission = db_to_linear(-insertion_loss_db) ** 0.5
        first = transmission * propagation_matrix(layer, antennas, wavelength, area, kernel)
        hop = transmission * propagation_matrix(following, layer, wavelength, area, kernel)
        coupling = pattern.coupling(layer, wavelength)
        return cls(first, hop[None], coupling, n_layers=n_layers, max_layers=max_layers, feasible=feasible)

    @classmethod
    def example(cls) -> "StackedSurface":
        """Return two layers of nine elements in a state with room for three, fed by four antennas; passive kernel."""
        pattern = FieldSample(0.25)
        return cls.build(
            n_layers=2,
            max_layers=3,
            n_elements=9,
            n_ports=4,
            wavelength=1.0,
            element_spacing=0.5,
            antenna_spacing=0.5,
            layer_spacing=0.5,
            pattern=pattern,
            kernel="band_limited",
        )

    @property
    def n_tunable(self) -> Array:
        """Number of elements of the layers in use, L N."""
        return self.n_layers * self.n_elements

    def response(self, state: Complex[Array, "layer element"]) -> Complex[Array, "1 element port"]:
        """Return B = Phi^L W^L ... Phi^1 W^1; differentiable in everything, at the price of all L_max layers."""

        def layer(b: Array, l: Array) -> tuple[Array, None]:
            hop = self.hops[jnp.minimum(l - 1, self.hops.shape[0] - 1)]
            return jnp.where(l < self.n_layers, state[l][:, None] * cmatmul(hop, b), b), None

        b = state[0][:, None] * self.first
        return jax.lax.scan(layer, b, jnp.arange(1, state.shape[0]))[0][None]

    def carry_columns(
        self, state: Complex[Array, "layer element"], columns: Complex[Array, "element column"], layer: Array
    ) -> Complex[Array, "element column"]:
        """Carry columns that arrive at the layer below through it and the hop to `layer` (at least 1)."""
        hop = self.hops[jnp.minimum(layer - 1, self.hops.shape[0] - 1)]
        return cmatmul(hop, state[layer - 1][:, None] * columns)

    def apply_rows(
        self, state: Complex[Array, "layer element"], rows: Complex[Array, "freq *rest element"]
    ) -> Complex[Array, "freq *rest port"]:
        """Return rows @ B with the closed-form gradient."""
        flat = rows.reshape(-1, self.n_elements)
        arrays = (self._first, self._first_t, self._hops, self._hops_t)
        return _rows(state, flat, arrays, self.n_layers).reshape(*rows.shape[:-1], self.n_ports)

    def energy_gain(self, state: Complex[Array, "layer element"]) -> Float[Array, ""]:
        """Return the largest eigenvalue of B^H B: the propagation between planes counts |x|^2 as power, without C."""
        return jnp.linalg.norm(self.response(state)[0], ord=2) ** 2

    def gain_limits(self) -> Float[Array, " mode"]:
        """Return prod_l s_i(W^l)^2 over the layers in use: phases of at most unit modulus do not enter."""
        hops = jnp.broadcast_to(
            self._hop_gains, (max(self.feasible.shape[0] - 1, self._hop_gains.shape[0]), self._first_gains.size)
        )
        used = jnp.arange(hops.shape[0])[:, None] < self.n_layers - 1
        return self._first_gains * jnp.where(used, hops, 1).prod(0)

    def rows_forward(
        self, state: Complex[Array, "layer element"], rows: Complex[Array, "freq *rest element"]
    ) -> tuple[Complex[Array, "freq *rest port"], Any]:
        """Return rows @ B and the rows as they reach every layer."""
        out, kept = _sweep_down(state, rows.reshape(-1, self.n_elements), self._first, self._hops, self.n_layers)
        return out.reshape(*rows.shape[:-1], self.n_ports), kept

    def rows_backward(
        self, state: Complex[Array, "layer element"], kept: Any, cotangent: Complex[Array, "freq *rest port"]
    ) -> Complex[Array, "layer element"]:
        """Return the cotangent of all layers in one sweep (Perović et al. 2024, eqs. 33 and 53 in thin form)."""
        flat = cotangent.reshape(-1, self.n_ports)
        return _sweep_up(state, kept, flat, self._first_t, self._hops_t, self.n_layers)[0]


def _squared_singular_values(a: Complex[np.ndarray, "*batch m n"]) -> Float[np.ndarray, "*batch mode"]:
    """Return them largest first, raised by the backward error of their computation."""
    value = np.linalg.svd(a, compute_uv=False)
    return (value + 8 * max(a.shape[-2:]) * np.finfo(value.dtype).eps * value[..., :1]) ** 2


def _hop(rows: Complex[Array, "row element"], hops: Hops, layer: Array) -> Complex[Array, "row element"]:
    """Return rows @ W^(layer+1); a branch for every hop, because indexing one array would copy it at each product."""
    if len(hops) == 1:
        return matmul_planes(rows, hops[0])
    return jax.lax.switch(layer - 1, [lambda x, w=w: matmul_planes(x, w) for w in hops], rows)


def _at(x: Array, layer: Array) -> Array:
    """Return x[layer]; without the checks of an index from outside, which are three kernels a layer on a CPU."""
    return jax.lax.dynamic_index_in_dim(x, layer, keepdims=False, allow_negative_indices=False)


def _put(x: Array, value: Array, layer: Array) -> Array:
    """Return x with x[layer] = value; without those checks."""
    return jax.lax.dynamic_update_index_in_dim(x, value, layer, 0, allow_negative_indices=False)


def _sweep_down(
    state: Array, rows: Array, first: Array, hops: Hops, n_layers: Array
) -> tuple[Complex[Array, "row port"], Complex[Array, "layer row element"]]:
    """Carry rows from the user side to the ports; keep them as they meet each layer."""
    kept = jnp.zeros((state.shape[0], *rows.shape), rows.dtype)

    def layer(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x, kept = carry
        l = n_layers - 1 - i
        return _hop(x * _at(state, l), hops, l), _put(kept, x, l)

    x, kept = jax.lax.fori_loop(0, n_layers - 1, layer, (rows, kept))
    return matmul_planes(x * state[0], first), kept.at[0].set(x)


def _sweep_up(
    state: Array, kept: Array, cotangent: Array, first_t: Array, hops_t: Hops, n_layers: Array
) -> tuple[Complex[Array, "layer element"], Complex[Array, "row element"]]:
    """Carry a cotangent from the ports to the user side; collect the gradient of every layer on the way."""
    y = matmul_planes(cotangent, first_t)
    gradient = jnp.zeros_like(state).at[0].set((y * kept[0]).sum(0))

    def layer(l: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        y, gradient = carry
        y = _hop(y, hops_t, l)
        return y * _at(state, l), _put(gradient, (y * _at(kept, l)).sum(0), l)

    y, gradient = jax.lax.fori_loop(1, n_layers, layer, (y * state[0], gradient))
    return gradient, y


@jax.custom_vjp
def _rows(state: Array, rows: Array, arrays: tuple[Array, Array, Hops, Hops], n_layers: Array) -> Array:
    first, _, hops, _ = arrays
    return _sweep_down(state, rows, first, hops, n_layers)[0]


def _rows_fwd(state: Array, rows: Array, arrays: tuple[Array, Array, Hops, Hops], n_layers: Array) -> tuple:
    first, _, hops, _ = arrays
    out, kept = _sweep_down(state, rows, first, hops, n_layers)
    return out, (state, kept, arrays, n_layers)


def _rows_bwd(residuals: tuple, cotangent: Array) -> tuple:
    state, kept, arrays, n_layers = residuals
    _, first_t, _, hops_t = arrays
    gradient, rows = _sweep_up(state, kept, cotangent, first_t, hops_t, n_layers)
    return gradient, rows, jax.tree.map(jnp.zeros_like, arrays), None


_rows.defvjp(_rows_fwd, _rows_bwd)
