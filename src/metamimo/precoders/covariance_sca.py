"""Energy-efficient covariances by successive convex approximation: Algorithm 1 of Perović et al. 2024.

Each step maximises the ratio of a concave lower bound of the rate to the power, in closed form. It never lowers the
energy efficiency and, from factors of full rank, converges to the optimum; modes that end without power die out
geometrically, which is slow.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.linalg import cmatmul, hermitian, inverse_hermitian, logdet_hermitian, squared_norm
from metamimo.optimise.dinkelbach import fractional_root, power_root
from metamimo.precoders.dual_mac import Channel, Factor


class Bound(eqx.Module):
    """Concave lower bound of the dual channel's sum rate at factors Xbar (eq. 20), in nats; equal to it there.

    R(X) >= constant + sum_k 2 Re tr(J_k^H X_k) - tr(X_k^H M_k X_k).

    Attributes:
        constant: c = sum_k ln|I + E_k| - tr E_k, minus the ports, plus tr Ybar_{K+1}^-1.
        slope: J_k = H_k T_k.
        curvature: M_k = H_k (Ybar_k^-1 - Ybar_{K+1}^-1) H_k^H, positive semidefinite.
        rate: the rate at Xbar.
    """

    constant: Float[Array, ""]
    slope: Complex[Array, "user rx rx"]
    curvature: Complex[Array, "user rx rx"]
    rate: Float[Array, ""]


class Recursion(eqx.Module):
    """Inverses of Ybar_k = I + sum_{j<k} H_j^H S_j H_j and what they are updated with (eqs. 21 to 24).

    Attributes:
        inverse: Ybar_1^-1 ... Ybar_{K+1}^-1.
        t: T_k = Ybar_k^-1 H_k^H Xbar_k.
        e: E_k = Xbar_k^H H_k T_k.
        removed: N_k = T_k (I + E_k)^-1 T_k^H = Ybar_k^-1 - Ybar_{k+1}^-1.
    """

    inverse: Complex[Array, "next port port"]
    t: Complex[Array, "user port rx"]
    e: Complex[Array, "user rx rx"]
    removed: Complex[Array, "user port port"]


def inverse_recursion(h: Channel, x: Factor) -> Recursion:
    """Return all inverses by updates of rank N_r: only N_r x N_r matrices are inverted.

    Args:
        h: effective channel over unit noise.
        x: factors Xbar [sqrt(W)].

    Returns:
        The recursion.
    """
    rx, ports = h.shape[1:]

    def update(inverse: Array, user: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array, Array, Array]]:
        channel, factor = user
        t = cmatmul(inverse, cmatmul(hermitian(channel), factor))
        e = cmatmul(hermitian(factor), cmatmul(channel, t))
        removed = cmatmul(t, cmatmul(inverse_hermitian(jnp.eye(rx) + e), hermitian(t)))
        following = inverse - removed
        return (following + hermitian(following)) / 2, (inverse, t, e, removed)

    last, (inverse, t, e, removed) = jax.lax.scan(update, jnp.eye(ports, dtype=h.dtype), (h, x))
    return Recursion(jnp.concatenate([inverse, last[None]]), t, e, removed)


def rate_bound(h: Channel, x: Factor) -> Bound:
    """Return the bound of eq. (20) at factors.

    Args:
        h: effective channel over unit noise.
        x: factors Xbar [sqrt(W)].

    Returns:
        The bound.
    """
    rx = h.shape[1]
    recursion = inverse_recursion(h, x)
    # Ybar_k^-1 - Ybar_{K+1}^-1 as the sum of what users k to K remove: nothing cancels.
    difference = jnp.cumsum(recursion.removed[::-1], 0)[::-1]
    curvature = cmatmul(h, cmatmul(difference, hermitian(h)))
    rate = logdet_hermitian(jnp.eye(rx) + recursion.e).sum()
    trace_e = jnp.trace(recursion.e.real, axis1=1, axis2=2).sum()
    # tr Ybar_{K+1}^-1 - ports, for the same reason without the difference of the two
    lost = jnp.trace(recursion.removed.real, axis1=1, axis2=2).sum()
    return Bound(rate - trace_e - lost, cmatmul(h, recursion.t), curvature, rate)


def sca_step(h: Channel, x: Factor, fixed: Float[Array, ""], power: Float[Array, ""]) -> Factor:
    """Maximise (bound) / (fixed + power of x) under the power limit: eqs. (25) to (30) and (27) with nu.

    X_k = (eta I + M_k)^-1 J_k with eta the root of the fractional program; if that spends too much, the same with the
    multiplier nu of the power limit in the place of eta.

    Args:
        h: effective channel over unit noise.
        x: current factors; directions without power stay without [sqrt(W)].
        fixed: power that does not depend on x, times the amplifier efficiency [W].
        power: limit of the total power [W].

    Returns:
        The next factors; their energy efficiency is not lower.
    """
    bound = rate_bound(h, x)
    sigma, vector = jnp.linalg.eigh(bound.curvature)
    sigma = jnp.maximum(sigma, 0)
    rotated = cmatmul(hermitian(vector), bound.slope)
    b = squared_norm(rotated, -1)
    eta = fractional_root(bound.constant, fixed, b.ravel(), sigma.ravel(), bound.rate / (fixed + squared_norm(x)))
    nu = power_root(jnp.maximum(power, jnp.finfo(power.dtype).tiny), b.ravel(), sigma.ravel(), eta)
    solved = cmatmul(vector, rotated / (nu + sigma)[..., None])
    return jnp.where(power > 0, solved, 0)


def lifted(x: Factor, level: float = 1e-9) -> Factor:
    """Return full-rank factors near x: a direction without power is a fixed point of `sca_step`, though not optimal.

    Args:
        x: factors, perhaps from a water-filling [sqrt(W)].
        level: power of each direction that is added, over the mean power of one.

    Returns:
        (S_k + level P / (K N_r) I)^(1/2); zero stays zero.
    """
    users, rx = x.shape[:2]
    covariance = cmatmul(x, hermitian(x)) + level * squared_norm(x) / (users * rx) * jnp.eye(rx)
    value, vector = jnp.linalg.eigh(covariance)
    return cmatmul(vector * jnp.sqrt(jnp.maximum(value, 0))[:, None], hermitian(vector))
