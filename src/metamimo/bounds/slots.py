"""The bound of networks of parallel-plate antennas under limits of their feed currents (spec of bounds, B23, B24)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from metamimo.bounds.bound import Bound, Effort
from metamimo.bounds.dipole_search import balanced_power, dipole_bound
from metamimo.bounds.dipoles import DipoleNetwork, bound_at_multipliers
from metamimo.bounds.network import heard_channel
from metamimo.bounds.weighted import over_weights
from metamimo.conventions import NAT_TO_BIT
from metamimo.problem import Problem
from metamimo.surfaces.parallel_plate import ParallelPlateDMA
from metamimo.surfaces.resonance import ResonanceStrength


def bound_of_slots(problem: Problem, effort: Effort) -> Bound | None:
    """Return the bound of the weighted sum rate of stations with coupled slots that are tuned at will.

    Args:
        problem: any stations and subcarriers, one `ParallelPlateDMA` for all, a limit of kind `port` among the others.
        effort: `tight` searches a price for every slot, subcarrier and station; `cheap` takes one for all.

    Returns:
        The bound; None for other problems.
    """
    if problem.objective != "sum_rate":
        return None
    network = slots_of(problem)
    if network is None:
        return None
    freq, _, users, rx, _ = problem.link.channel.shape
    # All streams, users and subcarriers share one state, which the relaxation does not see: with one it is close.
    # With more it stays half as much again as a design and up to four times it, so the last per cents are not sought.
    single = freq * users * rx == 1
    tolerance, steps = (1e-4, 300) if single else (1e-3, 100)

    def of_users(heard: Bool[Array, " user"]) -> Float[Array, ""]:
        rows = jnp.where(jnp.repeat(heard, rx)[:, None], network.channel, 0)
        some = DipoleNetwork(network.coupling, network.feed, rows, network.least_detuning)
        if effort == "cheap":
            return bound_at_multipliers(some, balanced_power(some))
        return dipole_bound(some, tolerance=tolerance, max_iterations=steps, memory=20)

    value = over_weights(of_users, problem.link.weights) * NAT_TO_BIT
    return Bound(value, "power conserved slot by slot", "moderate" if single and effort == "tight" else "loose")


def slots_of(problem: Problem) -> DipoleNetwork | None:
    """Return the problem's stations in the units of the bound; None unless their surface and limits are of that kind.

    Signal model: that of `ParallelPlateDMA` in its units, where a slot has 1 / alpha = detuning / x + j damping at the
    strength x. Limits of other kinds are left out, and those of single feeds added up: the set of designs gets larger.

    Args:
        problem: any.
    """
    link, surface = problem.link, problem.link.surfaces[0]
    limits = [limit.power for limit in problem.limits if limit.kind == "port"]
    if len(link.surfaces) != 1 or not isinstance(surface, ParallelPlateDMA) or not limits:
        return None
    freq, bs = link.channel.shape[:2]
    shape = (freq, bs, surface.n_elements, surface.n_elements)
    coupling = surface.guide if surface.coupled else jnp.zeros_like(surface.guide)
    feasible, damping = surface.feasible, jnp.broadcast_to(surface.damping, (freq,))
    least = None
    if isinstance(feasible, ResonanceStrength) and not feasible.allow_negative:
        least = jnp.broadcast_to(surface.detuning / (feasible.most * surface.damping[:, None]), (freq, shape[-1]))
    return DipoleNetwork.build(
        jnp.broadcast_to(coupling[:, None], shape),
        surface.feed[:, None] * link.ports[:, None],
        heard_channel(link),
        damping=damping,
        least_detuning=least,
        power=jnp.stack([power if power.ndim == 1 else power.sum(1) for power in limits]).min(0),
        noise_power=link.noise_power,
    )
