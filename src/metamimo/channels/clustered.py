"""Clustered millimetre-wave channels (Saleh and Valenzuela), drawn as paths before any array is placed on them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Key

from metamimo.linalg import cmatmul


class Paths(eqx.Module):
    """Paths between stations and users; the same scene serves every array.

    Attributes:
        gains: complex amplitudes without unit, path loss included.
        departures: unit vectors at the station, boresight +z.
        arrivals: sine of the angle to the normal of the user's line of antennas.
    """

    gains: Complex[Array, "bs user path"]
    departures: Float[Array, "bs user path 3"]
    arrivals: Float[Array, "bs user path"]


def log_distance_gain(
    key: Key[Array, ""],
    distance: Float[Array, "bs user"],
    *,
    loss_db: float | Array,
    exponent: float | Array,
    shadowing_db: float | Array,
) -> Float[Array, "bs user"]:
    """Draw power gains of 10 log10 zeta = -(loss + 10 exponent log10(d / 1 m) + N(0, shadowing^2)).

    Args:
        key: key of the purpose "large_scale".
        distance: between stations and users [m].
        loss_db: at one metre [dB].
        exponent: of the path loss.
        shadowing_db: standard deviation [dB].

    Returns:
        zeta.
    """
    shadow = shadowing_db * jax.random.normal(key, distance.shape)
    return 10 ** (-(loss_db + 10 * exponent * jnp.log10(distance) + shadow) / 10)


def clustered_paths(
    key: Key[Array, ""],
    gain: Float[Array, "bs user"],
    *,
    clusters: int,
    rays: int,
    spread: float | Array,
    elevation: float | Array,
) -> Paths:
    """Draw clusters of rays with Laplacian angles and independent CN(0, 1) amplitudes.

    Centres are uniform: azimuth at both ends in (-90, 90) degrees, elevation at the station within its limit.

    Args:
        key: key of the purpose "fading".
        gain: mean power gain zeta of all paths together.
        clusters: clusters of every station and user.
        rays: rays of a cluster.
        spread: standard deviation of the rays' angles about the cluster's [rad].
        elevation: largest elevation of a cluster's centre above or below the horizon [rad].

    Returns:
        The paths.

    >>> paths = clustered_paths(jax.random.key(0), jnp.ones((1, 2)), clusters=5, rays=10, spread=0.13, elevation=0.5)
    >>> paths.departures.shape
    (1, 2, 50, 3)
    """
    centres, offsets, fading = jax.random.split(key, 3)
    low = jnp.array([-jnp.pi / 2, -jnp.pi / 2, -elevation])
    middle = low * (1 - 2 * jax.random.uniform(centres, (*gain.shape, clusters, 1, 3)))
    offset = jax.random.laplace(offsets, (*gain.shape, clusters, rays, 3)) * spread / jnp.sqrt(2.0)
    azimuth, arrival, height = jnp.moveaxis((middle + offset).reshape(*gain.shape, -1, 3), -1, 0)
    across = jnp.cos(height)
    departures = jnp.stack([jnp.sin(azimuth) * across, jnp.sin(height), jnp.cos(azimuth) * across], -1)
    parts = jax.random.normal(fading, (*azimuth.shape, 2)) * jnp.sqrt(gain / (2 * clusters * rays))[..., None, None]
    return Paths(jax.lax.complex(parts[..., 0], parts[..., 1]), departures, jnp.sin(arrival))


def path_channel(
    paths: Paths, positions: Float[Array | np.ndarray, "element 3"], wavelength: float | Array, antennas: int
) -> Complex[Array, "bs user rx element"]:
    """Return the channel of the paths for an array of isotropic elements and lines of half-wave spaced antennas.

    Signal model: H = sum_p g_p a(arrival_p) h(departure_p)^T, h_n = exp(+jk r_p . r_n): an element nearer to the user
    is ahead; a_m = exp(j pi m arrival).

    Args:
        paths: the scene.
        positions: elements of a station's array [m].
        wavelength: wavelength [m].
        antennas: of each user.

    Returns:
        H without unit, used as y = H x.
    """
    phase = 2 * jnp.pi / wavelength * (paths.departures[..., None, :] * positions).sum(-1)
    steer = jax.lax.complex(jnp.cos(phase), jnp.sin(phase))
    turn = jnp.pi * paths.arrivals[..., None, :] * jnp.arange(antennas)[:, None]
    receive = paths.gains[..., None, :] * jax.lax.complex(jnp.cos(turn), jnp.sin(turn))
    return cmatmul(receive, steer)
