"""Small broadcast problems that every scheme must cope with."""

import jax
import jax.numpy as jnp

from metamimo.problem import Consumption, Limit, Link, Problem
from metamimo.surfaces.stacked import StackedSurface


def problem(seed=0, users=2, rx=2, power=1.0, fixed=5.0, surface=None, scale=3.0):
    """Return a problem with independent Rayleigh fading of the given amplitude over unit noise."""
    surface = StackedSurface.example() if surface is None else surface
    channel = scale * jax.random.normal(jax.random.key(seed), (users, rx, surface.n_elements), dtype=complex)
    link = Link.broadcast(surface, channel, noise_power=1.0, bandwidth=1e6, frequency=3e8)
    return Problem(
        link=link,
        limits=(Limit(jnp.asarray([power])),),
        consumption=Consumption.of(per_chain=0.1, static=fixed, per_element=0.01),
        min_rate=jnp.zeros(users),
    )
