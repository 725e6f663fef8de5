"""Weighted rates: a bound for any weights from bounds for sets of users (specification of bounds, end of section 4)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def over_weights(
    bound: Callable[[Bool[Array, " user"]], Float[Array, ""]], weights: Float[Array, " user"]
) -> Float[Array, ""]:
    """Return sum_j (w_j - w_j+1) times the bound of the users with the j largest weights.

    Args:
        bound: bound of the plain sum over the users of a mask, in any unit that is linear in the rates.
        weights: weight of each user, not negative; steps of zero cost nothing.

    >>> float(over_weights(lambda heard: 10.0 * heard.sum(), jnp.array([1.0, 3.0])))  # 2 for the best one, 1 for both
    40.0
    """
    order = jnp.argsort(-weights)
    ordered = weights[order]
    steps = ordered - jnp.append(ordered[1:], 0)

    def of_first(item: tuple[Array, Array]) -> Float[Array, ""]:
        step, count = item
        heard = jnp.zeros(weights.size, bool).at[order].set(jnp.arange(weights.size) < count)
        return jax.lax.cond(step > 0, lambda: step * jnp.asarray(bound(heard), float), lambda: jnp.zeros(()))

    return jax.lax.map(of_first, (steps, 1 + jnp.arange(weights.size))).sum()
