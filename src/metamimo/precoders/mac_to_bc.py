"""From covariances of the dual multiple-access channel to a precoder of the broadcast channel."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from metamimo.linalg import cmatmul, hermitian
from metamimo.precoders.dual_mac import Channel, Factor


def broadcast_precoder(h: Channel, x: Factor) -> Complex[Array, "user port rx"]:
    """Return F with Q_k = F_k F_k^H of the same rates and power as S_k = x_k x_k^H in the dual channel.

    Dirty paper coding in the order 0, 1, ..., K - 1 gives user k the rate ln|Y_{k+1}| - ln|Y_k|,
    Y_k = I + sum_{j<k} H_j^H S_j H_j (Vishwanath et al. 2003). What S_k sends into the null space of H_k is left out,
    so the power is lower then.

    Args:
        h: effective channel over unit noise, with all ports.
        x: factors of the dual covariances [sqrt(W)].

    Returns:
        F [sqrt(W)]; stream = antenna of the user.

    >>> jax.config.update("jax_enable_x64", True)
    >>> h, x = jnp.array([[[3.0, 4.0]]], complex), jnp.array([[[2.0]]], complex)
    >>> f = jax.jit(broadcast_precoder)(h, x)
    >>> abs(f[0, :, 0] @ jnp.array([3.0, 4.0])).round(9)  # all power to the matched direction: 2 * 5
    Array(10., dtype=float64)
    """
    users, rx, ports = h.shape
    rows = h.reshape(-1, ports)
    if ports > users * rx:
        # Q_k lies in the range of the channels, so few ports are enough to find it.
        basis, triangle = jnp.linalg.qr(hermitian(rows))
        return cmatmul(basis, broadcast_precoder(hermitian(triangle).reshape(users, rx, -1), x))
    w = cmatmul(hermitian(x), h)
    received = cmatmul(hermitian(w), w)
    before = jnp.cumsum(received, 0) - received + jnp.eye(ports)
    root = jnp.linalg.cholesky(before)

    def encode(i: Array, f: Array) -> Array:
        k = users - 1 - i
        heard = cmatmul(h[k], f).transpose(1, 0, 2).reshape(rx, -1)
        noise_root = jnp.linalg.cholesky(jnp.eye(rx) + cmatmul(heard, hermitian(heard)))
        # E = Y^-1/2 H^H A^-1/2; any square roots do, because the isometry of E's polar form turns with them.
        half = jax.scipy.linalg.solve_triangular(root[k], hermitian(h[k]), lower=True)
        e = hermitian(jax.scipy.linalg.solve_triangular(noise_root, hermitian(half), lower=True))
        left, value, right = jnp.linalg.svd(e, full_matrices=False)
        live = value > max(e.shape) * jnp.finfo(value.dtype).eps * value.max()
        sent = cmatmul(left * live, cmatmul(right, cmatmul(hermitian(noise_root), x[k])))
        return f.at[k].set(jax.scipy.linalg.solve_triangular(root[k], sent, lower=True, trans="C"))

    return jax.lax.fori_loop(0, users, encode, jnp.zeros((users, ports, rx), h.dtype))
