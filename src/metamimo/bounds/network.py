"""Bound of the weighted sum rate of several stations with holograms, hybrid or digital arrays (spec of bounds, 7).

Users decode together, which can only help; a station that does not serve a user is taken away where every user has one
station; then chain by chain every state and precoder is relaxed to a covariance with a price.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from metamimo.bounds.bound import Bound, Effort
from metamimo.bounds.columns import circle_columns, column_bound
from metamimo.bounds.patterns import MOST, pattern_bound
from metamimo.bounds.weighted import over_weights
from metamimo.conventions import NAT_TO_BIT
from metamimo.linalg import cmatmul
from metamimo.problem import Link, Problem
from metamimo.surfaces.feasible import Fixed, UnitModulus
from metamimo.surfaces.hologram_sets import LorentzianCircle, OnOff
from metamimo.surfaces.strips import StripArray

Chains = Complex[Array, "receiver chain element"]


def bound_of_chains(problem: Problem, effort: Effort) -> Bound | None:
    """Return the bound of the weighted sum rate under limits of every port, where `network_bound` knows one.

    Args:
        problem: see `network_bound`.
        effort: `tight` searches the prices.

    Returns:
        The bound; None for other problems.
    """
    if problem.objective != "sum_rate":
        return None
    value = network_bound(problem, search=effort == "tight")
    if value is None:
        return None
    # As measured at 30 dBm: within 24 % for circles, hybrid and digital arrays, within 40 % for elements on or off.
    close = effort == "tight" and not isinstance(problem.link.surfaces[0].feasible, OnOff)
    name = "cooperating users of every cell, chain by chain"
    return Bound(value * NAT_TO_BIT, name, "moderate" if close else "loose")


def network_bound(problem: Problem, *, search: bool = True) -> Float[Array, ""] | None:
    """Return what no states and no precoders exceed under a limit for every port, None where nothing is known.

    Args:
        problem: one subcarrier; a surface with elements on or off, on a circle, or none to tune, which all share.
        search: whether to search for the best prices, and look at all patterns of chains whose elements are on or off;
            or take one price for all, on the circle through both states.

    Returns:
        Bound of the weighted sum rate [nat per channel use].
    """
    link, surface = problem.link, problem.link.surfaces[0]
    limits = [limit.power for limit in problem.limits if limit.power.ndim == 2 and limit.counts_waves]
    if len(link.surfaces) != 1 or link.channel.shape[0] != 1 or not limits:
        return None
    chains = chains_of(link, jnp.stack(limits).min(0))
    feasible = surface.feasible
    if chains is None:
        return None
    if search and isinstance(feasible, OnOff) and chains.shape[-1] <= MOST:
        return _weighted(pattern_bound, feasible.amplitude * chains, link)
    if isinstance(feasible, OnOff):
        offset = radius = feasible.amplitude / 2
    elif isinstance(feasible, LorentzianCircle):
        offset, radius = abs(feasible.circle[0]), feasible.circle[1]
    elif isinstance(feasible, UnitModulus | Fixed):
        offset, radius = 0.0, 1.0
    else:
        return None
    limit = {} if search else {"max_iterations": 0}
    return _weighted(lambda a: column_bound(circle_columns(a, offset, radius), **limit), chains, link)


def chains_of(link: Link, power: Float[Array, "bs port"]) -> Complex[Array, "user rx chain element"] | None:
    """Return what an element in unit state adds to the received signals, its chain at full power, over unit noise.

    Args:
        link: of one subcarrier.
        power: limit of every port [W].

    Returns:
        The chains of all stations; None if the surface is not linear in its state.
    """
    surface = link.surfaces[0]
    bs, users, rx = link.channel.shape[1:4]
    h = heard_channel(link)[0] / jnp.sqrt(link.noise_power)
    amplitude = jnp.sqrt(power) * link.ports
    if isinstance(surface, StripArray):
        each = h.reshape(bs, users, rx, *surface.wave.shape) * surface.wave
    elif isinstance(surface.feasible, Fixed):
        each = cmatmul(h, surface.response(jnp.zeros(surface.feasible.shape))[0])[..., None]
    else:
        parts = surface.factors()
        if parts is None:
            return None
        each = cmatmul(h, parts[0])[..., None, :] * parts[1].T
    each = each * amplitude[:, None, None, :, None]
    return each.transpose(1, 2, 0, 3, 4).reshape(users, rx, -1, each.shape[-1])


def heard_channel(link: Link) -> Complex[Array, "freq bs user rx element"]:
    """Return the channel without the stations that do not serve a user, where every user has one station only.

    Their signals may be told to the user, which takes them away.
    """
    kept = link.serves | ~(link.serves.sum(0) <= 1).all()
    return jnp.where(kept[:, :, None, None], link.channel, 0)


def _weighted(
    bound: Callable[[Chains], Float[Array, ""]], chains: Complex[Array, "user rx chain element"], link: Link
) -> Float[Array, ""]:
    users, rx = chains.shape[:2]

    def of_users(heard: Bool[Array, " user"]) -> Float[Array, ""]:
        rows = jnp.where(heard[:, None, None, None], chains, 0)
        return bound(rows.reshape(users * rx, *chains.shape[2:]))

    return over_weights(of_users, link.weights)
