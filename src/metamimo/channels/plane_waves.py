"""Users reached by plane waves: the same waves for every model of an antenna, coupled dipoles or ideal aperture."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact, Key

from metamimo.surfaces.dipole_stack import DipoleStack


class PlaneWaves(eqx.Module):
    """Waves that leave towards the users.

    Signal model: h_u = sum_p g_up e(r_up), e the gain amplitudes of the antenna towards r_up in the polarisation that
    user u receives.

    Attributes:
        directions: unit vectors r, upwards.
        polarisations: unit vectors orthogonal to them.
        gains: g, without unit.
    """

    directions: Float[Array, "user path 3"]
    polarisations: Inexact[Array, "user path 3"]
    gains: Complex[Array, "user path"]


def scattered_waves(key: Key[Array, ""], gain: Float[Array, " user"], paths: int) -> PlaneWaves:
    """Draw waves in directions uniform over the half sphere, co-polar with an x directed dipole (Ludwig 3).

    Args:
        key: key of the purpose "fading".
        gain: mean power gain beta_u of isotropic antennas.
        paths: waves a user; their gains are CN(0, beta_u / paths).

    Returns:
        The waves.

    >>> waves = scattered_waves(jax.random.key(0), jnp.ones(2), 20)
    >>> bool((waves.directions[..., 2] >= 0).all())
    True
    """
    users = gain.size
    up, turn, fading = jax.random.split(key, 3)
    cos = jax.random.uniform(up, (users, paths))
    azimuth = 2 * jnp.pi * jax.random.uniform(turn, (users, paths))
    parts = jax.random.normal(fading, (users, paths, 2)) * jnp.sqrt(gain / (2 * paths))[:, None, None]
    return PlaneWaves(*co_polar(cos, azimuth), jax.lax.complex(parts[..., 0], parts[..., 1]))


def co_polar(
    cos: Float[Array, "*wave"], azimuth: Float[Array, "*wave"]
) -> tuple[Float[Array, "*wave 3"], Float[Array, "*wave 3"]]:
    """Return directions and the co-polar unit vectors cos(azimuth) theta - sin(azimuth) phi of an x directed dipole.

    Args:
        cos: cosine of the angle to the z axis.
        azimuth: angle from the x axis [rad].

    Returns:
        (directions, polarisations), orthogonal unit vectors.

    >>> direction, polarisation = co_polar(jnp.ones(()), jnp.zeros(()))
    >>> direction.astype(int).tolist(), polarisation.astype(int).tolist()
    ([0, 0, 1], [1, 0, 0])
    """
    sin, c, s = jnp.sqrt(1 - cos**2), jnp.cos(azimuth), jnp.sin(azimuth)
    directions = jnp.stack([sin * c, sin * s, cos], -1)
    theta = jnp.stack([cos * c, cos * s, -sin], -1)
    phi = jnp.stack([-s, c, jnp.zeros_like(c)], -1)
    return directions, c[..., None] * theta - s[..., None] * phi


def dipole_channel(surface: DipoleStack, waves: PlaneWaves, freq: int = 0) -> Complex[Array, "user 1 element"]:
    """Return the channel from all dipoles, the antennas included.

    Signal model: that of `PlaneWaves` with the rows of `DipoleStack.plane_wave_rows`, one receive antenna a user.

    Args:
        surface: stack of dipoles.
        waves: waves towards the users.
        freq: which frequency of the surface's grid.

    Returns:
        H without unit, in the order of the surface's elements.

    >>> jax.config.update("jax_enable_x64", True)
    >>> from metamimo.surfaces.coupled import CoupledStack
    >>> stack = CoupledStack.build(n_layers=1, n_elements=4, n_ports=2, wavelength=0.01)
    >>> dipole_channel(stack, scattered_waves(jax.random.key(0), jnp.ones(3), 20)).shape
    (3, 1, 10)
    """
    rows = surface.plane_wave_rows(waves.directions, waves.polarisations, freq)
    return (waves.gains[..., None] * rows).sum(1)[:, None]


def aperture_channel(
    positions: Float[Array | np.ndarray, "element 3"], area: float | Array, wavelength: float | Array, waves: PlaneWaves
) -> Complex[Array, "user 1 element"]:
    """Return the channel from the last layer of a stack whose elements are samples of an aperture.

    Signal model: e_n(r) = sqrt(4 pi a) / lambda cos(theta) exp(jk r . r_n), so that an aperture of uniform phase has
    the gain 4 pi n a / lambda^2: the pattern `FieldSample`, whatever the polarisation. A state of a `StackedSurface`
    and of a stack of dipoles means the same transmission, so the two meet on the same waves.

    Args:
        positions: elements of the last layer [m].
        area: of an element's cell [m^2].
        wavelength: wavelength [m].
        waves: waves towards the users.

    Returns:
        H without unit, one receive antenna a user.

    >>> places = np.array([[-0.25, 0.0, 0.0], [0.25, 0.0, 0.0]])
    >>> up = PlaneWaves(*co_polar(jnp.ones((1, 1)), jnp.zeros((1, 1))), jnp.ones((1, 1), complex))
    >>> round(float(jnp.abs(aperture_channel(places, 0.25, 1.0, up).sum()) ** 2 / 2 / jnp.pi), 6)  # 4 pi n a, n = 2
    2.0
    """
    phase = 2 * jnp.pi / wavelength * (waves.directions[..., None, :] * positions).sum(-1)
    pattern = jnp.sqrt(4 * jnp.pi * area) / wavelength * waves.directions[..., 2:]
    rows = pattern * jnp.exp(1j * phase)
    return (waves.gains[..., None] * rows).sum(1)[:, None]
