"""A small cell-free network of antennas whose coupled elements have real states."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from metamimo.problem import Consumption, Limit, Link, Problem
from metamimo.surfaces.base import PowerKind, Surface
from metamimo.surfaces.feasible import FeasibleSet
from metamimo.surfaces.resonance import ResonanceStrength


class CoupledElements(Surface):
    """x = A (I - G A)^-1 feed a with A = diag(s / (1 + j s)) the polarisabilities of Lorentzian elements."""

    between: jax.Array
    feed: jax.Array
    coupling: jax.Array
    detuning: jax.Array
    feasible: FeasibleSet
    n_ports: int = eqx.field(static=True)
    n_elements: int = eqx.field(static=True)

    @classmethod
    def build(cls, freq=2, elements=5, ports=2, seed=0):
        rng = np.random.default_rng(seed)

        def normal(*shape):
            return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)

        g = 0.3 * normal(freq, elements, elements) / np.sqrt(elements)
        g = (g + g.swapaxes(1, 2)) * (1 - np.eye(elements))
        root = np.eye(elements) + 0.2 * normal(1, elements, elements)
        return cls(
            between=jnp.asarray(g),
            feed=jnp.asarray(normal(freq, elements, ports)),
            coupling=jnp.asarray(root @ root.conj().swapaxes(1, 2)),
            detuning=jnp.linspace(0.9, 1.1, freq),
            feasible=ResonanceStrength((elements,)),
            n_ports=ports,
            n_elements=elements,
        )

    @classmethod
    def example(cls):
        return cls.build()

    def response(self, state):
        alpha = 1 / (1 / jnp.maximum(state, 1e-12) * self.detuning[:, None] + 1j)
        alpha = jnp.where(state > 0, alpha, 0)
        matrix = jnp.eye(self.n_elements) - self.between * alpha[:, None, :]
        return alpha[..., None] * jnp.linalg.solve(matrix, self.feed)


def cell_free(
    seed=0, *, stations=2, users=2, freq=2, elements=5, ports=2, power=1.0, kind: PowerKind = "accepted", surface=None
):
    """Return a cell-free network over unit noise; every user hears every station."""
    surface = CoupledElements.build(freq, elements, ports) if surface is None else surface
    shape = (freq, stations, users, 1, surface.n_elements)
    link = Link(
        surfaces=(surface,),
        channel=jax.random.normal(jax.random.key(seed), shape, dtype=complex),
        serves=jnp.ones((stations, users), bool),
        ports=jnp.ones((stations, surface.n_ports), bool),
        noise_power=jnp.ones(()),
        bandwidth=jnp.asarray(1e6),
        frequencies=1e10 + 1e6 * jnp.arange(freq),
        weights=jnp.ones(users),
    )
    limits = (Limit(power * (1.0 + jnp.arange(stations)), kind),)
    return Problem(link, limits, Consumption.of(static=1.0), jnp.zeros(users), objective="sum_rate")
