"""Linear precoding of single-antenna users by successive convex approximation: eqs. (20) to (29) of arXiv 2504.15737.

Host code: `sca_pass` solves the convex program of a pass, `sca_stage` brings all passes into a compiled program.
"""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

from metamimo.errors import ConfigError, ShapeError
from metamimo.optimise.cone_programs import call_host
from metamimo.precoders.chain_indicator import Indicator
from metamimo.precoders.sca_pass import Point, Task, solve_pass
from metamimo.problem import Objective, Status


class ScaResult(eqx.Module):
    """Result of the successive convex approximation.

    Attributes:
        w: precoder, row k is the stream of user k [sqrt(W)].
        history: objective at the start and after every pass, the last value repeated: nat per joule and hertz of the
            scaled power (with the smoothed chain count where there is an indicator), or nats. It may fall until the
            rate constraints are met.
        feasible: whether every user has its least rate; the power limits always hold.
        passes: passes done.
        status: a `Status`.
    """

    w: Complex[Array | np.ndarray, "user port"]
    history: Float[Array | np.ndarray, " step"]
    feasible: Bool[Array | np.ndarray, ""]
    passes: Int[Array | np.ndarray, ""]
    status: Int[Array | np.ndarray, ""]


def sca_precoder(
    a: Complex[np.ndarray, "user port"],
    w: Complex[np.ndarray, "user port"],
    *,
    fixed: float,
    per_chain: float,
    sum_limit: float,
    port_limits: Float[np.ndarray, " port"],
    min_rate: Float[np.ndarray, " user"],
    active: Bool[np.ndarray, " port"],
    objective: Objective = "energy_efficiency",
    indicator: Indicator | None = None,
    epsilon: float = 1e-5,
    max_passes: int = 30,
    tolerance: float = 1e-4,
) -> ScaResult:
    """Maximise the energy efficiency or the sum rate of linear precoding under power limits and least rates.

    Signal model: y_k = a_k sum_i w_i s_i + n_k with unit noise and without conjugate, R_k = ln(1 + SINR_k), and
    P = fixed + per_chain chains + sum_m p_m, all watts multiplied by the amplifier's efficiency. Every pass maximises
    the concave bound (29) of 2 y sqrt(R) - y^2 P, y = sqrt(R) / P; the objective never decreases once the least rates
    are met. A start that misses them is repaired first, at whatever energy efficiency. The problem is not convex: the
    result is stationary.

    Args:
        a: effective channel over unit noise [1/sqrt(W)].
        w: precoder to start from; what is above a limit is shortened to it [sqrt(W)].
        fixed: consumed power that depends neither on the precoder nor on the chains, times the efficiency [W].
        per_chain: power of an RF chain, times the efficiency [W].
        sum_limit: limit of the transmit power, above zero, may be infinite [W].
        port_limits: limit of each port, above zero, may be infinite [W].
        min_rate: least rate of each user [nat].
        active: ports in use; the others get exact zeros, whatever the start.
        objective: what is maximised.
        indicator: charge chains by this curve of their power, eq. (27); without it, every active port is charged.
        epsilon: width of that curve [W].
        max_passes: limit of passes.
        tolerance: relative increase of the objective at which to stop.

    Returns:
        Precoder, history, whether the least rates are met (if not, the precoder is the best effort), passes, status.

    Raises:
        ShapeError: if the arrays do not fit together.
        ConfigError: if a power or rate is negative, a limit is not positive, or no port is active.

    Source: arXiv 2504.15737, section III-A, eqs. (20) to (29).

    >>> a = np.array([[3.0 + 0j, 4.0j]])
    >>> free = {"port_limits": np.full(2, np.inf), "min_rate": np.zeros(1), "active": np.ones(2, bool)}
    >>> result = sca_precoder(a, 0.1 * a.conj(), fixed=1.0, per_chain=0.0, sum_limit=1.0, **free)
    >>> bool(result.feasible), round(float(result.history[-1]), 3)
    (True, 1.736)
    """
    _check(a, w, port_limits, min_rate, active)
    for name, value in (("fixed", fixed), ("per_chain", per_chain), ("min_rate", min_rate.min())):
        if value < 0:
            raise ConfigError(f"{name}: must not be negative, got {value}")
    for name, value in (("sum_limit", sum_limit), ("port_limits", port_limits.min()), ("epsilon", epsilon)):
        if not value > 0:
            raise ConfigError(f"{name}: must be above zero, got {value}")
    if not active.any():
        raise ConfigError("active: at least one port must be active, got none")
    task = Task(a[:, active], fixed, per_chain, sum_limit, port_limits[active], min_rate, objective, indicator, epsilon)
    point, values, status = _ascend(task, w[:, active], max_passes, tolerance)
    full = np.zeros_like(w)
    full[:, active] = point.w
    passes = len(values) - 1
    return ScaResult(
        w=full,
        history=np.array(values + values[-1:] * (max_passes - passes)),
        feasible=np.array(point.feasible),
        passes=np.array(passes, np.int32),
        status=np.array(int(status), np.int32),
    )


