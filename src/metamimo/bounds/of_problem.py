"""The bound of a problem: a number that no design of it exceeds, whatever the scheme; found once, shared by all."""

import functools
from typing import get_args

import jax.numpy as jnp

from metamimo.bounds.bound import Bound, Effort, Quality
from metamimo.bounds.registry import BOUNDS
from metamimo.errors import ConfigError
from metamimo.problem import Problem


def upper_bound(problem: Problem, effort: str = "tight") -> Bound | None:
    """Return a bound of the objective over all states, precoders and choices of RF chains.

    It holds for dirty paper coding, too, and stays valid under constraints that it does not look at: least rates,
    discrete phases, distortion of the transmitters. With imperfect knowledge it is one of the designer's problem, as
    `Solution.value` is; designs that are scored on another channel need the bound of the problem with that channel.

    Args:
        problem: link, limits, consumption and objective.
        effort: `cheap` takes closed forms at multipliers that need (nearly) no search, at most 2 % of the time of a
            default design from several starts; `tight` searches the multipliers, for at most the time of a design.

    Returns:
        The smallest of the bounds in `metamimo.bounds.registry.BOUNDS` that hold for the problem; None if none does.

    Raises:
        ConfigError: if the effort is unknown.
    """
    if effort not in get_args(Effort):
        raise ConfigError(f"effort: must be one of {', '.join(get_args(Effort))}, got {effort!r}")
    found: list[Bound | None] = [BOUNDS.get(name)(problem, effort) for name in BOUNDS]
    known = [bound for bound in found if bound is not None]
    if not known:
        return None
    least = functools.reduce(jnp.fmin, [bound.value for bound in known])
    # The smallest lies as close as any of them; which one that is, depends on numbers that a program has not seen yet.
    closest = min(known, key=lambda bound: get_args(Quality).index(bound.quality)).quality
    return Bound(jnp.where(jnp.isfinite(least), least, jnp.nan), ", or ".join(bound.name for bound in known), closest)
