"""Covariance stage of dirty paper coding at a fixed surface: problem (13) of Perović et al. 2024 by several engines.

The problem is concave in the covariances of the dual channel: every engine ends at the global optimum, and the
certificate of duality_gap.py says how near.
"""

import abc
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from metamimo.errors import ConfigError
from metamimo.linalg import cmatmul, hermitian
from metamimo.precoders.covariance_cyclic import cyclic_step
from metamimo.precoders.covariance_filling import Point, covariance_of, factor_of, filling_step
from metamimo.precoders.covariance_sca import lifted, sca_step
from metamimo.precoders.dual_mac import Channel, Factor, mac_rate, reduce_ports, start_covariances, transmit_power
from metamimo.precoders.duality_gap import line_efficiency, rate_line
from metamimo.precoders.sum_power import sum_power_covariances
from metamimo.problem import Status

__all__ = [
    "CovarianceStage",
    "EngineName",
    "covariance_step",
    "energy_efficient_covariances",
    "mac_rate",
    "reduce_ports",
    "start_covariances",
    "transmit_power",
]

EngineName = Literal["water_filling", "xu_qiu", "sca"]

_CERTIFIED = 1e-6
"""Gap at which the engines that know it may stop; the value is off by far less, about the square of it."""


class CovarianceStage(eqx.Module):
    """Result of the covariance stage.

    Attributes:
        factor: x with S_k = x_k x_k^H [sqrt(W)].
        history: energy efficiency of the start and after every step in nat per joule and hertz, the last value
            repeated.
        status: a `Status`.
        iterations: steps done.
        bound: certificate: no covariances of this channel have a higher energy efficiency.
        offset, slope: the line over the power behind it, offset + slope p, which no rate exceeds [nat, nat/W].
    """

    factor: Factor
    history: Float[Array, " step"]
    status: Int[Array, ""]
    iterations: Int[Array, ""]
    bound: Float[Array, ""]
    offset: Float[Array, ""]
    slope: Float[Array, ""]

    @property
    def gap(self) -> Float[Array, ""]:
        """Share of the last value by which the optimum may exceed it; zero where there is no channel or no power."""
        return jnp.where(self.bound == 0, 0, self.bound / self.history[..., -1] - 1)


class _Engine(eqx.Module):
    """A way to improve a state that stands for covariances; h has few ports."""

    h: Channel
    fixed: Float[Array, ""]
    limit: Float[Array, ""]

    @abc.abstractmethod
    def begin(self, x: Factor) -> Any:
        """Return the state of factors."""

    @abc.abstractmethod
    def step(self, state: Any) -> Any:
        """Return a state within the limit whose efficiency is not lower."""

    @abc.abstractmethod
    def efficiency(self, state: Any) -> Float[Array, ""]:
        """Return rate / (fixed + power)."""

    @abc.abstractmethod
    def factor(self, state: Any) -> Factor:
        """Return the factors of a state."""

    @abc.abstractmethod
    def measured(self, state: Any) -> Point:
        """Return the covariances of a state with what the certificate needs."""

    def certified(self, state: Any) -> Bool[Array, ""]:
        """Return whether the stage may stop here once the efficiency rises by less than its tolerance."""
        return jnp.asarray(True)


class _Measured(_Engine):
    """An engine on covariances."""

    def begin(self, x: Factor) -> Point:
        return Point.at(self.h, covariance_of(x))

    def efficiency(self, state: Point) -> Float[Array, ""]:
        return state.efficiency(self.fixed)

    def factor(self, state: Point) -> Factor:
        return factor_of(state.covariance)

    def measured(self, state: Point) -> Point:
        return state

    def certified(self, state: Point) -> Bool[Array, ""]:
        return _bound(*rate_line(state), self.fixed, self.limit) <= (1 + _CERTIFIED) * state.efficiency(self.fixed)


class _WaterFilling(_Measured):
    def step(self, state: Point) -> Point:
        return filling_step(self.h, state, self.fixed, self.limit)


class _XuQiu(_Measured):
    def step(self, state: Point) -> Point:
        return cyclic_step(self.h, state, self.fixed, self.limit)


