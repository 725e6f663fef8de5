"""Search of the prices that make the bound of coupled tunable dipoles small (specification of bounds, section 8)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from metamimo.bounds.dipoles import (
    FLAT,
    DipoleNetwork,
    Multipliers,
    bound_at_multipliers,
    lagrangian,
    price_parts,
    priced_gains,
)
from metamimo.bounds.priced import priced_rate
from metamimo.linalg import hermitian
from metamimo.optimise.lbfgs import minimise, pure

_BARRIERS = (1e-4, 1e-5)
"""Weight of -ln|S|, one search each: without it the search stalls where a price is nearly singular."""
_MEMORY = 50
"""Steps that a search to the end remembers: with 20 it takes up to twice as long."""
_REACTIVE = tuple(10.0**-power for power in range(3, 12))
"""nu over lambda at the start: the first one that leaves the price of the moments positive."""
_ROOM = 1.5
"""Price of a budget at the start over the least one that leaves S positive."""
_LEVELS = tuple(10.0 ** (power / 10) for power in range(-400, 1))
"""Common factors of all multipliers that the start tries: subradiant modes make gain and budget large, so far down."""


def dipole_bound(
    network: DipoleNetwork, *, tolerance: float = 1e-6, max_iterations: int = 2000, memory: int = _MEMORY
) -> Float[Array, ""]:
    """Return a number that the sum rate of no tuning and no precoders exceeds (specification of bounds, B24).

    Args:
        network: see `metamimo.bounds.dipoles`.
        tolerance: gain over ten iterations, relative to the bound at the start, at which each search stops.
        max_iterations: limit of each search; zero is valid, too.
        memory: steps that a search remembers; fewer cost less each, and more of them are taken.

    Returns:
        The least bound at the prices found, the mean over subcarriers [nat per channel use]; infinite if none is known.

    >>> jax.config.update("jax_enable_x64", True)
    >>> eye = jnp.ones((1, 1, 1, 1), complex)
    >>> bound = dipole_bound(DipoleNetwork(0 * eye, 2 * eye, 3 * eye, None))  # at resonance |m| = 2, R = ln(1 + 36)
    >>> round(float(jnp.exp(bound)), 2)
    37.0
    """
    start = balanced_power(network)
    scale = start.active.max()
    first, _ = lagrangian(network, start)

    def sharpen(x: Float[Array, " variable"], barrier: Float[Array, ""]) -> tuple[Array, Array]:
        def value(x: Float[Array, " variable"]) -> Float[Array, ""]:
            bound, volume = lagrangian(network, unpack(x, scale, network))
            return bound / first - barrier * volume

        x = minimise(pure(value), x, tolerance=tolerance, max_iterations=max_iterations, memory=memory).x
        return x, bound_at_multipliers(network, unpack(x, scale, network))

    _, found = jax.lax.scan(sharpen, pack(start, scale), jnp.asarray(_BARRIERS))
    return jnp.minimum(found.min(), bound_at_multipliers(network, start))


def balanced_power(network: DipoleNetwork) -> Multipliers:
    """Return the multipliers of a start: one price for the power that slots take, whatever they are tuned to.

    Args:
        network: the network.

    Returns:
        The best of this kind; their bound is finite if the coupling conserves energy.
    """
    freq, bs, _, slots = network.channel.shape
    one = jnp.ones((freq, bs, slots))

    candidates = jnp.asarray(_REACTIVE)

    def positive(number: Array) -> Bool[Array, "freq bs"]:
        alone, coupled, _ = price_parts(network, Multipliers(one, candidates[number] * one, jnp.ones(bs)))
        size = jnp.diagonal(alone + coupled, axis1=2, axis2=3).real.sum(-1)[..., None, None]
        return jnp.isfinite(jnp.linalg.cholesky(alone + coupled - FLAT * size * jnp.eye(slots))[..., -1, -1].real)

    def lower_it(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        number, first, done = carry
        return number + 1, jnp.where(done, first, number), done | positive(number)

    # Most networks are done after one or two candidates, and the rest would cost more than all that follows.
    begin = (jnp.asarray(0), jnp.zeros((freq, bs), int), jnp.zeros((freq, bs), bool))
    _, first, _ = jax.lax.while_loop(lambda carry: ~carry[2].all() & (carry[0] < candidates.size), lower_it, begin)
    reactive = candidates[first][..., None] * one
    unpriced = Multipliers(one, reactive, jnp.full(bs, 0.25))
    *moments, currents = price_parts(network, unpriced)
    lower = jnp.linalg.cholesky(sum(moments))

    def solve(a: Array) -> Array:
        return jax.lax.linalg.triangular_solve(lower, a, left_side=True, lower=True)

    given = -jnp.linalg.eigvalsh(solve(hermitian(solve(currents))))[..., 0].min(0)
    # A base station without power has no price, whose logarithm the search takes.
    budget = jnp.maximum(_ROOM * given / 4, jnp.finfo(float).tiny ** 0.5)
    multipliers = Multipliers(one, reactive, budget)
    # All gains go with one over a common factor of all multipliers: the best factor costs no further factorisation.
    gains = priced_gains(network.channel, jnp.linalg.cholesky(sum(price_parts(network, multipliers))))
    levels = jnp.maximum(gains.max(), jnp.finfo(float).tiny ** 0.5) * jnp.asarray(_LEVELS)
    totals = levels * budget.sum() + priced_rate(gains.ravel() / levels[:, None])
    return jax.tree.map(lambda a: levels[totals.argmin()] * a, multipliers)


def pack(multipliers: Multipliers, scale: Float[Array, ""]) -> Float[Array, " variable"]:
    """Return the variables of the search: lambda and the root of nu over a scale, and the logarithm of mu."""
    active, reactive = multipliers.active.ravel(), multipliers.reactive.ravel()
    return jnp.concatenate([active / scale, jnp.sqrt(reactive / scale), jnp.log(multipliers.budget)])


def unpack(x: Float[Array, " variable"], scale: Float[Array, ""], network: DipoleNetwork) -> Multipliers:
    """Return the multipliers whose variables these are, feasible for every x.

    The square lets nu go to zero, where it belongs for many slots and where its logarithm would stall.
    """
    freq, bs, _, slots = network.channel.shape
    shape, count = (freq, bs, slots), freq * bs * slots
    active, root, log_budget = jnp.split(x, [count, 2 * count])
    return Multipliers(scale * active.reshape(shape), scale * root.reshape(shape) ** 2, jnp.exp(log_budget))
