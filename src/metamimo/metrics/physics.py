"""Physics checks of a design, in words for a person."""

import equinox as eqx
import jax
import jax.numpy as jnp

from metamimo.metrics.evaluate import Metrics, evaluate
from metamimo.problem import Design, Problem

ENERGY_GAIN_LIMIT = 1.02
"""Emitted over fed power up to which rounding and discretisation are believed."""


def energy_gain(problem: Problem, design: Design) -> jax.Array:
    """Return the most watts that every surface's model can emit per watt fed; above one, it creates energy."""
    surfaces = problem.link.surfaces
    if len(surfaces) == 1:
        return jax.vmap(surfaces[0].energy_gain)(design.state[0])
    return jnp.stack([surface.energy_gain(s) for surface, s in zip(surfaces, design.state, strict=True)])


@eqx.filter_jit
def _measure(problem: Problem, design: Design) -> tuple[Metrics, jax.Array]:
    return evaluate(problem, design), energy_gain(problem, design).max()


def physics_warnings(problem: Problem, design: Design) -> list[str]:
    """Say what in a design should not be believed.

    Args:
        problem: the problem that the design is scored on.
        design: the design.

    Returns:
        One sentence a finding; empty if there is none.
    """
    found = []
    metrics, largest = _measure(problem, design)
    gain = float(largest)
    if gain > ENERGY_GAIN_LIMIT:
        found.append(
            f"the surface emits up to {gain:.2f} W per watt fed: "
            "its model creates energy; a stack needs kernel='band_limited' or 'clipped'"
        )
    ratio = float((metrics.ledger.radiated / jnp.maximum(metrics.ledger.accepted, 1e-300)).max())
    if ratio > ENERGY_GAIN_LIMIT:
        found.append(
            f"the design radiates {ratio:.2f} W per accepted watt in the element pattern's own count: "
            "the limit is on a quantity that is not radiated power, compare designs under radiated power, too"
        )
    served = int(metrics.served)
    if served < metrics.rates.size:
        found.append(f"only {served} of {metrics.rates.size} users are served: set a minimum rate or use more starts")
    return found
