"""Several starts of one scheme; local optima matter more than the solver, so the spread is part of the result."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metamimo.errors import ConfigError
from metamimo.problem import Problem, Solution


def best_of_starts(
    scheme: Callable[..., Solution], problem: Problem, *, key: Key[Array, ""], starts: int = 1, **options: Any
) -> Solution:
    """Run a scheme from several random starts, one after another, and return the best solution.

    The first start is the one of a single run, and the starts of a smaller number are among those of a larger one, so
    more starts never give a lower value. Against a single run this holds up to rounding: that is another compiled
    program. A start that did not converge can win; its status says so.

    Args:
        scheme: an entry of `SCHEMES`.
        problem: the problem.
        key: key of the trial.
        starts: number of starts, at least 1.
        **options: options of the scheme.

    Returns:
        The best solution, with the values of all starts in `start_values` and all iterations and trials summed.

    Raises:
        ConfigError: if `starts` is below 1.
    """
    if starts < 1:
        raise ConfigError(f"starts: must be at least 1, got {starts}")
    if starts == 1:
        return scheme(problem, key=key, **options)

    def one(number: Array) -> Solution:
        fresh = jax.random.fold_in(key, number)
        chosen = jnp.where(number == 0, jax.random.key_data(key), jax.random.key_data(fresh))
        return scheme(problem, key=jax.random.wrap_key_data(chosen), **options)

    every = jax.lax.map(one, jnp.arange(starts))
    best = jax.tree.map(lambda a: a[jnp.nanargmax(every.value)], every)
    return eqx.tree_at(
        lambda s: (s.start_values, s.iterations, s.trials),
        best,
        (every.value, every.iterations.sum(), every.trials.sum()),
    )
