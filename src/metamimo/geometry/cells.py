"""Sites of several cells and the users around them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metamimo.errors import ConfigError
from metamimo.geometry.users import annulus_distances


def cell_sites(cells: int, distance: float) -> np.ndarray:
    """Return the sites of base stations on the corners of a regular polygon, in the plane.

    Args:
        cells: number of cells; two sites are the ends of a segment, one is the origin.
        distance: between neighbours [m].

    Returns:
        Positions, shape (cells, 2) [m].

    Raises:
        ConfigError: if there is no cell, or the distance is not positive.

    >>> cell_sites(2, 10.0).round(9).tolist()
    [[5.0, 0.0], [-5.0, 0.0]]
    """
    if cells < 1:
        raise ConfigError(f"cells: must be at least 1, got {cells}")
    if not distance > 0:
        raise ConfigError(f"distance: must be positive, got {distance}")
    radius = 0.0 if cells == 1 else distance / (2 * np.sin(np.pi / cells))
    turn = 2 * np.pi * np.arange(cells) / cells
    return radius * np.column_stack([np.cos(turn), np.sin(turn)])


def users_around(
    key: Key[Array, ""], sites: Float[Array, "bs 2"], per_cell: int, r_min: float | Array, r_max: float | Array
) -> Float[Array, "user 2"]:
    """Draw users that are uniform in an annulus around their base station, cell by cell.

    Args:
        key: key of the purpose "users".
        sites: positions of the stations [m].
        per_cell: users of each.
        r_min: inner radius [m].
        r_max: outer radius [m].

    Returns:
        Positions; user k of cell l is number l per_cell + k [m].

    >>> users_around(jax.random.key(0), jnp.zeros((3, 2)), 2, 10.0, 100.0).shape
    (6, 2)
    """
    radii, turns = jax.random.split(key)
    count = len(sites) * per_cell
    r = annulus_distances(radii, count, r_min, r_max)
    turn = 2 * jnp.pi * jax.random.uniform(turns, (count,))
    return jnp.repeat(sites, per_cell, axis=0) + r[:, None] * jnp.stack([jnp.cos(turn), jnp.sin(turn)], -1)
