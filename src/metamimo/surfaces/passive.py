"""Surfaces whose model conserves energy in every state."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.linalg import cmatmul
from metamimo.surfaces.base import Surface

_FLOOR = 1e-14


class Passive(Surface):
    """A surface that never radiates more than its port waves carry: x^H C x <= |a|^2 in every state.

    Attributes:
        whitening: C^(-1/2) of the first frequency.
        largest_gain: 1 / lambda_min(C), the largest over the frequencies.
    """

    whitening: eqx.AbstractVar[Inexact[Array, "element element"]]
    largest_gain: eqx.AbstractVar[Float[Array, ""]]

    def gain_limits(self) -> Float[Array, " mode"]:
        """Return 1 / lambda_min(C): |x|^2 is at most that many times the power."""
        return jnp.full(self.n_ports, self.largest_gain)

    def envelope(
        self, rows: Complex[Array, "*rest element"]
    ) -> tuple[Complex[Array, "*rest element"], Float[Array, " mode"]] | None:
        """Return rows C^(-1/2) with gains of one: C^(1/2) A never amplifies, whatever the state.

        None on a grid of several frequencies, each of which has a C of its own.
        """
        if self.coupling.shape[0] > 1:
            return None
        return cmatmul(rows, self.whitening.astype(rows.dtype)), jnp.ones(self.n_ports)


def whitened(
    coupling: Inexact[np.ndarray, "freq element element"],
) -> tuple[Inexact[Array, "element element"], Float[Array, ""]]:
    """Return C^(-1/2) of the first frequency up to a rotation, and 1 / lambda_min(C) over all frequencies."""
    values, vectors = np.linalg.eigh(coupling)
    values = np.maximum(values, _FLOOR)
    return jnp.asarray(vectors[0] / np.sqrt(values[0])), jnp.asarray(1 / values.min())
