"""Correlated Rayleigh fading under isotropic scattering, with distance-dependent path loss."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact, Key

from metamimo.linalg import cmatmul


def path_gain(
    distance: Float[Array, " user"], wavelength: float | Array, exponent: float | Array, reference: float | Array = 1.0
) -> Float[Array, " user"]:
    """Return beta = (lambda / 4 pi d_0)^2 (d / d_0)^-alpha: free space up to d_0, a power law beyond.

    Args:
        distance: distances of the users [m].
        wavelength: wavelength [m].
        exponent: path loss exponent alpha.
        reference: reference distance d_0 [m].

    Returns:
        Power gains of isotropic antennas.
    """
    return (wavelength / (4 * math.pi * reference)) ** 2 * (distance / reference) ** -exponent


def correlated_rayleigh(
    key: Key[Array, ""], gain: Float[Array, " user"], antennas: int, root: Inexact[Array, "element element"]
) -> Complex[Array, "user rx element"]:
    """Draw G_k = sqrt(beta_k) Gtilde_k R^(1/2), Gtilde_k independent CN(0, 1) (An et al. 2023, eqs. 14, 15).

    JAX's counter-based generator gives entry k the same bits whatever the number of users: a cell with more users
    keeps the channels of the first ones.

    Args:
        key: key of the purpose "fading".
        gain: power gain of each user.
        antennas: receive antennas of each user, uncorrelated.
        root: Hermitian root of the correlation matrix of the transmitting elements.

    Returns:
        Channels without unit, used as y = G x.
    """
    parts = jax.random.normal(key, (gain.size, antennas, root.shape[0], 2))
    white = jax.lax.complex(parts[..., 0], parts[..., 1]) * math.sqrt(0.5)
    return jnp.sqrt(gain)[:, None, None] * cmatmul(white, root.astype(white.dtype))
