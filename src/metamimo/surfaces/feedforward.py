"""Stack of dipole pairs in which waves only run forwards: a diagnostic, which does not conserve energy."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from metamimo.linalg import cmatmul
from metamimo.physics.dipoles import dipole_coupling
from metamimo.surfaces.dipole_stack import DipoleStack


class FeedforwardStack(DipoleStack):
    """Layers that see the antennas and the layers below only, and each of which is coupled exactly in itself.

    Signal model: Lambda_l = (I - G_ll S_l)^-1 (F_l + sum_{l' < l} G_ll' X_l'), X_l = S_l Lambda_l, with couplings of
    open space among the atoms and Z = I + j G_s: nothing acts back on a layer or on the antennas. Against
    `CoupledStack` it tells which effect comes from waves that run back. Do not optimise it at layers closer than a
    wavelength: the gain that is found there is energy from nowhere, and `energy_gain` says how much.
    """

    @classmethod
    def build(cls, **sizes: Any) -> "FeedforwardStack":
        """Make an evenly spaced stack over a line of antennas; arguments as of `CoupledStack.build`.

        >>> import jax
        >>> jax.config.update("jax_enable_x64", True)
        >>> stack = FeedforwardStack.build(n_layers=2, n_elements=9, n_ports=2, wavelength=0.01, layer_spacing=0.0025)
        >>> gain = jax.jit(lambda key: stack.energy_gain(stack.feasible.random(key)))(jax.random.key(0))
        >>> bool(gain > 1.02)
        True
        """
        stack = super().build(**sizes)
        places = np.asarray(stack.positions)[: -stack.n_ports]
        grid = [float(w) for w in stack.wavelengths]
        atoms = np.stack([dipole_coupling(places, places, w, backplane=False) for w in grid])
        return eqx.tree_at(lambda s: s.atoms, stack, jnp.asarray(atoms))

    @classmethod
    def example(cls) -> "FeedforwardStack":
        """Return two layers of four atoms over four antennas."""
        return cls.build(n_layers=2, n_elements=4, n_ports=4, wavelength=1.0)

    def moments_and_impedance(
        self, state: Complex[Array, "..."]
    ) -> tuple[Complex[Array, "freq atom port"], Complex[Array, "freq port port"]]:
        """Return X, layer after layer, and Z = I + j G_s of the bare antennas."""
        layers, atoms = self.feasible.shape[-2:]
        ports = self.n_ports

        def one(alpha: Array, coupling: Array, feed: Array) -> Array:
            # Dipoles come as (kind, layer, atom).
            own = alpha.reshape(2, layers, atoms).swapaxes(0, 1).reshape(layers, -1)
            incident = feed.reshape(2, layers, atoms, ports).swapaxes(0, 1).reshape(layers, -1, ports)
            blocks = coupling.reshape(2, layers, atoms, 2, layers, atoms).transpose(1, 4, 0, 2, 3, 5)
            blocks = blocks.reshape(layers, layers, 2 * atoms, 2 * atoms)
            moments: list[Array] = []
            for l in range(layers):
                field = sum((cmatmul(blocks[l, m], moments[m]) for m in range(l)), incident[l])
                matrix = jnp.eye(2 * atoms) - blocks[l, l] * own[l]
                moments.append(own[l][:, None] * jnp.linalg.solve(matrix, field))
            every = jnp.stack(moments).reshape(layers, 2, atoms, ports)
            return every.swapaxes(0, 1).reshape(-1, ports)

        impedance = jnp.eye(ports) + 1j * self.antennas
        if layers == 0:
            return self.feed, impedance
        return jax.vmap(one)(self.polarisabilities(state), self.atoms, self.feed), impedance
