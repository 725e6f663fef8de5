"""Sum capacity under a power limit, problem (31) of Perović et al. 2024, by dual decomposition (Yu 2006).

For a price of power the users fill their channels in turn until nothing moves; the power of the result falls with the
price, and bisection finds the price whose power is the limit.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from metamimo.linalg import cmatmul, hermitian
from metamimo.precoders.covariance_cyclic import priced_sweep
from metamimo.precoders.covariance_filling import Covariance, covariance_of, factor_of, trace
from metamimo.precoders.dual_mac import Channel, Factor, reduce_ports

_BRACKET = 1e-12
_WIDTH = 1e-12
_STILL = 1e-13
_SWEEPS = 1000


class SumPowerStage(eqx.Module):
    """Result of the dual decomposition.

    Attributes:
        factor: x with S_k = x_k x_k^H, exactly at the limit [sqrt(W)].
        price: multiplier mu of the limit [nat/W].
        sweeps: sweeps done for all prices together.
    """

    factor: Factor
    price: Float[Array, ""]
    sweeps: Int[Array, ""]


def sum_power_covariances(h: Channel, start: Factor, power: Float[Array, ""]) -> SumPowerStage:
    """Maximise ln|I + sum_k H_k^H S_k H_k| at the full power sum_k tr S_k = power.

    Args:
        h: effective channel over unit noise.
        start: factors to start from [sqrt(W)].
        power: total power [W].

    Returns:
        Covariances, price and work; zero covariances for a zero channel.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> h = jnp.array([[[1.0, 0.0]], [[0.0, 0.5]]], complex)
    >>> stage = jax.jit(sum_power_covariances)(h, 0 * h[:, :, :1], jnp.asarray(5.0))
    >>> [round(float(p), 9) for p in abs(stage.factor[:, 0, 0]) ** 2]  # level 5: 5 - 1 / 1 and 5 - 1 / 0.5^2
    [4.0, 1.0]
    """
    small = reduce_ports(h)
    gram = cmatmul(small, hermitian(small))
    highest = jnp.maximum(jnp.linalg.eigvalsh(gram).max(), jnp.finfo(power.dtype).tiny ** 0.25)

    def settle(covariance: Covariance, price: Array) -> tuple[Covariance, Array]:
        """Sweep until the power of every user stands still."""

        def sweep(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            s, _, i = carry
            following = priced_sweep(small, s, price)
            return following, jnp.abs(following - s).max() * price, i + 1

        def moving(carry: tuple[Array, Array, Array]) -> Array:
            _, moved, i = carry
            return (moved > _STILL) & (i < _SWEEPS)

        covariance, _, sweeps = jax.lax.while_loop(moving, sweep, (covariance, jnp.asarray(jnp.inf), jnp.asarray(0)))
        return covariance, sweeps

    def bisect(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        low, high, s, sweeps = carry
        # Geometric while the bracket spans orders of magnitude, arithmetic at its end.
        price = jnp.where(high > 2 * low, jnp.sqrt(low * high), (low + high) / 2)
        s, done = settle(s, price)
        over = trace(s) > power
        return jnp.where(over, price, low), jnp.where(over, high, price), s, sweeps + done

    def wide(carry: tuple[Array, Array, Array, Array]) -> Array:
        low, high, *_ = carry
        return high - low > _WIDTH * high

    _, high, s, sweeps = jax.lax.while_loop(
        wide, bisect, (_BRACKET * highest, highest, covariance_of(start), jnp.asarray(0))
    )
    spent = trace(s)
    x = factor_of(s * (power / jnp.where(spent > 0, spent, 1)))
    return SumPowerStage(x, high, sweeps)
