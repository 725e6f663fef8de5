"""Weighted sum rate under a power limit for every port, or under one sum limit: WMMSE in the dimension of the ports.

With a limit for every port the quadratic stage is solved row by row of F: an isotropic quadratic on a ball, whose
minimiser is the free one shortened to the ball. No multiplier is searched and nothing of the ports' size is inverted.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from metamimo.linalg import cmatmul, hermitian, squared_norm
from metamimo.metrics.mean_square_error import MeanSquareError
from metamimo.precoders.reduced_wmmse import Channel, Precoder, RateStage, ascend, reduced_wmmse

_UNROLLED = 16
"""Rows written out one after another, where the steps of a loop would cost more than the rows."""


def wmmse(
    h: Channel,
    start: Precoder,
    limits: Float[Array, ""] | Float[Array, " port"],
    *,
    tolerance: float = 1e-6,
    max_steps: int = 1000,
    sweeps: int = 1,
    weights: Float[Array, " user"] | None = None,
) -> RateStage:
    """Maximise the weighted sum rate of linear precoding.

    The problem is not convex: the result is stationary. The rate never decreases, the weighted mean square error never
    rises. A user whose part of the start is zero stays without power.

    Args:
        h: effective channel over unit noise.
        start: F to start from; rows above their limit are shortened to it [sqrt(W)].
        limits: power of each port, or one sum limit, which is then used up (`reduced_wmmse`) [W].
        tolerance: relative increase at which to stop.
        max_steps: limit of steps.
        sweeps: passes over the rows a step, at least 1; for port limits only.
        weights: weight of each user's rate, not negative; one by default.

    Returns:
        Precoder, history of the rate, status and number of steps.

    >>> from metamimo.precoders.matched import maximum_ratio
    >>> jax.config.update("jax_enable_x64", True)
    >>> h = jnp.array([[[1.0, 1.0]], [[0.0, 1.0]]], complex)
    >>> stage = wmmse(h, maximum_ratio(h, jnp.asarray(4.0)), jnp.array([1.0, 4.0]))
    >>> squared_norm(stage.precoder, (0, 2)).round(9)
    Array([1., 4.], dtype=float64)
    """
    if limits.ndim == 0:
        return reduced_wmmse(h, start, limits, tolerance=tolerance, max_steps=max_steps, weights=weights)
    reach = jnp.sqrt(limits)

    def step(f: Precoder, s: MeanSquareError) -> Precoder:
        return row_step(h, f, s, reach, sweeps)

    weights = jnp.ones(h.shape[0]) if weights is None else weights
    return ascend(h, shorten_rows(start, reach), step, weights, tolerance, max_steps)


def row_step(
    h: Channel,
    f: Precoder,
    error: MeanSquareError,
    reach: Float[Array, " port"],
    sweeps: int,
    sends: Bool[Array, "port user"] | None = None,
) -> Precoder:
    """Lower the weighted mean square error by sweeps over the rows of F (Zhi et al. 2025, Theorem 2).

    Args:
        h: effective channel over unit noise, of all stations over the joint axis of (station, port).
        f: feasible F [sqrt(W)].
        error: the mean square error at F.
        reach: root of the power limit of each port.
        sweeps: passes over the rows.
        sends: which port sends to which user; all by default.
    """
    users, rx, ports = h.shape
    streams = f.shape[-1]
    through = cmatmul(hermitian(h), error.curvature).transpose(1, 0, 2).reshape(ports, -1)
    quadratic = cmatmul(through, h.reshape(users * rx, ports))
    linear = cmatmul(hermitian(h), error.slope).transpose(1, 0, 2).reshape(ports, -1)
    free = None if sends is None else jnp.repeat(sends, streams, axis=1)
    rows = f.transpose(1, 0, 2).reshape(ports, -1)
    rows = jax.lax.fori_loop(0, sweeps, lambda _, r: sweep_rows(quadratic, linear, r, reach, free), rows)
    return rows.reshape(ports, users, streams).transpose(1, 0, 2)


def sweep_rows(
    quadratic: Complex[Array, "port port"],
    linear: Complex[Array, "port all"],
    rows: Complex[Array, "port all"],
    reach: Float[Array, " port"],
    sends: Bool[Array, "port all"] | None = None,
) -> Complex[Array, "port all"]:
    """Minimise tr(F^H B F) - 2 Re tr(D^H F) over one row of F after the other, |f_m| <= reach_m.

    With a = B_mm and c = D_m - sum over the other rows t of B_mt f_t the minimiser is min(1 / a, reach / |c|) c. A row
    that influences nothing (a = 0, c = 0) stays as it is.

    Args:
        quadratic: B, Hermitian, positive semidefinite.
        linear: D.
        rows: F, feasible.
        reach: largest norm of each row, not negative.
        sends: which entries of F are free, the others being zero; all by default.

    Returns:
        F after one sweep; its value is not higher.
    """

    def update(rows: Array, row: tuple) -> tuple[Array, None]:
        m, d, across, a, reach, sends = row
        old = rows[m]
        c = d - (across[:, None] * rows).sum(0) + a * old
        c = c if sends is None else jnp.where(sends, c, 0)
        size = jnp.sqrt(squared_norm(c))
        inside = (a > 0) & (a * reach >= size)
        factor = jnp.where(inside, 1 / jnp.where(inside, a, 1), reach / jnp.where(size > 0, size, 1))
        new = jnp.where((a > 0) | (size > 0), factor * c, old)
        # Without the barrier XLA computes a row again for every entry of the next ones.
        return jax.lax.optimization_barrier(rows.at[m].set(new)), None

    each = (jnp.arange(len(rows)), linear, quadratic, jnp.diagonal(quadratic).real, reach, sends)
    return jax.lax.scan(update, rows, each, unroll=min(len(rows), _UNROLLED))[0]


def shorten_rows(f: Precoder, reach: Float[Array, " port"]) -> Precoder:
    """Return F with the rows whose norm is above `reach` shortened to it."""
    size = jnp.sqrt(squared_norm(f, (0, 2)))
    return f * jnp.where(size > reach, reach / jnp.where(size > 0, size, 1), 1)[None, :, None]
