"""Bounds of quadratics over signs, F(x) = x^T A x - 2 q^T x with x in {-1, +1}^n (specification of bounds, section 6).

Elements on or off are signs, see `metamimo.tuners.element_block.signs_of`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from metamimo.bounds.priced import EPS, safe_eigenvalues
from metamimo.bounds.unit_modulus import circle_bound


def binary_bound(
    a: Float[Array, "n n"], q: Float[Array, " n"], *, tolerance: float = 1e-14, max_iterations: int = 1000
) -> Float[Array, ""]:
    """Return a number that F(x) = x^T A x - 2 q^T x undercuts at no signs (specification of bounds, B16).

    Signs are phases: for real A and q the semidefinite relaxations of both are equal. It is the best bound of all
    spheres with a shifted diagonal, and so never below that of `metamimo.optimise.sphere_relaxation`.

    Args:
        a: A, symmetric.
        q: q.
        tolerance, max_iterations: see `metamimo.bounds.unit_modulus.unit_modulus_bound`.

    Returns:
        The lower bound, in the units of F.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> bound = jax.jit(binary_bound)(jnp.array([[0.0, 1.0], [1.0, 0.0]]), jnp.array([3.0, 0.0]))
    >>> round(bound.item(), 9)  # at (1, -1)
    -8.0
    """
    return circle_bound(a + 0j, q + 0j, 0j, 1.0, tolerance=tolerance, max_iterations=max_iterations)


def optimality_gap(a: Float[Array, "n n"], q: Float[Array, " n"], x: Float[Array, " n"]) -> Float[Array, ""]:
    """Return a number that F(x) - F(y) exceeds for no signs y, zero up to rounding where x is proven (B17).

    With d = x (q - A x), F(y) - F(x) = (y - x)^T (A + diag d) (y - x) for all signs y, and |y - x|^2 <= 4 n. So the gap
    is at most 4 n max(0, -lambda_min(A + diag d)): a positive semidefinite matrix proves x, as
    `metamimo.optimise.binary_quadratic.certified` tells.

    Args:
        a: A, symmetric.
        q: q.
        x: signs.

    Returns:
        The gap, in the units of F; rounding is added.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> a, q = jnp.array([[1.0]]), jnp.array([2.0])
    >>> [round(optimality_gap(a, q, jnp.array([x])).item(), 9) for x in (1.0, -1.0)]  # F is -3 and 5
    [0.0, 8.0]
    """
    d = x * (q - a @ x)  # real product
    formed = x.size * EPS * (jnp.abs(a).sum(1) + jnp.abs(q)).max()
    below = safe_eigenvalues(-a - jnp.diag(d) + 0j)[-1] + formed
    return 4 * x.size * jnp.maximum(below, 0)
