"""Surface of tunable two-ports in any surroundings that a scattering or impedance matrix describes."""

from typing import Any, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.conventions import require_x64
from metamimo.errors import ConfigError, ShapeError
from metamimo.geometry.planar import line_positions
from metamimo.linalg import cmatmul, hermitian, inverse_root
from metamimo.physics.wires import wire_impedance
from metamimo.surfaces.dipole_stack import Budget
from metamimo.surfaces.feasible import FeasibleSet, UnitModulus
from metamimo.surfaces.passive import Passive, whitened

_ROUNDING = 1e-9
"""How much energy rounding may create in a matrix that was written with a dozen digits."""


class MultiportSurface(Passive):
    """Feeds and tunable lossless two-ports, joined by surroundings that are known by their scattering matrix.

    Signal model: ports are M feeds, then two of every atom. Atom i scatters by the unitary, symmetric
    S_i = phi [[-j Im(u) v, Re(u)], [Re(u), -j Im(u) v*]] with |phi| = |u| = |v| = 1, which is every lossless
    reciprocal two-port; u = v = 1 is a matched phase shifter with transmission phi. With S of the surroundings,
    b = (I - S_aa Phi)^-1 S_as, and the element excitations are the waves [I; Phi b] into the surroundings per wave at
    the feeds. x^H C x with C = I - S^H S is the power that stays there: radiated, and lost in what S describes.

    Port waves: with the budget `available`, those of generators matched to the reference resistance. With `accepted`,
    those of a lossless network that matches and decouples the feeds whatever the state: (I - S_in^H S_in)^(-1/2).

    Source: multiport theory of tunable surfaces (Shen, Clerckx and Murch 2022), in scattering parameters throughout.

    Channel rows are what a user receives per wave into each port, the others matched: the embedded patterns that a
    field solver gives. From rows per port current C_i: C_i (I - S) / sqrt(R_0).

    Attributes:
        scattering: S, feeds first.
        coupling: C = I - S^H S.
    """

    scattering: Complex[Array, "freq element element"]
    coupling: Inexact[Array, "freq element element"]
    whitening: Inexact[Array, "element element"]
    largest_gain: Float[Array, ""]
    feasible: FeasibleSet
    n_ports: int = eqx.field(static=True)
    n_elements: int = eqx.field(static=True)
    budget: Budget = eqx.field(static=True)

    @classmethod
    def from_scattering(
        cls,
        scattering: Complex[np.ndarray, "*freq port port"],
        n_ports: int,
        *,
        matched: bool = True,
        budget: Budget = "accepted",
        feasible: FeasibleSet | None = None,
    ) -> "MultiportSurface":
        """Make the surface from the scattering matrix of its surroundings.

        Args:
            scattering: S of feeds, then receive and transmit port of every atom, of one frequency or several.
            n_ports: number of feeds.
            matched: whether atoms are matched phase shifters; otherwise all three of their numbers are tuned.
            budget: what the port waves count, see above.
            feasible: set of states, (atoms,) or (3, atoms) with phi, u, v; unit modulus by default.

        Returns:
            The surface.

        Raises:
            ShapeError: if S is not square, or the ports behind the feeds do not pair up.
            ConfigError: if S creates energy, or the budget or set does not fit.
        """
        require_x64(cls.__name__)
        s = np.asarray(scattering, complex)
        s = s[None] if s.ndim == 2 else s
        size = s.shape[-1]
        if s.ndim != 3 or s.shape[1] != size:
            raise ShapeError(f"scattering: must be square, of one frequency or several, got shape {s.shape}")
        if not 1 <= n_ports < size or (size - n_ports) % 2:
            raise ShapeError(
                f"n_ports: behind the feeds every atom has two of the {size} ports, got {n_ports} feeds, "
                f"which leaves {size - n_ports}"
            )
        if budget not in get_args(Budget):
            raise ConfigError(f"budget: must be one of {', '.join(get_args(Budget))}, got {budget!r}")
        most = np.linalg.norm(s, ord=2, axis=(1, 2)).max()
        if not most <= 1 + _ROUNDING:
            raise ConfigError(f"scattering: must not create energy, got an amplification of {most:.6g}")
        atoms = (size - n_ports) // 2
        shape = (atoms,) if matched else (3, atoms)
        feasible = UnitModulus(shape=shape) if feasible is None else feasible
        if feasible.shape != shape:
            raise ConfigError(f"feasible: must hold states of shape {shape}, got {feasible.shape}")
        coupling = np.eye(size) - s.conj().swapaxes(1, 2) @ s  # host, once
        whitening, largest_gain = whitened(coupling)
        return cls(
            scattering=jnp.asarray(s),
            coupling=jnp.asarray(coupling),
            whitening=whitening,
            largest_gain=largest_gain,
            feasible=feasible,
            n_ports=n_ports,
            n_elements=size,
            budget=budget,
        )

    @classmethod
    def from_impedance(
        cls, impedance: Complex[np.ndarray, "*freq port port"], n_ports: int, *, reference: float = 50.0, **options: Any
    ) -> "MultiportSurface":
        """Make the surface from an impedance matrix: S = (Z / R_0 - I)(Z / R_0 + I)^-1.

        Args:
            impedance: Z of feeds, then receive and transmit port of every atom [ohm].
            n_ports: number of feeds.
            reference: R_0 of the waves [ohm].
            **options: of `from_scattering`.

        Returns:
            The surface.

        Raises:
            ConfigError, ShapeError: if the reference is not positive, or see `from_scattering`.

        >>> import jax
        >>> jax.config.update("jax_enable_x64", True)
        >>> wires = wire_impedance(line_positions(7, 0.4), 1.0, radius=1e-3)
        >>> MultiportSurface.from_impedance(wires, 3).feasible.shape
        (2,)
        """
        if not reference > 0:
            raise ConfigError(f"reference: must be positive, got {reference}")
        z = np.asarray(impedance, complex) / reference
        one = np.eye(z.shape[-1])
        return cls.from_scattering((z - one) @ np.linalg.inv(z + one), n_ports, **options)  # host, once

    @classmethod
    def example(cls) -> "MultiportSurface":
        """Return three atoms of two wires each in front of two feeding wires, all of half a wavelength."""
        feeds = line_positions(2, 0.5)
        atoms = np.repeat(line_positions(3, 0.5), 2, axis=0) + np.tile([[0, 0, 0.4], [0, 0, 0.6]], (3, 1))
        impedance = wire_impedance(np.concatenate([feeds, atoms]), 1.0, radius=1e-3)
        return cls.from_impedance(impedance, 2, reference=73.0, matched=False)

    def two_ports(self, state: Complex[Array, "..."]) -> Complex[Array, "atom 2 2"]:
        """Return the scattering matrices of the atoms."""
        phi, u, v = state if state.ndim == 2 else (state, jnp.ones_like(state), jnp.ones_like(state))
        through, back = phi * u.real, -1j * phi * u.imag
        return jnp.stack([jnp.stack([back * v, through], -1), jnp.stack([through, back * v.conj()], -1)], -2)

    def waves_and_reflection(
        self, state: Complex[Array, "..."]
    ) -> tuple[Complex[Array, "freq element port"], Complex[Array, "freq port port"]]:
        """Return the waves [I; Phi b] into the surroundings per wave at the feeds, and what comes back, S_in."""
        feeds, s = self.n_ports, self.scattering
        freq, atoms = s.shape[0], (self.n_elements - feeds) // 2
        pairs = self.two_ports(state)
        # S_aa Phi, two columns an atom.
        columns = s[:, feeds:, feeds:].reshape(freq, 2 * atoms, atoms, 1, 2)
        scattered = (columns * pairs.swapaxes(1, 2)).sum(-1).reshape(freq, 2 * atoms, 2 * atoms)
        b = jnp.linalg.solve(jnp.eye(2 * atoms) - scattered, s[:, feeds:, :feeds])
        out = (pairs[..., None] * b.reshape(freq, atoms, 1, 2, feeds)).sum(-2).reshape(freq, 2 * atoms, feeds)
        fed = jnp.broadcast_to(jnp.eye(feeds, dtype=complex), (freq, feeds, feeds))
        return jnp.concatenate([fed, out], axis=1), s[:, :feeds, :feeds] + cmatmul(s[:, :feeds, feeds:], out)

    def response(self, state: Complex[Array, "..."]) -> Complex[Array, "freq element port"]:
        """Return the waves into the surroundings per port wave."""
        waves, reflected = self.waves_and_reflection(state)
        if self.budget == "available":
            return waves
        accepted = jnp.eye(self.n_ports) - cmatmul(hermitian(reflected), reflected)
        return cmatmul(waves, jax.vmap(inverse_root)(accepted))