class _Sca(_Engine):
    """Algorithm 1 on the factors."""

    def begin(self, x: Factor) -> Factor:
        return _within(lifted(x), self.limit)

    def step(self, state: Factor) -> Factor:
        return sca_step(self.h, state, self.fixed, self.limit)

    def efficiency(self, state: Factor) -> Float[Array, ""]:
        return mac_rate(self.h, state) / (self.fixed + transmit_power(state))

    def factor(self, state: Factor) -> Factor:
        return state

    def measured(self, state: Factor) -> Point:
        return Point.at(self.h, covariance_of(state))


_ENGINES: dict[str, type[_Engine]] = {"water_filling": _WaterFilling, "xu_qiu": _XuQiu, "sca": _Sca}


def covariance_step(h: Channel, x: Factor, fixed: Float[Array, ""], power: Float[Array, ""]) -> Factor:
    """Take one step of the default engine; the energy efficiency is never lower and the limit is kept.

    Args:
        h: effective channel over unit noise.
        x: feasible factors of any rank [sqrt(W)].
        fixed: power that does not depend on x, times the amplifier efficiency [W].
        power: limit of the total power [W].

    Returns:
        The next factors.
    """
    small = reduce_ports(h)
    return factor_of(filling_step(small, Point.at(small, covariance_of(x)), fixed, power).covariance)


def energy_efficient_covariances(
    h: Channel,
    start: Factor,
    fixed: Float[Array, ""],
    power: Float[Array, ""],
    *,
    engine: str = "water_filling",
    tolerance: float = 1e-9,
    max_steps: int = 2000,
    strict: bool = False,
) -> CovarianceStage:
    """Maximise ln|I + sum_k H_k^H S_k H_k| / (fixed + sum_k tr S_k) over covariances of total power <= power.

    Signal model: the multiple-access channel dual to y_k = H_k x + n_k with dirty paper coding (eq. 13). The energy
    efficiency never decreases.

    Args:
        h: effective channel over unit noise.
        start: factors to start from; scaled down to the limit, and to the power of ten that suits them [sqrt(W)].
        fixed: power that does not depend on the covariances, times the amplifier efficiency [W], positive.
        power: limit of the total power [W].
        engine: `water_filling`, simultaneous with a line step (the fastest); `xu_qiu`, cyclic sweeps; `sca`, the
            paper's Algorithm 1.
        tolerance: relative increase of a step at which to stop; the engines other than `sca` also go on until the
            gap is below 1e-6 or rounding decides.
        max_steps: limit of steps.
        strict: Algorithm 1 in the paper's literal two phases: first without the limit; if that violates it, the sum
            capacity at full power by dual decomposition (eqs. 31, 32).

    Returns:
        The stage's result.

    Raises:
        ConfigError: if the engine is unknown, or `strict` is asked of another engine than `sca`.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> h, one = jnp.array([[[2.0, 0.0]], [[0.0, 2.0]]], complex), jnp.asarray(1.0)
    >>> stage = jax.jit(energy_efficient_covariances)(h, start_covariances(h, one), jnp.asarray(9.0), one)
    >>> round(float(10 * stage.history[-1] / jnp.log(3.0)), 9), bool(stage.gap < 1e-9)  # both users: ln(1 + 4 / 2)
    (2.0, True)
    """
    if engine not in get_args(EngineName):
        raise ConfigError(f"engine: must be one of {', '.join(get_args(EngineName))}, got {engine!r}")
    if strict and engine != "sca":
        raise ConfigError(f"strict: only the engine 'sca' has the paper's two phases, got engine {engine!r}")
    small = reduce_ports(h)
    loop_limit = jnp.full_like(power, jnp.inf) if strict else power
    machine = _ENGINES[engine](small, fixed, loop_limit)
    stage = _climb(machine, machine.begin(_efficient_scale(small, _within(start, power), fixed)), tolerance, max_steps)
    return _within_limit(small, stage, fixed, power) if strict else stage


