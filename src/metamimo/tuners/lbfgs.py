"""L-BFGS ascent of the sum rate over the real parameters of the surface state: the default of production runs."""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.metrics.rates import linear_sum_rate
from metamimo.optimise.lbfgs import minimise, pure
from metamimo.problem import Link
from metamimo.tuners.tuned import Tuned, lbfgs_status


def tune_lbfgs(
    link: Link,
    state: Inexact[Array, "..."],
    precoder: Complex[Array, "user port stream"],
    *,
    tolerance: float,
    window: int,
    max_iterations: int,
) -> Tuned:
    """Minimise -ln(sum rate) over the real parameters of the state until the window's gain is small.

    Args:
        link: broadcast link with a smooth feasible set.
        state: first state.
        precoder: F, kept fixed [sqrt(W)].
        tolerance: relative gain per iteration.
        window: iterations that the gain is taken over.
        max_iterations: limit of iterations.

    Returns:
        The result; its history never falls.
    """
    surface = link.surfaces[0]
    first = surface.feasible.to_real(state)
    rows = link.channel[:, 0] / jnp.sqrt(link.noise_power)

    def unpack(p: Float[Array, " n"]) -> Inexact[Array, "..."]:
        return surface.feasible.from_real(p.reshape(first.shape))

    def loss(p: Float[Array, " n"]) -> Float[Array, ""]:
        h = surface.apply_rows(unpack(p), rows)[0] * link.ports[0]
        return -jnp.log(linear_sum_rate(h, precoder))

    found = minimise(
        pure(loss), first.ravel(), tolerance=window * tolerance, window=window, max_iterations=max_iterations
    )
    return Tuned(unpack(found.x), jnp.exp(-found.history), lbfgs_status(found), found.iterations, found.trials)
