"""The weighted mean square error, whose minimisation is that of the weighted sum rate (Shi et al. 2011)."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.linalg import cmatmul, hermitian, inverse_hermitian, logdet_hermitian
from metamimo.metrics.rates import heard_linear, received_over_unit_noise


class MeanSquareError(eqx.Module):
    """The weighted mean square error at its optimal receivers U_k and weights Omega_k, as a quadratic in F.

    Up to a constant it is sum_jk tr(F_j^H H_k^H D_k H_k F_j) - 2 Re sum_k tr(Gamma_k^H H_k F_k). An F, or a channel,
    that lowers it has a higher rate (Zhi et al. 2025, eq. 14).

    Attributes:
        curvature: D_k = w_k U_k Omega_k U_k^H, positive semidefinite.
        slope: Gamma_k = w_k U_k Omega_k.
        rate: weighted sum rate at the precoder where the quadratic was built [nat].
    """

    curvature: Complex[Array, "user rx rx"]
    slope: Complex[Array, "user rx stream"]
    rate: Float[Array, ""]


def mean_square_error(
    h: Complex[Array, "user rx port"], precoder: Complex[Array, "user port stream"], weights: Float[Array, " user"]
) -> MeanSquareError:
    """Return the weighted mean square error at a precoder.

    Several stations are one: h and F over the joint axis of (station, port), F zero where a station does not serve.

    Args:
        h: effective channel over unit noise.
        precoder: F [sqrt(W)].
        weights: weight of each user's rate.
    """
    return error_of_received(received_over_unit_noise(h, precoder), weights)


def error_of_received(z: Complex[Array, "user rx user2 stream"], weights: Float[Array, " user"]) -> MeanSquareError:
    """Return the weighted mean square error from received signals.

    With V_k = H_k F_k and the covariance J_k of noise and disturbance, U_k Omega_k = J_k^-1 V_k and
    Omega_k = I + V_k^H J_k^-1 V_k: neither form cancels, at any SNR.

    Args:
        z: Z[u, :, u', s] = H_u F_u' over unit noise.
        weights: weight of each user's rate.
    """
    users, rx = z.shape[:2]
    own = z[jnp.arange(users), :, jnp.arange(users)]
    disturbing = jnp.where(heard_linear(users)[:, None, :, None], z, 0).reshape(users, rx, -1)
    slope = cmatmul(inverse_hermitian(cmatmul(disturbing, hermitian(disturbing)) + jnp.eye(rx)), own)
    omega = cmatmul(hermitian(own), slope) + jnp.eye(own.shape[-1])
    curvature = cmatmul(slope, cmatmul(inverse_hermitian(omega), hermitian(slope)))
    weight = weights[:, None, None]
    return MeanSquareError(weight * curvature, weight * slope, (weights * logdet_hermitian(omega)).sum())
