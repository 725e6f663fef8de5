"""Bound of a rate over chains whose elements are on or off, by all patterns of a chain (specification of bounds, B22).

Signal model: that of `metamimo.bounds.columns` with psi in {0, 1}^n. For every M_s > 0 the covariance of what chain s
sends obeys tr(M_s Q_s) <= tau_s, the largest psi^T M_s psi over all patterns: the exact convex hull of one chain.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from metamimo.bounds.columns import best_prices, circle_columns
from metamimo.bounds.priced import EPS, priced_rate, safe_eigenvalues
from metamimo.errors import ConfigError
from metamimo.linalg import cmatmul, hermitian, squared_norm
from metamimo.optimise.lbfgs import minimise, pure

MOST = 10
"""Elements of a chain up to which all its patterns are looked at."""

_RAISED = 1 + 1e-9
_SHARPNESS = (10.0, 100.0, 1000.0)
"""Of the smooth maximum over patterns, one search each."""
_FLAT = 1e-11
"""Smallest eigenvalue of M over its largest at which a price still counts."""


def pattern_bound(
    a: Complex[Array, "m chain element"], *, tolerance: float = 1e-3, max_iterations: int = 200
) -> Float[Array, ""]:
    """Return a number that no patterns and no precoders exceed [nat].

    Args:
        a: what an element that is on adds to the received signals, over unit noise, at the chain's full power; at most
            `MOST` elements a chain.
        tolerance: gain over ten iterations at which each search stops; a thousandth costs 0.02 % of the bound.
        max_iterations: limit of each search.

    Returns:
        The bound at the best prices found.

    Raises:
        ConfigError: if a chain has more elements.
    """
    _, chains, n = a.shape
    if n > MOST:
        raise ConfigError(f"a: at most {MOST} elements a chain, whose patterns are all looked at, got {n}")

    def sharpen(x: Float[Array, " variable"], sharpness: Float[Array, ""]) -> tuple[Array, Array]:
        def smooth(x: Float[Array, " variable"]) -> Float[Array, ""]:
            spent, gains = spent_and_gains(a, factors(x, chains, n))
            return (jax.nn.logsumexp(sharpness * spent, axis=1) / sharpness).sum() + priced_rate(gains)

        x = minimise(pure(smooth), x, tolerance=tolerance, max_iterations=max_iterations).x
        return x, bound_at_factors(a, x)

    start = start_factors(a)
    _, found = jax.lax.scan(sharpen, start, jnp.asarray(_SHARPNESS))
    return jnp.nanmin(jnp.append(found, bound_at_factors(a, start)))


def bound_at_factors(a: Complex[Array, "m chain element"], x: Float[Array, " variable"]) -> Float[Array, ""]:
    """Return sum_s tau_s + sum_i phi(lambda_i(sum_s A_s M_s^-1 A_s^H)), M_s = L_s L_s^H, infinite where M is too flat.

    Args:
        a: see `pattern_bound`.
        x: any factors, see `factors`.
    """
    m, chains, n = a.shape
    lower = factors(x, chains, n)
    price = cmatmul(lower, hermitian(lower))
    spent, gains = spent_and_gains(a, lower)
    spread = jnp.linalg.eigvalsh(price)
    worst = (spread[:, -1] / jnp.maximum(spread[:, 0], jnp.finfo(float).tiny)).max()
    # A relative error of the solves moves every eigenvalue by as much, and phi by no more.
    rounding = m * 8 * n * EPS * worst
    value = (spent.max(1).sum() + priced_rate(gains) + rounding) * _RAISED
    return jnp.where((spread[:, 0] >= _FLAT * spread[:, -1]).all() & jnp.isfinite(value), value, jnp.inf)


def spent_and_gains(
    a: Complex[Array, "m chain element"], lower: Complex[Array, "chain n n"]
) -> tuple[Float[Array, "chain pattern"], Float[Array, " m"]]:
    """Return psi^T M_s psi of every pattern, and the eigenvalues of sum_s A_s M_s^-1 A_s^H."""
    patterns = np.array(list(itertools.product((0.0, 1.0), repeat=a.shape[2])))[1:]
    spent = squared_norm(cmatmul(jnp.asarray(patterns, complex), lower), -1)
    through = jax.lax.linalg.triangular_solve(lower, a.transpose(1, 2, 0).conj(), left_side=True, lower=True)
    return spent, safe_eigenvalues(cmatmul(hermitian(through), through).sum(0))


def start_factors(a: Complex[Array, "m chain element"]) -> Float[Array, " variable"]:
    """Return the factors whose bound is that of the circle through 0 and 1."""
    _, chains, n = a.shape
    price = jnp.exp(best_prices(circle_columns(a, 0.5, 0.5)))
    whole, each = price[:chains, None, None], price[chains:].reshape(chains, n, 1)
    inverse = (1 / whole + jnp.eye(n) / each) / 4
    lower = jnp.linalg.cholesky(jnp.linalg.inv(inverse))
    return pack(lower + 0j)


def factors(x: Float[Array, " variable"], chains: int, n: int) -> Complex[Array, "chain n n"]:
    """Return lower triangular matrices with a positive diagonal."""
    real, imaginary = x.reshape(2, chains, n, n)
    below = jax.lax.complex(jnp.tril(real, -1), jnp.tril(imaginary, -1))
    return below + jnp.exp(jnp.diagonal(real, axis1=1, axis2=2))[..., None] * jnp.eye(n)


def pack(lower: Complex[Array, "chain n n"]) -> Float[Array, " variable"]:
    """Return the variables whose `factors` these are."""
    diagonal = jnp.log(jnp.diagonal(lower, axis1=1, axis2=2).real)[..., None] * jnp.eye(lower.shape[-1])
    return jnp.stack([jnp.tril(lower.real, -1) + diagonal, jnp.tril(lower.imag, -1)]).ravel()
