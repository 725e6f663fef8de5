"""Achievable rates for linear precoding and dirty paper coding in any network of stations, users and subcarriers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int

from metamimo.linalg import cmatmul, hermitian, inverse_hermitian, logdet_hermitian, squared_norm


def received(
    channel: Complex[Array, "freq bs user rx port"],
    precoder: Complex[Array, "freq bs user port stream"],
    serves: Bool[Array, "bs user"],
) -> Complex[Array, "freq user rx user2 stream"]:
    """Return what every user receives of every user's streams, in one product over the joint (bs, port) axis.

    Args:
        channel: effective channel.
        precoder: F [sqrt(W)].
        serves: which station sends to which user.

    Returns:
        Z[f, u, :, u', s] [sqrt(W)].
    """
    f, b, u, r, p = channel.shape
    s = precoder.shape[-1]
    sent = precoder * serves[None, :, :, None, None]
    left = channel.transpose(0, 2, 3, 1, 4).reshape(f, u * r, b * p)
    right = sent.transpose(0, 1, 3, 2, 4).reshape(f, b * p, u * s)
    return cmatmul(left, right).reshape(f, u, r, u, s)


def heard_linear(users: int) -> Bool[Array, "user user"]:
    """Return the mask of disturbance of linear precoding: every user hears the streams of all others."""
    return ~jnp.eye(users, dtype=bool)


def heard_dpc(order: Int[Array, " user"]) -> Bool[Array, "user user"]:
    """Return the mask of dirty paper coding: a user hears those that are encoded later.

    Args:
        order: users in the order of encoding.
    """
    position = jnp.argsort(order)
    return position[None, :] > position[:, None]


def rates_of_received(
    z: Complex[Array, "freq user rx user2 stream"],
    noise_power: Float[Array, ""],
    hears: Bool[Array, "user user2"],
    distortion: Complex[Array, "freq user rx rx"] | None = None,
) -> Float[Array, "freq user"]:
    """Return R = ln det C - ln det J with C = J + own own^H.

    J is summed over the interferers; taking C minus the own part instead would lose four digits at 120 dB of SNR.

    Args:
        z: output of `received` [sqrt(W)].
        noise_power: noise per antenna [W].
        hears: whose streams disturb whom.
        distortion: covariance of what the hardware adds [W], see `received_distortion`.

    Returns:
        Rates [nat per channel use].
    """
    f, u, r, _, s = z.shape
    disturbing = (z * hears[None, :, None, :, None]).reshape(f, u, r, u * s)
    j = cmatmul(disturbing, hermitian(disturbing)) + noise_power * jnp.eye(r)
    j = j if distortion is None else j + distortion
    own = jnp.diagonal(z, axis1=1, axis2=3).transpose(0, 3, 1, 2)
    return logdet_hermitian(j + cmatmul(own, hermitian(own))) - logdet_hermitian(j)


def received_distortion(
    channel: Complex[Array, "freq bs user rx port"],
    precoder: Complex[Array, "freq bs user port stream"],
    serves: Bool[Array, "bs user"],
    evm: Float[Array, ""],
) -> Complex[Array, "freq user rx rx"]:
    """Return sum over stations of evm^2 H diag(p) H^H, p the power of each port wave.

    Every port adds distortion of evm^2 times its own power, independent of the streams and of the other ports
    (Björnson, Hoydis and Sanguinetti 2017, section 6.1).

    Args:
        channel: effective channel.
        precoder: F [sqrt(W)].
        serves: which station sends to which user.
        evm: error vector magnitude.

    Returns:
        Covariance at every user [W].
    """
    power = (squared_norm(precoder, -1) * serves[None, :, :, None]).sum(2)
    weighted = channel * (evm**2 * power)[:, :, None, None]
    return cmatmul(weighted, hermitian(channel)).sum(1)


def rates(
    channel: Complex[Array, "freq bs user rx port"],
    precoder: Complex[Array, "freq bs user port stream"],
    serves: Bool[Array, "bs user"],
    noise_power: Float[Array, ""],
    order: Int[Array, " user"] | None = None,
    evm: Float[Array, ""] | None = None,
) -> Float[Array, "freq user"]:
    """Return the rate of every user on every subcarrier.

    Signal model: R_u = ln det(I + H_u F_u F_u^H H_u^H J_u^-1) with J_u the noise and the disturbing streams: all
    others for linear precoding (Perović et al. 2024, eq. 8), those encoded later for dirty paper coding (eq. 4).

    Args:
        channel: effective channel.
        precoder: F [sqrt(W)].
        serves: which station sends to which user.
        noise_power: noise per antenna and subcarrier [W].
        order: encoding order for dirty paper coding; None for linear precoding.
        evm: error vector magnitude of the transmitters; none by default.

    Returns:
        Rates [nat per channel use].
    """
    users = channel.shape[2]
    hears = heard_linear(users) if order is None else heard_dpc(order)
    distortion = None if evm is None else received_distortion(channel, precoder, serves, evm)
    return rates_of_received(received(channel, precoder, serves), noise_power, hears, distortion)


@jax.custom_vjp
def broadcast_sum_rate(z: Complex[Array, "user rx user2 stream"]) -> Float[Array, ""]:
    """Return the sum rate of linear precoding from received signals over unit noise, with Theorem 2's gradient.

    Args:
        z: Z[u, :, u', s] = H_u F_u' over unit noise.

    Returns:
        sum_u ln det C_u - ln det J_u [nat per channel use].
    """
    return _sum_rate(z)[0]


def _sum_rate(z: Complex[Array, "user rx user2 stream"]) -> tuple[Float[Array, ""], tuple[Array, Array, Array]]:
    users, rx = z.shape[:2]
    disturbing = jnp.where(heard_linear(users)[:, None, :, None], z, 0).reshape(users, rx, -1)
    everything = z.reshape(users, rx, -1)
    own = everything - disturbing
    j = cmatmul(disturbing, hermitian(disturbing)) + jnp.eye(rx)
    c = j + cmatmul(own, hermitian(own))
    return (logdet_hermitian(c) - logdet_hermitian(j)).sum(), (z, c, j)


def _sum_rate_gradient(residuals: tuple[Array, Array, Array], cotangent: Float[Array, ""]) -> tuple[Array]:
    """dR/dZ* = C^-1 Z - J^-1 Z_disturbing (Perović et al. 2024, Theorem 2); JAX wants twice its conjugate."""
    z, c, j = residuals
    users, rx = z.shape[:2]
    disturbing = jnp.where(heard_linear(users)[:, None, :, None], z, 0).reshape(users, rx, -1)
    gradient = cmatmul(inverse_hermitian(c), z.reshape(users, rx, -1)) - cmatmul(inverse_hermitian(j), disturbing)
    return (2 * cotangent * gradient.conj().reshape(z.shape),)


broadcast_sum_rate.defvjp(_sum_rate, _sum_rate_gradient)


def received_over_unit_noise(
    h: Complex[Array, "user rx port"], precoder: Complex[Array, "user port stream"]
) -> Complex[Array, "user rx user2 stream"]:
    """Return Z[u, :, u', s] = H_u F_u' of one station and subcarrier, in one product."""
    users, rx, port = h.shape
    sent = precoder.transpose(1, 0, 2).reshape(port, -1)
    return cmatmul(h.reshape(users * rx, port), sent).reshape(users, rx, users, -1)


def linear_sum_rate(
    h: Complex[Array, "user rx port"], precoder: Complex[Array, "user port stream"]
) -> Float[Array, ""]:
    """Return the sum rate of linear precoding over a channel with unit noise [nat per channel use]."""
    return broadcast_sum_rate(received_over_unit_noise(h, precoder))


def linear_user_rates(
    h: Complex[Array, "user rx port"], precoder: Complex[Array, "user port stream"], evm: Float[Array, ""]
) -> Float[Array, " user"]:
    """Return the rate of every user with linear precoding over a channel with unit noise [nat per channel use].

    Args:
        h: effective channel over unit noise.
        precoder: F [sqrt(W)].
        evm: error vector magnitude of the transmitter, see `received_distortion`.
    """
    users = h.shape[0]
    distortion = received_distortion(h[None, None], precoder[None, None], jnp.ones((1, users), bool), evm)
    z = received_over_unit_noise(h, precoder)[None]
    return rates_of_received(z, jnp.ones(()), heard_linear(users), distortion)[0]
