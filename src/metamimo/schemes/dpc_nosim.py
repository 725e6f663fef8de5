"""DPC-NoSIM and DPC-bench: energy-efficient dirty paper coding of a bare antenna array (Perović et al. 2024)."""

import jax.numpy as jnp
from jaxtyping import Array, Key

from metamimo.metrics.consumed import bits_per_joule, fixed_power
from metamimo.precoders.covariances import EngineName, energy_efficient_covariances, start_covariances
from metamimo.precoders.mac_to_bc import broadcast_precoder
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.common import solved, starting_state
from metamimo.schemes.joint import unit_noise_channel


def dpc_nosim(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    engine: EngineName = "sca",
    tolerance: float = 1e-9,
    max_iterations: int = 5_000,
    strict: bool = False,
) -> Solution:
    """Maximise bits per joule over dirty-paper covariances while the surface keeps its state.

    On a fully digital array this is the paper's DPC-NoSIM with the engine `sca` (Algorithm 1), and its DPC-bench with
    `xu_qiu`. The problem is concave over affine: every engine ends at the global optimum for the state.

    Args:
        problem: one station, one subcarrier, one sum limit on accepted power.
        key: key of the trial; sub-key "start" draws the state where there is one.
        start: a design whose state is kept.
        engine: see `energy_efficient_covariances`.
        tolerance: relative increase of a step below which the run has converged.
        max_iterations: limit of steps.
        strict: the paper's two phases, see `energy_efficient_covariances`.

    Returns:
        The solution; `history` is the energy efficiency [bit/J].

    Raises:
        ConfigError: if the problem is more general than the scheme, or an option does not fit the engine.
    """
    limit = problem.broadcast_limit("dpc-nosim")
    state = starting_state(problem, key, start)
    h = unit_noise_channel(problem.link, state)
    stage = energy_efficient_covariances(
        h,
        start_covariances(h, limit),
        fixed_power(problem),
        limit,
        engine=engine,
        tolerance=tolerance,
        max_steps=max_iterations,
        strict=strict,
    )
    return solved(
        problem,
        state,
        broadcast_precoder(h, stage.factor),
        bits_per_joule(problem, stage.history),
        stage.status,
        stage.iterations,
        stage.iterations,
        jnp.arange(h.shape[0]),
    )
