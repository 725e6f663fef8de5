"""Phases of one layer of a stacked surface by semidefinite relaxations of rising rank pressure, with certificates."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from metamimo.conventions import require_x64
from metamimo.errors import ConfigError, ShapeError
from metamimo.problem import Status
from metamimo.tuners.layer_clarabel import relax_clarabel
from metamimo.tuners.layer_relaxation import (
    Backend,
    Coefficients,
    LayerRelaxation,
    Relaxed,
    factor_powers,
    low_rank_start,
    received,
    relax_low_rank,
    user_rates,
)

_FREE_PASSES = 3
"""Passes without the rank row: ramping at once freezes a poor eigenvector."""

_INCREMENT = 0.1
"""First increment of the rank row's share."""

_HALVINGS = 6
"""How often in a row the increment may be halved."""

_RANK_ONE, _RATE_CHANGE = 1e-5, 1e-4
"""Stop where the largest eigenvalue misses N by less than this share and the rate [nat] moves by less than that."""

_QOS = 1e-6
"""Rate [nat] by which a constraint may be missed, as in the precoder stage (spec 5)."""

_GUARD = 1e-4
"""Rate [nat] that relaxations after the first demand on top: phases from a Psi of nearly rank one lose some of it."""

_FROZEN = 1e-6
"""Where the largest share in reach misses 1 by less, the phases of u stand for the matrices that are left."""


class LayerStep(eqx.Module):
    """Result of `layer_step`.

    Attributes:
        phi: best phases found that meet the rate constraints, or the start.
        start_rate: sum rate of the start [nat].
        rate: sum rate of phi [nat].
        history: sum rate of the best phases after every pass [nat], the last value repeated. It never falls, except
            where the start misses a rate constraint and is replaced by phases that meet it.
        eigen_ratio: largest eigenvalue over N of the last Psi; 1 is rank one.
        relaxation: surrogate of the first relaxation, about the start and without the rank row [nat].
        bound: certificate, no phases that meet the rate constraints have a larger surrogate about the start [nat]. It
            is no bound of the rate: the surrogate is a tangent.
        status: a `Status`. Infeasible means proven: no phases of this layer meet the rate constraints. Stalled means
            that the solver failed, or that no larger share of the rank row was feasible.
        passes: relaxations solved and taken.
        solves: relaxations tried.
    """

    phi: Complex[Array, " element"]
    start_rate: Float[Array, ""]
    rate: Float[Array, ""]
    history: Float[Array, " pass"]
    eigen_ratio: Float[Array, ""]
    relaxation: Float[Array, ""]
    bound: Float[Array, ""]
    status: Int[Array, ""]
    passes: Int[Array, ""]
    solves: Int[Array, ""]


class _Walk(eqx.Module):
    """Where the sequence of relaxations stands."""

    factor: Complex[Array, "element rank"]
    phi: Complex[Array, " element"]
    served: Array  # whether phi meets the rate constraints
    rate: Array
    last_rate: Array  # of the last candidate
    ratio: Array
    increment: Array
    epsilon: Array  # of the last relaxation that was taken
    halvings: Array  # in a row
    passes: Array
    solves: Array
    history: Array
    relaxation: Array
    bound: Array
    status: Array
    done: Array


