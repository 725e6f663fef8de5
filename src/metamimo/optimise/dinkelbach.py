"""Scalar roots of fractional programs whose inner problem is a sum of simple fractions.

F(eta) = c - eta fixed + sum_i b_i / (eta + sigma_i) with b_i, sigma_i >= 0 is convex and strictly decreasing for eta
> 0; its root is the best ratio, and p(eta) = sum_i b_i / (eta + sigma_i)^2 is the power that the inner solution
spends.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_RELATIVE = 1e-14
_STEPS = 1000  # far below the root a step only doubles the point


def fractional_root(
    constant: Float[Array, ""],
    fixed: Float[Array, ""],
    b: Float[Array, " mode"],
    sigma: Float[Array, " mode"],
    start: Float[Array, ""],
) -> Float[Array, ""]:
    """Return the root of F by Newton's method, which is Dinkelbach's update (Perović et al. 2024, eqs. 28 to 30).

    Args:
        constant: c.
        fixed: power that does not depend on the design [W], positive.
        b: numerators.
        sigma: offsets.
        start: a point with F >= 0, for instance the ratio of the current design; from there the iterates increase.

    Returns:
        The root eta.

    >>> import jax.numpy as jnp
    >>> float(fractional_root(jnp.array(0.0), jnp.array(1.0), jnp.array([4.0]), jnp.array([0.0]), jnp.array(0.5)))
    2.0
    """
    least = jnp.finfo(b.dtype).tiny ** 0.25  # its square must not vanish below b

    def newton(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        eta, _, step = carry
        share = b / (eta + sigma)
        value = constant - eta * fixed + share.sum()
        slope = -fixed - (share / (eta + sigma)).sum()
        # Rounding can make the last step negative; the exact iterates never decrease.
        return jnp.maximum(eta - value / slope, eta), eta, step + 1

    def moving(carry: tuple[Array, Array, Array]) -> Array:
        eta, before, step = carry
        return (eta - before > _RELATIVE * eta) & (step < _STEPS)

    start = jnp.maximum(start, least)
    return jax.lax.while_loop(moving, newton, newton((start, start, jnp.asarray(0))))[0]


def power_root(
    power: Float[Array, ""], b: Float[Array, " mode"], sigma: Float[Array, " mode"], start: Float[Array, ""]
) -> Float[Array, ""]:
    """Return nu with sum_i b_i / (nu + sigma_i)^2 = power, the multiplier of a binding power limit.

    Newton's method on the secular equation 1 / sqrt(p(nu)) = 1 / sqrt(power), whose left side is concave and nearly
    linear: from a point below the root the iterates increase to it.

    Args:
        power: limit [W], positive.
        b: numerators.
        sigma: offsets.
        start: a point where the power is above the limit; where it is not, the start is returned.

    Returns:
        The multiplier nu >= start.

    >>> import jax.numpy as jnp
    >>> float(power_root(jnp.array(1.0), jnp.array([4.0]), jnp.array([0.0]), jnp.array(0.5)))
    2.0
    """

    def newton(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        nu, _, step = carry
        share = b / (nu + sigma) ** 2
        spent, slope = share.sum(), (share / (nu + sigma)).sum()
        moved = spent / jnp.where(slope > 0, slope, 1) * (jnp.sqrt(spent / power) - 1)
        return nu + jnp.where((spent > power) & (slope > 0), moved, 0), nu, step + 1

    def moving(carry: tuple[Array, Array, Array]) -> Array:
        nu, before, step = carry
        return (nu - before > _RELATIVE * nu) & (step < _STEPS)

    return jax.lax.while_loop(moving, newton, newton((start, start, jnp.asarray(0))))[0]
