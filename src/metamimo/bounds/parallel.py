"""Parallel channels: a bound of their energy efficiency that no powers exceed (specification of bounds, B1, B8).

Signal model: y_i = sqrt(gain_i) x_i + n_i with unit noise and p_i = E|x_i|^2, R = sum_i ln(1 + gain_i p_i).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.precoders.covariance_filling import water_level
from metamimo.precoders.duality_gap import line_efficiency

RAISED = 1 + 1e-11
"""For the few products behind the last sum whose rounding is not followed one by one."""

_ROUNDING = 1e-14
"""Of a rate: relative error of its logarithms and their sum, and absolute error of ln|I + Z| where Z is small."""


def parallel_bound(gain: Float[Array, " mode"], fixed: Float[Array, ""], power: Float[Array, ""]) -> Float[Array, ""]:
    """Return an upper bound of the energy efficiency, the tangent of the rate at `efficient_powers` (B8).

    Args:
        gain: squared singular values over unit noise [1/W].
        fixed: power that does not depend on the design, times the amplifier efficiency [W], positive.
        power: limit of sum_i p_i [W]; may be infinite.

    Returns:
        Bound of R / (fixed + sum_i p_i) [nat/W].

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> one = jnp.asarray(1.0)
    >>> bound = jax.jit(parallel_bound)(jnp.array([3.0, 0.0]), one, one)
    >>> round(2 * float(bound / jnp.log(4.0)), 9)  # all power on the one mode that there is
    1.0
    """
    p = efficient_powers(gain, fixed, power)
    slope = gain / (1 + gain * p)
    rates = jnp.log1p(gain * p)
    offset = (rates - slope * p).sum() + _ROUNDING * (1 + rates.sum())
    return line_efficiency(offset, slope.max(), fixed, power) * RAISED


def efficient_powers(
    gain: Float[Array, " mode"], fixed: Float[Array, ""], power: Float[Array, ""]
) -> Float[Array, " mode"]:
    """Return the powers of the best R / (fixed + sum_i p_i): water-filling at Dinkelbach's price (Dinkelbach 1967).

    Args:
        gain, fixed, power: see `parallel_bound`.
    """
    tiny = jnp.finfo(gain.dtype).tiny ** 0.25
    bed = 1 / jnp.maximum(gain, tiny)
    # The level is at most 1 / eta <= 1 / tiny, so an infinite limit is as good as one that fills all modes that high.
    full = water_level(bed, jnp.minimum(power, gain.size / tiny))

    def filled(eta: Float[Array, ""]) -> Float[Array, " mode"]:
        return jnp.maximum(jnp.minimum(full, 1 / eta) - bed, 0)

    def improve(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        eta, _ = carry
        p = filled(eta)
        return jnp.maximum(jnp.log1p(gain * p).sum() / (fixed + p.sum()), eta), eta

    def rising(carry: tuple[Array, Array]) -> Array:
        eta, before = carry
        return eta - before > 1e-14 * eta

    start = jnp.asarray(tiny, gain.dtype)
    eta, _ = jax.lax.while_loop(rising, improve, improve((start, start)))
    return filled(eta)


def squared_singular_values(a: Complex[Array, "*batch m n"]) -> Float[Array, "*batch mode"]:
    """Return them in decreasing order, raised by the backward error of their computation."""
    value = jnp.linalg.svd(a, compute_uv=False)
    return (value + 8 * max(a.shape[-2:]) * jnp.finfo(value.dtype).eps * value[..., :1]) ** 2
