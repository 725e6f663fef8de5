"""Energy-efficient linear precoding at fixed phases: Algorithm 3 of Perović et al. 2024 in its reduced dimension.

The precoder has the form F_k = H^H X_k (eq. 42), so every step solves M x M systems, M = users times receive antennas,
whatever the number of ports. H is the effective channel divided by the noise standard deviation.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from metamimo.linalg import cmatmul, hermitian, inverse_hermitian, logdet_hermitian, squared_norm
from metamimo.optimise.dinkelbach import fractional_root, power_root
from metamimo.precoders.reduced_wmmse import block_diagonal, reduced_wmmse
from metamimo.problem import Status

Channel = Complex[Array, "user rx port"]
Precoder = Complex[Array, "user port stream"]


class Bound(eqx.Module):
    """Concave lower bound of the sum rate at a precoder (eq. 44), in nats.

    R(X) >= constant + sum_k 2 Re tr(Gamma_k^H Hbar_k X_k) - sum_jk tr(X_j^H Hbar_k^H E_k Hbar_k X_j), tight at that
    precoder.

    Attributes:
        constant: c = sum_k ln det(I + D_k) - tr D_k - tr E_k.
        gamma: Gamma_k = F_k^-1 V_k.
        weight: E_k = F_k^-1 - C_k^-1, positive semidefinite.
        rate: the sum rate at that precoder.
    """

    constant: Float[Array, ""]
    gamma: Complex[Array, "user rx stream"]
    weight: Complex[Array, "user rx rx2"]
    rate: Float[Array, ""]


def rate_bound(h: Channel, precoder: Precoder) -> Bound:
    """Return the bound of eq. (44) at a precoder; it needs the received signals only.

    Args:
        h: effective channel over unit noise.
        precoder: F [sqrt(W)].

    Returns:
        The bound.
    """
    users, rx = h.shape[:2]
    z = cmatmul(h[:, None], precoder[None])
    own = z[jnp.arange(users), jnp.arange(users)]
    others = jnp.where(jnp.eye(users, dtype=bool)[:, :, None, None], 0, z)
    others = others.transpose(0, 2, 1, 3).reshape(users, rx, -1)
    f = cmatmul(others, hermitian(others)) + jnp.eye(rx)
    c = f + cmatmul(own, hermitian(own))
    f_inverse = inverse_hermitian(f)
    gamma = cmatmul(f_inverse, own)
    weight = f_inverse - inverse_hermitian(c)
    rate = (logdet_hermitian(c) - logdet_hermitian(f)).sum()
    trace_d = (own.conj() * gamma).real.sum()
    trace_e = jnp.trace(weight, axis1=1, axis2=2).real.sum()
    return Bound(constant=rate - trace_d - trace_e, gamma=gamma, weight=weight, rate=rate)


class Reduced(eqx.Module):
    """The effective channel in reduced dimension.

    Attributes:
        h: channel with all users stacked, shape (M, port).
        gram: Hbar = H H^H.
        root: Hbar^(1/2).
    """

    h: Complex[Array, "m port"]
    gram: Complex[Array, "m m"]
    root: Complex[Array, "m m"]

    @classmethod
    def of(cls, h: Channel) -> "Reduced":
        """Reduce a channel."""
        stacked = h.reshape(-1, h.shape[-1])
        gram = cmatmul(stacked, hermitian(stacked))
        value, vector = jnp.linalg.eigh(gram)
        root = cmatmul(vector * jnp.sqrt(jnp.maximum(value, 0)), hermitian(vector))
        return cls(stacked, gram, root)


def reduced_step(
    h: Channel, reduced: Reduced, precoder: Precoder, fixed: Float[Array, ""], power: Float[Array, ""]
) -> Precoder:
    """Maximise (bound) / (fixed + transmit power) under the power limit: eqs. (46) to (51), unified form.

    X_k = (eta I + E Hbar)^-1 Gamma_k with E = blkdiag(E_k) and eta the root of the fractional program; if that spends
    too much, the same with the multiplier nu of the power limit in the place of eta.

    Args:
        h: effective channel over unit noise.
        reduced: its reduction.
        precoder: current F [sqrt(W)].
        fixed: power that does not depend on F, times the amplifier efficiency [W].
        power: limit of |F|^2 [W].

    Returns:
        The next F; its energy efficiency is not lower.
    """
    users, rx = h.shape[:2]
    m = users * rx
    bound = rate_bound(h, precoder)
    weight = block_diagonal(bound.weight)
    gamma = block_diagonal(bound.gamma)
    sigma, vector = jnp.linalg.eigh(cmatmul(reduced.root, cmatmul(weight, reduced.root)))
    sigma = jnp.maximum(sigma, 0)
    b = squared_norm(cmatmul(hermitian(vector), cmatmul(reduced.root, gamma)), 1)
    eta = fractional_root(bound.constant, fixed, b, sigma, bound.rate / (fixed + squared_norm(precoder)))
    multiplier = power_root(jnp.maximum(power, jnp.finfo(power.dtype).tiny), b, sigma, eta)
    x = jnp.linalg.solve(multiplier * jnp.eye(m) + cmatmul(weight, reduced.gram), gamma)
    f = cmatmul(hermitian(reduced.h), x)
    return jnp.where(power > 0, f, 0).reshape(-1, users, rx).transpose(1, 0, 2)


class Stage(eqx.Module):
    """Result of the precoder stage.

    Attributes:
        precoder: F [sqrt(W)].
        history: energy efficiency after every step in nat per joule and hertz, the last value repeated.
        status: a `Status`.
        iterations: steps done.
    """

    precoder: Precoder
    history: Float[Array, " step"]
    status: Int[Array, ""]
    iterations: Int[Array, ""]


def sum_rate(h: Channel, precoder: Precoder) -> Float[Array, ""]:
    """Return the sum rate of linear precoding over unit noise [nat per channel use]."""
    return rate_bound(h, precoder).rate


def energy_efficient_precoder(
    h: Channel,
    start: Precoder,
    fixed: Float[Array, ""],
    power: Float[Array, ""],
    *,
    tolerance: float = 1e-9,
    max_steps: int = 2000,
    strict: bool = False,
) -> Stage:
    """Maximise ln-rate / (fixed + |F|^2) over linear precoders with |F|^2 <= power: Algorithm 3.

    The problem is not convex: the result is stationary. The energy efficiency never decreases.

    Args:
        h: effective channel over unit noise.
        start: F to start from, not zero [sqrt(W)].
        fixed: power that does not depend on F, times the amplifier efficiency [W].
        power: limit of |F|^2 [W].
        tolerance: relative increase at which to stop.
        max_steps: limit of steps.
        strict: the paper's literal two phases: first without the limit; if that violates it, maximise the sum rate
            at full power by reduced WMMSE (eq. 52) and keep the result only if it is not below the start.

    Returns:
        The stage's result.
    """
    reduced = Reduced.of(h)
    loop_power = jnp.full_like(power, jnp.inf) if strict else power
    start = efficient_scale(h, start, fixed)

    def efficiency(f: Precoder) -> Float[Array, ""]:
        return sum_rate(h, f) / (fixed + squared_norm(f))

    def step(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        f, history, i, _ = carry
        before = history[i]
        candidate = reduced_step(h, reduced, f, fixed, loop_power)
        value = efficiency(candidate)
        # At the optimum rounding decides the last digits: keep the better point, so that the history is monotone.
        better = value > before
        f, value = jnp.where(better, candidate, f), jnp.where(better, value, before)
        return f, history.at[i + 1].set(value), i + 1, value - before > tolerance * jnp.abs(value)

    def going(carry: tuple[Array, Array, Array, Array]) -> Array:
        _, _, i, rising = carry
        return rising & (i < max_steps)

    first = efficiency(start)
    f, history, iterations, rising = jax.lax.while_loop(
        going, step, (start, jnp.full(max_steps + 1, first), jnp.asarray(0), jnp.asarray(True))
    )
    history = jnp.where(jnp.arange(max_steps + 1) > iterations, history[iterations], history)
    status = jnp.where(rising, Status.ITERATION_LIMIT, Status.CONVERGED)
    status = jnp.where(jnp.isfinite(history[-1]), status, Status.NOT_FINITE)
    stage = Stage(precoder=f, history=history, status=status, iterations=iterations)
    return _within_limit(h, stage, start, fixed, power, tolerance, max_steps) if strict else stage


def efficient_scale(h: Channel, f: Precoder, fixed: Float[Array, ""]) -> Precoder:
    """Scale a precoder down by that power of ten, possibly zero, which has the highest energy efficiency.

    Algorithm 3 lowers a power that is far too high by small steps only: from full power at a limit a million times the
    optimum it would need more than a million of them.

    Args:
        h: effective channel over unit noise.
        f: precoder [sqrt(W)].
        fixed: power that does not depend on F, times the amplifier efficiency [W].

    Returns:
        The scaled precoder.
    """
    scales = 10.0 ** -jnp.arange(13.0)

    def efficiency(scale: Float[Array, ""]) -> Float[Array, ""]:
        return sum_rate(h, jnp.sqrt(scale) * f) / (fixed + scale * squared_norm(f))

    return jnp.sqrt(scales[jnp.argmax(jax.lax.map(efficiency, scales))]) * f


def _within_limit(
    h: Channel, free: Stage, start: Precoder, fixed: Array, power: Array, tolerance: float, max_steps: int
) -> Stage:
    """Return the stage that ignored the limit if it meets it, else the rate optimum at full power (eq. 52).

    At full power the rate optimum need not have a higher energy efficiency than the start, so the better one is kept.
    The history of a stage that broke the limit is replaced by the start's value and the result's.
    """
    used = squared_norm(free.precoder)
    scaled = free.precoder * jnp.sqrt(power / jnp.maximum(used, jnp.finfo(used.dtype).tiny))
    full = reduced_wmmse(h, scaled, power, tolerance=tolerance, max_steps=max_steps)
    first, last = free.history[0], sum_rate(h, full.precoder) / (fixed + power)
    kept = jnp.where(last >= first, full.precoder, start)
    steps = free.iterations + full.iterations
    history = jnp.full_like(free.history, first).at[-1].set(jnp.maximum(first, last))
    bounded = Stage(precoder=kept, history=history, status=full.status, iterations=steps)
    return jax.tree.map(lambda a, b: jnp.where(used <= power * (1 + 1e-12), a, b), free, bounded)
