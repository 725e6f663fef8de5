"""The bound of one station on one subcarrier, whose surface limits what any state makes of the channel."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from metamimo.bounds.bound import Bound, Effort
from metamimo.bounds.dirty_paper import all_phase_bounds
from metamimo.bounds.stack import Cascade, Spending, stack_bounds
from metamimo.bounds.weighted import over_weights
from metamimo.conventions import NAT_TO_BIT
from metamimo.metrics.consumed import bits_per_joule, fixed_powers
from metamimo.metrics.effective import broadcast_forward
from metamimo.problem import Problem
from metamimo.surfaces.feasible import Fixed
from metamimo.surfaces.stacked import StackedSurface

_MUCH = 1e6
_STEPS, _FEW_STEPS = 100, 40
"""Limit of the search for multipliers; the second one for users with several antennas, where the bound stays loose and
a full search of deep stacks takes up to half as long again as a design from four starts."""


def bound_of_station(problem: Problem, effort: Effort) -> Bound | None:
    """Return the bound of one station's energy efficiency or sum rate under limits of the accepted power.

    Args:
        problem: one station, one subcarrier, and a surface without states or with an `envelope`.
        effort: `tight` searches the multipliers of stacked surfaces.

    Returns:
        The bound; None for other problems.
    """
    link, surface = problem.link, problem.link.surfaces[0]
    limited = bool(problem.limits) and all(limit.kind == "accepted" for limit in problem.limits)
    known = channel_and_gains(problem) if link.channel.shape[:2] == (1, 1) and limited else None
    if known is None:
        return None
    channel, gains = known
    total, ports = problem.accepted_limits("upper_bound")
    fixed, unit = _fixed_and_unit(problem, total)
    stack = surface if effort == "tight" and isinstance(surface, StackedSurface) else None
    own = ports if any(limit.power.ndim == 2 for limit in problem.limits) else None
    single_antennas = channel.shape[1] == 1
    steps = _STEPS if single_antennas else _FEW_STEPS

    def of_users(heard: Bool[Array, " user"]) -> Float[Array, ""]:
        g = jnp.where(heard[:, None, None], channel, 0)
        values = all_phase_bounds(g, gains, fixed, total)
        if stack is not None:
            rows, room = g.reshape(-1, g.shape[-1]), stack.feasible.shape[0]
            cascade = Cascade(rows, stack.hops, stack.first * link.ports[0], stack.n_layers, room)
            values = jnp.minimum(values, stack_bounds(cascade, Spending(fixed, total, own), max_iterations=steps))
        return values.max()

    value = unit * over_weights(of_users, link.weights)
    if isinstance(surface.feasible, Fixed):
        return Bound(value, "dirty paper coding", "tight" if problem.consumption.idle_chains else "moderate")
    if stack is not None:
        return Bound(value, "power conserved atom by atom", "moderate" if single_antennas else "loose")
    return Bound(value, "strongest modes of every layer, or its last layer driven directly", "loose")


def channel_and_gains(problem: Problem) -> tuple[Complex[Array, "user rx element"], Float[Array, " mode"]] | None:
    """Return the channel over unit noise behind the part that is tuned, and the gain limits of that part."""
    surface, unit_noise = problem.link.surfaces[0], 1 / jnp.sqrt(problem.link.noise_power)
    if isinstance(surface.feasible, Fixed):
        h = broadcast_forward(problem.link, jnp.zeros(surface.feasible.shape))[0] * unit_noise
        return h, jnp.ones(h.shape[-1])
    return surface.envelope(problem.link.channel[0, 0] * unit_noise)


def _fixed_and_unit(problem: Problem, total: Float[Array, ""]) -> tuple[Float[Array, " port"], Float[Array, ""]]:
    """Return the fixed powers and the factor that turn the best nats per watt into the unit of the objective."""
    fixed = fixed_powers(problem)
    if problem.objective == "energy_efficiency":
        return fixed, bits_per_joule(problem, jnp.ones(()))
    # So much fixed power that the best ratio is that of the best rate; a bound of the ratio bounds the rate.
    much = _MUCH * total
    return jnp.full_like(fixed, much), (much + total) * NAT_TO_BIT
