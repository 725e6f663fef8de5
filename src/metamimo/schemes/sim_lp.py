"""SIM-LP: energy-efficient linear precoding with all phases of a stack, Algorithm 4 of Perović et al. 2024."""

from typing import Any

from jaxtyping import Array, Key

from metamimo.metrics.consumed import fixed_power
from metamimo.precoders.linear import LinearPrecoding
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.common import single_surface, starting_state
from metamimo.schemes.joint import Joint, maximise, packed, unit_noise_channel


def sim_lp(problem: Problem, *, key: Key[Array, ""], start: Design | None = None, **options: Any) -> Solution:
    """Maximise bits per joule over a linear precoder and the surface state of one base station.

    Signal model: H_k = G_k A(state); R_k = ln det(I + H_k F_k F_k^H H_k^H J_k^-1) (eq. 8); EE = B sum R_k / P (eq. 12)
    with |F|^2 <= P_max. With `phase_stage="projected_gradient"` this is the paper's Algorithm 4: a few steps of
    Algorithm 3, then one projected gradient step on all layers. The default follows the same reduced objective
    max_F EE(state, F) by L-BFGS: every evaluation takes a step of Algorithm 3 first, so its partial gradient is that of
    the reduced objective. It needs fewer iterations and ends higher on average (benchmarks/). Both end with Algorithm 3
    to convergence.

    Args:
        problem: one station, one subcarrier, one sum limit on accepted power.
        key: key of the trial; sub-key "start" draws the state.
        start: a design to start from; its precoder is used if it is not None.
        **options: options of `metamimo.schemes.joint.Joint.of`.

    Returns:
        The solution; `history` is the energy efficiency [bit/J].

    Raises:
        ConfigError: if the problem is more general than the scheme, or an option is unknown or ignored.
    """
    digital = LinearPrecoding(fixed_power(problem), problem.broadcast_limit("sim-lp"))
    single_surface(problem, "sim-lp")
    how = Joint.of(**options)
    state = starting_state(problem, key, start)
    first = digital.begin(unit_noise_channel(problem.link, state)) if start is None else start.precoder[0, 0]
    return packed(problem, digital, maximise(problem.link, digital, state, first, how))
