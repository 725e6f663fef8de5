"""Bound of a stacked surface by power that is conserved atom by atom (specification of bounds, B3, B4, B6, B8, B9).

Signal model: H = G Phi^L W^L ... Phi^1 W^1, |phi| <= 1. Diagonal matrices commute with every Phi^l, so for any d_l and
D_l = diag(exp(d_l)) the phases stand between the factors

    A_0 = G D_L^-1/2,  A_l = D_l^1/2 W^l D_(l-1)^-1/2,  A_1 = D_1^1/2 W^1,

and by Horn's inequality no phases have singular values whose products exceed those of prod_l sigma_i(A_l). Users that
decode together over such parallel channels are no worse than any precoder. The bound is convex in d.
"""

import itertools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from metamimo.bounds.parallel import RAISED, efficient_powers, parallel_bound, squared_singular_values
from metamimo.bounds.priced import safe_eigenvalues
from metamimo.linalg import cmatmul, hermitian, squared_norm
from metamimo.optimise.lbfgs import minimise, pure

MOST = 8
"""Ports up to which every choice of them has a bound of its own; beyond, the largest singular values of all serve."""

_Logs = Callable[[Array, Array, Array], Float[Array, " mode"]]
"""(W, left, right) -> ln sigma_i^2 of diag(exp(left / 2)) W diag(exp(right / 2)), largest first."""
_TOLERANCE = 1e-3
"""Relative gain over ten iterations at which the search for the multipliers stops; it leaves about 0.1 %."""


class Cascade(eqx.Module):
    """What the factors are made of.

    Attributes:
        rows: G over unit noise, all users' antennas stacked.
        hops: W^2, W^3, ..., or one that serves all.
        first: W^1; ports that do not exist have zero columns.
        n_layers: L.
        room: layers that the arrays have room for.
    """

    rows: Complex[Array, "receiver element"]
    hops: Complex[Array, "hop element element"]
    first: Complex[Array, "element port"]
    n_layers: Int[Array, ""]
    room: int = eqx.field(static=True)


class Spending(eqx.Module):
    """What a design may spend: rates are divided by fixed + sum_m p_m.

    Attributes:
        fixed: fixed power with 1, 2, ... ports on, times the amplifier efficiency [W].
        total: limit of sum_m p_m [W].
        ports: limit of every p_m [W], where there are any.
    """

    fixed: Float[Array, " port"]
    total: Float[Array, ""]
    ports: Float[Array, " port"] | None = None


class Multipliers(eqx.Module):
    """Any values give a valid bound.

    Attributes:
        layers: d.
        ports: price nu of every port's power beside the price one of the sum.
    """

    layers: Float[Array, "layer element"]
    ports: Float[Array, " port"]


def stack_bounds(cascade: Cascade, spending: Spending, *, max_iterations: int = 100) -> Float[Array, " port"]:
    """Return what no phases and no precoders with 1, 2, ... ports on exceed.

    Args:
        cascade: the stack and the channel behind it.
        spending: what a design may spend.
        max_iterations: limit of the search for the multipliers; zero is valid, too.

    Returns:
        Bounds of R / (fixed + sum_m p_m) [nat/W].
    """
    shape, ports = (cascade.room, cascade.rows.shape[1]), cascade.first.shape[1]
    plain = bounds_at(cascade, spending, Multipliers(jnp.zeros(shape), jnp.zeros(ports)))
    count = jnp.argmax(plain)

    def multipliers(x: Float[Array, " variable"]) -> Multipliers:
        layers, roots = jnp.split(x, [shape[0] * shape[1]])
        if spending.ports is None:
            return Multipliers(layers.reshape(shape), jnp.zeros(ports))
        return Multipliers(layers.reshape(shape), jnp.where(jnp.isfinite(spending.ports), roots**2, 0))

    def value(x: Float[Array, " variable"]) -> Float[Array, ""]:
        return smooth_bound(cascade, spending, multipliers(x), count)

    start = jnp.concatenate([jnp.zeros(shape[0] * shape[1]), jnp.full(0 if spending.ports is None else ports, 0.1)])
    found = minimise(pure(value), start, tolerance=_TOLERANCE, max_iterations=max_iterations, memory=20)
    return jnp.fmin(plain, bounds_at(cascade, spending, multipliers(found.x)))


