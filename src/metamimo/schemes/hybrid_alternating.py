"""Hybrid-SDP, -PGA, -FP, -L-BFGS and Digital-Pre: the schemes of arXiv 2504.15737 that alternate two steps."""

from typing import Any, Literal, get_args

import jax.numpy as jnp
from jaxtyping import Array, Key

from metamimo.errors import ConfigError
from metamimo.metrics.consumed import fixed_power
from metamimo.precoders.chain_indicator import Indicator
from metamimo.precoders.chain_selection import selection_stage
from metamimo.precoders.sca import sca_stage
from metamimo.problem import Design, Problem, Solution, Status
from metamimo.schemes.alternation import Phases, alternate
from metamimo.schemes.common import single_surface, starting_state
from metamimo.schemes.constrained import (
    Channel,
    Precoder,
    State,
    active_channel,
    chains_matter,
    concluded,
    conic_limits,
    equal_streams,
    single_antenna_limits,
)
from metamimo.surfaces.stacked import StackedSurface
from metamimo.tuners.fractional import tune_elements
from metamimo.tuners.layer_sdp import Backend
from metamimo.tuners.layer_sweep import sweep_layers
from metamimo.tuners.lbfgs import tune_lbfgs
from metamimo.tuners.phase_ascent import ascend_phases

Selection = Literal["backward", "greedy", "smooth", "none"]

_START_SHARE = 0.9
"""Share of the tighter power limit that the first precoder uses (spec, section 4)."""


def hybrid_pga(
    problem: Problem, *, key: Key[Array, ""], start: Design | None = None, guard: bool = False, **options: Any
) -> Solution:
    """Alternate the SCA precoder with projected gradient ascent on all phases (Hybrid-PGA, section III-C).

    The ascent is that of the sum rate, and the precoder of the same round restores the least rates. With a guard, steps
    that break a least rate are refused inside the ascent; as the precoder leaves weak users exactly at their least
    rate, hardly any step is then left.

    Args:
        problem, key, start, **options: see `hybrid_sdp`; without `backend`.
        guard: whether the ascent keeps the least rates.
    """
    kept = problem.min_rate if guard else jnp.zeros_like(problem.min_rate)

    def phases(state: State, precoder: Precoder) -> tuple[State, Array]:
        tuned = ascend_phases(problem.link, state, precoder, kept)
        return tuned.state, tuned.iterations

    return _alternating("hybrid-pga", problem, key, start, phases, **options)


def hybrid_fp(problem: Problem, *, key: Key[Array, ""], start: Design | None = None, **options: Any) -> Solution:
    """Alternate the SCA precoder with closed-form element updates (Hybrid-FP, spec 6.3).

    The updates raise the sum rate; the precoder of the same round restores the least rates.

    Args:
        problem, key, start, **options: see `hybrid_sdp`; without `backend`.
    """

    _needs_stack(problem, "hybrid-fp")

    def phases(state: State, precoder: Precoder) -> tuple[State, Array]:
        tuned = tune_elements(problem.link, state, precoder)
        return tuned.state, tuned.iterations

    return _alternating("hybrid-fp", problem, key, start, phases, **options)


def hybrid_lbfgs(problem: Problem, *, key: Key[Array, ""], start: Design | None = None, **options: Any) -> Solution:
    """Alternate the SCA precoder with L-BFGS on all phases (spec 6.4), which raises the sum rate as in `hybrid_fp`.

    Args:
        problem, key, start, **options: see `hybrid_sdp`; without `backend`.
    """

    def phases(state: State, precoder: Precoder) -> tuple[State, Array]:
        tuned = tune_lbfgs(problem.link, state, precoder, tolerance=1e-7, window=10, max_iterations=300)
        return tuned.state, tuned.iterations

    return _alternating("hybrid-lbfgs", problem, key, start, phases, **options)


