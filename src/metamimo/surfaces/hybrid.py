"""Hybrid arrays: few RF chains behind a network of phase shifters, fully connected or in sub-arrays.

What the network loses decides every comparison, so each loss is a choice of its own:

* Dividers (one input to m outputs, 1/sqrt(m) each) are lossless. Combiners (m inputs to one output, 1/sqrt(m) each)
  are lossless for equal inputs only: what differs between the inputs ends in their isolation resistors. A sub-connected
  array has no combiners, a fully connected one has one in front of every element.
* The elements are coupled, P_rad = x^H C x, so a lossless network has to match them. `elements`: a fixed network
  C^(-1/2) between phase shifters and elements, which can be built once. `ports`: the port decoupling of the fair
  comparison, A = A_0 (A_0^H C A_0)^(-1/2), so that accepted equals radiated power in every state. That network follows
  the state: it is the limit of what hardware can reach, and for rates the same as a limit on radiated power, which the
  literature on hybrid precoding takes.
* Insertion loss of a phase shifter scales the response.
"""

from abc import abstractmethod
from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact, Int

from metamimo.conventions import db_to_linear, require_x64
from metamimo.errors import ConfigError, ShapeError
from metamimo.geometry.planar import grid_positions, grid_shape
from metamimo.linalg import cmatmul, hermitian
from metamimo.physics.patterns import FieldSample, psd_inverse_root
from metamimo.surfaces.base import Surface
from metamimo.surfaces.feasible import FeasibleSet, UnitModulus

Matching = Literal["elements", "ports"]

FLOOR = 1e-2
"""Eigenmodes of A_0^H C A_0 below this share of the largest are not driven (super-directivity)."""


class _Hybrid(Surface):
    """What both networks share: losses and matching.

    Attributes:
        transmission: 10^(-IL/20) of the phase shifters.
        matched: C^(-1/2) where the elements are matched; None where the ports are decoupled.
    """

    transmission: Float[Array, ""]
    matched: Complex[Array, "element element"] | None
    coupling: Inexact[Array, "1 element element"]
    feasible: FeasibleSet
    n_ports: int = eqx.field(static=True)
    n_elements: int = eqx.field(static=True)

    @abstractmethod
    def network(self, state: Complex[Array, "..."]) -> Complex[Array, "element port"]:
        """Return A_0: dividers, phase shifters and combiners, without insertion loss."""

    def response(self, state: Complex[Array, "..."]) -> Complex[Array, "1 element port"]:
        """Return A(state) with the matching and losses of the module's text."""
        network = self.network(state)
        if self.matched is not None:
            response = cmatmul(self.matched, network)
        else:
            coupling = self.coupling[0].astype(network.dtype)
            radiated = cmatmul(hermitian(network), cmatmul(coupling, network))
            response = cmatmul(network, _inverse_root(radiated))
        return (self.transmission * response)[None]

    @abstractmethod
    def branches(self) -> tuple[Int[np.ndarray, " tunable"], Float[Array, "tunable port"]]:
        """Return which element every phase shifter ends at, and Y with the ports that it starts from."""

    def factors(self) -> tuple[Complex[Array, "element tunable"], Complex[Array, "tunable port"]] | None:
        """Return X and Y of the phase shifters; None where the ports are decoupled, by a network that follows them."""
        if self.matched is None:
            return None
        element, rows = self.branches()
        return self.transmission * self.matched[:, element], rows.astype(complex)

    @abstractmethod
    def network_limits(self) -> Float[Array, " port"]:
        """Return what `gain_limits` promises, for A_0 alone."""

    def gain_limits(self) -> Float[Array, " port"]:
        """Return limits of C^(-1/2) times those of A_0, or, where the ports are decoupled, of C^(-1/2) alone.

        Decoupled ports make C^(1/2) A a partial isometry times the insertion loss.
        """
        size = min(self.n_ports, self.n_elements)
        if self.matched is not None:
            matching = jnp.linalg.eigvalsh(self.matched)[::-1][:size] ** 2 * self.network_limits()[:size]
        else:
            value = jnp.linalg.eigvalsh(self.coupling[0])
            rounding = value.size * jnp.finfo(value.dtype).eps * value[-1]
            matching = 1 / jnp.maximum(value[:size] - rounding, rounding)
        return self.transmission**2 * matching


