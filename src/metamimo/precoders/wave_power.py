"""Powers of a wave-domain transmitter: one stream an antenna, and the surface alone deals with the interference.

SINR_k = g_kk q_k / (1 + sum_{j != k} g_kj q_j) with the gains g_kj of antenna j at user k over unit noise. Least rates
are linear in the powers, so whether any powers meet them, and the smallest that do, is exact linear algebra.
"""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from metamimo.errors import ConfigError, ShapeError
from metamimo.optimise.cone_programs import Cone, call_host, solve_cones, square_cone
from metamimo.precoders.sca_pass import LARGEST_GROWTH, RATE_TOLERANCE, SILENT
from metamimo.problem import Objective, Status


class WavePowers(eqx.Module):
    """Result of the power step.

    Attributes:
        powers: power of every antenna, which sends the stream of the user of the same number [W].
        history: objective at the start and after every pass, the last value repeated: nat per joule and hertz of the
            scaled power, or nats.
        feasible: whether every user has its least rate; the power limits always hold.
        passes: passes done.
        status: a `Status`.
    """

    powers: Float[Array | np.ndarray, " user"]
    history: Float[Array | np.ndarray, " step"]
    feasible: Bool[Array | np.ndarray, ""]
    passes: Int[Array | np.ndarray, ""]
    status: Int[Array | np.ndarray, ""]


@dataclass(frozen=True)
class _Task:
    """The problem; powers in W."""

    gains: np.ndarray
    fixed: float
    sum_limit: float
    port_limits: np.ndarray
    least_rate: np.ndarray
    objective: Objective

    def measure(self, powers: np.ndarray) -> "_Point":
        """Return powers with their rates."""
        received = self.gains * powers
        wanted = np.diagonal(received)
        noise = np.where(np.eye(len(powers), dtype=bool), 0, received).sum(1) + 1
        rate = np.log1p(wanted / noise)
        total, consumed = float(rate.sum()), self.fixed + float(powers.sum())
        value = total if self.objective == "sum_rate" else total / consumed if consumed > 0 else 0.0
        return _Point(powers, noise, total, consumed, value, bool((rate >= self.least_rate - RATE_TOLERANCE).all()))

    def within_limits(self, powers: np.ndarray) -> np.ndarray:
        """Clip powers to the limits of the antennas, then scale them to that of their sum."""
        powers = np.clip(powers, 0, self.port_limits)
        total = powers.sum()
        return powers * (self.sum_limit / total) if total > self.sum_limit else powers

    def fits(self, powers: np.ndarray) -> bool:
        """Whether powers are within the limits, up to rounding."""
        return bool((powers <= self.port_limits * (1 + 1e-9)).all() and powers.sum() <= self.sum_limit * (1 + 1e-9))


@dataclass(frozen=True)
class _Point:
    """Powers and what they achieve; `noise` includes the interference."""

    powers: np.ndarray
    noise: np.ndarray
    rate: float
    consumed: float
    value: float
    feasible: bool


def least_powers(
    gains: Float[np.ndarray, "user antenna"], sinr: Float[np.ndarray, " user"]
) -> Float[np.ndarray, " user"] | None:
    """Return the smallest powers, antenna by antenna, that give every user its SINR, or None where none do.

    q = s (1 + G q) / g with the gains G of the interference has a non-negative solution if and only if the
    spectral radius of diag(s / g) G is below one; then it is the smallest of all feasible powers in every entry.

    Args:
        gains: g, power gain of antenna j at user k over unit noise [1/W].
        sinr: least SINR s of every user.

    Returns:
        The powers [W].

    >>> least_powers(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([1.0, 3.0]))
    array([2., 3.])
    """
    wanted = np.diagonal(gains)
    asked = sinr > 0
    if (asked & (wanted <= 0)).any():
        return None
    need = np.where(asked, sinr / np.where(asked, wanted, 1), 0)
    coupling = need[:, None] * np.where(np.eye(len(gains), dtype=bool), 0, gains)
    if np.abs(np.linalg.eigvals(coupling)).max() >= 1:
        return None
    powers = np.linalg.solve(np.eye(len(gains)) - coupling, need)
    return powers if (powers >= 0).all() else None