def layer_step(
    v: Coefficients,
    phi: Complex[Array, " phase"],
    min_rate: Float[Array, " limit"],
    *,
    backend: Backend = "clarabel",
    max_passes: int = 12,
) -> LayerStep:
    """Improve the phases of one layer by a sequence of semidefinite relaxations (spec 6.1; arXiv 2504.15737, eq. 42).

    Signal model: user k receives stream i with f_ki = v_ki^T phi over unit noise, |phi_n| = 1. Each pass solves
    `LayerRelaxation` about the last Psi and takes the phases of its principal eigenvector as a candidate. After three
    free passes the row u^H Psi u >= epsilon N presses Psi to rank one. Shares epsilon that no Psi can reach, above
    (sum_n |u_n|)^2 / N, are refused without a solver. A relaxation that is of rank one by itself needs no pressure,
    and the passes go on without.

    Args:
        v: coefficients over unit noise, shape (users, streams = users, elements); see `layer_coefficients`.
        phi: first phases exp(j theta), shape (elements,).
        min_rate: least rate of each user [nat].
        backend: `clarabel`, the interior-point reference, a call back to the host, or `low_rank`, pure JAX and 20 to 50
            times faster at 16 elements, 600 at 36. Either belongs inside jit, where it is compiled once.
        max_passes: limit of relaxations taken.

    Returns:
        The step, never worse than its start: phases that meet the rate constraints come first, then the sum rate.

    Raises:
        ShapeError: if the arrays do not fit together.
        ConfigError: if the back end is unknown or not installed, or double precision is off.

    >>> jax.config.update("jax_enable_x64", True)
    >>> v = jnp.array([[[3, 1j, 1], [1, 1, 0]], [[0, 1, 1], [2, 1j, 1]]], complex)
    >>> step = jax.jit(lambda: layer_step(v, jnp.ones(3, complex), jnp.zeros(2), backend="low_rank"))()
    >>> bool(step.rate > step.start_rate), bool(step.eigen_ratio > 0.9999)
    (True, True)
    """
    _check(v, phi, min_rate)
    start = _start(v, phi, backend)

    def advance(walk: _Walk) -> _Walk:
        due = _propose(walk, v, min_rate)
        found = jax.lax.cond(due.frozen, lambda: due.answer(), lambda: _relax(due.problem, walk.factor, backend))
        return _take(walk, due, found, v, min_rate, max_passes)

    walk = jax.lax.while_loop(lambda walk: ~walk.done, advance, _begin(v, phi, min_rate, start, max_passes))
    return LayerStep(
        phi=walk.phi,
        start_rate=walk.history[0],
        rate=walk.rate,
        history=walk.history,
        eigen_ratio=walk.ratio,
        relaxation=walk.relaxation,
        bound=walk.bound,
        status=jnp.where(jnp.isfinite(walk.rate), walk.status, Status.NOT_FINITE),
        passes=walk.passes,
        solves=walk.solves,
    )


def layer_relaxation(
    v: Coefficients,
    phi: Complex[Array, " phase"],
    min_rate: Float[Array, " limit"],
    *,
    backend: Backend = "clarabel",
) -> Relaxed:
    """Solve the first relaxation of `layer_step`: about the phases phi, without the rank row.

    Args:
        v: coefficients over unit noise.
        phi: where the tangent is taken.
        min_rate: least rate of each user [nat].
        backend: see `layer_step`.

    Returns:
        The relaxation with its certificate.

    Raises:
        ShapeError: if the arrays do not fit together.
        ConfigError: see `layer_step`.
    """
    _check(v, phi, min_rate)
    interference = received(factor_powers(v, phi[:, None]))[1]
    direction = phi / jnp.sqrt(float(phi.size))
    problem = LayerRelaxation(v, jnp.expm1(min_rate), interference, direction, jnp.zeros(()))
    return _relax(problem, _start(v, phi, backend), backend)


def _check(v: Coefficients, phi: Complex[Array, " phase"], min_rate: Float[Array, " limit"]) -> None:
    require_x64("a semidefinite layer step")
    users, streams, elements = v.shape
    if users != streams:
        raise ShapeError(f"v: must have as many streams as users, got {users} users and {streams} streams")
    for name, shape, rule in (("phi", phi.shape, (elements,)), ("min_rate", min_rate.shape, (users,))):
        if shape != rule:
            raise ShapeError(f"{name}: must have shape {rule} for coefficients of shape {v.shape}, got {shape}")


def _start(v: Coefficients, phi: Array, backend: Backend) -> Array:
    """Return phi as a factor of the width that the back end returns."""
    if backend == "low_rank":
        return low_rank_start(v, phi)
    if backend == "clarabel":
        return jnp.zeros((phi.size, phi.size), phi.dtype).at[:, 0].set(phi)
    raise ConfigError(f"backend: must be 'clarabel' or 'low_rank', got {backend!r}")


def _relax(problem: LayerRelaxation, start: Array, backend: Backend) -> Relaxed:
    return relax_low_rank(problem, start) if backend == "low_rank" else relax_clarabel(problem)


def _begin(v: Array, phi: Array, min_rate: Array, factor: Array, max_passes: int) -> _Walk:
    rates = user_rates(v, phi)
    rate, nan, zero = rates.sum(), jnp.asarray(jnp.nan), jnp.asarray(0)
    return _Walk(
        factor=factor,
        phi=phi,
        served=(rates >= min_rate - _QOS).all(),
        rate=rate,
        last_rate=rate,
        ratio=jnp.asarray(1.0),
        increment=jnp.asarray(_INCREMENT),
        epsilon=jnp.asarray(0.0),
        halvings=zero,
        passes=zero,
        solves=zero,
        history=jnp.full(max_passes + 1, rate),
        relaxation=nan,
        bound=nan,
        status=jnp.asarray(int(Status.ITERATION_LIMIT)),
        done=~jnp.isfinite(rate) | (max_passes < 1),
    )