def _ascend(task: Task, w: np.ndarray, max_passes: int, tolerance: float) -> tuple[Point, list[float], Status]:
    """Run the passes; a pass that lowers the objective or loses feasibility by solver noise is dropped and the last."""
    point = task.measure(task.within_limits(w))
    values = [point.value]
    if not np.isfinite([point.value, point.shortfall]).all():
        return point, values, Status.NOT_FINITE
    status = Status.CONVERGED if not task.a.any() else Status.ITERATION_LIMIT
    while status == Status.ITERATION_LIMIT and len(values) <= max_passes:
        found = solve_pass(task, point)
        after = point if found is None else task.measure(found)
        both = point.feasible and after.feasible
        gain = (after.value - point.value) / max(point.value, 1e-300) if both else task.gain(point, after)
        if found is None or gain < -tolerance or (point.feasible and not after.feasible):
            status = Status.STALLED
        elif gain < tolerance:
            status = Status.CONVERGED
        if gain > 0 and (after.feasible or not point.feasible):
            point = after
        values.append(point.value)
    if not point.feasible:
        status = Status.INFEASIBLE
    return point, values, status


def _check(a: np.ndarray, w: np.ndarray, port_limits: np.ndarray, min_rate: np.ndarray, active: np.ndarray) -> None:
    users, ports = a.shape
    shapes = {"w": (w, (users, ports)), "port_limits": (port_limits, (ports,)), "min_rate": (min_rate, (users,))}
    for name, (given, expected) in {**shapes, "active": (active, (ports,))}.items():
        if given.shape != expected:
            raise ShapeError(f"{name}: must have shape {expected} like the channel, got {given.shape}")


def sca_stage(
    a: Complex[Array, "user port"],
    w: Complex[Array, "user port"],
    *,
    fixed: Float[Array, ""],
    per_chain: Float[Array, ""],
    sum_limit: Float[Array, ""],
    port_limits: Float[Array, " port"],
    min_rate: Float[Array, " user"],
    active: Bool[Array, " port"],
    objective: Objective = "energy_efficiency",
    indicator: Indicator | None = None,
    epsilon: float = 1e-5,
    max_passes: int = 30,
    tolerance: float = 1e-4,
) -> ScaResult:
    """Run `sca_precoder` inside a JAX program: all passes in one callback to the host.

    Works under `jit`, `lax.map` and `vmap` (one item after another); it has no derivative.

    Args:
        a: effective channel over unit noise [1/sqrt(W)].
        w: precoder to start from [sqrt(W)].
        fixed: see `sca_precoder`.
        per_chain: see `sca_precoder`.
        sum_limit: see `sca_precoder`.
        port_limits: see `sca_precoder`.
        min_rate: see `sca_precoder`.
        active: see `sca_precoder`.
        objective: see `sca_precoder`.
        indicator: see `sca_precoder`.
        epsilon: see `sca_precoder`.
        max_passes: see `sca_precoder`.
        tolerance: see `sca_precoder`.

    Returns:
        What `sca_precoder` returns, as JAX arrays; `history` has max_passes + 1 entries.
    """
    run = partial(
        sca_precoder,
        objective=objective,
        indicator=indicator,
        epsilon=epsilon,
        max_passes=max_passes,
        tolerance=tolerance,
    )

    def host(a: Any, w: Any, numbers: Any, port_limits: Any, min_rate: Any, active: Any) -> tuple[Any, ...]:
        fixed, per_chain, sum_limit = numbers.tolist()
        scalars = {"fixed": fixed, "per_chain": per_chain, "sum_limit": sum_limit}
        found = run(a, w, **scalars, port_limits=port_limits, min_rate=min_rate, active=active)
        return found.w, found.history, found.feasible, found.passes, found.status

    expected = (
        jax.ShapeDtypeStruct(w.shape, w.dtype),
        jax.ShapeDtypeStruct((max_passes + 1,), a.real.dtype),
        *(jax.ShapeDtypeStruct((), dtype) for dtype in (bool, np.int32, np.int32)),
    )
    numbers = jnp.stack([fixed, per_chain, sum_limit])
    return ScaResult(*call_host(host, expected, a, w, numbers, port_limits, min_rate, active))