def wave_powers(
    gains: Float[np.ndarray, "user antenna"],
    powers: Float[np.ndarray, " user"],
    *,
    fixed: float,
    sum_limit: float,
    port_limits: Float[np.ndarray, " user"],
    min_rate: Float[np.ndarray, " user"],
    objective: Objective = "energy_efficiency",
    max_passes: int = 30,
    tolerance: float = 1e-4,
) -> WavePowers:
    """Maximise the energy efficiency or the sum rate over the powers of one stream an antenna.

    Every pass maximises (2 / y) sqrt(r) - sum_k q_k, y = sqrt(R) / (fixed + sum_k q_k), where
    r <= sum_k ln(1 + sum_j g_kj q_j) - tangent of sum_k ln(1 + sum_{j != k} g_kj q_j). The objective never
    decreases. The problem is not convex: the result is stationary, and where antennas disturb each other strongly it
    may lie far below the best set of users from another start. Where the least rates cannot be met, the result gives
    every user with a channel the same, largest possible, part of its least SINR.

    Args:
        gains: g, power gain |a_kj|^2 of antenna j at user k over unit noise [1/W].
        powers: where to start; replaced by the smallest feasible powers if a pass from there misses the least rates
            [W].
        fixed: consumed power that does not depend on the powers, all chains included, times the amplifier's
            efficiency [W].
        sum_limit: limit of the sum, above zero, may be infinite [W].
        port_limits: limit of each antenna, above zero, may be infinite [W].
        min_rate: least rate of each user [nat].
        objective: what is maximised.
        max_passes: limit of passes.
        tolerance: relative increase of the objective at which to stop.

    Returns:
        The powers and how they were found.

    Raises:
        ShapeError: if the arrays do not fit together.
        ConfigError: if a power or rate is negative or a limit is not positive.

    >>> gains = np.array([[9.0, 0.1], [0.1, 4.0]])
    >>> free = {"sum_limit": np.inf, "port_limits": np.full(2, np.inf), "min_rate": np.zeros(2)}
    >>> wave_powers(gains, np.ones(2), fixed=1.0, **free).powers.round(2)
    array([0.59, 0.43])
    """
    users = len(powers)
    for name, given, expected in (
        ("gains", gains, (users, users)),
        ("port_limits", port_limits, (users,)),
        ("min_rate", min_rate, (users,)),
    ):
        if given.shape != expected:
            raise ShapeError(f"{name}: must have shape {expected} for {users} powers, got {given.shape}")
    for name, value in (("fixed", fixed), ("min_rate", min_rate.min()), ("powers", powers.min())):
        if value < 0:
            raise ConfigError(f"{name}: must not be negative, got {value}")
    for name, value in (("sum_limit", sum_limit), ("port_limits", port_limits.min())):
        if not value > 0:
            raise ConfigError(f"{name}: must be above zero, got {value}")
    task = _Task(gains, fixed, sum_limit, port_limits, min_rate, objective)
    point, values, status = _ascend(task, powers, max_passes, tolerance)
    passes = len(values) - 1
    return WavePowers(
        powers=point.powers,
        history=np.array(values + values[-1:] * (max_passes - passes)),
        feasible=np.array(point.feasible),
        passes=np.array(passes, np.int32),
        status=np.array(int(status), np.int32),
    )


def _ascend(task: _Task, powers: np.ndarray, max_passes: int, tolerance: float) -> tuple[_Point, list[float], Status]:
    """Run the passes; one that is worse by solver noise is dropped and the last."""
    point = task.measure(task.within_limits(powers))
    values = [point.value]
    if not (np.isfinite(task.gains).all() and np.isfinite(point.value)):
        return point, values, Status.NOT_FINITE
    smallest = least_powers(task.gains, np.expm1(task.least_rate))
    if smallest is None or not task.fits(smallest):
        point = task.measure(_balanced(task))
        return point, [point.value], Status.INFEASIBLE
    status = Status.CONVERGED if not task.gains.any() else Status.ITERATION_LIMIT
    while status == Status.ITERATION_LIMIT and len(values) <= max_passes:
        found = _solve_pass(task, point)
        after = point if found is None else task.measure(found)
        if not point.feasible:
            point = after if after.feasible else task.measure(task.within_limits(smallest))
        else:
            gain = (after.value - point.value) / max(point.value, 1e-300)
            if found is None or gain < -tolerance or not after.feasible:
                status = Status.STALLED
            elif gain < tolerance:
                status = Status.CONVERGED
            point = after if gain > 0 and after.feasible else point
        values.append(point.value)
    return point, values, status


