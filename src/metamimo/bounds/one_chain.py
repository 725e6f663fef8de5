"""Largest amplitude of one user from one chain of elements, exactly (specification of bounds, B20).

Signal model: y = sum_n z_n psi_n f + noise, one receive antenna, one chain; z_n is what element n in unit state adds to
the received signal. For a given f the rate grows with |sum_n z_n psi_n| alone.
"""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

_RAISED = 1 + 1e-11
"""Rounding of the sums; the optimum is no smaller than the sum of moduli over pi."""


def lorentz_amplitude(z: Complex[Array, " n"]) -> Float[Array, ""]:
    """Return max |sum_n z_n psi_n| over Lorentzian elements psi_n = (j + exp(j phi_n)) / 2 (B20).

    The phases turn every term towards the sum of all j z_n.

    Args:
        z: z, any units.

    Returns:
        The optimum in the units of z, raised by rounding.

    >>> round(lorentz_amplitude(jnp.array([3.0, 4j])).item(), 6)  # (5 + 7) / 2
    6.0
    """
    return (jnp.abs(z.sum()) + jnp.abs(z).sum()) / 2 * _RAISED


def on_off_amplitude(z: Complex[Array, " n"]) -> Float[Array, ""]:
    """Return max |sum_n z_n psi_n| over elements that are on or off, psi_n in {0, 1} (B20).

    All sums lie in the polygon that the segments from 0 to z_n add up to, and each corner is the sum over a half plane.
    Its sides are the segments, in the order of their directions, once up from the lowest corner and once down again.

    Args:
        z: z, any units.

    Returns:
        The optimum in the units of z, raised by rounding.

    >>> round(on_off_amplitude(jnp.array([3.0, 4j, -1.0])).item(), 6)  # the first two
    5.0
    """
    angle = jnp.angle(z)
    down = angle < 0
    lowest = jnp.where(down, z, 0).sum()
    order = jnp.argsort(jnp.where(down, angle + jnp.pi, angle))
    sides = jnp.cumsum(jnp.where(down, -z, z)[order])
    corners = jnp.concatenate([lowest + sides, lowest + sides[-1] - sides])
    return jnp.abs(corners).max() * _RAISED
