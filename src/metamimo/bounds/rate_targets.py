"""Proof that rate constraints cannot be met: the power that they need without any interference exceeds the limit."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from metamimo.linalg import squared_norm


def power_for_rates(
    channel: Complex[Array, "user rx element"], gain: Float[Array, ""], min_rate: Float[Array, " user"]
) -> Float[Array, ""]:
    """Return a power that no design which reaches the rates can stay below.

    With |x|^2 <= gain |a|^2 for the elements' and ports' waves x and a, user k receives at most gain |H_k|^2 p_k of the
    power p_k of its own streams, and ln det(I + X) <= rx ln(1 + tr X / rx); other users' streams only disturb. So
    p_k >= rx (exp(R_k / rx) - 1) / (gain |H_k|^2) (spec of bounds, B10, with the norm bound B5).

    Args:
        channel: from the elements to the users, over unit noise.
        gain: largest squared singular value of the surface's response over all states, or more.
        min_rate: least rate of each user [nat per channel use].

    Returns:
        Power [W]; infinite where a user without channel has to reach a rate.

    >>> float(power_for_rates(jnp.ones((1, 1, 4), complex), jnp.asarray(0.5), jnp.log(jnp.array([3.0]))))
    1.0
    """
    rx = channel.shape[1]
    received = gain * squared_norm(channel, (1, 2))
    needed = rx * jnp.expm1(min_rate / rx)
    return jnp.where(needed > 0, needed / received, 0).sum()


def targets_are_impossible(
    channel: Complex[Array, "user rx element"],
    gain: Float[Array, ""],
    min_rate: Float[Array, " user"],
    power: Float[Array, ""],
) -> Bool[Array, ""]:
    """Tell whether the power limit is proven too low for the rates; false proves nothing.

    Args:
        channel, gain, min_rate: see `power_for_rates`.
        power: limit of the accepted power [W].
    """
    return power_for_rates(channel, gain, min_rate) > power * (1 + 1e-9)