def hybrid_sdp(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    backend: Backend = "clarabel",
    **options: Any,
) -> Solution:
    """Alternate the SCA precoder with semidefinite programs for the phases, layer by layer (Hybrid-SDP, section III-B).

    Signal model: R_k = ln(1 + |h_k A F_k|^2 / (sum_i |h_k A F_i|^2 + noise)); problem (16): bits per joule over phases
    and precoder, with R_k >= min_rate and limits on the power of all ports and of each. A random state, regularised
    zero-forcing at 90 % of the tighter limit, then rounds of one phase step and ten SCA passes (section 5). At the end
    RF chains are selected, where idle ones cost nothing.

    Args:
        problem: one station, one subcarrier, one antenna a user, equal weights, limits on accepted power.
        key: key of the trial; sub-key "start" draws the state.
        start: a design to start from.
        backend: solver of the layer programs: `clarabel`, or `low_rank` with the same objective.
        **options: `selection` of RF chains (`backward`, `greedy`, `smooth` with the `indicator` of eq. 27, or `none`;
            by default `backward` where idle chains cost nothing), `indicator` (`log`, `ratio`, `exp`), `tolerance`
            (relative gain of a round, 1e-3) and `max_rounds` (10).

    Returns:
        The solution; `history` is the objective after every round and after the selection.

    Raises:
        ConfigError: if the problem is more general than the scheme or an option unknown.
    """

    _needs_stack(problem, "hybrid-sdp")

    def phases(state: State, precoder: Precoder) -> tuple[State, Array]:
        return sweep_layers(problem.link, state, precoder, problem.min_rate, backend)

    return _alternating("hybrid-sdp", problem, key, start, phases, **options)


def digital_pre(problem: Problem, *, key: Key[Array, ""], start: Design | None = None, **options: Any) -> Solution:
    """Optimise the precoder alone, by SCA at random phases; on a fully digital array this is the No-SIM baseline.

    Args:
        problem, key, start, **options: see `hybrid_sdp`; without `backend` and `max_rounds`.
    """
    return _alternating("digital-pre", problem, key, start, None, **options)


def _needs_stack(problem: Problem, scheme: str) -> None:
    surface = problem.link.surfaces[0]
    if not isinstance(surface, StackedSurface):
        raise ConfigError(f"surfaces: {scheme} tunes a StackedSurface layer by layer, got {type(surface).__name__}")


def _alternating(
    scheme: str,
    problem: Problem,
    key: Key[Array, ""],
    start: Design | None,
    phases: Phases | None,
    *,
    selection: Selection | None = None,
    indicator: Indicator = "log",
    tolerance: float = 1e-3,
    max_rounds: int = 10,
) -> Solution:
    selection = selection or ("backward" if chains_matter(problem) else "none")
    if selection not in get_args(Selection):
        raise ConfigError(f"selection: must be one of {', '.join(get_args(Selection))}, got {selection!r}")
    total, each = conic_limits(single_antenna_limits(problem, scheme))
    link, consumption = problem.link, problem.consumption
    ports, eta = link.ports[0], consumption.amplifier_efficiency
    task: dict[str, Any] = {"sum_limit": total, "port_limits": each, "min_rate": problem.min_rate}
    # All ports are charged while phases and precoder take turns; the selection at the end tells them apart.
    free = {"fixed": eta * consumption.fixed(link, jnp.zeros(())), "per_chain": eta * consumption.per_chain, **task}
    curve = indicator if selection == "smooth" else None

    def digital(h: Channel, f: Precoder, passes: int = 10) -> Precoder:
        stage = sca_stage(
            h[:, 0], f[..., 0], **free, active=ports, objective=problem.objective, indicator=curve, max_passes=passes
        )
        return jnp.asarray(stage.w)[..., None]

    state = starting_state(problem, key, start)
    h = active_channel(problem, state, ports)
    first = equal_streams(h, (total, each), _START_SHARE) if start is None else start.precoder[0, 0]
    if phases is None:
        f, history, status, steps = first, jnp.zeros(0), jnp.asarray(int(Status.CONVERGED)), jnp.asarray(0)
    else:
        single_surface(problem, scheme)
        end = alternate(
            problem, digital, phases, state, first, fixed_power(problem), tolerance=tolerance, max_rounds=max_rounds
        )
        state, f, history, status, steps = end.state, end.precoder, end.history, end.status, end.steps
    h = active_channel(problem, state, ports)
    f = digital(h, f, passes=30)
    if selection != "none":
        chosen = selection_stage(h[:, 0], f[..., 0], **free, active=ports, method=selection)
        f = jnp.asarray(chosen.w)[..., None]
    return concluded(problem, state, f, history, status, steps, steps)
