"""Small networks of several cells with holograms."""

import jax
import jax.numpy as jnp
import numpy as np

from metamimo.geometry.planar import strip_positions
from metamimo.physics.guides import strip_wave
from metamimo.physics.patterns import Isotropic
from metamimo.problem import Consumption, Limit, Link, Problem
from metamimo.surfaces.hologram_sets import LorentzianCircle, OnOff
from metamimo.surfaces.strips import StripArray

CHAINS, PER_STRIP = 3, 3
ELEMENTS = CHAINS * PER_STRIP
ON_OFF, CIRCLE = OnOff((ELEMENTS,), amplitude=0.8), LorentzianCircle((ELEMENTS,))


def strips(feasible):
    wave = strip_wave(PER_STRIP, 0.25, attenuation=0.1, wavenumber=2.8 * np.pi)
    coupling = Isotropic().coupling(strip_positions(CHAINS, PER_STRIP, 0.25, 0.5), 1.0)
    return StripArray.build(np.tile(wave, (CHAINS, 1)), coupling, feasible=feasible)


def network(seed=0, surface=None, cells=2, per_cell=2, rx=2, scale=1.5, cross=0.3, joint=False, power=1.0):
    """Return several cells over unit noise, whose users all hear all stations; `joint` lets all stations serve all."""
    surface = strips(ON_OFF) if surface is None else surface
    users = cells * per_cell
    channel = scale * jax.random.normal(jax.random.key(seed), (cells, users, rx, surface.n_elements), dtype=complex)
    own = jnp.repeat(jnp.eye(cells, dtype=bool), per_cell, axis=1)
    channel = channel * jnp.where(own, 1, cross)[:, :, None, None]
    link = Link(
        surfaces=(surface,),
        channel=channel[None],
        serves=jnp.ones_like(own) if joint else own,
        ports=jnp.ones((cells, surface.n_ports), bool),
        noise_power=jnp.ones(()),
        bandwidth=jnp.asarray(1e6),
        frequencies=jnp.array([3e8]),
        weights=1.0 + 0.5 * jnp.arange(users),
    )
    limits = (Limit(power * (1.0 + jnp.arange(cells * surface.n_ports).reshape(cells, -1) % 2)),)
    return Problem(link, limits, Consumption.of(static=1.0), jnp.zeros(users), objective="sum_rate")
