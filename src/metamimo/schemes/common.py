"""Steps that several recipes share: starting states, fixed power, and packing a result."""

from dataclasses import replace
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact, Int, Key

from metamimo.bounds.dirty_paper import all_phase_bound
from metamimo.conventions import NAT_TO_BIT
from metamimo.errors import ConfigError
from metamimo.metrics.effective import broadcast_forward
from metamimo.metrics.evaluate import evaluate, objective_value
from metamimo.metrics.power import charged_chains
from metamimo.problem import Design, Problem, Solution
from metamimo.randomness import purpose_key
from metamimo.surfaces.base import Surface
from metamimo.surfaces.feasible import Fixed

PhaseStage = Literal["lbfgs", "projected_gradient"]

_MUCH = 1e6


def check_phase_stage(phase_stage: str) -> None:
    """Refuse an unknown phase stage.

    Raises:
        ConfigError: if it is unknown.
    """
    if phase_stage not in get_args(PhaseStage):
        raise ConfigError(f"phase_stage: must be one of {', '.join(get_args(PhaseStage))}, got {phase_stage!r}")


def single_surface(problem: Problem, scheme: str) -> Surface:
    """Return the surface of a one-station problem whose states are smooth enough for gradients.

    Raises:
        ConfigError: if there is none.
    """
    surface = problem.link.surfaces[0]
    if not surface.feasible.smooth:
        raise ConfigError(
            f"feasible: {scheme} follows gradients, but {type(surface.feasible).__name__} is a discrete set: "
            "design on the continuous set and project the state"
        )
    return surface


def starting_state(problem: Problem, key: Key[Array, ""], start: Design | None) -> Inexact[Array, "..."]:
    """Return the state of the start, or a random one from the key's purpose "start"."""
    if start is not None:
        return start.state[0][0]
    return problem.link.surfaces[0].feasible.random(purpose_key(key, "start"))


def fixed_power(problem: Problem, driven: Array | None = None) -> Float[Array, ""]:
    """Return the power that does not depend on the precoder, times the amplifier efficiency [W].

    With it, bits per joule are amplifier_efficiency B R / (fixed + |F|^2).

    Args:
        problem: link and consumption.
        driven: which ports carry signals; all that exist by default.
    """
    link, consumption = problem.link, problem.consumption
    driven = link.ports if driven is None else driven
    return consumption.amplifier_efficiency * consumption.fixed(link, charged_chains(link, consumption, driven))


def fixed_powers(problem: Problem) -> Float[Array, " port"]:
    """Return `fixed_power` with 1, 2, ... ports on, and with all that exist beyond their number [W]."""
    link, consumption = problem.link, problem.consumption
    count = jnp.minimum(jnp.arange(1, link.ports.size + 1), link.ports.sum())
    return consumption.amplifier_efficiency * consumption.fixed(link, count.astype(float))


def bits_per_joule(problem: Problem, efficiency: Float[Array, "..."]) -> Float[Array, "..."]:
    """Convert nats per watt of (fixed + |F|^2) into bits per joule."""
    return efficiency * problem.link.bandwidth * problem.consumption.amplifier_efficiency * NAT_TO_BIT


def scored(
    problem: Problem,
    design: Design,
    history: Float[Array, " iteration"],
    status: Int[Array, ""],
    iterations: Int[Array, ""],
    trials: Int[Array, ""],
) -> Solution:
    """Score a design on the designer's own link and pack the result, without a bound.

    Args:
        problem: the problem.
        design: states and precoders.
        history: the objective after every iteration, in its unit.
        status: a `Status`.
        iterations, trials: of the run.
    """
    metrics = evaluate(problem, design)
    value = objective_value(metrics, problem.objective)
    return Solution(
        design=design,
        value=value,
        history=history,
        status=jnp.asarray(status, int),
        iterations=jnp.asarray(iterations, int),
        trials=jnp.asarray(trials, int),
        ledger=metrics.ledger,
        rates=metrics.rates,
        start_values=value[None],
        objective=problem.objective,
    )


def solved(
    problem: Problem,
    state: Inexact[Array, "..."],
    precoder: Complex[Array, "user port stream"],
    history: Float[Array, " iteration"],
    status: Int[Array, ""],
    iterations: Int[Array, ""],
    trials: Int[Array, ""],
    order: Int[Array, " user"] | None = None,
    fixed: Float[Array, "..."] | None = None,
) -> Solution:
    """Score a design on the designer's own link, bound it, and pack the result.

    Args:
        problem: link, limits and consumption.
        state: state of the surface.
        precoder: F [sqrt(W)].
        history: energy efficiency after every iteration [bit/J].
        status: a `Status`.
        iterations: iterations done.
        trials: evaluations of the rate.
        order: encoding order of dirty paper coding.
        fixed: power that does not depend on the precoder, times the amplifier efficiency [W]; that of all ports by
            default. An array holds it for 1, 2, ... ports that carry signals, where the scheme may choose them.
    """
    design = Design(state=(state[None],), precoder=precoder[None, None], order=order)
    solution = scored(problem, design, history, status, iterations, trials)
    bound = upper_bound(problem, fixed_power(problem) if fixed is None else fixed)
    if bound is None:
        return solution
    return replace(
        solution,
        upper_bound=bound,
        bound_name="dirty paper coding over the best conceivable surface state",
        bound_scope="global",
        bound_quality="tight" if _is_fixed(problem) else "loose",
    )


def upper_bound(problem: Problem, fixed: Float[Array, "..."]) -> Float[Array, ""] | None:
    """Return a bound of the objective for every state and precoder, in its unit; None if the surface has none.

    Args:
        problem: link, limits and objective.
        fixed: see `solved`.
    """
    known = channel_and_gains(problem)
    if known is None:
        return None
    channel, gains = known
    # Users that decode together are no better than dirty paper coding where nothing can be tuned.
    both = None if _is_fixed(problem) else gains
    limit = problem.accepted_limits("upper_bound")[0]
    weight = problem.link.weights.max()
    if problem.objective == "sum_rate":
        # So much fixed power that the best ratio is that of the best rate; a bound of the ratio bounds the rate.
        fixed = _MUCH * limit
        return weight * NAT_TO_BIT * (fixed + limit) * all_phase_bound(channel, gains[0], fixed, limit, gains=both)
    if fixed.ndim == 0:
        return bits_per_joule(problem, weight * all_phase_bound(channel, gains[0], fixed, limit, gains=both))

    def with_ports(count: Int[Array, ""]) -> Float[Array, ""]:
        # By interlacing, no choice of that many ports has larger singular values than all ports have.
        few = jnp.where(jnp.arange(gains.size) < count, gains, 0)
        return all_phase_bound(channel, gains[0], fixed[count - 1], limit, gains=few)

    return bits_per_joule(problem, weight * jax.lax.map(with_ports, jnp.arange(1, fixed.size + 1)).max())


def channel_and_gains(problem: Problem) -> tuple[Complex[Array, "user rx element"], Float[Array, " mode"]] | None:
    """Return the channel over unit noise behind the part that is tuned, and the gain limits of that part."""
    surface, unit_noise = problem.link.surfaces[0], 1 / jnp.sqrt(problem.link.noise_power)
    if _is_fixed(problem):
        h = broadcast_forward(problem.link, jnp.zeros(surface.feasible.shape))[0] * unit_noise
        return h, jnp.ones(h.shape[-1])
    return surface.envelope(problem.link.channel[0, 0] * unit_noise)


def _is_fixed(problem: Problem) -> bool:
    return isinstance(problem.link.surfaces[0].feasible, Fixed)
