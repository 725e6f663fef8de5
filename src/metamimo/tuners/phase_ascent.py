"""Projected gradient ascent on real phases with Armijo steps and a guard for rates: Theorem 1 of arXiv 2504.15737."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact, Int

from metamimo.linalg import squared_norm
from metamimo.metrics.rates import linear_user_rates
from metamimo.problem import Link, Status
from metamimo.tuners.tuned import Tuned

_ARMIJO = 1e-4
_BACKTRACKS = 40
_NO_SLOPE = 1e-14
_MET = 1e-9
"""A rate counts as reached from that much below its constraint [nat]."""


def ascend_phases(
    link: Link,
    state: Inexact[Array, "..."],
    precoder: Complex[Array, "user port stream"],
    min_rate: Float[Array, " user"],
    *,
    first_step: float = 0.1,
    shrink: float = 0.5,
    tolerance: float = 1e-6,
    max_iterations: int = 100,
) -> Tuned:
    """Raise the weighted sum rate over the phases at a fixed precoder (eqs. 43 to 49).

    Signal model: theta <- theta + mu grad R with mu = mu_0 pi / max|grad|, accepted if R grows by 1e-4 mu |grad|^2. A
    step that breaks a rate constraint that holds is shrunk like one that fails this test. The next search starts at
    twice the accepted mu_0; phases need no projection, they are angles.

    Args:
        link: broadcast link with a smooth feasible set.
        state: first state.
        precoder: F, kept fixed [sqrt(W)].
        min_rate: least rate of each user [nat per channel use].
        first_step: mu_0 of the first iteration.
        shrink: factor of a step that fails.
        tolerance: relative gain of an iteration below which the ascent has converged.
        max_iterations: limit of iterations.

    Returns:
        The result; its history never falls.
    """
    feasible, unit_noise = link.surfaces[0].feasible, 1 / jnp.sqrt(link.noise_power)
    surface, rows = link.surfaces[0], link.channel[:, 0] * unit_noise

    def rates_at(theta: Float[Array, "..."]) -> Float[Array, " user"]:
        h = surface.apply_rows(feasible.from_real(theta), rows)[0] * link.ports[0]
        return linear_user_rates(h, precoder, link.evm)

    def weighted(theta: Float[Array, "..."]) -> tuple[Array, Array]:
        rate = rates_at(theta)
        return (link.weights * rate).sum(), rate

    def iterate(carry: tuple) -> tuple:
        theta, value, rate, step, history, i, trials, _ = carry
        gradient = jax.grad(weighted, has_aux=True)(theta)[0]
        largest = jnp.maximum(jnp.abs(gradient).max(initial=0.0), _NO_SLOPE)
        slope = squared_norm(gradient)
        held = rate >= min_rate - _MET

        def trial(search: tuple) -> tuple:
            size, *_, n = search
            mu = size * math.pi / largest
            moved = theta + mu * gradient
            new_value, new_rate = weighted(moved)
            kept = (~held | (new_rate >= min_rate - _MET)).all()
            accepted = kept & (new_value >= value + _ARMIJO * mu * slope)
            return jnp.where(accepted, size, size * shrink), moved, new_value, new_rate, accepted, n + 1

        def searching(search: tuple) -> Array:
            *_, accepted, n = search
            return ~accepted & (n <= _BACKTRACKS)

        begin = (step, theta, value, rate, jnp.asarray(False), jnp.asarray(0))
        size, moved, new_value, new_rate, accepted, n = jax.lax.while_loop(searching, trial, begin)
        theta, new_value, rate = jax.tree.map(
            lambda a, b: jnp.where(accepted, a, b), (moved, new_value, new_rate), (theta, value, rate)
        )
        i = i + 1
        flat = ~accepted | (new_value - value <= tolerance * value) | (largest <= _NO_SLOPE)
        return theta, new_value, rate, 2 * size, history.at[i].set(new_value), i, trials + n, flat

    def going(carry: tuple) -> Array:
        *_, i, _, flat = carry
        return ~flat & (i < max_iterations) & jnp.isfinite(carry[1])

    theta = feasible.to_real(state)
    value, rate = weighted(theta)
    counter = jnp.asarray(0)
    begin = (theta, value, rate, jnp.asarray(first_step), jnp.full(max_iterations + 1, value), counter, counter)
    theta, value, _, _, history, i, trials, flat = jax.lax.while_loop(going, iterate, (*begin, jnp.asarray(False)))
    history = jnp.where(jnp.arange(max_iterations + 1) > i, value, history)
    return Tuned(feasible.from_real(theta), history, _status(flat, value), i, trials)


def _status(flat: Array, value: Array) -> Int[Array, ""]:
    status = jnp.where(flat, Status.CONVERGED, Status.ITERATION_LIMIT)
    return jnp.where(jnp.isfinite(value), status, Status.NOT_FINITE)
