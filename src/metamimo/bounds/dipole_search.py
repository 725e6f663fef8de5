"""Search of the prices that make the bound of coupled tunable dipoles small (specification of bounds, section 8)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

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

_BARRIERS = (1e-2, 1e-3, 1e-4, 1e-5)
"""Weight of -ln|S|, one search each: without it the search gets stuck where a price is all but singular."""
_REACTIVE = tuple(10.0**-power for power in range(3, 12))
"""Price of stored power over that of radiated power at the start: the largest one that leaves the price positive."""
_ROOM = 1.5
"""Budgets' price at the start over the least one."""
_LEVELS = 121


def dipole_bound(
    network: DipoleNetwork, *, tolerance: float = 1e-5, max_iterations: int = 200
) -> Float[Array, ""]:
    """Return a number that the sum rate of no tuning and no precoders exceeds (specification of bounds, B24).

    Args:
        network: see `metamimo.bounds.dipoles`.
        tolerance: gain over ten iterations at which each search stops.
        max_iterations: limit of each search; zero is valid, too.

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

    def value(x: Float[Array, " variable"], barrier: Float[Array, ""]) -> Float[Array, ""]:
        bound, volume = lagrangian(network, unpack(x, scale, network))
        return bound - barrier * volume

    def sharpen(x: Float[Array, " variable"], barrier: Float[Array, ""]) -> tuple[Array, Array]:
        search = pure(lambda x: value(x, barrier))
        x = minimise(search, x, tolerance=tolerance, max_iterations=max_iterations, memory=20).x
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

    def local(reactive: Float[Array, "#freq #bs 1"]) -> tuple[Array, Array]:
        alone, coupled, _ = price_parts(network, Multipliers(one, reactive * one, jnp.ones(bs)))
        spread = jnp.linalg.eigvalsh(alone + coupled)
        return alone + coupled, spread[..., 0] > FLAT * spread[..., -1]

    candidates = jnp.asarray(_REACTIVE)
    _, positive = jax.vmap(local)(candidates[:, None, None, None])
    first = jnp.where(positive.any(0), positive.argmax(0), candidates.size - 1)
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
    levels = jnp.maximum(gains.max(), jnp.finfo(float).tiny ** 0.5) * jnp.logspace(-12, 0, _LEVELS)
    totals = levels * budget.sum() + priced_rate(gains.ravel() / levels[:, None])
    return jax.tree.map(lambda a: levels[totals.argmin()] * a, multipliers)


def pack(multipliers: Multipliers, scale: Float[Array, ""]) -> Float[Array, " variable"]:
    """Return the variables of the search: the prices of active power over a scale, and the logarithms of the others."""
    logs = jnp.log(multipliers.reactive.ravel()), jnp.log(multipliers.budget)
    return jnp.concatenate([multipliers.active.ravel() / scale, *logs])


def unpack(x: Float[Array, " variable"], scale: Float[Array, ""], network: DipoleNetwork) -> Multipliers:
    """Return the multipliers whose variables these are."""
    freq, bs, _, slots = network.channel.shape
    shape, count = (freq, bs, slots), freq * bs * slots
    active, reactive, budget = jnp.split(x, [count, 2 * count])
    return Multipliers(scale * active.reshape(shape), jnp.exp(reactive).reshape(shape), jnp.exp(budget))
