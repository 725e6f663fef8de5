"""A stored design of every kind of surface whose elements have known positions, drawn at random."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from metamimo.conventions import SPEED_OF_LIGHT
from metamimo.geometry.planar import grid_positions, strip_positions
from metamimo.interop.design_file import StoredDesign
from metamimo.metrics.power import power_matrices, station_power
from metamimo.physics.patterns import FieldSample, Isotropic
from metamimo.problem import Design, Link
from metamimo.surfaces.registry import SURFACES

# What the coupling matrices of the examples were made from, at the wavelength one.
TOLD = {
    "digital": (grid_positions(4, 1 / 3), Isotropic()),
    "hybrid_fully_connected": (grid_positions(9, 1 / 3), FieldSample(1 / 9)),
    "hybrid_sub_connected": (grid_positions(12, 1 / 3), FieldSample(1 / 9)),
    "microstrip": (strip_positions(2, 4, 0.25, 0.5), Isotropic()),
    "stacked": (grid_positions(9, 0.5), FieldSample(0.25)),
}
KNOWN = ("coupled_stack", "feedforward_stack", "parallel_plate")
USERS = np.array([[3.0, 0.5, 8.0], [-4.0, -2.0, 6.0]])
CENTRES = np.array([[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0]])


def broadcasting(surface, stations=2, serves=((True, True), (False, True))):
    """Return stations with one kind of antenna; the second one does not serve the first user."""
    grid = getattr(surface, "frequencies", jnp.array([SPEED_OF_LIGHT]))
    return Link(
        surfaces=(surface,),
        channel=jnp.zeros((len(grid), stations, 2, 1, surface.n_elements), complex),
        serves=jnp.asarray(serves)[:stations],
        ports=jnp.ones((stations, surface.n_ports), bool),
        noise_power=jnp.ones(()),
        bandwidth=jnp.asarray(1e6),
        frequencies=grid,
        weights=jnp.ones(2),
    )


@jax.jit
def drawn(link):
    """Return a random design, and the powers that the ledger has for it."""
    surface, (freq, stations) = link.surfaces[0], link.channel.shape[:2]
    state = (surface.feasible.random(jax.random.key(1), (stations,)),)
    precoder = jax.random.normal(jax.random.key(2), (freq, stations, 2, surface.n_ports, 2), complex)
    kinds = ("accepted", "radiated")
    return Design(state, precoder), [station_power(link, power_matrices(link, state, k), precoder) for k in kinds]


@cache
def made(name):
    """Return link, design and powers of a registered surface."""
    link = broadcasting(SURFACES.get(name).example())
    return link, *drawn(link)


@cache
def stored(name):
    """Return what a file holds of them."""
    link, design, _ = made(name)
    positions, pattern = TOLD.get(name, (None, None))
    return StoredDesign.of(link, design, positions=positions, pattern=pattern, centres=CENTRES, users=USERS)
