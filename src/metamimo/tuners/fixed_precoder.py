"""A rate over the surface state, in the forward and backward halves that every tuner shares."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.metrics.effective import broadcast_backward, broadcast_forward
from metamimo.metrics.rates import linear_sum_rate
from metamimo.optimise.projected_gradient import Backward, Forward
from metamimo.problem import Link

Rate = Callable[[Complex[Array, "user rx port"]], Float[Array, ""]]


def rate_over_state(link: Link, rate: Rate) -> tuple[Forward, Backward]:
    """Return forward and backward passes of a rate as a function of the state.

    `forward(state)` gives (rate in nats, kept) with kept[0] the effective channel over unit noise; `backward(state,
    kept)` gives the gradient with respect to the conjugate state (Perović et al. 2024, eqs. 33 and 53). What `forward`
    keeps does not depend on the rate, so another rate can use it.

    Args:
        link: broadcast link.
        rate: differentiable rate of an effective channel over unit noise, for a fixed precoder or fixed covariances.

    Returns:
        (forward, backward).
    """
    unit_noise = 1 / jnp.sqrt(link.noise_power)

    def forward(state: Inexact[Array, "..."]) -> tuple[Array, Any]:
        h, kept = broadcast_forward(link, state)
        h = h * unit_noise
        return rate(h), (h, kept)

    def backward(state: Inexact[Array, "..."], kept: Any) -> Inexact[Array, "..."]:
        h, passes = kept
        # Twice the conjugate of the Wirtinger gradient is JAX's cotangent.
        return 0.5 * broadcast_backward(link, state, passes, jax.grad(rate)(h) * unit_noise).conj()

    return forward, backward


def fixed_precoder_rate(link: Link, precoder: Complex[Array, "user port stream"]) -> tuple[Forward, Backward]:
    """Return forward and backward passes of the sum rate of linear precoding at a fixed precoder (Theorem 2).

    Args:
        link: broadcast link.
        precoder: F [sqrt(W)].

    Returns:
        (forward, backward), see `rate_over_state`.
    """
    return rate_over_state(link, lambda h: linear_sum_rate(h, precoder))
