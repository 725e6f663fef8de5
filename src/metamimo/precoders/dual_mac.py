"""The multiple-access channel dual to a broadcast channel: user k sends with covariance S_k = x_k x_k^H over H_k^H.

At equal total power both channels have the same sum capacity, and in the dual one it is a concave function of the
covariances (Perović et al. 2024, eq. 13).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.linalg import cmatmul, hermitian, squared_norm

Channel = Complex[Array, "user rx port"]
Factor = Complex[Array, "user rx rx"]


def reduce_ports(h: Channel) -> Complex[Array, "user rx small"]:
    """Rotate the port side away: all quantities of the dual channel stay the same on at most users x rx ports.

    With the thin factorisation [H_1^H ... H_K^H] = U R, H_k = R_k^H U^H and U drops out of every H_j (.) H_k^H.

    Args:
        h: effective channel over unit noise.

    Returns:
        R_k^H, or h itself where it has no more ports than receive antennas.
    """
    users, rx, ports = h.shape
    if ports <= users * rx:
        return h
    return hermitian(jnp.linalg.qr(hermitian(h.reshape(-1, ports)), mode="r")).reshape(users, rx, -1)


def transmit_power(x: Factor) -> Float[Array, ""]:
    """Return sum_k tr S_k, the power of the dual channel and of the broadcast channel [W]."""
    return squared_norm(x)


def start_covariances(h: Channel, power: Float[Array, ""]) -> Factor:
    """Return equal white covariances at full power, S_k = P / (K N_r) I.

    Args:
        h: effective channel over unit noise; only its shape counts.
        power: total power [W].

    Returns:
        x, of full rank unless the power is zero [sqrt(W)].
    """
    users, rx = h.shape[:2]
    return jnp.broadcast_to(jnp.sqrt(power / (users * rx)) * jnp.eye(rx, dtype=h.dtype), (users, rx, rx))


@jax.custom_vjp
def mac_rate(h: Channel, x: Factor) -> Float[Array, ""]:
    """Return the sum rate ln|I + sum_k H_k^H S_k H_k| (Perović et al. 2024, eq. 13) with its closed gradient.

    Args:
        h: effective channel over unit noise.
        x: factors of the covariances [sqrt(W)].

    Returns:
        The sum rate of dirty paper coding [nat per channel use].

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> h, x = jnp.array([[[1.0, 2.0]]], complex), jnp.array([[[2.0]]], complex)
    >>> round(float(jnp.exp(mac_rate(h, x))), 12)
    21.0
    """
    return _rate(h, x)[0]


def _rate(h: Array, x: Array) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    """Factor the smaller of the two sides; |I + W W^H| = |I + W^H W| with the rows W_k = x_k^H H_k."""
    w = cmatmul(hermitian(x), h)
    rows = w.reshape(-1, h.shape[-1])
    gram = cmatmul(rows, hermitian(rows)) if _wide(rows) else cmatmul(hermitian(rows), rows)
    root = jnp.linalg.cholesky(gram + jnp.eye(gram.shape[-1]))
    return 2 * jnp.log(jnp.diagonal(root).real).sum(), (h, x, w, root)


def _wide(rows: Array) -> bool:
    return rows.shape[0] <= rows.shape[1]


def _rate_gradient(residuals: tuple[Array, Array, Array, Array], cotangent: Array) -> tuple[Array, Array]:
    """dR/dH_k* = S_k H_k Z^-1 (Theorem 1) and dR/dx_k* = H_k Z^-1 H_k^H x_k; JAX wants twice the conjugates."""
    h, x, w, root = residuals
    rows = w.reshape(-1, h.shape[-1])
    # With W Z^-1 = (I + W W^H)^-1 W either side gives y = x^H H Z^-1.
    if _wide(rows):
        y = jax.scipy.linalg.cho_solve((root, True), rows)
    else:
        y = hermitian(jax.scipy.linalg.cho_solve((root, True), hermitian(rows)))
    y = y.reshape(w.shape)
    by_channel, by_factor = cmatmul(x, y), cmatmul(h, hermitian(y))
    return 2 * cotangent * by_channel.conj(), 2 * cotangent * by_factor.conj()


mac_rate.defvjp(_rate, _rate_gradient)
