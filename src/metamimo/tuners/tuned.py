"""What every tuner returns."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Int

from metamimo.optimise.lbfgs import Minimum
from metamimo.problem import Status


class Tuned(eqx.Module):
    """Result of a surface stage.

    Attributes:
        state: state of the surface.
        history: sum rate after every iteration [nat per channel use], the last value repeated.
        status: a `Status`.
        iterations: iterations done.
        trials: forward passes.
    """

    state: Inexact[Array, "..."]
    history: Float[Array, " iteration"]
    status: Int[Array, ""]
    iterations: Int[Array, ""]
    trials: Int[Array, ""]


def lbfgs_status(found: Minimum) -> Int[Array, ""]:
    """Return the status of an L-BFGS run."""
    status = jnp.where(found.flat, Status.CONVERGED, Status.ITERATION_LIMIT)
    status = jnp.where(found.stalled & ~found.flat, Status.STALLED, status)
    return jnp.where(jnp.isfinite(found.value), status, Status.NOT_FINITE)
