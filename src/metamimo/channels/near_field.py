"""Line of sight at exact distances: users so near that waves are not plane over the array."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Key

from metamimo.linalg import squared_norm


def spherical_waves(
    positions: Float[Array | np.ndarray, "element 3"],
    users: Float[Array, "user rx 3"],
    wavelength: float | Array,
) -> Complex[Array, "user rx element"]:
    """Return h = lambda / (4 pi r) exp(-jkr) between isotropic antennas.

    Far away, r grows to r - direction . position, and the channel to that of a plane wave.

    Args:
        positions: elements of the array [m].
        users: antennas of the users, not on an element [m].
        wavelength: wavelength [m].

    Returns:
        H without unit, used as y = H x.

    >>> far = spherical_waves(np.zeros((1, 3)), jnp.array([[[0.0, 0.0, 10.0]]]), 0.1)
    >>> bool(jnp.abs(jnp.abs(far[0, 0, 0]) * 4 * jnp.pi * 10 / 0.1 - 1) < 1e-6)
    True
    """
    away = users[:, :, None] - jnp.asarray(positions)
    distance = jnp.sqrt(squared_norm(away, -1))
    phase = 2 * jnp.pi / wavelength * distance
    return wavelength / (4 * math.pi * distance) * jax.lax.complex(jnp.cos(phase), -jnp.sin(phase))


def near_users(
    key: Key[Array, ""],
    users: int,
    antennas: int,
    *,
    r_min: float | Array,
    r_max: float | Array,
    widest: float | Array,
    spacing: float | Array,
) -> Float[Array, "user rx 3"]:
    """Draw antennas of users in front of an array: lines along x, about a point in a cone around the z axis.

    Args:
        key: key of the purpose "users".
        users: number of users.
        antennas: of each user.
        r_min: least distance from the origin [m].
        r_max: largest distance [m].
        widest: largest angle to the z axis [rad].
        spacing: distance between the antennas of a user [m].

    Returns:
        Positions of all antennas [m]; distances and azimuths are uniform, directions uniform in solid angle.

    >>> near_users(jax.random.key(0), 3, 2, r_min=1.0, r_max=5.0, widest=1.0, spacing=0.005).shape
    (3, 2, 3)
    """
    u = jax.random.uniform(key, (users, 3))
    r = r_min + (r_max - r_min) * u[:, 0]
    cos = 1 - (1 - jnp.cos(jnp.asarray(widest))) * u[:, 1]
    sin, turn = jnp.sqrt(1 - cos**2), 2 * jnp.pi * u[:, 2]
    centre = r[:, None] * jnp.stack([sin * jnp.cos(turn), sin * jnp.sin(turn), cos], -1)
    offset = (jnp.arange(antennas) - (antennas - 1) / 2) * spacing
    return centre[:, None] + jnp.stack([offset, jnp.zeros(antennas), jnp.zeros(antennas)], -1)


def near_field(
    key: Key[Array, ""],
    positions: Float[Array | np.ndarray, "element 3"],
    wavelength: float | Array,
    users: int,
    antennas: int,
    *,
    r_min: float | Array,
    r_max: float | Array,
    widest: float | Array,
) -> Complex[Array, "user rx element"]:
    """Draw users in front of an array, with half-wave spaced antennas, and return their lines of sight.

    Args:
        key: key of the purpose "users".
        positions: elements of the array [m].
        wavelength: wavelength [m].
        users, antennas: number of users, and of the antennas of each.
        r_min, r_max: least and largest distance from the origin [m].
        widest: largest angle to the z axis [rad].

    Returns:
        H without unit, used as y = H x.
    """
    spacing = jnp.asarray(wavelength) / 2
    places = near_users(key, users, antennas, r_min=r_min, r_max=r_max, widest=widest, spacing=spacing)
    return spherical_waves(positions, places, wavelength)
