"""Concave surrogates of a station's precoder problem under its power budget, and their exact maximisers.

All precoders here are in coordinates whose budget is |V|^2 <= 1. `metamimo.schemes.cell_free` brings a station there.
"""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.linalg import cmatmul, hermitian, squared_norm
from metamimo.optimise.dinkelbach import power_root

Precoder = Complex[Array, "freq port user"]


def proximal_weight(slope: Inexact[Array, "..."], reach: float | Array, least: float) -> Float[Array, ""]:
    """Return max(least, |slope| / reach): gradients span orders of magnitude, steps should not (spec 5).

    Args:
        slope: tracked gradient.
        reach: length that a step of slope / weight has, unless the gradient is nearly zero.
        least: least weight.
    """
    return jnp.maximum(least, jnp.sqrt(squared_norm(slope)) / reach)


def linear_step(v: Precoder, slope: Precoder, weight: Float[Array, ""]) -> tuple[Precoder, Float[Array, ""]]:
    """Maximise 2 Re<d, V - V^t> - tau |V - V^t|^2 over |V|^2 <= 1 (spec eq. 20), in closed form.

    Args:
        v: V^t, without unit.
        slope: tracked gradient d.
        weight: tau > 0.

    Returns:
        (the maximiser (tau V^t + d) / (tau + lambda), multiplier lambda = max(0, |tau V^t + d| - tau)).

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> target, multiplier = linear_step(jnp.zeros((1, 2, 1), complex), jnp.full((1, 2, 1), 3 + 0j), jnp.asarray(1.0))
    >>> round(float(squared_norm(target)), 12), round(float(multiplier), 3)
    (1.0, 3.243)
    """
    pulled = weight * v + slope
    multiplier = jnp.maximum(0, jnp.sqrt(squared_norm(pulled)) - weight)
    return pulled / (weight + multiplier), multiplier


def structured_step(
    v: Precoder, slope: Precoder, curvature: Complex[Array, "freq port port"], weight: float | Array
) -> tuple[Precoder, Float[Array, ""]]:
    """Maximise 2 Re<d, V - V^t> - sum_k tr((V - V^t)_k^H (H_k + tau I) (V - V^t)_k) over |V|^2 <= 1 (spec 5).

    V_k = (H_k + (tau + lambda) I)^-1 [(H_k + tau I) V_k^t + d_k] in the eigenvectors of every H_k, with lambda the root
    of the budget, found by Newton's method to the last bits.

    Args:
        v: V^t, without unit.
        slope: tracked gradient d.
        curvature: tracked H, positive semidefinite.
        weight: tau > 0.

    Returns:
        (the maximiser, multiplier lambda).

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> one, none = jnp.ones((1, 1, 1), complex), jnp.zeros((1, 1, 1), complex)
    >>> target, multiplier = structured_step(none, one, 3 * one, 1.0)
    >>> float(target[0, 0, 0].real), float(multiplier)  # unconstrained: 1 / (3 + 1)
    (0.25, 0.0)
    """
    value, vector = jnp.linalg.eigh(curvature)
    stiffness = jnp.maximum(value, 0) + weight
    pulled = stiffness[..., None] * cmatmul(hermitian(vector), v) + cmatmul(hermitian(vector), slope)
    multiplier = power_root(
        jnp.ones(()), squared_norm(pulled, -1).ravel(), stiffness.ravel(), jnp.zeros((), stiffness.dtype)
    )
    target = cmatmul(vector, pulled / (stiffness + multiplier)[..., None])
    # Newton's iterates come from the side that is too long by the last rounding.
    return target / jnp.sqrt(jnp.maximum(1, squared_norm(target))), multiplier
