"""Energy-efficient covariances by simultaneous water-filling with a line search: the default engine.

All users fill their channels at once to one common water level, each taking the others' covariances as they are. The
rate minus the price of power is concave and the fill maximises it in each user's block, so the way from the current
covariances to the fill goes uphill, for 1 / K of its length at least (Jindal et al. 2005, algorithm 2). Where users do
not disturb each other much the whole way is nearly optimal; elsewhere the slope at its end tells to go less far, or
farther.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.linalg import cmatmul, hermitian, squared_norm
from metamimo.precoders import spectral
from metamimo.precoders.dual_mac import Channel, Factor

Covariance = Complex[Array, "user rx rx"]

_LONGEST = 1e4
"""Times the way to the fill; nearly equal users move power between them in far too small steps otherwise."""


class Point(eqx.Module):
    """Covariances and what one Cholesky factor of Z = I + sum_k H_k^H S_k H_k tells about them.

    Attributes:
        covariance: S_k [W].
        marginal: D_k = H_k Z^-1 H_k^H, the derivative of the rate by S_k.
        rate: ln|Z| [nat].
        power: sum_k tr S_k [W].
        offset: ln|Z| + tr Z^-1 - ports, raised by its rounding; with sum_k tr(D_k S'_k) it bounds the rate of every
            other S' [nat].
        rounding: relative error that the triangular solves leave in D at most.
    """

    covariance: Covariance
    marginal: Covariance
    rate: Float[Array, ""]
    power: Float[Array, ""]
    offset: Float[Array, ""]
    rounding: Float[Array, ""]

    @classmethod
    def at(cls, h: Channel, covariance: Covariance) -> "Point":
        """Measure covariances on a channel with few ports."""
        users, rx, ports = h.shape
        rows, eye = h.reshape(-1, ports), jnp.eye(ports)
        weighted = cmatmul(covariance, h).reshape(-1, ports)
        root = jnp.linalg.cholesky(eye + cmatmul(hermitian(rows), weighted))
        v = jax.scipy.linalg.solve_triangular(root, hermitian(rows), lower=True).T.reshape(users, rx, ports)
        marginal = (v.conj()[:, :, None] * v[:, None]).sum(-1)
        rate = 2 * jnp.log(jnp.diagonal(root).real).sum()
        inverse = squared_norm(jax.scipy.linalg.solve_triangular(root, eye.astype(h.dtype), lower=True))
        eps = jnp.finfo(rate.dtype).eps
        rounding = 4 * ports * eps * jnp.sqrt(squared_norm(root) * inverse)
        offset = rate * (1 + 16 * eps) + inverse * (1 + rounding) - ports * (1 - 16 * eps)
        return cls(covariance, marginal, rate, trace(covariance), offset, rounding)

    def efficiency(self, fixed: Float[Array, ""]) -> Float[Array, ""]:
        """Return R / (fixed + power)."""
        return self.rate / (fixed + self.power)


def trace(a: Covariance) -> Float[Array, ""]:
    """Return sum_k tr A_k, which is real."""
    return jnp.trace(a.real, axis1=1, axis2=2).sum()


def filling_step(h: Channel, point: Point, fixed: Float[Array, ""], limit: Float[Array, ""]) -> Point:
    """Take one step; the energy efficiency is never lower and the limit is kept.

    Args:
        h: effective channel over unit noise, with few ports.
        point: feasible covariances, measured on h.
        fixed: power that does not depend on the covariances, times the amplifier efficiency [W].
        limit: limit of the total power [W].

    Returns:
        The next covariances, measured.
    """
    surely = 1 / h.shape[0]
    target, price = fill(point, point.efficiency(fixed), limit)
    way = target - point.covariance
    first = _slope(point, way, price)

    def attempt(carry: tuple[Array, Array, Point]) -> tuple[Array, Array, Point]:
        t, _, best = carry
        trial = Point.at(h, _feasible(point.covariance + t * way, limit))
        better, last = trial.efficiency(fixed) > best.efficiency(fixed), _slope(trial, way, price)
        overshot = (~better | (last < -first / 2)) & (t <= 1) & (t > surely)
        undershot = better & (last > first / 2) & (t >= 1) & (t < _LONGEST)
        chord = jnp.where(last < first, t * first / (first - last), jnp.inf)  # where the slope would be zero
        t = jnp.where(undershot, jnp.clip(chord, 2 * t, 8 * t), jnp.clip(chord, surely, t / 2))
        return t, overshot | undershot, jax.tree.map(lambda a, b: jnp.where(better, a, b), trial, best)

    start = jnp.ones(()), jnp.asarray(True), point
    return jax.lax.while_loop(lambda carry: carry[1], attempt, start)[2]


def _feasible(covariance: Covariance, limit: Float[Array, ""]) -> Covariance:
    """Return the nearest positive semidefinite matrices, scaled down to the limit."""
    # Rounding that is not Hermitian would grow with every long step.
    symmetric = (covariance + hermitian(covariance)) / 2
    positive = spectral.apply(lambda power: jnp.maximum(power, 0), symmetric)
    spent = trace(positive)
    return positive * jnp.minimum(1, limit / jnp.where(spent > 0, spent, 1))


def _slope(point: Point, way: Covariance, price: Float[Array, ""]) -> Float[Array, ""]:
    """Return the derivative of rate - price * power along a way."""
    return (point.marginal * way.conj()).real.sum() - price * trace(way)


def fill(point: Point, eta: Float[Array, ""], limit: Float[Array, ""]) -> tuple[Covariance, Float[Array, ""]]:
    """Fill all users' channels to one water level: the one that spends the limit, or 1 / eta if that is lower.

    User k alone sees the channel Gamma_k = H_k Z_k^-1 H_k^H with Z_k = Z - H_k^H S_k H_k, and
    Gamma_k^-1 = D_k^-1 - S_k; so its water-filling at the level w is the positive part of w I - Gamma_k^-1. Unlike
    Gamma_k itself this cancels nothing that counts: near the optimum D_k <= I / w.

    Args:
        point: current covariances.
        eta: their energy efficiency, the price of power where the limit does not bind [nat/W].
        limit: limit of the total power [W].

    Returns:
        Target covariances within the limit and the price of power, 1 / w.
    """
    modes = point.covariance.shape[0] * point.covariance.shape[1]
    tiny = jnp.finfo(eta.dtype).tiny ** 0.25
    eta = jnp.maximum(eta, tiny)
    # The level is at most 1 / eta, so no more than this is spent: an infinite limit is as good as a finite one.
    budget = jnp.minimum(limit, modes / eta)
    strongest = jnp.maximum(spectral.eigenvalues(point.marginal).max(), tiny)
    # The level is below 1 / strongest + budget, whence weaker modes than this stay dry; D may be singular.
    floor = 0.1 * strongest / (1 + strongest * budget)
    bed = spectral.apply(lambda gain: 1 / jnp.maximum(gain, floor), point.marginal) - point.covariance
    level = jnp.minimum(water_level(spectral.eigenvalues(bed).ravel(), budget), 1 / eta)
    return _feasible(level * jnp.eye(bed.shape[-1]) - bed, limit), 1 / level


def water_level(bed: Float[Array, " mode"], budget: Float[Array, ""]) -> Float[Array, ""]:
    """Return w with sum_i (w - bed_i)^+ = budget: the least of the levels that fill the n deepest modes alone."""
    deeper = bed[:, None] <= bed
    return ((budget + (bed[:, None] * deeper).sum(0)) / deeper.sum(0)).min()


def factor_of(covariance: Covariance) -> Factor:
    """Return the Hermitian root x of covariances, S = x x^H."""
    return spectral.apply(lambda power: jnp.sqrt(jnp.maximum(power, 0)), covariance)


def covariance_of(x: Factor) -> Covariance:
    """Return S = x x^H."""
    return cmatmul(x, hermitian(x))
