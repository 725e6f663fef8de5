"""SIM-DPC: energy-efficient dirty paper coding with all phases of a stack, Algorithm 2 of Perović et al. 2024."""

from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Key

from metamimo.errors import ConfigError
from metamimo.metrics.consumed import bits_per_joule, fixed_power
from metamimo.precoders.dirty_paper import DirtyPaperCoding
from metamimo.precoders.linear import LinearPrecoding
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.common import single_surface, starting_state
from metamimo.schemes.joint import Found, Joint, maximise, packed, unit_noise_channel

LpStart = Literal["none", "also", "only"]


def sim_dpc(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    lp_start: LpStart = "also",
    **options: Any,
) -> Solution:
    """Maximise bits per joule over dirty-paper covariances and the surface state of one base station.

    Signal model: H_k = G_k A(state); in the dual multiple-access channel R = ln|I + sum H_k^H S_k H_k| (eq. 13), with
    sum tr S_k <= P_max; EE = B R / P (eq. 11). With `phase_stage="projected_gradient"` this is the paper's Algorithm 2.
    The default follows the reduced objective max_S EE(state, S) by L-BFGS, one step of the covariance stage in every
    evaluation. At fixed phases the covariance stage is concave and solved to the global optimum; the phases are a local
    one. The covariances become a precoder by the duality of broadcast and multiple-access channels (Vishwanath et al.
    2003).

    Different local optima of the phases can put dirty paper coding below linear precoding. From the phases of SIM-LP,
    which start at the same random state, the result is never below it.

    Args:
        problem: one station, one subcarrier, one sum limit on accepted power.
        key: key of the trial; sub-key "start" draws the state.
        start: a design whose state is the only start.
        lp_start: whether the phases of SIM-LP are a second start (`also`), the only one (`only`: as many random starts
            as SIM-LP, for comparisons), or none (the paper's algorithm).
        **options: options of `metamimo.schemes.joint.Joint.of`, for all runs.

    Returns:
        The solution; `history` is the energy efficiency [bit/J] of the better run, iterations and trials count all
        runs, and `start_values` holds the end of every start.

    Raises:
        ConfigError: if the problem is more general than the scheme, or an option is unknown or ignored.
    """
    digital = DirtyPaperCoding(fixed_power(problem), problem.broadcast_limit("sim-dpc"))
    single_surface(problem, "sim-dpc")
    if lp_start not in get_args(LpStart):
        raise ConfigError(f"lp_start: must be one of {', '.join(get_args(LpStart))}, got {lp_start!r}")
    how = Joint.of(**options)
    state = starting_state(problem, key, start)
    if lp_start == "none" or start is not None:
        return packed(problem, digital, _from(problem, digital, state, how))

    linear = LinearPrecoding(digital.fixed, digital.limit)
    lp = maximise(problem.link, linear, state, linear.begin(unit_noise_channel(problem.link, state)), how)
    starts = jnp.stack([state, lp.state] if lp_start == "also" else [lp.state])
    runs = jax.lax.map(lambda s: _from(problem, digital, s, how), starts)
    ends = runs.history[:, -1]
    best = jax.tree.map(lambda a: a[jnp.nanargmax(ends)], runs)
    best = eqx.tree_at(
        lambda f: (f.iterations, f.trials),
        best,
        (lp.iterations + runs.iterations.sum(), lp.trials + runs.trials.sum()),
    )
    return eqx.tree_at(lambda s: s.start_values, packed(problem, digital, best), bits_per_joule(problem, ends))


def _from(problem: Problem, digital: DirtyPaperCoding, state: Inexact[Array, "..."], how: Joint) -> Found:
    first = digital.begin(unit_noise_channel(problem.link, state))
    return maximise(problem.link, digital, state, first, how)