class FullyConnectedHybrid(_Hybrid):
    """Every RF chain reaches every element through a phase shifter of its own.

    Signal model: x = 10^(-IL/20) C^(-1/2) V a / sqrt(N R), V_nr = state[r, n], |V_nr| = 1, for N elements and R chains:
    dividers 1/sqrt(N), combiners 1/sqrt(R). It never radiates more than it accepts, because norm(V)^2 <= N R; chains
    with orthogonal phase patterns radiate 1/R of it. Much of the literature leaves the combiners out:
    `combiner_loss=False`, V / sqrt(N), whose `energy_gain` reaches R.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> equal = jax.numpy.ones((4, 9), complex)
    >>> for lossy in (True, False):
    ...     hybrid = FullyConnectedHybrid.build(np.eye(9), 4, combiner_loss=lossy)
    ...     print(f"{float(hybrid.energy_gain(equal)):.3f} W radiated per watt accepted")
    1.000 W radiated per watt accepted
    4.000 W radiated per watt accepted
    """

    combining: Float[Array, ""]

    @classmethod
    def build(
        cls,
        coupling: np.ndarray,
        n_ports: int,
        *,
        combiner_loss: bool = True,
        matching: Matching = "elements",
        insertion_loss_db: float = 0.0,
    ) -> "FullyConnectedHybrid":
        """Make the array from the coupling matrix of its elements.

        Args:
            coupling: C of the elements, shape (n, n).
            n_ports: RF chains R.
            combiner_loss: whether combiners are passive, 1/sqrt(R); without it the network can create energy unless
                its ports are decoupled.
            matching: `elements` for a fixed network at the elements, `ports` for decoupled ports.
            insertion_loss_db: power loss of a phase shifter [dB], not negative.

        Returns:
            The surface.

        Raises:
            ShapeError: if C is not square.
            ConfigError: if the number of chains, the loss or the matching breaks its rule, combiner loss is asked for
                behind decoupled ports, which leave none, or double precision is off.
        """
        if matching == "ports" and combiner_loss:
            raise ConfigError(
                "combiner_loss: decoupled ports radiate all that they accept, so matching='ports' needs "
                f"combiner_loss=False, got {combiner_loss}"
            )
        n = _checked_size(cls.__name__, coupling, n_ports, matching, insertion_loss_db)
        return cls(
            transmission=jnp.asarray(db_to_linear(-insertion_loss_db) ** 0.5),
            matched=_matched(coupling, matching),
            coupling=jnp.asarray(coupling)[None],
            feasible=UnitModulus(shape=(n_ports, n)),
            n_ports=n_ports,
            n_elements=n,
            combining=jnp.asarray(n_ports**-0.5 if combiner_loss else 1.0),
        )

    @classmethod
    def example(cls) -> "FullyConnectedHybrid":
        """Return nine elements a third of a wavelength apart behind three chains; passive combiners, 1 dB loss."""
        return cls.build(FieldSample(1 / 9).coupling(grid_positions(9, 1 / 3), 1.0), 3, insertion_loss_db=1.0)

    def network(self, state: Complex[Array, "port element"]) -> Complex[Array, "element port"]:
        """Return V / sqrt(N), with passive combiners V / sqrt(N R)."""
        return self.combining * self.n_elements**-0.5 * state.T

    def branches(self) -> tuple[Int[np.ndarray, " tunable"], Float[Array, "tunable port"]]:
        """Return one phase shifter for every pair of chain and element."""
        rows = jnp.repeat(jnp.eye(self.n_ports), self.n_elements, axis=0)
        return np.tile(np.arange(self.n_elements), self.n_ports), self.combining * self.n_elements**-0.5 * rows

    def network_limits(self) -> Float[Array, " port"]:
        """Return limits from norm(A_0)^2 = t: the product of k squared singular values is at most (t / k)^k."""
        mode = jnp.arange(1, self.n_ports + 1)
        total = self.combining**2 * self.n_ports
        return total / mode * ((mode - 1) / mode) ** (mode - 1)


class SubConnectedHybrid(_Hybrid):
    """Every RF chain owns a rectangle of neighbouring elements, with one phase shifter an element.

    Signal model: x = 10^(-IL/20) A_0 (A_0^H C A_0)^(-1/2) a, A_0 = diag(state) V with V_nr = 1/sqrt(N_r) on the N_r
    elements of chain r: lossless dividers and, by default, decoupled ports (spec of fair comparison, section 2), so
    that only the insertion loss separates accepted from radiated power. The rows and columns of the element grid are
    split as evenly as the grid of chains permits.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> hybrid = SubConnectedHybrid.build(np.eye(16), 4, insertion_loss_db=3.0)
    >>> hybrid.dividers[:, 0].reshape(4, 4)
    Array([[0.5, 0.5, 0. , 0. ],
           [0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0. , 0. ],
           [0. , 0. , 0. , 0. ]], dtype=float64)
    >>> round(float(hybrid.energy_gain(hybrid.feasible.random(jax.random.key(0)))), 4)
    0.5012
    """

    dividers: Float[Array, "element port"]

    @classmethod
    def build(
        cls,
        coupling: np.ndarray,
        n_ports: int,
        *,
        matching: Matching = "ports",
        insertion_loss_db: float = 0.0,
    ) -> "SubConnectedHybrid":
        """Make the array from the coupling matrix of a grid of elements (`metamimo.geometry.planar.grid_shape`).

        Args:
            coupling: C of the elements, shape (n, n).
            n_ports: RF chains, whose grid must fit into that of the elements.
            matching: `ports` for decoupled ports, `elements` for a fixed network at the elements.
            insertion_loss_db: power loss of a phase shifter [dB], not negative.

        Returns:
            The surface.

        Raises:
            ShapeError: if C is not square.
            ConfigError: if the number of chains, the loss or the matching breaks its rule, or double precision is off.
        """
        n = _checked_size(cls.__name__, coupling, n_ports, matching, insertion_loss_db)
        return cls(
            transmission=jnp.asarray(db_to_linear(-insertion_loss_db) ** 0.5),
            matched=_matched(coupling, matching),
            coupling=jnp.asarray(coupling)[None],
            feasible=UnitModulus(shape=(n,)),
            n_ports=n_ports,
            n_elements=n,
            dividers=jnp.asarray(_rectangles(n, n_ports)),
        )

    @classmethod
    def example(cls) -> "SubConnectedHybrid":
        """Return twelve elements a third of a wavelength apart in four sub-arrays, with fixed matching, 1 dB loss."""
        coupling = FieldSample(1 / 9).coupling(grid_positions(12, 1 / 3), 1.0)
        return cls.build(coupling, 4, matching="elements", insertion_loss_db=1.0)

    def network(self, state: Complex[Array, " element"]) -> Complex[Array, "element port"]:
        """Return diag(state) V."""
        return state[:, None] * self.dividers

    def branches(self) -> tuple[Int[np.ndarray, " tunable"], Float[Array, "tunable port"]]:
        """Return one phase shifter for every element."""
        return np.arange(self.n_elements), self.dividers

    def network_limits(self) -> Float[Array, " port"]:
        """Return ones: columns without a common element, each of norm one, are orthonormal."""
        return jnp.ones(self.n_ports)


