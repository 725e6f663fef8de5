"""Bound of a rate whose signals are sums of columns with priced power (specification of bounds, B21).

Signal model: y = sum_s sum_n a_sn psi_sn f_s + noise of unit power, |f_s| <= 1, every psi_sn on a circle of centre z
and radius r. With psi = z + r u, |u_n| = 1, the covariance Q_s of what chain s sends obeys, for every price y > 0,
tr(M_s Q_s) <= sum_n y_sn with M_s^-1 = |z|^2 1 1^T / y_s0 + r^2 diag(1 / y_sn): a chain is then nothing but the columns
|z| sum_n a_sn and r a_sn, each of them with its own price.
"""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.bounds.priced import priced_rate, safe_eigenvalues
from metamimo.linalg import cmatmul, hermitian, squared_norm
from metamimo.optimise.lbfgs import minimise, pure

_RAISED = 1 + 1e-10
_LEVELS = tuple(10.0 ** (power / 10) for power in range(-100, 1))
"""Common prices that a start tries, over the largest gain at a price of one, above which nothing is worth its price."""


def circle_columns(a: Complex[Array, "m chain element"], offset: float, radius: float) -> Complex[Array, "m column"]:
    """Return the columns of chains whose elements lie on a circle.

    Args:
        a: what a unit state of an element adds to the received signals, over unit noise, at the chain's full power.
        offset: |z|.
        radius: r.
    """
    m = a.shape[0]
    return jnp.concatenate([offset * a.sum(2), (radius * a).reshape(m, -1)], 1)


def column_bound(
    columns: Complex[Array, "m column"], *, tolerance: float = 1e-6, max_iterations: int = 300
) -> Float[Array, ""]:
    """Return a number that the rate of no states and no precoders exceeds [nat].

    Args:
        columns: c_k of all chains, see `circle_columns`; those that are zero cost nothing.
        tolerance: gain over ten iterations at which the search for the prices stops.
        max_iterations: limit of its iterations; zero leaves the best common price.

    Returns:
        The bound at the best prices found.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> bound = column_bound(jnp.array([[3.0]], complex))  # one column with unit power: ln(1 + 9)
    >>> round(float(jnp.exp(bound)), 4)
    10.0
    """

    log_price = best_prices(columns, tolerance=tolerance, max_iterations=max_iterations)
    return bound_at_prices(columns, log_price)


def best_prices(
    columns: Complex[Array, "m column"], *, tolerance: float = 1e-6, max_iterations: int = 300
) -> Float[Array, " column"]:
    """Return the logarithms of the prices at which `bound_at_prices` is least; see `column_bound`."""

    def value(log_price: Float[Array, " column"]) -> Float[Array, ""]:
        return bound_at_prices(columns, log_price)

    start = common_price(columns)
    return minimise(pure(value), start, tolerance=tolerance, max_iterations=max_iterations).x


def common_price(columns: Complex[Array, "m column"]) -> Float[Array, " column"]:
    """Return the logarithm of the best price among those that are the same for all columns.

    All gains go with one over a common price, so one set of eigenvalues serves all that are tried.

    Args:
        columns: see `column_bound`.
    """
    gains = jnp.maximum(safe_eigenvalues(cmatmul(columns, hermitian(columns))), 0)
    prices = jnp.maximum(gains[-1], jnp.finfo(float).tiny ** 0.5) * jnp.asarray(_LEVELS)
    totals = prices * (squared_norm(columns, 0) > 0).sum() + priced_rate(gains / prices[:, None])
    return jnp.full(columns.shape[1], jnp.log(prices[totals.argmin()]))


def bound_at_prices(columns: Complex[Array, "m column"], log_price: Float[Array, " column"]) -> Float[Array, ""]:
    """Return sum_k y_k + sum_i phi(lambda_i(sum_k c_k c_k^H / y_k)) with y = exp(log_price), valid at any price."""
    silent = squared_norm(columns, 0) == 0
    root = jnp.where(silent, 0, jnp.exp(-log_price / 2))
    scaled = columns * root
    prices = jnp.where(silent, 0, jnp.exp(log_price)).sum()
    return (prices + priced_rate(safe_eigenvalues(cmatmul(scaled, hermitian(scaled))))) * _RAISED
