"""Upper bounds of the energy efficiency of broadcast transmission, with dirty paper coding and so with any precoder.

Every bound is a formula that holds at any covariances S of the dual channel: solving for S only makes it tight, and
stopping early makes it weaker, never wrong. Rounding is added on the safe side, without interval arithmetic.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.precoders.covariance_filling import Point, covariance_of, water_level
from metamimo.precoders.covariances import energy_efficient_covariances
from metamimo.precoders.dual_mac import Channel, Factor, reduce_ports, start_covariances
from metamimo.precoders.duality_gap import line_efficiency, rate_line

_ROUNDING = 1e-14
"""Of a rate: relative error of its logarithms and their sum, and absolute error of ln|I + Z| where Z is small."""
_RAISED = 1 + 1e-11
"""For the few products behind the last sum whose rounding is not followed one by one."""


def stage_bound(h: Channel, x: Factor, fixed: Float[Array, ""], power: Float[Array, ""]) -> Float[Array, ""]:
    """Return an upper bound of every design on this effective channel, that is at this state of the surface.

    The rate is concave in the covariances of the dual channel: its tangent at S bounds it by a line over the power,
    and the ratio of a line to the consumed power is largest at one of the ends. The bound equals the optimum at the
    optimal S. It holds for linear precoding, too, since dirty paper coding can do whatever that can.

    Args:
        h: effective channel over unit noise.
        x: any factors S_k = x_k x_k^H, best those of `energy_efficient_covariances` [sqrt(W)].
        fixed: power that does not depend on the design, times the amplifier efficiency [W], positive.
        power: limit of the transmitted power [W]; may be infinite.

    Returns:
        Bound of rate / (fixed + transmitted power) [nat/W].

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> h, x, one = jnp.array([[[1.0]]], complex), jnp.array([[[1.0]]], complex), jnp.asarray(1.0)
    >>> bound = jax.jit(stage_bound)(h, x, one, one)
    >>> round(2 * float(bound / jnp.log(2.0)), 9)  # one antenna at full power is optimal
    1.0
    """
    point = Point.at(reduce_ports(h), covariance_of(x))
    return line_efficiency(*rate_line(point), fixed, power) * _RAISED


def all_phase_bound(
    g: Complex[Array, "user rx element"],
    kappa: Float[Array, ""],
    fixed: Float[Array, ""],
    power: Float[Array, ""],
    *,
    gains: Float[Array, " mode"] | None = None,
    tolerance: float = 1e-9,
    max_steps: int = 200,
) -> Float[Array, ""]:
    """Return an upper bound of every design at every state of a surface x = B(state) a, by two relaxations.

    First, no state lets the elements of the last layer spend more than kappa times what the ports do, so driving them
    directly over sqrt(kappa) G_k with dirty paper coding is at least as good. Second, if `gains` are given, the users
    may decode together over parallel channels of gains sigma_i(G)^2 gains_i: by Horn's inequality no state has better
    ones. The smaller bound is returned; the second knows that there are few ports, the first that users are apart.

    Args:
        g: channel from the elements of the last layer over unit noise.
        kappa: largest |x|^2 / |a|^2 over all states, or more; below 1 only where the norms say so.
        fixed: power that does not depend on the design, times the amplifier efficiency [W], positive.
        power: limit of the transmitted power [W].
        gains: products of squared singular values over all states, from `Surface.gain_limits`.
        tolerance: relative increase at which the search for the multiplier stops.
        max_steps: limit of its steps.

    Returns:
        Bound of rate / (fixed + transmitted power) [nat/W].
    """

    small = reduce_ports(g)
    h = jnp.sqrt(kappa) * small
    start = start_covariances(h, power)
    stage = energy_efficient_covariances(h, start, fixed, power, tolerance=tolerance, max_steps=max_steps)
    direct = stage.bound * _RAISED
    if gains is None:
        return direct
    users, rx, ports = small.shape
    singular = _squared_singular_values(small.reshape(users * rx, ports))
    modes = min(singular.size, gains.size)
    return jnp.minimum(direct, parallel_bound(singular[:modes] * gains[:modes], fixed, power))


def parallel_bound(gain: Float[Array, " mode"], fixed: Float[Array, ""], power: Float[Array, ""]) -> Float[Array, ""]:
    """Return an upper bound of the energy efficiency over parallel channels, R = sum_i ln(1 + gain_i p_i).

    Signal model: y_i = sqrt(gain_i) x_i + n_i with unit noise and p_i = E|x_i|^2. Water-filling at a price that follows
    Dinkelbach's update (Dinkelbach 1967), then the tangent there, as in `stage_bound`.

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
    p = filled(eta)
    slope = gain / (1 + gain * p)
    rates = jnp.log1p(gain * p)
    offset = (rates - slope * p).sum() + _ROUNDING * (1 + rates.sum())
    return line_efficiency(offset, slope.max(), fixed, power) * _RAISED


def _squared_singular_values(a: Complex[Array, "*batch m n"]) -> Float[Array, "*batch mode"]:
    """Return them in decreasing order, raised by the backward error of their computation."""
    value = jnp.linalg.svd(a, compute_uv=False)
    return (value + 8 * max(a.shape[-2:]) * jnp.finfo(value.dtype).eps * value[..., :1]) ** 2