def _checked_size(name: str, coupling: np.ndarray, n_ports: int, matching: str, insertion_loss_db: float) -> int:
    """Refuse what no hybrid array can be built from; return the number of elements."""
    require_x64(name)
    if coupling.ndim != 2 or coupling.shape[0] != coupling.shape[1]:
        raise ShapeError(f"coupling: must be a square matrix, got shape {coupling.shape}")
    if n_ports < 1:
        raise ConfigError(f"n_ports: must be at least 1, got {n_ports}")
    if matching not in get_args(Matching):
        raise ConfigError(f"matching: must be one of {', '.join(get_args(Matching))}, got {matching!r}")
    if not insertion_loss_db >= 0:
        raise ConfigError(f"insertion_loss_db: must not be negative, got {insertion_loss_db}")
    return coupling.shape[0]


def _matched(coupling: np.ndarray, matching: Matching) -> Complex[Array, "element element"] | None:
    return jnp.asarray(psd_inverse_root(coupling), complex) if matching == "elements" else None


def _rectangles(elements: int, ports: int) -> np.ndarray:
    """Return 1/sqrt(N_r) on the elements of chain r, shape (elements, ports)."""
    (along_x, along_y), (chains_x, chains_y) = grid_shape(elements), grid_shape(ports)
    if chains_x > along_x or chains_y > along_y:
        raise ConfigError(
            f"n_ports: a grid of {chains_x} x {chains_y} chains must fit into one of {along_x} x {along_y} elements, "
            f"got {ports}"
        )
    numbers = np.arange(elements).reshape(along_y, along_x)  # x fastest
    blocks = [b for rows in np.array_split(numbers, chains_y) for b in np.array_split(rows, chains_x, axis=1)]
    dividers = np.zeros((elements, ports))
    for port, block in enumerate(blocks):
        dividers[block.ravel(), port] = block.size**-0.5
    return dividers


@jax.custom_jvp
def _inverse_root(matrix: Complex[Array, "n n"]) -> Complex[Array, "n n"]:
    """Return the Hermitian inverse root on the eigenmodes above the floor, zero on the others."""
    return _inverse_root_and_slopes(matrix)[0]


@_inverse_root.defjvp
def _inverse_root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """Daleckii and Krein: dF = U (S o (U^H dM U)) U^H. Autodiff of `eigh` would divide by gaps of equal eigenvalues."""
    root, vector, slopes = _inverse_root_and_slopes(primals[0])
    change = cmatmul(hermitian(vector), cmatmul(tangents[0], vector))
    return root, cmatmul(vector, cmatmul(slopes * change, hermitian(vector)))


def _inverse_root_and_slopes(matrix: Complex[Array, "n n"]) -> tuple[Array, Array, Float[Array, "n n"]]:
    """Return the root, the eigenvectors, and the divided differences S_ij of lambda^(-1/2) with the floor's zeros."""
    value, vector = jnp.linalg.eigh(matrix)
    kept = value > FLOOR * value[-1]
    side = jnp.sqrt(jnp.where(kept, value, 1.0))
    inverse = jnp.where(kept, 1 / side, 0.0)
    both, one = kept[:, None] & kept, kept[:, None] ^ kept
    smooth = -1 / (side[:, None] * side * (side[:, None] + side))
    step = (inverse[:, None] - inverse) / jnp.where(one, value[:, None] - value, 1.0)
    slopes = jnp.where(both, smooth, jnp.where(one, step, 0.0))
    return cmatmul(vector * inverse, hermitian(vector)), vector, slopes