def gain_bound(cascade: Cascade, *, tolerance: float = 1e-7, max_iterations: int = 300) -> Float[Array, ""]:
    """Return what the largest squared singular value of H exceeds for no phases (B5), for one user its power gain.

    Args:
        cascade: the stack and the channel behind it.
        tolerance: gain over ten iterations, in the logarithm, at which the search stops.
        max_iterations: limit of the search for the multipliers; zero is valid, too.

    Returns:
        The bound, in the units of |rows|^2 times those of the layers.
    """

    def value(x: Float[Array, " variable"]) -> Float[Array, ""]:
        d = x.reshape(cascade.room, -1)
        first = _log_squares(cascade.first, d[0], jnp.zeros(cascade.first.shape[1]))
        return _logs_behind(cascade, d, _log_squares)[0] + first[0]

    start = jnp.zeros(cascade.room * cascade.rows.shape[1])
    found = minimise(pure(value), start, tolerance=tolerance, max_iterations=max_iterations, memory=20)
    return jnp.fmin(gain_bound_at(cascade, start.reshape(cascade.room, -1)), gain_bound_at(cascade, found.x))


def gain_bound_at(cascade: Cascade, layers: Float[Array, "..."]) -> Float[Array, ""]:
    """Return `gain_bound` at any multipliers d of the layers."""
    d = layers.reshape(cascade.room, -1)
    first = _raised_logs(cascade.first, d[0], jnp.zeros(cascade.first.shape[1]))
    return jnp.exp(_logs_behind(cascade, d, _raised_logs)[0] + first[0]) * RAISED


def bounds_at(cascade: Cascade, spending: Spending, multipliers: Multipliers) -> Float[Array, " port"]:
    """Return `stack_bounds` at any multipliers."""
    behind = jnp.exp(_logs_behind(cascade, multipliers.layers, _raised_logs))
    column = jnp.exp(multipliers.layers[0] / 2)[:, None] * cascade.first / jnp.sqrt(1 + multipliers.ports)
    extra = _priced_extra(spending, multipliers)
    ports, modes = column.shape[1], behind.size

    def bound(gain: Array, fixed: Array, more: Array) -> Array:
        # With p'_m = (1 + nu_m) p_m: fixed + sum p >= (fixed - more) + sum p', and sum p' <= total + more.
        value = parallel_bound(behind * gain, jnp.where(fixed > more, fixed - more, 1.0), spending.total + more)
        return jnp.where(fixed > more, value, jnp.inf)

    if ports > MOST:
        gain = squared_singular_values(column)[:modes]
        few = jnp.where(jnp.arange(modes) < jnp.arange(1, ports + 1)[:, None], gain, 0)
        return jax.vmap(bound)(few, spending.fixed, jnp.full(ports, extra.sum()))
    chosen = np.array(list(itertools.product((False, True), repeat=ports)))[1:]
    counts = chosen.sum(1)
    gram = jnp.where(chosen[:, :, None] & chosen[:, None], cmatmul(hermitian(column), column), 0)
    gain = jnp.maximum(safe_eigenvalues(gram), 0)[:, ::-1][:, :modes]
    every = jax.vmap(bound)(gain, spending.fixed[counts - 1], jnp.where(chosen, extra, 0).sum(1))
    return jnp.full(ports, -jnp.inf).at[counts - 1].max(every)


