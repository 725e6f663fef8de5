"""Quadratics over signs: F(x) = x^T A x - 2 q^T x, x in {-1, +1}^n, from the sphere to signs that no flip improves."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from metamimo.optimise.sphere_relaxation import sphere_minimum

_GAIN = 1e-12
"""Least fall of F by a flip, relative to the larger of one and the diagonal of A."""

_PASSES = 100
"""Limit of passes of the local search; a handful is needed."""

_POSITIVE = 1e-9
"""Eigenvalue of a certificate that counts as zero, relative to the largest entry."""


class SignChoice(NamedTuple):
    """Signs chosen for a quadratic.

    Attributes:
        x: the signs.
        bound: no signs have a lower value.
        optimal: whether the certificate proves that none are better.
    """

    x: Float[Array, " n"]
    bound: Float[Array, ""]
    optimal: Bool[Array, ""]


def quadratic_value(
    a: Float[Array, "n n"], q: Float[Array, " n"], x: Float[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Return F(x) = x^T A x - 2 q^T x."""
    return (x * (x @ a - 2 * q)).sum(-1)  # real product


def hidden_convexity(a: Float[Array, "n n"], q: Float[Array, " n"], before: Float[Array, " n"]) -> SignChoice:
    """Choose signs from the minimum on the sphere (Zhi et al. 2025, eq. 40), never worse than those before.

    The signs of the minimiser on the sphere or the signs before, whichever are better, are improved by single flips.

    Args:
        a: A, symmetric.
        q: q.
        before: signs to compare with.

    Returns:
        The choice; its bound is that of the sphere.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> hidden_convexity(jnp.eye(2), jnp.array([3.0, -1.0]), jnp.ones(2)).x.tolist()
    [1.0, -1.0]
    """
    a, q, scale = normalised(a, q)
    sphere = sphere_minimum(a, q)
    candidates = jnp.stack([_signs(sphere.x), _signs(sphere.mirrored), before])
    best = candidates[jnp.argmin(quadratic_value(a, q, candidates))]
    x = descend_by_flips(a, q, best)
    return SignChoice(x, sphere.bound * scale, certified(a, q, x))


def normalised(
    a: Float[Array, "n n"], q: Float[Array, " n"]
) -> tuple[Float[Array, "n n"], Float[Array, " n"], Float[Array, ""]]:
    """Return A and q over their largest entry, and that entry: absolute tolerances then mean something."""
    largest = jnp.maximum(jnp.abs(a).max(), jnp.abs(q).max())
    scale = jnp.where(largest > 0, largest, 1)
    return a / scale, q / scale, scale


def descend_by_flips(a: Float[Array, "n n"], q: Float[Array, " n"], x: Float[Array, " n"]) -> Float[Array, " n"]:
    """Flip single signs, one after the other, as long as one lowers F by more than rounding.

    Flipping x_i changes F by 4 (A_ii - x_i (A x - q)_i).

    Args:
        a: A over the scale of the problem.
        q: q over the same.
        x: signs to start from.

    Returns:
        Signs that no flip improves.
    """
    least = _GAIN * jnp.maximum(1, jnp.abs(jnp.diagonal(a)))

    def visit(i: Int[Array, ""], carry: tuple) -> tuple:
        x, slope, flips = carry
        better = 4 * (a[i, i] - x[i] * slope[i]) < -least[i]
        change = jnp.where(better, -2 * x[i], 0.0)
        return x.at[i].add(change), slope + a[:, i] * change, flips + better

    def one_pass(carry: tuple) -> tuple:
        state, _, number = carry
        after = jax.lax.fori_loop(0, x.size, visit, state)
        return after, after[2] > state[2], number + 1

    def going(carry: tuple) -> Array:
        return carry[1] & (carry[2] < _PASSES)

    first = (x, a @ x - q, jnp.asarray(0))  # real product
    (x, *_), *_ = jax.lax.while_loop(going, one_pass, (first, jnp.asarray(True), jnp.asarray(0)))
    return x


def certified(a: Float[Array, "n n"], q: Float[Array, " n"], x: Float[Array, " n"]) -> Bool[Array, ""]:
    """Tell whether A + diag(d), d = x (q - A x), is positive semidefinite, which proves that x is globally optimal.

    F equals (y - x)^T (A + diag(d)) (y - x) + F(x) for all signs y.

    Args:
        a: A over the scale of the problem.
        q: q over the same.
        x: signs.
    """
    d = x * (q - a @ x)  # real product
    return jnp.linalg.eigvalsh(a + jnp.diag(d))[0] >= -_POSITIVE


def _signs(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.where(x >= 0, 1.0, -1.0)
