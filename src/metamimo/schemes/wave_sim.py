"""Wave-SIM: the stack alone separates the users; every stream has an antenna of its own and only a power."""

import jax.numpy as jnp
from jaxtyping import Array, Key

from metamimo.precoders.coordinates import OneStreamAPort, central_ports
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.common import single_surface, starting_state
from metamimo.schemes.constrained import active_channel, concluded, single_antenna_limits, within_limits
from metamimo.schemes.direct import run

_START_SHARE = 0.3


def wave_sim(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    tolerance: float = 1e-7,
    window: int = 10,
    max_iterations: int = 5_000,
) -> Solution:
    """Maximise bits per joule over the phases and the powers of one stream an antenna, all at once.

    Signal model: F_k = sqrt(p_k) e_m(k) with the K central antennas; R_k = ln(1 + |h_k A e_m(k)|^2 p_k / (sum_i
    |h_k A e_m(i)|^2 p_i + noise)), R_k >= min_rate. The benchmark of arXiv 2504.15737 with the optimiser of
    `hybrid-joint`, so that the comparison is one of architectures; `metamimo.precoders.wave_power` has the power step
    by itself.

    Args:
        problem: one station, one subcarrier, one antenna a user, equal weights, limits on accepted power.
        key: key of the trial; sub-key "start" draws the state.
        start: a design to start from, whose stream powers are used.
        tolerance: relative gain per iteration below which the run has converged.
        window: iterations that the gain is taken over.
        max_iterations: limit of iterations.

    Returns:
        The solution; the antennas without stream are switched off.

    Raises:
        ConfigError: if the problem is more general than the scheme.
        ShapeError: if the users outnumber the antennas.
    """
    single_surface(problem, "wave-sim")
    limits = single_antenna_limits(problem, "wave-sim")
    users, rx, _ = problem.link.channel.shape[2:]
    owners = central_ports(users, rx, problem.link.ports.shape[1])
    active = problem.link.ports[0] & (owners.sum(0) > 0)
    state = starting_state(problem, key, start)
    h = active_channel(problem, state, active)
    if start is None:
        equal = jnp.sqrt(_START_SHARE * limits[0] / users) * owners[..., None].astype(h.dtype)
        f = within_limits(equal, limits)
    else:
        f = start.precoder[0, 0]
    coordinates = OneStreamAPort()
    end = run(
        problem,
        coordinates,
        state,
        coordinates.begin(h, f),
        active,
        limits,
        tolerance=tolerance,
        window=window,
        max_iterations=max_iterations,
    )
    history = jnp.exp(end.merit)[None]
    return concluded(problem, end.state, end.precoder, history, end.status, end.iterations, end.trials)