def _balanced(task: _Task) -> np.ndarray:
    """Return the powers that give every user with a channel the largest possible common part of its least SINR."""
    least = np.where(np.diagonal(task.gains) > 0, np.expm1(task.least_rate), 0)
    low, high, powers = 0.0, 1.0, np.zeros(len(least))
    for _ in range(60):
        part = (low + high) / 2
        found = least_powers(task.gains, part * least)
        if found is not None and task.fits(found):
            low, powers = part, found
        else:
            high = part
    return task.within_limits(powers)


def _solve_pass(task: _Task, point: _Point) -> np.ndarray | None:
    """Maximise the concave bound at a point; powers count in units of their sum, logarithms from the last value."""
    users = len(point.powers)
    gains = task.gains
    efficiency = task.objective == "energy_efficiency"
    unit = max(float(point.powers.sum()), SILENT / float(gains.max()))
    power, log, root = np.split(np.eye(2 * users + efficiency), [users, 2 * users])
    all_signals = point.noise + np.diagonal(gains) * point.powers
    own = np.arange(users)
    wanted = unit * np.diagonal(gains)[:, None] * power
    interference = unit * (np.where(np.eye(users, dtype=bool), 0, gains)[:, :, None] * power).sum(1)

    cones = [
        Cone("Nonnegative", power, np.zeros(users)),
        Cone("Nonnegative", -power, np.minimum(task.port_limits / unit, LARGEST_GROWTH)),
        Cone("Nonnegative", -power.sum(0)[None], np.array([min(task.sum_limit / unit, LARGEST_GROWTH)])),
    ]
    asked = np.flatnonzero(task.least_rate > 0)
    if len(asked):
        least = np.expm1(task.least_rate)[:, None]
        scale = np.maximum(np.diagonal(gains) * unit, least[:, 0])
        rows = (wanted - least * interference) / scale[:, None]
        cones.append(Cone("Nonnegative", rows[asked], (-least[:, 0] / scale)[asked]))
    for k in own:
        # exp(log) <= (1 + sum_j g_kj q_j) / its last value.
        row = (wanted[k] + interference[k]) / all_signals[k]
        cones.append(Cone("Exponential", np.stack([log[k], 0 * row, row]), np.array([0, 1, 1 / all_signals[k]])))

    rate = log.sum(0) - (interference / point.noise[:, None]).sum(0)
    constant = point.rate + float((1 - 1 / point.noise).sum())
    rate_scale = max(point.rate, SILENT)
    if efficiency:
        cones.append(square_cone(root, 0.0, rate / rate_scale, constant / rate_scale))
        cost = unit / max(point.consumed, unit) * power.sum(0) - 2 * root[0]
    else:
        cost = -rate
    found = solve_cones(cost, cones)
    return None if found is None else task.within_limits(unit * found[:users])


