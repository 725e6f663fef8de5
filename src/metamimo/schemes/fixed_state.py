"""The best linear precoder for a state that is given: what a transmitter makes of phases that somebody else chose."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, Key

from metamimo.errors import ConfigError
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.constrained import active_channel, regularised_start
from metamimo.schemes.hybrid_joint import hybrid_joint
from metamimo.surfaces.digital import FullyDigital


def with_start(problem: Problem, state: Inexact[Array, "..."]) -> Design:
    """Return a state with the precoder that a joint run from it starts with.

    Args:
        problem: one station, one subcarrier, limits on accepted power.
        state: state of the surface.
    """
    h = active_channel(problem, state, problem.link.ports[0])
    precoder = regularised_start(h, problem.accepted_limits("with_start"))
    return Design((state[None],), precoder[None, None])


def behind_surface(problem: Problem, state: Inexact[Array, "..."]) -> Problem:
    """Return the problem that is left when the state is given: its ports as antennas, unit noise.

    Args:
        problem: one station, one subcarrier; its objective is the sum rate.
        state: state of the surface.

    Raises:
        ConfigError: if the objective is another: it may charge for what stands in front of the ports.
    """
    if problem.objective != "sum_rate":
        raise ConfigError(f"objective: without its surface a problem has a sum rate, got {problem.objective!r}")
    h = active_channel(problem, state, problem.link.ports[0])
    ports = FullyDigital.build(np.eye(h.shape[-1]))
    link = replace(problem.link, surfaces=(ports,), channel=h[None, None], noise_power=jnp.ones(()))
    return replace(problem, link=link)


def best_precoder(problem: Problem, *, key: Key[Array, ""], **options: Any) -> Solution:
    """Maximise the weighted sum rate over the linear precoder of an array, from regularised zero-forcing.

    Args:
        problem: what `behind_surface` returns.
        key: key of the trial.
        **options: of `hybrid_joint`, such as `tolerance`.

    Returns:
        The solution; its precoder suits the state that the problem stands behind.
    """
    start = with_start(problem, jnp.zeros(0))
    return hybrid_joint(problem, key=key, start=start, selection="none", **options)
