"""How far covariances are from the optimum at most: the tangent of the concave rate as a line over the power."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from metamimo.linalg import squared_norm
from metamimo.precoders import spectral
from metamimo.precoders.covariance_filling import Point


def rate_line(point: Point) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return a and l such that no covariances of power p have a rate above a + l p, whatever p.

    ln|Z'| <= ln|Z| + tr(Z^-1 Z') - ports for any Z, here that of the point, and for Z' = I + sum_k H_k^H S'_k H_k the
    trace is tr Z^-1 + sum_k tr(D_k S'_k) <= tr Z^-1 + max_k lambda_max(D_k) tr S'. Both are tight where the point is
    optimal for its power. Since Z may be any matrix, the rounding of its Cholesky factor does no harm; that of the
    solves with the factor is added.

    Args:
        point: any covariances, measured.

    Returns:
        Offset a [nat] and slope l [nat/W].
    """
    eps = 16 * point.marginal.shape[-1] * jnp.finfo(point.rate.dtype).eps
    largest = spectral.eigenvalues(point.marginal)[:, -1] + eps * jnp.sqrt(squared_norm(point.marginal, (1, 2)))
    return point.offset, largest.max() * (1 + point.rounding)


def line_efficiency(
    offset: Float[Array, ""], slope: Float[Array, ""], fixed: Float[Array, ""], limit: Float[Array, ""]
) -> Float[Array, ""]:
    """Return the largest (offset + slope p) / (fixed + p) for 0 <= p <= limit, at one of the ends.

    Args:
        offset: a [nat].
        slope: l [nat/W].
        fixed: power that does not depend on the design [W].
        limit: limit of p [W]; may be infinite.

    Returns:
        The ratio [nat/W].

    >>> float(line_efficiency(jnp.array(1.0), jnp.array(3.0), jnp.array(2.0), jnp.array(4.0)))  # (1 + 12) / (2 + 4)
    2.1666666666666665
    """
    # The second end in a form that stays finite for an infinite limit.
    share = fixed / (fixed + limit)
    return jnp.maximum(offset / fixed, share * offset / fixed + (1 - share) * slope)
