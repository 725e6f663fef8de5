"""States and precoders of all stations in one L-BFGS run, every power limit met exactly at every point."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metamimo.conventions import NAT_TO_BIT
from metamimo.linalg import squared_norm
from metamimo.optimise.lbfgs import minimise, pure
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.common import scored
from metamimo.schemes.limited import Precoders, States, check_sum_rate, random_start, weighted_rate, within
from metamimo.schemes.network import shared_surface
from metamimo.tuners.tuned import lbfgs_status


def network_joint(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    tolerance: float = 1e-6,
    window: int = 10,
    max_iterations: int = 5_000,
) -> Solution:
    """Maximise the weighted sum rate over states and precoders of all stations at once, by L-BFGS.

    Signal model: that of `metamimo.problem.Link`, any number of stations and subcarriers, with limits of the accepted
    power of every port, and of the accepted or radiated power of every station. A precoder above a limit is scaled
    down to it, which is part of the function that is differentiated: the run knows that a state which radiates more
    leaves less room for the precoder. Surfaces whose sets are discrete keep the state of the start.

    Args:
        problem: the weighted sum rate, without rate constraints, one surface shared by all stations.
        key: key of the trial; sub-key "start" draws states and precoders.
        start: a design to start from; block descent schemes give good ones.
        tolerance: relative gain per iteration below which the run has converged.
        window: iterations that the gain is taken over.
        max_iterations: limit of iterations.

    Returns:
        The solution.

    Raises:
        ConfigError: if the problem is more general than the scheme.
    """
    check_sum_rate(problem, "network-joint")
    link = problem.link
    feasible = shared_surface(problem, "network-joint").feasible
    states, precoder = random_start(problem, key) if start is None else (start.state[0], start.precoder)
    first = feasible.to_real(states) if feasible.smooth else jnp.zeros((0,))
    unit = jnp.sqrt(jnp.maximum(squared_norm(precoder) / precoder.size, jnp.finfo(float).tiny))
    parts = jnp.stack([precoder.real, precoder.imag], -1) / unit

    def unpack(point: Float[Array, " n"]) -> tuple[States, Precoders]:
        p, f = point[: first.size].reshape(first.shape), point[first.size :].reshape(parts.shape)
        state = feasible.from_real(p) if feasible.smooth else states
        return state, within(problem, state, unit * jax.lax.complex(f[..., 0], f[..., 1]))

    def loss(point: Float[Array, " n"]) -> Float[Array, ""]:
        return -jnp.log(jnp.maximum(weighted_rate(link, *unpack(point)), jnp.finfo(float).tiny))

    found = minimise(
        pure(loss),
        jnp.concatenate([first.ravel(), parts.ravel()]),
        tolerance=window * tolerance,
        window=window,
        max_iterations=max_iterations,
    )
    states, precoder = unpack(found.x)
    history = jnp.exp(-found.history) * NAT_TO_BIT
    return scored(problem, Design((states,), precoder), history, lbfgs_status(found), found.iterations, found.trials)
