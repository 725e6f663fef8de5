"""Wave-SIM: the stack alone separates the users; every stream has an antenna of its own and only a power."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metamimo.linalg import squared_norm
from metamimo.metrics.consumed import fixed_power
from metamimo.precoders.coordinates import OneStreamAPort, central_ports
from metamimo.precoders.wave_power import wave_stage
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.alternation import alternate
from metamimo.schemes.common import single_surface, starting_state
from metamimo.schemes.constrained import (
    Channel,
    Limits,
    Precoder,
    State,
    active_channel,
    concluded,
    conic_limits,
    single_antenna_limits,
    within_limits,
)
from metamimo.schemes.direct import run
from metamimo.tuners.phase_ascent import ascend_phases

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
    active, limits, state, f = _begin(problem, key, start, "wave-sim")
    coordinates = OneStreamAPort()
    end = run(
        problem,
        coordinates,
        state,
        coordinates.begin(active_channel(problem, state, active), f),
        active,
        limits,
        tolerance=tolerance,
        window=window,
        max_iterations=max_iterations,
    )
    history = jnp.exp(end.merit)[None]
    return concluded(problem, end.state, end.precoder, history, end.status, end.iterations, end.trials)


def wave_sim_pga(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    tolerance: float = 1e-3,
    max_rounds: int = 10,
) -> Solution:
    """Alternate the powers by SCA with projected gradient ascent on the phases, as arXiv 2504.15737 does.

    Signal model: that of `wave_sim`; a round is one ascent of the sum rate (eqs. 43 to 49) and up to ten passes of the
    power step (`metamimo.precoders.wave_power`), which restores the least rates.

    Args:
        problem, key, start: see `wave_sim`.
        tolerance: relative gain of a round below which the alternation has converged.
        max_rounds: limit of rounds.

    Returns:
        The solution; `history` is the objective after every round.

    Raises:
        ConfigError, ShapeError: see `wave_sim`.
    """
    active, limits, state, first = _begin(problem, key, start, "wave-sim-pga")
    owners, fixed = _owners(problem), fixed_power(problem, active[None])
    own = owners.argmax(1)
    total, each = conic_limits(limits)
    task: dict[str, Any] = {"fixed": fixed, "sum_limit": total, "port_limits": each[own], "min_rate": problem.min_rate}

    def powers(h: Channel, f: Precoder, passes: int = 10) -> Precoder:
        gains, begin = squared_norm(h[:, :, own], 1), squared_norm(f, (1, 2))
        stage = wave_stage(gains, begin, **task, objective=problem.objective, max_passes=passes)
        return _one_stream_a_port(jnp.asarray(stage.powers), owners)

    def phases(state: State, precoder: Precoder) -> tuple[State, Array]:
        tuned = ascend_phases(problem.link, state, precoder, jnp.zeros_like(problem.min_rate))
        return tuned.state, tuned.iterations

    end = alternate(problem, powers, phases, state, first, fixed, tolerance=tolerance, max_rounds=max_rounds)
    f = powers(active_channel(problem, end.state, active), end.precoder, passes=30)
    return concluded(problem, end.state, f, end.history, end.status, end.steps, end.steps)


def _begin(
    problem: Problem, key: Key[Array, ""], start: Design | None, scheme: str
) -> tuple[Bool[Array, " port"], Limits, State, Precoder]:
    """Return the ports in use, their limits, and where to start."""
    single_surface(problem, scheme)
    limits = single_antenna_limits(problem, scheme)
    owners, users = _owners(problem), problem.link.channel.shape[2]
    active = problem.link.ports[0] & (owners.sum(0) > 0)
    state = starting_state(problem, key, start)
    equal = jnp.full(users, _START_SHARE * limits[0] / users)
    powers = equal if start is None else squared_norm(start.precoder[0, 0], (1, 2))
    return active, limits, state, within_limits(_one_stream_a_port(powers, owners), limits)


def _owners(problem: Problem) -> Float[Array, "user port"]:
    """Return 1 where a port belongs to a user."""
    users, rx, _ = problem.link.channel.shape[2:]
    return central_ports(users, rx, problem.link.ports.shape[1])


def _one_stream_a_port(powers: Float[Array, " user"], owners: Float[Array, "user port"]) -> Precoder:
    return (jnp.sqrt(powers)[:, None] * owners)[..., None].astype(complex)
