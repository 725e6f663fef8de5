"""Imperfect channel knowledge: what the designer sees, as opposed to the channel that scores."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Key

Channel = Complex[Array, "freq bs user rx element"]


def mean_square(channel: Channel) -> Float[Array, "freq bs user 1 1"]:
    """Return the mean power v of the entries of every link's channel."""
    return (channel.real**2 + channel.imag**2).mean((-2, -1), keepdims=True)


def estimate(key: Key[Array, ""], channel: Channel, error: float | Array) -> Channel:
    """Return an estimate Hhat = H + E with E ~ CN(0, error v), v the mean power of the link's entries.

    Args:
        key: key of the purpose "csi_error".
        channel: true channel.
        error: error power relative to the channel's.

    Returns:
        The estimated channel.
    """
    noise = jax.random.normal(key, channel.shape, dtype=channel.dtype)
    return channel + jnp.sqrt(error * mean_square(channel)) * noise


class FreshEstimates(eqx.Module):
    """Sampler of independent estimates around the true channel, one a draw.

    Attributes:
        channel: true channel.
        error: error power relative to the channel's.
    """

    channel: Channel
    error: Float[Array, ""]

    def sample(self, key: Key[Array, ""]) -> Channel:
        """Draw an estimate."""
        return estimate(key, self.channel, self.error)


class Posterior(eqx.Module):
    """Sampler of channels given one estimate, for prior CN(0, v) and error CN(0, error v): mean Hhat / (1 + error).

    Attributes:
        estimate: estimated channel.
        variance: prior power v of the entries.
        error: error power relative to v.
    """

    estimate: Channel
    variance: Float[Array, "freq bs user 1 1"]
    error: Float[Array, ""]

    def sample(self, key: Key[Array, ""]) -> Channel:
        """Draw a channel from the posterior."""
        noise = jax.random.normal(key, self.estimate.shape, dtype=self.estimate.dtype)
        spread = jnp.sqrt(self.variance * self.error / (1 + self.error))
        return self.estimate / (1 + self.error) + spread * noise
