"""Rate at a price: the Lagrangian of a covariance, which bounds the rate for every price of its power.

If every design obeys tr(M Q) <= tau, then ln|I + H Q H^H| <= tau + sum_i phi(lambda_i(H M^-1 H^H)), since the best Q at
the price M is known in closed form. The formula holds at any M: a search for the best one can only tighten it.
"""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

EPS = 2.220446049250313e-16


def priced_rate(gains: Float[Array, "*batch mode"]) -> Float[Array, "*batch"]:
    """Return sum_i phi(g_i), phi(g) = max over q >= 0 of ln(1 + q g) - q, that is ln g - 1 + 1/g for g > 1, else 0.

    Args:
        gains: g, not negative.

    >>> priced_rate(jnp.array([0.5, 1.0])).item()
    0.0
    """
    above = jnp.maximum(gains, 1.0)
    return (jnp.log(above) - 1 + 1 / above).sum(-1)


def safe_eigenvalues(a: Complex[Array, "*batch m m"]) -> Float[Array, "*batch m"]:
    """Return the eigenvalues of a Hermitian matrix, raised by the backward error of their computation."""
    norm = jnp.sqrt((a.real**2 + a.imag**2).sum((-2, -1)))[..., None]
    return jnp.linalg.eigvalsh(a) + 16 * a.shape[-1] * EPS * norm