def smooth_bound(
    cascade: Cascade, spending: Spending, multipliers: Multipliers, count: Int[Array, ""]
) -> Float[Array, ""]:
    """Return ln of the bound with the `count + 1` best modes of all ports, differentiable in the multipliers."""
    behind = _logs_behind(cascade, multipliers.layers, _log_squares)
    logs = behind + _log_squares(cascade.first, multipliers.layers[0], -jnp.log1p(multipliers.ports))[: behind.size]
    gain = jnp.where(jnp.arange(logs.size) <= count, jnp.exp(logs), 0)
    more = _priced_extra(spending, multipliers).sum()
    fixed, power = spending.fixed[count] - more, spending.total + more
    # At the optimal powers their own change does not count (envelope theorem), but that of a limit that binds does.
    held = jax.lax.stop_gradient((gain, fixed, power))
    p = efficient_powers(*held)
    slope = (held[0] / (1 + held[0] * p)).max()
    added = jnp.where(p.sum() >= held[2] * (1 - 1e-9), power - held[2], 0)
    value = jnp.log(jnp.log1p(gain * p).sum() + slope * added) - jnp.log(fixed + p.sum() + added)
    return jnp.where(fixed > 0, value, jnp.inf)


def _priced_extra(spending: Spending, multipliers: Multipliers) -> Float[Array, " port"]:
    """Return nu_m P_m of every port."""
    if spending.ports is None:
        return jnp.zeros_like(multipliers.ports)
    return multipliers.ports * jnp.where(multipliers.ports > 0, spending.ports, 0)


def _logs_behind(cascade: Cascade, d: Float[Array, "layer element"], logs: _Logs) -> Float[Array, " mode"]:
    """Return the sum of ln sigma_i^2 of all factors but A_1."""
    modes = min(cascade.rows.shape[0], cascade.first.shape[1])
    last = jax.lax.dynamic_index_in_dim(d, cascade.n_layers - 1, keepdims=False)
    ends = logs(cascade.rows, jnp.zeros(cascade.rows.shape[0]), -last)[:modes]

    def hop(total: Array, layer: Array) -> tuple[Array, None]:
        w = cascade.hops[jnp.minimum(layer - 1, cascade.hops.shape[0] - 1)]
        there = layer < cascade.n_layers
        return jax.lax.cond(there, lambda: total + logs(w, d[layer], -d[layer - 1])[:modes], lambda: total), None

    return jax.lax.scan(hop, ends, jnp.arange(1, cascade.room))[0]


def _scaled(w: Array, left: Array, right: Array) -> Complex[Array, "m n"]:
    return jnp.exp(left / 2)[:, None] * w * jnp.exp(right / 2)


def _raised_logs(w: Array, left: Array, right: Array) -> Float[Array, " mode"]:
    """Return ln sigma_i^2 of diag(exp(left / 2)) W diag(exp(right / 2)), largest first, on the safe side."""
    return jnp.log(squared_singular_values(_scaled(w, left, right)))


@jax.custom_vjp
def _log_squares(w: Array, left: Array, right: Array) -> Float[Array, " mode"]:
    """Return the same by the smaller Gram matrix, which is good enough for a search.

    d ln sigma_i^2 = sum_n |u_ni|^2 d left_n + |v_ni|^2 d right_n: at the best multipliers the intensity that enters an
    atom equals the one that leaves it, summed over the modes with the weight of each. W itself gets no gradient.
    """
    return _log_squares_fwd(w, left, right)[0]


def _log_squares_fwd(w: Array, left: Array, right: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    a = _scaled(w, left, right)
    wide = a.shape[0] <= a.shape[1]
    small = a if wide else hermitian(a)
    square, u = jnp.linalg.eigh(cmatmul(small, hermitian(small)))
    square, u = jnp.maximum(square[::-1], jnp.finfo(square.dtype).tiny), u[:, ::-1]
    v = cmatmul(hermitian(small), u)
    intensity, other = squared_norm(u, ()), squared_norm(v, ()) / square
    return jnp.log(square), (w, intensity, other) if wide else (w, other, intensity)


def _log_squares_bwd(kept: tuple[Array, Array, Array], cotangent: Array) -> tuple[Array, Array, Array]:
    w, left, right = kept
    return jnp.zeros_like(w), left @ cotangent, right @ cotangent  # real product


_log_squares.defvjp(_log_squares_fwd, _log_squares_bwd)
