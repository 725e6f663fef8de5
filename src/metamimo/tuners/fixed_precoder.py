"""Sum rate over the surface state at a fixed precoder, in the forward and backward halves that every tuner shares."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.linalg import cmatmul
from metamimo.metrics.effective import broadcast_backward, broadcast_forward
from metamimo.metrics.rates import broadcast_sum_rate
from metamimo.optimise.projected_gradient import Backward, Forward
from metamimo.problem import Link


def received_over_unit_noise(
    h: Complex[Array, "user rx port"], precoder: Complex[Array, "user port stream"]
) -> Complex[Array, "user rx user2 stream"]:
    """Return Z[u, :, u', s] = H_u F_u' in one product."""
    users, rx, port = h.shape
    sent = precoder.transpose(1, 0, 2).reshape(port, -1)
    return cmatmul(h.reshape(users * rx, port), sent).reshape(users, rx, users, -1)


def channel_rate(h: Complex[Array, "user rx port"], precoder: Complex[Array, "user port stream"]) -> Float[Array, ""]:
    """Return the sum rate of a channel over unit noise [nat per channel use]."""
    return broadcast_sum_rate(received_over_unit_noise(h, precoder))


def fixed_precoder_rate(link: Link, precoder: Complex[Array, "user port stream"]) -> tuple[Forward, Backward]:
    """Return forward and backward passes of the sum rate as a function of the state.

    `forward(state)` gives (rate in nats, kept) with kept[0] the effective channel over unit noise; `backward(state,
    kept)` gives the gradient with respect to the conjugate state (Perović et al. 2024, Theorem 2 and eq. 53). What
    `forward` keeps does not depend on the precoder, so another precoder can use it.

    Args:
        link: broadcast link.
        precoder: F [sqrt(W)].

    Returns:
        (forward, backward).
    """
    unit_noise = 1 / jnp.sqrt(link.noise_power)

    def forward(state: Inexact[Array, "..."]) -> tuple[Array, Any]:
        h, kept = broadcast_forward(link, state)
        h = h * unit_noise
        return channel_rate(h, precoder), (h, kept)

    def backward(state: Inexact[Array, "..."], kept: Any) -> Inexact[Array, "..."]:
        h, passes = kept
        cotangent = jax.grad(channel_rate)(h, precoder) * unit_noise
        return 0.5 * broadcast_backward(link, state, passes, cotangent).conj()

    return forward, backward