def wave_stage(
    gains: Float[Array, "user antenna"],
    powers: Float[Array, " user"],
    *,
    fixed: Float[Array, ""],
    sum_limit: Float[Array, ""],
    port_limits: Float[Array, " user"],
    min_rate: Float[Array, " user"],
    objective: Objective = "energy_efficiency",
    max_passes: int = 30,
    tolerance: float = 1e-4,
) -> WavePowers:
    """Run `wave_powers` inside a JAX program, in one callback to the host; see `sca_stage`.

    Args:
        gains: power gain |a_kj|^2 of antenna j at user k over unit noise [1/W].
        powers: where to start [W].
        fixed: see `wave_powers`.
        sum_limit: see `wave_powers`.
        port_limits: see `wave_powers`.
        min_rate: see `wave_powers`.
        objective: see `wave_powers`.
        max_passes: see `wave_powers`.
        tolerance: see `wave_powers`.

    Returns:
        What `wave_powers` returns, as JAX arrays; `history` has max_passes + 1 entries.
    """

    def host(gains: Any, powers: Any, numbers: Any, port_limits: Any, min_rate: Any) -> tuple[Any, ...]:
        fixed, sum_limit = numbers.tolist()
        limits = {"fixed": fixed, "sum_limit": sum_limit, "port_limits": port_limits, "min_rate": min_rate}
        rule = {"objective": objective, "max_passes": max_passes, "tolerance": tolerance}
        found = wave_powers(gains, powers, **limits, **rule)
        return found.powers, found.history, found.feasible, found.passes, found.status

    real = powers.dtype
    shapes = ((powers.shape, real), ((max_passes + 1,), real), ((), bool), ((), np.int32), ((), np.int32))
    expected = tuple(jax.ShapeDtypeStruct(*shape) for shape in shapes)
    return WavePowers(*call_host(host, expected, gains, powers, jnp.stack([fixed, sum_limit]), port_limits, min_rate))


def water_filling_powers(
    gains: Float[Array, "user antenna"],
    powers: Float[Array, " user"],
    sum_limit: Float[Array, ""],
    *,
    max_passes: int = 100,
    tolerance: float = 1e-6,
) -> WavePowers:
    """Raise the sum rate by damped water-filling, q <- q_wf / K + (K - 1) q / K, as the field's public code does.

    q_wf fills the sum limit as if the interference stayed as it is. That is no ascent method: the history may fall, and
    the end is a fixed point, not an optimum. For comparisons.

    Args:
        gains: power gain |a_kj|^2 of antenna j at user k over unit noise [1/W].
        powers: where to start [W].
        sum_limit: limit of the sum, finite [W].
        max_passes: limit of passes.
        tolerance: change of the sum rate at which to stop [nat].

    Returns:
        The powers; least rates and limits of single antennas are not looked at.

    >>> jax.config.update("jax_enable_x64", True)
    >>> gains = jnp.array([[9.0, 0.0], [0.0, 4.0]])
    >>> water_filling_powers(gains, jnp.ones(2) / 2, jnp.asarray(1.0)).powers.round(3)
    Array([0.569, 0.431], dtype=float64)
    """
    users = len(powers)
    own = jnp.diagonal(gains)

    def noise_of(q: Array) -> Array:
        return 1 + (jnp.where(jnp.eye(users, dtype=bool), 0, gains) * q).sum(1)

    def rate_of(q: Array) -> Array:
        return jnp.log1p(own * q / noise_of(q)).sum()

    def step(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        q, history, i, _ = carry
        # A user without channel has a bed that no water reaches.
        bed = noise_of(q) / jnp.maximum(own, 1e-150)
        deeper = bed[:, None] <= bed
        level = ((sum_limit + (bed[:, None] * deeper).sum(0)) / deeper.sum(0)).min()
        q = jnp.maximum(level - bed, 0) / users + (users - 1) / users * q
        rate = rate_of(q)
        return q, history.at[i + 1].set(rate), i + 1, jnp.abs(rate - history[i]) >= tolerance

    def going(carry: tuple[Array, Array, Array, Array]) -> Array:
        return carry[3] & (carry[2] < max_passes)

    history = jnp.full(max_passes + 1, rate_of(powers))
    start = (powers, history, jnp.asarray(0), jnp.asarray(True))
    q, history, passes, moving = jax.lax.while_loop(going, step, start)
    history = jnp.where(jnp.arange(max_passes + 1) > passes, history[passes], history)
    status = jnp.where(moving, Status.ITERATION_LIMIT, Status.CONVERGED)
    status = jnp.where(jnp.isfinite(history[-1]), status, Status.NOT_FINITE)
    return WavePowers(q, history, jnp.asarray(True), passes, status)
