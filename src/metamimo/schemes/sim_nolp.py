"""SIM-NoLP and SIM-NoLP-RedRF: the surface alone separates the users (benchmarks of Perović et al. 2024)."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Complex, Key

from metamimo.linalg import squared_norm
from metamimo.metrics.consumed import bits_per_joule, fixed_power
from metamimo.optimise.projected_gradient import LineSearch
from metamimo.precoders.antenna_map import all_antennas, random_antennas
from metamimo.problem import Design, Problem, Solution
from metamimo.randomness import purpose_key
from metamimo.schemes.common import PhaseStage, single_surface, solved, starting_state
from metamimo.schemes.joint import step_rule
from metamimo.tuners.lbfgs import tune_lbfgs
from metamimo.tuners.projected_gradient import tune_projected_gradient

AntennaMap = Callable[..., Complex[Array, "user port stream"]]


def sim_nolp(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    phase_stage: PhaseStage = "lbfgs",
    tolerance: float = 1e-6,
    window: int = 10,
    max_iterations: int = 10_000,
    line_search: LineSearch | None = None,
    restart: bool | None = None,
    antenna_map: AntennaMap = all_antennas,
) -> Solution:
    """Maximise the sum rate over the surface state while every antenna sends one stream at equal power.

    Signal model: that of SIM-LP with F a fixed 0/1 map times sqrt(P_max / antennas). The power is always P_max, so
    bits per joule and rate have the same optimum; all RF chains are charged.

    Args:
        problem: one station, one subcarrier, one sum limit on accepted power.
        key: key of the trial; sub-keys "start" (state) and "scheme" (antennas).
        start: a design whose state is the start.
        phase_stage: `lbfgs` (default) or the paper's `projected_gradient`.
        tolerance: relative gain per iteration below which the run has converged, measured over `window` iterations.
        window: iterations that the gain is taken over.
        max_iterations: limit of iterations.
        line_search: rule of the projected gradient, `sufficient_increase` by default.
        restart: whether every line search starts at the largest step; not by default.
        antenna_map: which antenna sends which stream.

    Returns:
        The solution; `history` is the energy efficiency [bit/J].

    Raises:
        ConfigError: if the problem is more general than the scheme, or an option is unknown or ignored.
    """
    limit = problem.broadcast_limit("sim-nolp")
    surface = single_surface(problem, "sim-nolp")
    rule = step_rule(phase_stage, line_search, restart)
    users, streams = problem.link.channel.shape[2:4]
    precoder = antenna_map(purpose_key(key, "scheme"), surface.n_ports, users, streams, limit)
    state = starting_state(problem, key, start)
    stop = {"tolerance": tolerance, "window": window, "max_iterations": max_iterations}
    if phase_stage == "lbfgs":
        tuned = tune_lbfgs(problem.link, state, precoder, **stop)
    else:
        tuned = tune_projected_gradient(problem.link, state, precoder, rule=rule, **stop)
    driven = squared_norm(precoder, (0, 2)) > 0
    fixed = fixed_power(problem, driven[None])
    history = bits_per_joule(problem, tuned.history / (fixed + squared_norm(precoder)))
    return solved(problem, tuned.state, precoder, history, tuned.status, tuned.iterations, tuned.trials)


def sim_nolp_redrf(problem: Problem, *, key: Key[Array, ""], start: Design | None = None, **options: Any) -> Solution:
    """Run `sim_nolp` with one random antenna a stream; the other antennas and their RF chains are off.

    Args:
        problem: as for `sim_nolp`.
        key: key of the trial; sub-key "scheme" draws the antennas.
        start: a design whose state is the start.
        **options: options of `sim_nolp`.

    Returns:
        The solution.

    Raises:
        ConfigError: if there are fewer antennas than streams, or as for `sim_nolp`.
    """
    return sim_nolp(problem, key=key, start=start, antenna_map=random_antennas, **options)
