"""Zero-forcing and its regularised form: linear precoders in closed form that suppress interference."""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.linalg import cmatmul, hermitian, inverse_hermitian
from metamimo.precoders.matched import scale_to_power


def zero_forcing(
    h: Complex[Array, "user rx port"], power: Float[Array, ""], cutoff: float = 1e-10
) -> Complex[Array, "user port stream"]:
    """Return the Moore-Penrose inverse of the stacked channel with one common scale; stream = receive antenna.

    With independent rows, H F is a multiple of the identity: no interference, the same gain for all. If rows are
    dependent or outnumber the ports, that has no solution, and F is the least-squares one of least norm: H F is then a
    multiple of the projector on the range of H, and the streams of dependent rows disturb each other. A receive antenna
    without channel gets no power.

    Args:
        h: effective channel over unit noise.
        power: transmitted power, used up unless the channel is zero [W].
        cutoff: singular values below this multiple of the largest count as zero.

    Returns:
        F [sqrt(W)].

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> h = jnp.array([[[1.0, 1.0]], [[0.0, 1.0]]], complex)
    >>> f = zero_forcing(h, jnp.asarray(3.0))
    >>> jnp.abs(cmatmul(h.reshape(2, 2), f[:, :, 0].T)).round(12)
    Array([[1., 0.],
           [0., 1.]], dtype=float64)
    """
    users, rx, ports = h.shape
    left, value, right = jnp.linalg.svd(h.reshape(users * rx, ports), full_matrices=False)
    kept = value > cutoff * value[0]
    # value[0] / value, not 1 / value: the scale is free, and weak channels stay far from overflow.
    inverse = jnp.where(kept, value[0] / jnp.where(kept, value, 1), 0)
    return scale_to_power(_by_user(cmatmul(hermitian(right) * inverse, hermitian(left)), users), power)


def regularised_zero_forcing(
    h: Complex[Array, "user rx port"], power: Float[Array, ""]
) -> Complex[Array, "user port stream"]:
    """Return F = H^H (H H^H + (M / P) I)^-1 with one common scale, M receive antennas in total; stream = antenna.

    The inverse is M x M whatever the number of ports, and exists for every channel. Towards P = 0 this is maximum
    ratio, towards infinity zero-forcing.

    Args:
        h: effective channel over unit noise.
        power: transmitted power P, used up unless the channel is zero [W].

    Returns:
        F [sqrt(W)].

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> h = jnp.array([[[1.0, 1.0]], [[0.0, 1.0]]], complex)
    >>> regularised_zero_forcing(h, jnp.asarray(3.0)).shape
    (2, 2, 1)
    """
    users, rx, ports = h.shape
    m = users * rx
    stacked = h.reshape(m, ports)
    # Multiplied by P: finite at P = 0. The floor outweighs the rounding of dependent rows at very high SNR.
    gram = power * cmatmul(stacked, hermitian(stacked))
    floor = jnp.maximum(1, jnp.finfo(gram.dtype).eps * jnp.trace(gram).real)
    regularised = gram + m * floor * jnp.eye(m)
    return scale_to_power(_by_user(cmatmul(hermitian(stacked), inverse_hermitian(regularised)), users), power)


def _by_user(f: Complex[Array, "port m"], users: int) -> Complex[Array, "user port stream"]:
    return f.reshape(f.shape[0], users, -1).transpose(1, 0, 2)