def _principal(factor: Array) -> tuple[Array, Array]:
    """Return the principal eigenvector of Y Y^H and its eigenvalue over N."""
    vectors, values, _ = jnp.linalg.svd(factor, full_matrices=False)
    return vectors[:, 0], values[0] ** 2 / factor.shape[0]


class _Next(eqx.Module):
    """The relaxation that is due, the increment in force, and the one matrix that is left where Psi is frozen."""

    problem: LayerRelaxation
    increment: Array
    frozen: Array
    rank_one: Complex[Array, "element rank"]

    def answer(self) -> Relaxed:
        nan = jnp.asarray(jnp.nan)
        return Relaxed(self.rank_one, nan, nan, jnp.asarray(True), jnp.asarray(False))


def _propose(walk: _Walk, v: Array, min_rate: Array) -> _Next:
    u, ratio = _principal(walk.factor)
    tight = (walk.epsilon == 0) & (ratio > 1 - _RANK_ONE)
    free = (walk.passes < _FREE_PASSES) | tight
    # u^H Psi u is largest at phi = exp(j angle u), and the only Psi where it is that large is phi phi^H.
    phi = jnp.exp(1j * jnp.angle(u))
    reach = jnp.abs(u).sum() ** 2 / u.size
    beyond = jnp.minimum(1.0, ratio + walk.increment) > reach
    served = (user_rates(v, phi) >= min_rate - _QOS).all()
    frozen = ~free & served & ((ratio > 1 - _RANK_ONE) | (beyond & (reach > 1 - _FROZEN)))
    # A share out of reach is infeasible whatever the rest says: halve the increment without asking the solver.
    room = jnp.maximum(reach - ratio, jnp.finfo(ratio.dtype).eps)
    halvings = jnp.where(beyond & ~free, jnp.ceil(jnp.log2(walk.increment / room)), 0.0)
    increment = walk.increment / 2 ** jnp.maximum(halvings, 0)
    epsilon = jnp.where(free, 0.0, jnp.minimum(1.0, ratio + increment))
    interference = received(factor_powers(v, walk.factor))[1]
    # The first relaxation stays exact, because it is the one that proves.
    demand = jnp.expm1(min_rate + jnp.where(walk.solves == 0, 0.0, _GUARD * (min_rate > 0)))
    problem = LayerRelaxation(v, demand, interference, u, epsilon)
    return _Next(problem, increment, frozen, jnp.zeros_like(walk.factor).at[:, 0].set(phi))


def _take(walk: _Walk, due: _Next, found: Relaxed, v: Array, min_rate: Array, max_passes: int) -> _Walk:
    """Take the solution of a relaxation, or halve the increment."""
    first = walk.solves == 0
    u, ratio = _principal(found.factor)
    phi = jnp.exp(1j * jnp.angle(u))
    rates = user_rates(v, phi)
    rate, served = rates.sum(), (rates >= min_rate - _QOS).all()
    better = found.solved & served & (~walk.served | (rate > walk.rate))
    passes = walk.passes + found.solved
    halvings = jnp.where(found.solved, 0, walk.halvings + 1)
    settled = found.solved & (ratio > 1 - _RANK_ONE) & (jnp.abs(rate - walk.last_rate) < _RATE_CHANGE)
    free = due.problem.epsilon == 0
    failed = ~found.solved & (free | (halvings > _HALVINGS))
    refused = jnp.where(first & found.infeasible, Status.INFEASIBLE, Status.STALLED)
    status = jnp.where(settled, Status.CONVERGED, jnp.where(failed, refused, walk.status))
    best = jnp.where(better, rate, walk.rate)
    history = jnp.where(jnp.arange(walk.history.size) >= passes, best, walk.history)
    return _Walk(
        factor=jnp.where(found.solved, found.factor, walk.factor),
        phi=jnp.where(better, phi, walk.phi),
        served=walk.served | better,
        rate=best,
        last_rate=jnp.where(found.solved, rate, walk.last_rate),
        ratio=jnp.where(found.solved, ratio, walk.ratio),
        increment=jnp.where(found.solved, due.increment, due.increment / 2),
        epsilon=jnp.where(found.solved, due.problem.epsilon, walk.epsilon),
        halvings=halvings,
        passes=passes,
        solves=walk.solves + 1,
        history=history,
        relaxation=jnp.where(first, found.value, walk.relaxation),
        bound=jnp.where(first, found.bound, walk.bound),
        status=status,
        done=settled | failed | (passes >= max_passes),
    )
