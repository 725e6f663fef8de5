"""Projected gradient ascent of the sum rate over the surface state (Perović et al. 2024, section V-B)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Inexact

from metamimo.optimise.projected_gradient import Point, StepRule, ascend, start_point
from metamimo.problem import Link, Status
from metamimo.tuners.fixed_precoder import fixed_precoder_rate
from metamimo.tuners.tuned import Tuned


def tune_projected_gradient(
    link: Link,
    state: Inexact[Array, "..."],
    precoder: Complex[Array, "user port stream"],
    *,
    rule: StepRule,
    tolerance: float,
    window: int,
    max_iterations: int,
) -> Tuned:
    """Take projected gradient steps until the window's relative gain is below `window` times the tolerance.

    Args:
        link: broadcast link.
        state: first state.
        precoder: F, kept fixed [sqrt(W)].
        rule: line search.
        tolerance: relative gain per iteration.
        window: iterations that the gain is taken over.
        max_iterations: limit of iterations.

    Returns:
        The result; its history never falls.
    """
    forward, backward = fixed_precoder_rate(link, precoder)
    project = link.surfaces[0].feasible.project

    def iterate(carry: tuple[Point, Array, Array, Array]) -> tuple[Point, Array, Array, Array]:
        point, history, i, _ = carry
        point = ascend(forward, backward, project, point, rule)
        i = i + 1
        history = history.at[i].set(point.value)
        gain = point.value - history[jnp.maximum(i - window, 0)]
        return point, history, i, (i >= window) & (gain <= window * tolerance * point.value)

    def going(carry: tuple[Point, Array, Array, Array]) -> Array:
        point, _, i, flat = carry
        return ~flat & (i < max_iterations) & jnp.isfinite(point.value)

    point = start_point(forward, state, rule)
    history = jnp.full(max_iterations + 1, point.value)
    point, history, i, flat = jax.lax.while_loop(going, iterate, (point, history, jnp.asarray(0), jnp.asarray(False)))
    history = jnp.where(jnp.arange(max_iterations + 1) > i, point.value, history)
    status = jnp.where(flat, Status.CONVERGED, Status.ITERATION_LIMIT)
    status = jnp.where(jnp.isfinite(point.value), status, Status.NOT_FINITE)
    return Tuned(point.x, history, status, i, point.trials)
