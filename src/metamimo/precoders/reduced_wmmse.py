"""Weighted sum rate under a sum power limit: WMMSE in its reduced dimension (Zhao et al. 2023).

At full power the limit is part of the problem: noise n |F|^2 / P makes the rate independent of the scale of F, so no
multiplier has to be searched. F_k = H^H X_k leaves M x M systems, M = users times receive antennas.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from metamimo.linalg import cmatmul, hermitian
from metamimo.metrics.mean_square_error import MeanSquareError, mean_square_error
from metamimo.precoders.matched import scale_to_power
from metamimo.problem import Status

Channel = Complex[Array, "user rx port"]
Precoder = Complex[Array, "user port stream"]


class RateStage(eqx.Module):
    """Result of an iterative rate maximisation.

    Attributes:
        precoder: F [sqrt(W)].
        history: weighted sum rate of the start and after every step [nat], the last value repeated.
        status: a `Status`.
        iterations: steps done.
    """

    precoder: Precoder
    history: Float[Array, " step"]
    status: Int[Array, ""]
    iterations: Int[Array, ""]


# Precoder, its error, history, steps done, whether the rate still rises, whether the last candidate was finite.
Carry = tuple[Array, MeanSquareError, Array, Array, Array, Array]


def reduced_wmmse(
    h: Channel,
    start: Precoder,
    power: Float[Array, ""],
    *,
    tolerance: float = 1e-6,
    max_steps: int = 1000,
    weights: Float[Array, " user"] | None = None,
) -> RateStage:
    """Maximise the weighted sum rate of linear precoding at full power (Perović et al. 2024, eq. 52).

    The problem is not convex: the result is stationary. The rate never decreases. A user whose part of the start is
    zero stays without power; so does everything if the start or the power is zero.

    Args:
        h: effective channel over unit noise.
        start: F to start from; only its direction counts.
        power: sum of |F|^2 [W].
        tolerance: relative increase at which to stop.
        max_steps: limit of steps.
        weights: weight of each user's rate, not negative; one by default.

    Returns:
        Precoder, history of the rate, status and number of steps.

    >>> import jax
    >>> from metamimo.precoders.matched import maximum_ratio
    >>> jax.config.update("jax_enable_x64", True)
    >>> h, power = jnp.array([[[1.0, 1.0]], [[0.0, 1.0]]], complex), jnp.asarray(10.0)
    >>> stage = jax.jit(lambda h: reduced_wmmse(h, maximum_ratio(h, power), power))(h)
    >>> bool(stage.history[-1] > stage.history[0])
    True
    """
    users, rx, ports = h.shape
    m = users * rx
    weights = jnp.ones(users) if weights is None else weights
    # At unit power, with the power in the channel, nothing is divided by the power.
    h = h * jnp.sqrt(power)
    stacked = h.reshape(m, ports)
    gram = cmatmul(stacked, hermitian(stacked))
    unit = jnp.ones_like(power)

    def step(f: Precoder, s: MeanSquareError) -> Precoder:
        price = jnp.trace(s.curvature, axis1=1, axis2=2).real.sum()
        system = jnp.where(price > 0, price, 1) * jnp.eye(m) + cmatmul(block_diagonal(s.curvature), gram)
        x = jnp.linalg.solve(system, block_diagonal(s.slope))
        f = cmatmul(hermitian(stacked), x).reshape(ports, users, -1).transpose(1, 0, 2)
        return scale_to_power(f, unit)

    stage = ascend(h, scale_to_power(start, unit), step, weights, tolerance, max_steps)
    return eqx.tree_at(lambda s: s.precoder, stage, stage.precoder * jnp.sqrt(power))


def ascend(
    h: Channel,
    start: Precoder,
    step: Callable[[Precoder, MeanSquareError], Precoder],
    weights: Float[Array, " user"],
    tolerance: float,
    max_steps: int,
) -> RateStage:
    """Repeat a step that lowers the weighted mean square error until the rate stops growing.

    Args:
        h: effective channel over unit noise.
        start: feasible F [sqrt(W)].
        step: makes the next feasible F from the current one and its mean square error.
        weights: weight of each user's rate.
        tolerance: relative increase at which to stop.
        max_steps: limit of steps.

    Returns:
        The stage's result.
    """

    def body(carry: Carry) -> Carry:
        f, current, history, i, *_ = carry
        candidate = step(f, current)
        new = mean_square_error(h, candidate, weights)
        # At the optimum rounding decides the last digits: keep the better point, so that the history is monotone.
        better = new.rate > current.rate
        rising = new.rate - current.rate > tolerance * new.rate
        f, current = jax.tree.map(lambda a, b: jnp.where(better, a, b), (candidate, new), (f, current))
        return f, current, history.at[i + 1].set(current.rate), i + 1, rising, jnp.isfinite(new.rate)

    def going(carry: Carry) -> Array:
        return carry[4] & (carry[3] < max_steps)

    first = mean_square_error(h, start, weights)
    history = jnp.full(max_steps + 1, first.rate)
    begin = (start, first, history, jnp.asarray(0), jnp.asarray(True), jnp.asarray(True))
    f, last, history, iterations, rising, finite = jax.lax.while_loop(going, body, begin)
    history = jnp.where(jnp.arange(max_steps + 1) > iterations, last.rate, history)
    status = jnp.where(rising, Status.ITERATION_LIMIT, Status.CONVERGED)
    status = jnp.where(finite & jnp.isfinite(first.rate), status, Status.NOT_FINITE)
    return RateStage(f, history, status, iterations)


def block_diagonal(blocks: Complex[Array, "user a b"]) -> Complex[Array, "m n"]:
    """Return the block diagonal matrix of one block a user."""
    users, a, b = blocks.shape
    return (jnp.eye(users)[:, None, :, None] * blocks[:, :, None, :]).reshape(users * a, users * b)
