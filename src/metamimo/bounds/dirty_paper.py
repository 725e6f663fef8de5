"""Upper bounds of the energy efficiency of broadcast transmission, with dirty paper coding and so with any precoder.

Every bound is a formula that holds at any covariances S of the dual channel: solving for S only makes it tight, and
stopping early makes it weaker, never wrong. Rounding is added on the safe side, without interval arithmetic.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.bounds.parallel import RAISED, parallel_bound, squared_singular_values
from metamimo.precoders.covariance_filling import Point, covariance_of
from metamimo.precoders.covariances import energy_efficient_covariances
from metamimo.precoders.dual_mac import Channel, Factor, reduce_ports, start_covariances
from metamimo.precoders.duality_gap import line_efficiency, rate_line


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
    return line_efficiency(*rate_line(point), fixed, power) * RAISED


def all_phase_bounds(
    g: Complex[Array, "user rx element"],
    gains: Float[Array, " mode"],
    fixed: Float[Array, " port"],
    power: Float[Array, ""],
    *,
    tolerance: float = 1e-9,
    max_steps: int = 200,
) -> Float[Array, " port"]:
    """Return upper bounds of every design with 1, 2, ... ports on, at every state of a surface x = B(state) a.

    First, no state lets the elements of the last layer spend more than gains_1 times what the ports do, so driving
    them directly over sqrt(gains_1) G_k with dirty paper coding is at least as good. Second, the users may decode
    together over parallel channels of gains sigma_i(G)^2 gains_i: by Horn's inequality no state has better ones, and
    by interlacing no choice of n ports has more than the n best. The smaller bound counts; the second knows that there
    are few ports, the first that users are apart.

    Args:
        g: channel from the elements of the last layer over unit noise.
        gains: products of squared singular values over all states, from `Surface.envelope`, largest first.
        fixed: power that does not depend on the design with 1, 2, ... ports on, times the amplifier efficiency [W].
        power: limit of the transmitted power [W].
        tolerance: relative increase at which the search for the multiplier of the first bound stops.
        max_steps: limit of its steps.

    Returns:
        Bounds of rate / (fixed + transmitted power) [nat/W].
    """
    small = reduce_ports(g)
    h = jnp.sqrt(gains[0]) * small
    start = start_covariances(h, power)
    stage = energy_efficient_covariances(h, start, fixed[-1], power, tolerance=tolerance, max_steps=max_steps)
    direct = jax.vmap(lambda cost: line_efficiency(stage.offset, stage.slope, cost, power))(fixed) * RAISED
    users, rx, width = small.shape
    together = squared_singular_values(small.reshape(users * rx, width))
    modes = min(together.size, gains.size)
    few = jnp.arange(modes) < jnp.arange(1, fixed.size + 1)[:, None]
    horn = jax.vmap(lambda gain, cost: parallel_bound(gain, cost, power))(
        jnp.where(few, together[:modes] * gains[:modes], 0), fixed
    )
    return jnp.minimum(direct, horn)
