"""States and precoders of a network under its power limits: what all recipes for networks share."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact, Key

from metamimo.errors import ConfigError
from metamimo.linalg import squared_norm
from metamimo.metrics.effective import effective_channel
from metamimo.metrics.power import power_matrices, station_power
from metamimo.metrics.rates import rates
from metamimo.problem import Link, Problem
from metamimo.randomness import purpose_key

_FAR = 1e4
"""Amplitude of a random start over the root of the largest limit."""

States = Inexact[Array, "bs *state"]
Precoders = Complex[Array, "freq bs user port stream"]


def check_sum_rate(problem: Problem, scheme: str) -> None:
    """Refuse problems that are more general than the weighted sum rate under power limits.

    Raises:
        ConfigError: if it is one.
    """
    if problem.objective != "sum_rate":
        raise ConfigError(f"objective: {scheme} maximises the weighted sum rate, got {problem.objective!r}")
    problem.expect(scheme, "min_rate", problem.min_rate, 0)
    if not problem.limits:
        raise ConfigError(f"limits: {scheme} needs at least one, got none")
    for limit in problem.limits:
        if limit.power.ndim == 2 and not limit.counts_waves:
            raise ConfigError(f"limits: those of single ports are on accepted power, got {limit.kind!r}")


def weighted_rate(link: Link, states: States, precoder: Precoders) -> Float[Array, ""]:
    """Return the weighted sum rate, mean over subcarriers [nat per channel use]."""
    h = effective_channel(link, (states,))
    return (link.weights * rates(h, precoder, link.serves, link.noise_power, evm=link.evm).mean(0)).sum()


def within(problem: Problem, states: States, precoder: Precoders) -> Precoders:
    """Scale down what exceeds a limit: first the ports, then the stations; changes no feasible precoder."""
    link = problem.link
    f = precoder * (link.serves[:, :, None] & link.ports[:, None])[None, ..., None]
    tiny = jnp.finfo(float).tiny
    for limit in sorted(problem.limits, key=lambda limit: -limit.power.ndim):
        if limit.power.ndim == 2:
            excess = squared_norm(f, (0, 2, 4)) / jnp.maximum(limit.power, tiny)
            f = f / jnp.sqrt(jnp.maximum(1, excess))[None, :, None, :, None]
        else:
            used = station_power(link, power_matrices(link, (states,), limit.kind), f)
            f = f / jnp.sqrt(jnp.maximum(1, used / jnp.maximum(limit.power, tiny)))[None, :, None, None, None]
    return f


def random_start(problem: Problem, key: Key[Array, ""]) -> tuple[States, Precoders]:
    """Return random states, and random precoders whose limits are used up: a row that starts at zero could stay there.

    Entries are drawn complex normal, so far above the limits that every one of them shortens what it limits.
    """
    link = problem.link
    freq, bs, _, rx, _ = link.channel.shape
    ports, users = link.ports.shape[1], link.serves.shape[1]
    of_states, of_rows = jax.random.split(purpose_key(key, "start"))
    states = link.surfaces[0].feasible.random(of_states, (bs,))
    parts = jax.random.normal(of_rows, (freq, bs, users, ports, min(rx, ports), 2))
    f = jax.lax.complex(parts[..., 0], parts[..., 1])
    largest = jnp.stack([limit.power.max() for limit in problem.limits]).max()
    return states, within(problem, states, _FAR * jnp.sqrt(largest) * f)
