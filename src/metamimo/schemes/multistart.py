"""Several starts of one scheme; local optima matter more than the solver, so the spread is part of the result."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metamimo.bounds.bound import Bound
from metamimo.errors import ConfigError
from metamimo.problem import Problem, Solution


def best_of_starts(
    scheme: Callable[..., Solution],
    problem: Problem,
    *,
    key: Key[Array, ""],
    starts: int = 1,
    bound: Bound | None = None,
    target_gap: float | None = None,
    **options: Any,
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
        bound: what no design of the problem exceeds, from `upper_bound`; becomes part of the solution.
        target_gap: no further start once bound / best - 1 is at most this.
        **options: options of the scheme.

    Returns:
        The best solution, with the values of all starts in `start_values` (nan for those that were spared) and all
        iterations and trials summed.

    Raises:
        ConfigError: if `starts` is below 1, or a target is negative or has no bound to be measured by.
    """
    if starts < 1:
        raise ConfigError(f"starts: must be at least 1, got {starts}")
    if target_gap is not None and not target_gap >= 0:
        raise ConfigError(f"target_gap: must not be negative, got {target_gap}")
    if target_gap is not None and bound is None:
        raise ConfigError(f"target_gap: needs a bound of the problem, which has none (given: {target_gap})")

    def one(number: Array) -> Solution:
        fresh = jax.random.fold_in(key, number)
        chosen = jnp.where(number == 0, jax.random.key_data(key), jax.random.key_data(fresh))
        return scheme(problem, key=jax.random.wrap_key_data(chosen), **options)

    # An objective that is nan everywhere reaches no target.
    enough = jnp.inf if bound is None or target_gap is None else bound.value / (1 + target_gap)
    best = scheme(problem, key=key, **options) if starts == 1 else _best(one, starts, enough)
    if bound is None:
        return best
    return replace(
        best, upper_bound=bound.value, bound_name=bound.name, bound_scope="global", bound_quality=bound.quality
    )


def _best(one: Callable[[Array], Solution], starts: int, enough: float | Array) -> Solution:
    """Run starts 0, 1, ... until the best value is enough or all are done."""

    def run(carry: tuple[Array, Solution, Array]) -> tuple[Array, Solution, Array]:
        number, best, values = carry
        new = one(number)
        better = (new.value > best.value) | jnp.isnan(best.value)
        kept = jax.tree.map(lambda a, b: jnp.where(better, a, b), new, best)
        work = best.iterations + new.iterations, best.trials + new.trials
        kept = eqx.tree_at(lambda s: (s.iterations, s.trials), kept, work)
        return number + 1, kept, values.at[number].set(new.value)

    def going(carry: tuple[Array, Solution, Array]) -> Array:
        number, best, _ = carry
        return (number < starts) & ~(best.value >= enough)

    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(one, jnp.asarray(0)))
    nothing = eqx.tree_at(lambda s: s.value, nothing, jnp.asarray(jnp.nan))
    _, best, values = jax.lax.while_loop(going, run, (jnp.asarray(0), nothing, jnp.full(starts, jnp.nan)))
    return eqx.tree_at(lambda s: s.start_values, best, values)
