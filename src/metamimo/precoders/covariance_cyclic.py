"""Covariances user by user: water-filling over what the other users leave (Xu and Qiu 2013; Yu et al. 2004)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from metamimo.linalg import cmatmul, hermitian, logdet_hermitian
from metamimo.precoders.covariance_filling import Covariance, Point, fill, filling_step, trace
from metamimo.precoders.dual_mac import Channel

_RELATIVE = 1e-15
_STEPS = 100  # Dinkelbach's update needs about five


class Alone(eqx.Module):
    """The channel that one user sees while the others keep their covariances.

    Attributes:
        gain: eigenvalues gamma_i of H_k Z_k^-1 H_k^H, Z_k = I + sum_{j != k} H_j^H S_j H_j.
        direction: their eigenvectors U.
        rate: ln|Z_k|, the rate of the others [nat].
        power: sum_{j != k} tr S_j [W].
    """

    gain: Float[Array, " rx"]
    direction: Complex[Array, "rx rx"]
    rate: Float[Array, ""]
    power: Float[Array, ""]

    @classmethod
    def of(cls, h: Channel, covariance: Covariance, user: Int[Array, ""]) -> "Alone":
        """Take one user out."""
        rest = covariance.at[user].set(0)
        z = jnp.eye(h.shape[-1]) + cmatmul(hermitian(h), cmatmul(rest, h)).sum(0)
        half = jax.scipy.linalg.solve_triangular(jnp.linalg.cholesky(z), hermitian(h[user]), lower=True)
        gain, direction = jnp.linalg.eigh(cmatmul(hermitian(half), half))
        return cls(jnp.maximum(gain, 0), direction, logdet_hermitian(z), trace(rest))

    def filled(self, price: Float[Array, ""]) -> Float[Array, " rx"]:
        """Return the powers (1 / price - 1 / gamma_i)^+ that maximise rate - price * power [W]."""
        wet = self.gain > price
        return jnp.where(wet, 1 / price - 1 / jnp.where(wet, self.gain, 1), 0)

    def covariance(self, power: Float[Array, " rx"]) -> Complex[Array, "rx rx"]:
        """Return S_k = U diag(power) U^H."""
        return cmatmul(self.direction * power, hermitian(self.direction))


def priced_sweep(h: Channel, covariance: Covariance, price: Float[Array, ""]) -> Covariance:
    """Let each user in turn maximise rate - price * power.

    Args:
        h: effective channel over unit noise, with few ports.
        covariance: S_k [W].
        price: mu [nat/W], positive.

    Returns:
        The next covariances.
    """

    def update(user: Array, s: Covariance) -> Covariance:
        alone = Alone.of(h, s, user)
        return s.at[user].set(alone.covariance(alone.filled(price)))

    return jax.lax.fori_loop(0, h.shape[0], update, covariance)


def efficient_sweep(h: Channel, covariance: Covariance, fixed: Float[Array, ""], price: Float[Array, ""]) -> Covariance:
    """Let each user in turn maximise rate / (fixed + power) by Dinkelbach's method (Xu and Qiu 2013, eqs. 15, 16).

    Args:
        h: effective channel over unit noise, with few ports.
        covariance: S_k [W].
        fixed: power that does not depend on S, times the amplifier efficiency [W].
        price: least price of power, for a limit that binds; zero for the literal method [nat/W].

    Returns:
        The next covariances.
    """

    def update(user: Array, s: Covariance) -> Covariance:
        alone = Alone.of(h, s, user)

        def ratio(power: Array) -> Array:
            return (alone.rate + jnp.log1p(alone.gain * power).sum()) / (fixed + alone.power + power.sum())

        def improve(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            eta, _, step = carry
            return jnp.maximum(eta, ratio(alone.filled(jnp.maximum(eta, price)))), eta, step + 1

        def rising(carry: tuple[Array, Array, Array]) -> Array:
            eta, before, step = carry
            return (eta - before > _RELATIVE * eta) & (step < _STEPS)

        now = jnp.diagonal(cmatmul(hermitian(alone.direction), cmatmul(s[user], alone.direction))).real
        start = jnp.maximum(ratio(jnp.maximum(now, 0)), jnp.finfo(fixed.dtype).tiny ** 0.25)
        eta, *_ = jax.lax.while_loop(rising, improve, improve((start, start, jnp.asarray(0))))
        return s.at[user].set(alone.covariance(alone.filled(jnp.maximum(eta, price))))

    return jax.lax.fori_loop(0, h.shape[0], update, covariance)


def cyclic_step(h: Channel, point: Point, fixed: Float[Array, ""], limit: Float[Array, ""]) -> Point:
    """Take one sweep at the price of the power limit; the energy efficiency is never lower and the limit is kept.

    Where the limit does not bind the price is zero, the sweep is literal and ascends by itself. Where it binds, the
    price is that of the common water level of all users before the sweep, and what the sweep overspends is scaled
    away; should that lower the energy efficiency, a simultaneous filling takes its place.

    Args:
        h: effective channel over unit noise, with few ports.
        point: feasible covariances, measured on h.
        fixed: power that does not depend on the covariances, times the amplifier efficiency [W].
        limit: limit of the total power [W].

    Returns:
        The next covariances, measured.
    """
    eta = point.efficiency(fixed)
    _, price = fill(point, eta, limit)
    swept = efficient_sweep(h, point.covariance, fixed, jnp.where(price > eta, price, 0))
    spent = trace(swept)
    candidate = Point.at(h, swept * jnp.minimum(1, limit / jnp.where(spent > 0, spent, 1)))
    return jax.lax.cond(
        candidate.efficiency(fixed) > eta, lambda: candidate, lambda: filling_step(h, point, fixed, limit)
    )
