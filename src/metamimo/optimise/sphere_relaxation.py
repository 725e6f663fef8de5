"""Quadratics on the sphere: min x^T A x - 2 q^T x over |x|^2 = n, by its hidden convexity (Ben-Tal and Teboulle 1996).

It is the relaxation of the same quadratic over x in {-1, +1}^n, and its dual value bounds that from below.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EQUAL = 1e-12
"""Eigenvalues closer than this, relative to the scale, count as one."""

_ORTHOGONAL = 1e-13
"""Share of q in the lowest eigenspace below which the problem is in the hard case."""

_STEPS = 100
"""Limit of Newton steps; some ten are needed."""


class SphereMinimum(NamedTuple):
    """Global minimum of a quadratic on the sphere.

    Attributes:
        x: a minimiser.
        mirrored: another one in the hard case, where the sign of its part in the lowest eigenspace is free; else x.
        multiplier: eta with (A + eta I) x = q and A + eta I positive semidefinite.
        bound: dual value at eta, never above the minimum.
    """

    x: Float[Array, " n"]
    mirrored: Float[Array, " n"]
    multiplier: Float[Array, ""]
    bound: Float[Array, ""]


def sphere_minimum(a: Float[Array, "n n"], q: Float[Array, " n"]) -> SphereMinimum:
    """Minimise x^T A x - 2 q^T x over the sphere |x|^2 = n (Zhi et al. 2025, eqs. 32 to 39).

    In the eigenbasis of A the squares y_i = z_i^2 make the problem convex; its multiplier eta > -lambda_min solves
    sum_i b_i^2 / (lambda_i + eta)^2 = n. In the hard case, where q has no part in the lowest eigenspace, eta may be
    -lambda_min, and the rest of the length lies in that space.

    Args:
        a: A, symmetric, of any inertia.
        q: q.

    Returns:
        Minimisers, multiplier and bound.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> found = sphere_minimum(jnp.diag(jnp.array([1.0, 2.0, 3.0, 4.0])), jnp.array([0.0, 0.1, 0.2, 0.3]))
    >>> round(float(found.bound), 9), round(float(found.multiplier), 9)
    (3.94, -1.0)
    """
    n = q.size
    values, vectors = jnp.linalg.eigh(a)
    b = q @ vectors  # real product
    size = jnp.sqrt((b**2).sum())
    scale = jnp.maximum(jnp.abs(values).max(), size / n**0.5)
    lowest = values - values[0] <= _EQUAL * scale
    gaps = jnp.where(lowest, 0, values - values[0])
    share = jnp.sqrt((jnp.where(lowest, b, 0) ** 2).sum())
    orthogonal = share <= _ORTHOGONAL * jnp.maximum(size, scale * n**0.5)
    b = jnp.where(lowest & orthogonal, 0, b)

    # In the hard case the sum is below n from the start, and the root stays at zero.
    shift = _secular_root(gaps, b, n, jnp.where(orthogonal, 0, share) / n**0.5)
    z = _over(b, gaps + shift)
    missing = jnp.where(orthogonal & (shift == 0), jnp.sqrt(jnp.maximum(n - (z**2).sum(), 0)), 0)
    both = z + jnp.array([[1.0], [-1.0]]) * jnp.where(jnp.arange(n) == 0, missing, 0)
    both = both * jnp.sqrt(n / (both**2).sum(-1, keepdims=True))
    x, mirrored = both @ vectors.T  # real product
    return SphereMinimum(x, mirrored, shift - values[0], values[0] * n - (b * z).sum() - shift * n)


def _secular_root(gaps: Float[Array, " n"], b: Float[Array, " n"], n: int, low: Float[Array, ""]) -> Float[Array, ""]:
    """Solve sum_i b_i^2 / (gap_i + s)^2 = n for s by Newton's method on the inverse root of the sum.

    That function is concave and increasing, so the steps from the left never pass the root.
    """

    def step(carry: tuple) -> tuple:
        s, i, _ = carry
        over = _over(b, gaps + s)
        square = (over**2).sum()
        cube = (over * _over(over, gaps + s)).sum()
        move = (jnp.sqrt(square / n) - 1) * square / jnp.where(cube > 0, cube, 1)
        new = s + jnp.maximum(move, 0)
        return new, i + 1, new > s

    def going(carry: tuple) -> Array:
        return carry[2] & (carry[1] < _STEPS)

    return jax.lax.while_loop(going, step, (low, jnp.asarray(0), (b**2).sum() > 0))[0]


def _over(b: Float[Array, " n"], d: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return b / d, and 0 where b is zero."""
    return jnp.where(b == 0, 0, b / jnp.where(b == 0, 1, d))
