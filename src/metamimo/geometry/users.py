"""Users of a cell."""

import jax
import jax.numpy as jnp
import numpy as np
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


def disc_distances(
    key: Key[Array, ""], users: int, centre: float | Array, radius: float | Array, height: float | Array
) -> Float[Array, " user"]:
    """Draw distances to users that are uniform in a disc on the ground, seen from above the ground.

    Args:
        key: key of the purpose "users".
        users: number of users.
        centre: horizontal distance of the disc's centre [m].
        radius: its radius [m].
        height: height of the antenna above the users [m].

    Returns:
        Distances [m].

    >>> far = disc_distances(jax.random.key(0), 1000, 50.0, 10.0, 13.35)
    >>> bool((far >= (40**2 + 13.35**2) ** 0.5).all() & (far <= (60**2 + 13.35**2) ** 0.5).all())
    True
    """
    places = jax.random.uniform(key, (users, 2))
    r, turn = radius * jnp.sqrt(places[:, 0]), 2 * jnp.pi * places[:, 1]
    return jnp.sqrt((centre + r * jnp.cos(turn)) ** 2 + (r * jnp.sin(turn)) ** 2 + jnp.asarray(height) ** 2)


def users_in_discs(
    key: Key[Array, ""], users: int, centres: Float[Array | np.ndarray, "disc 3"], radius: float | Array
) -> Float[Array, "user 3"]:
    """Draw users that are uniform in area in discs parallel to the xy plane, filled in turns.

    More users leave the first ones in place.

    Args:
        key: key of the purpose "users".
        users: number of users.
        centres: centres of the discs [m].
        radius: their radius [m].

    Returns:
        Positions [m].

    >>> places = users_in_discs(jax.random.key(0), 4, jnp.array([[-2.0, 3.0, 8.0], [2.0, 3.0, 8.0]]), 1.0)
    >>> (places[:, 0] > 0).tolist(), places[:, 2].tolist()
    ([False, True, False, True], [8.0, 8.0, 8.0, 8.0])
    """
    places = jax.random.uniform(key, (users, 2))
    r, turn = radius * jnp.sqrt(places[:, 0]), 2 * jnp.pi * places[:, 1]
    offset = jnp.stack([r * jnp.cos(turn), r * jnp.sin(turn), jnp.zeros(users)], -1)
    return jnp.asarray(centres)[jnp.arange(users) % len(centres)] + offset
