"""Fully digital array: one port per element, nothing to tune. The baseline without a surface."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.conventions import require_x64
from metamimo.errors import ShapeError
from metamimo.geometry.planar import grid_positions
from metamimo.physics.patterns import Isotropic, psd_inverse_root
from metamimo.surfaces.base import Surface
from metamimo.surfaces.feasible import FeasibleSet, Fixed


class FullyDigital(Surface):
    """Antenna array driven element by element.

    With `matched` ports the network in front is lossless and decouples the elements, A = C^(-1/2): accepted power
    equals radiated power. Without it A = I, as both papers on stacked metasurfaces assume; then the ledger shows x^H
    C x next to the sum of |a|^2. Eigenmodes of C below one per cent of the largest are not driven (superdirectivity).

    >>> import jax, numpy as np
    >>> jax.config.update("jax_enable_x64", True)
    >>> FullyDigital.build(np.eye(4)).n_ports
    4
    """

    network: Inexact[Array, "1 element element"]
    coupling: Inexact[Array, "1 element element"]
    feasible: FeasibleSet
    n_ports: int = eqx.field(static=True)
    n_elements: int = eqx.field(static=True)

    @classmethod
    def build(cls, coupling: np.ndarray, *, matched: bool = False) -> "FullyDigital":
        """Make the array from the coupling matrix of its elements.

        Args:
            coupling: C of the element pattern, shape (n, n).
            matched: whether lossless ports with coupling are assumed (accepted = radiated).

        Returns:
            The surface.

        Raises:
            ShapeError: if C is not square.
            ConfigError: if double precision is off.
        """
        require_x64("FullyDigital")
        coupling = np.asarray(coupling)
        if coupling.ndim != 2 or coupling.shape[0] != coupling.shape[1]:
            raise ShapeError(f"coupling: must be a square matrix, got shape {coupling.shape}")
        n = coupling.shape[0]
        network = psd_inverse_root(coupling) if matched else np.eye(n)
        return cls(
            network=jnp.asarray(network, complex)[None],
            coupling=jnp.asarray(coupling)[None],
            feasible=Fixed(),
            n_ports=n,
            n_elements=n,
        )

    @classmethod
    def example(cls) -> "FullyDigital":
        """Return four isotropic antennas a third of a wavelength apart, with matched ports."""
        return cls.build(Isotropic().coupling(grid_positions(4, 1 / 3), 1.0), matched=True)

    def response(self, state: Float[Array, "0"]) -> Complex[Array, "1 element port"]:
        """Return the matching network; the state is empty."""
        return self.network

    def gain_limits(self) -> Float[Array, " mode"]:
        """Return the squared singular values of the matching network."""
        return jnp.linalg.svd(self.network[0], compute_uv=False) ** 2
