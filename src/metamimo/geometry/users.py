"""Users of a cell."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def annulus_distances(
    key: Key[Array, ""], users: int, r_min: float | Array, r_max: float | Array
) -> Float[Array, " user"]:
    """Draw distances of users that are uniform in area between two circles, d = sqrt(U(r_min^2, r_max^2)).

    JAX's counter-based generator gives entry k the same bits whatever the length: a cell with more users keeps the
    first ones where they were.

    Args:
        key: key of the purpose "users".
        users: number of users.
        r_min: inner radius [m].
        r_max: outer radius [m].

    Returns:
        Distances [m].
    """
    u = jax.random.uniform(key, (users,))
    r_min, r_max = jnp.asarray(r_min, u.dtype), jnp.asarray(r_max, u.dtype)
    return jnp.sqrt(r_min**2 + u * (r_max**2 - r_min**2))
