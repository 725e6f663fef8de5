"""LP-NoSIM: energy-efficient linear precoding of a bare antenna array (benchmark of Perović et al. 2024)."""

import jax.numpy as jnp
from jaxtyping import Array, Key

from metamimo.metrics.consumed import bits_per_joule, fixed_power
from metamimo.metrics.effective import broadcast_forward
from metamimo.precoders.energy_efficient import energy_efficient_precoder
from metamimo.precoders.matched import maximum_ratio
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.common import solved, starting_state


def lp_nosim(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    tolerance: float = 1e-9,
    max_iterations: int = 5_000,
    strict: bool = False,
) -> Solution:
    """Maximise bits per joule over a linear precoder while the surface keeps its state: Algorithm 3.

    On a fully digital array this is the paper's LP-NoSIM; on any other surface it designs the precoder for a random
    state.

    Args:
        problem: one station, one subcarrier, one sum limit on accepted power.
        key: key of the trial; sub-key "start" draws the state where there is one.
        start: a design to start from.
        tolerance: relative increase of a step below which the run has converged.
        max_iterations: limit of steps.
        strict: the paper's two phases, see `energy_efficient_precoder`.

    Returns:
        The solution; `history` is the energy efficiency [bit/J].

    Raises:
        ConfigError: if the problem is more general than the scheme.
    """
    limit = problem.broadcast_limit("lp-nosim")
    state = starting_state(problem, key, start)
    h = broadcast_forward(problem.link, state)[0] / jnp.sqrt(problem.link.noise_power)
    first = maximum_ratio(h, limit) if start is None else start.precoder[0, 0]
    stage = energy_efficient_precoder(
        h, first, fixed_power(problem), limit, tolerance=tolerance, max_steps=max_iterations, strict=strict
    )
    history = bits_per_joule(problem, stage.history)
    return solved(problem, state, stage.precoder, history, stage.status, stage.iterations, stage.iterations)
