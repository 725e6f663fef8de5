"""Maximum-ratio transmission, the matched filter: every stream takes the best direction for itself alone."""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.linalg import hermitian, squared_norm


def maximum_ratio(h: Complex[Array, "user rx port"], power: Float[Array, ""]) -> Complex[Array, "user port stream"]:
    """Return F_k proportional to H_k^H with one common scale; stream = receive antenna.

    Args:
        h: effective channel over unit noise.
        power: transmitted power, used up unless the channel is zero [W].

    Returns:
        F [sqrt(W)]; zero for users and ports without channel.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> h = jnp.array([[[3.0, 4.0j]]])
    >>> maximum_ratio(h, jnp.asarray(25.0))[0, :, 0]
    Array([3.+0.j, 0.-4.j], dtype=complex128)
    """
    return scale_to_power(hermitian(h), power)


def scale_to_power(
    f: Complex[Array, "user port stream"], power: Float[Array, ""]
) -> Complex[Array, "user port stream"]:
    """Scale a precoder to a total power; zero stays zero.

    Args:
        f: precoder of any size.
        power: wanted sum of |F|^2 [W].

    Returns:
        F [sqrt(W)].
    """
    norm = squared_norm(f)
    return f * jnp.sqrt(power / jnp.where(norm > 0, norm, 1))