def _bound(
    offset: Float[Array, ""], slope: Float[Array, ""], fixed: Float[Array, ""], limit: Float[Array, ""]
) -> Float[Array, ""]:
    """Return the certified bound of the energy efficiency; zero where there is no channel or no power."""
    return jnp.where((slope == 0) | (limit == 0), 0, line_efficiency(offset, slope, fixed, limit))


def _climb(engine: _Engine, state: Any, tolerance: float, max_steps: int) -> CovarianceStage:
    """Repeat the engine's step until the efficiency stops growing."""

    def step(carry: tuple[Any, Array, Array, Array]) -> tuple[Any, Array, Array, Array]:
        state, history, i, _ = carry
        before = history[i]
        candidate = engine.step(state)
        value = engine.efficiency(candidate)
        # At the optimum rounding decides the last digits: keep the better point, so that the history is monotone.
        better = value > before
        rising = (value - before > tolerance * jnp.abs(value)) | (better & ~engine.certified(candidate))
        state = jax.tree.map(lambda a, b: jnp.where(better, a, b), candidate, state)
        return state, history.at[i + 1].set(jnp.where(better, value, before)), i + 1, rising

    def going(carry: tuple[Any, Array, Array, Array]) -> Array:
        _, _, i, rising = carry
        return rising & (i < max_steps)

    history = jnp.full(max_steps + 1, engine.efficiency(state))
    state, history, iterations, rising = jax.lax.while_loop(
        going, step, (state, history, jnp.asarray(0), jnp.asarray(True))
    )
    history = jnp.where(jnp.arange(max_steps + 1) > iterations, history[iterations], history)
    status = jnp.where(rising, Status.ITERATION_LIMIT, Status.CONVERGED)
    status = jnp.where(jnp.isfinite(history[-1]), status, Status.NOT_FINITE)
    line = rate_line(engine.measured(state))
    bound = _bound(*line, engine.fixed, engine.limit)
    return CovarianceStage(engine.factor(state), history, status, iterations, bound, *line)


def _within(x: Factor, limit: Float[Array, ""]) -> Factor:
    """Scale factors down to the limit."""
    spent = transmit_power(x)
    return x * jnp.sqrt(jnp.minimum(1, limit / jnp.where(spent > 0, spent, 1)))


def _efficient_scale(h: Channel, x: Factor, fixed: Float[Array, ""]) -> Factor:
    """Scale factors down by that power of ten, possibly zero, which has the highest energy efficiency.

    A power far above the optimum falls by a small factor a step only, because the price of power is the current
    energy efficiency.
    """
    rows = cmatmul(hermitian(x), h).reshape(-1, h.shape[-1])
    gain = jnp.maximum(jnp.linalg.eigvalsh(cmatmul(hermitian(rows), rows)), 0)
    scales = 10.0 ** -jnp.arange(13.0)
    rates = jnp.log1p(scales[:, None] * gain).sum(1)
    return jnp.sqrt(scales[jnp.argmax(rates / (fixed + scales * transmit_power(x)))]) * x


def _within_limit(h: Channel, free: CovarianceStage, fixed: Array, power: Array) -> CovarianceStage:
    """Return the stage that ignored the limit if it meets it, else the sum capacity at full power (eqs. 31, 32).

    The optimum without the limit needs more than the limit, so full power is optimal below it; the history of a stage
    that broke the limit is replaced by its start's value and the result's.
    """
    used = transmit_power(free.factor)
    full = sum_power_covariances(h, _within(free.factor, power), power)
    last = mac_rate(h, full.factor) / (fixed + power)
    history = jnp.full_like(free.history, last).at[0].set(free.history[0])
    status = jnp.where(jnp.isfinite(last), Status.CONVERGED, Status.NOT_FINITE)
    line = rate_line(Point.at(h, covariance_of(full.factor)))
    bound = _bound(*line, fixed, power)
    bounded = CovarianceStage(full.factor, history, status, free.iterations + full.sweeps, bound, *line)
    return jax.tree.map(lambda a, b: jnp.where(used <= power * (1 + 1e-12), a, b), free, bounded)
