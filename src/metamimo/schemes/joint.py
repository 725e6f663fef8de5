"""Surface state and digital stage together: the paper's alternation and L-BFGS on the reduced objective."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact, Int

from metamimo.errors import ConfigError
from metamimo.linalg import squared_norm
from metamimo.metrics.consumed import bits_per_joule
from metamimo.metrics.effective import broadcast_forward
from metamimo.optimise.lbfgs import minimise
from metamimo.optimise.projected_gradient import LineSearch, Point, StepRule, ascend
from metamimo.precoders.transmission import Transmission
from metamimo.problem import Link, Problem, Solution, Status
from metamimo.schemes.common import PhaseStage, check_phase_stage, solved
from metamimo.tuners.fixed_precoder import rate_over_state
from metamimo.tuners.tuned import lbfgs_status


class Joint(eqx.Module):
    """How state and digital stage are optimised together.

    Attributes:
        phase_stage: `projected_gradient` alternates a few steps of the digital stage with one projected gradient step
            on all layers (Algorithms 2 and 4 of Perović et al. 2024); `lbfgs` follows max_v EE(state, v) by L-BFGS.
        tolerance: relative gain per iteration below which the run has converged, measured over `window` iterations.
        window: iterations that the gain is taken over.
        max_iterations: limit of iterations.
        inner_steps: steps of the digital stage before every phase step.
        rule: line search of the projected gradient.
        strict: digital stage in its literal two phases, each time to convergence; projected gradient only.
        polish: relative tolerance of the final digital stage.
    """

    phase_stage: PhaseStage = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    window: int = eqx.field(static=True)
    max_iterations: int = eqx.field(static=True)
    inner_steps: int = eqx.field(static=True)
    rule: StepRule
    strict: bool = eqx.field(static=True)
    polish: float = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        *,
        phase_stage: PhaseStage = "lbfgs",
        tolerance: float = 1e-6,
        window: int = 10,
        max_iterations: int = 10_000,
        inner_steps: int | None = None,
        strict: bool = False,
        line_search: LineSearch | None = None,
        restart: bool | None = None,
        polish: float = 1e-9,
    ) -> "Joint":
        """Check the options of a scheme.

        Args:
            phase_stage, tolerance, window, max_iterations, strict, polish: see the class.
            inner_steps: by default 2 for `projected_gradient`, and 1 for `lbfgs`, where two ended lower on average.
            line_search: rule of the projected gradient, `sufficient_increase` by default.
            restart: whether every line search starts at the largest step; not by default.

        Raises:
            ConfigError: if an option is unknown, or belongs to the other phase stage.
        """
        rule = step_rule(phase_stage, line_search, restart)
        if strict and phase_stage == "lbfgs":
            raise ConfigError("strict: is the paper's order of steps, for phase_stage 'projected_gradient' only")
        if inner_steps is None:
            inner_steps = 1 if phase_stage == "lbfgs" else 2
        if inner_steps < 1:
            raise ConfigError(f"inner_steps: must be at least 1, got {inner_steps}")
        return cls(phase_stage, tolerance, window, max_iterations, inner_steps, rule, strict, polish)


class Found(eqx.Module):
    """End of the joint stage.

    Attributes:
        state: surface state.
        variable: variable v of the digital stage.
        history: energy efficiency after every iteration [nat per channel use and watt].
        status: a `Status`.
        iterations: iterations done.
        trials: evaluations of the rate.
    """

    state: Inexact[Array, "..."]
    variable: Any
    history: Float[Array, " iteration"]
    status: Int[Array, ""]
    iterations: Int[Array, ""]
    trials: Int[Array, ""]


def step_rule(phase_stage: PhaseStage, line_search: LineSearch | None, restart: bool | None) -> StepRule:
    """Return the line search of the projected gradient, and refuse its options where L-BFGS would ignore them.

    Raises:
        ConfigError: if an option is unknown or belongs to the other phase stage.
    """
    check_phase_stage(phase_stage)
    for name, given in (("line_search", line_search), ("restart", restart)):
        if phase_stage == "lbfgs" and given is not None:
            raise ConfigError(f"{name}: belongs to phase_stage 'projected_gradient', got {given!r} with 'lbfgs'")
    return StepRule(line_search=line_search or "sufficient_increase", restart=bool(restart))


def unit_noise_channel(link: Link, state: Inexact[Array, "..."]) -> Complex[Array, "user rx port"]:
    """Return the effective channel over unit noise."""
    return broadcast_forward(link, state)[0] / jnp.sqrt(link.noise_power)


def maximise(link: Link, digital: Transmission, state: Inexact[Array, "..."], v: Array, how: Joint) -> Found:
    """Maximise the energy efficiency over state and digital stage, which ends at its optimum for the final state.

    Args:
        link: broadcast link with a smooth feasible set.
        digital: linear precoding or dirty paper coding.
        state: first state.
        v: first variable of the digital stage.
        how: options.

    Returns:
        The end; its history never falls.
    """
    stage = alternate if how.phase_stage == "projected_gradient" else reduced
    found = stage(link, digital, state, v, how)
    last = digital.finish(
        unit_noise_channel(link, found.state), found.variable, tolerance=how.polish, strict=how.strict
    )
    status = jnp.where(found.status == Status.CONVERGED, last.status, found.status)
    history = jnp.append(found.history, last.efficiency)
    return Found(found.state, last.variable, history, status, found.iterations, found.trials)


def packed(problem: Problem, digital: Transmission, found: Found) -> Solution:
    """Score the end of `maximise` as a solution of the problem."""
    h = unit_noise_channel(problem.link, found.state)
    return solved(
        problem,
        found.state,
        digital.precoder(h, found.variable),
        bits_per_joule(problem, found.history),
        found.status,
        found.iterations,
        found.trials,
        digital.order(h.shape[0]),
    )


def alternate(link: Link, digital: Transmission, state: Inexact[Array, "..."], v: Array, how: Joint) -> Found:
    """Algorithms 2 and 4: (b) steps of the digital stage, (c) one projected gradient step, until the gain is small."""
    project = link.surfaces[0].feasible.project

    def improve(h: Array, v: Array) -> Array:
        if how.strict:
            return digital.finish(h, v, tolerance=1e-9, strict=True).variable
        return digital.improve(h, v, how.inner_steps)

    def iterate(carry: tuple) -> tuple:
        v, point, history, i, _ = carry
        h = point.kept[0]
        v = improve(h, v)
        forward, backward = rate_over_state(link, lambda h: digital.rate(h, v))
        here = eqx.tree_at(lambda p: p.value, point, digital.rate(h, v))
        point = ascend(forward, backward, project, here, how.rule)
        i = i + 1
        value = point.value / (digital.fixed + squared_norm(v))
        history = history.at[i].set(value)
        gain = value - history[jnp.maximum(i - how.window, 0)]
        return v, point, history, i, (i >= how.window) & (gain <= how.window * how.tolerance * value)

    def going(carry: tuple) -> Array:
        _, point, _, i, flat = carry
        return ~flat & (i < how.max_iterations) & jnp.isfinite(point.value)

    forward, _ = rate_over_state(link, lambda h: digital.rate(h, v))
    value, kept = forward(state)
    point = Point(state, value, kept, jnp.asarray(how.rule.first, value.dtype), jnp.asarray(1), jnp.asarray(True))
    history = jnp.full(how.max_iterations + 1, value / (digital.fixed + squared_norm(v)))
    v, point, history, i, flat = jax.lax.while_loop(
        going, iterate, (v, point, history, jnp.asarray(0), jnp.asarray(False))
    )
    history = jnp.where(jnp.arange(how.max_iterations + 1) > i, history[i], history)
    status = jnp.where(flat, Status.CONVERGED, Status.ITERATION_LIMIT)
    status = jnp.where(jnp.isfinite(point.value), status, Status.NOT_FINITE)
    return Found(point.x, v, history, status, i, point.trials)


def reduced(
    link: Link,
    digital: Transmission,
    state: Inexact[Array, "..."],
    v: Array,
    how: Joint,
    free: Bool[Array, "..."] | None = None,
) -> Found:
    """Minimise -ln max_v EE over the real parameters of the state; every evaluation improves v before its gradient.

    Args:
        link: broadcast link with a smooth feasible set.
        digital: linear precoding or dirty paper coding.
        state: first state.
        v: first variable of the digital stage.
        how: options.
        free: entries of the state that may change; all by default.

    Returns:
        The end; its history never falls.
    """
    feasible = link.surfaces[0].feasible
    first = feasible.to_real(state)

    def unpack(x: Float[Array, " n"]) -> Inexact[Array, "..."]:
        moved = feasible.from_real(x.reshape(first.shape))
        return moved if free is None else jnp.where(free, moved, held)

    held = state

    def evaluate(x: Float[Array, " n"], v: Array) -> tuple[Array, Array, Array]:
        state, pull = jax.vjp(unpack, x)
        forward, _ = rate_over_state(link, lambda h: digital.rate(h, v))
        h, passes = forward(state)[1]
        v = digital.improve(h, v, how.inner_steps)
        _, backward = rate_over_state(link, lambda h: digital.rate(h, v))
        rate = digital.rate(h, v)
        # Twice the conjugate of the Wirtinger gradient is JAX's cotangent.
        (slope,) = pull(2 * backward(state, (h, passes)).conj())
        return jnp.log(digital.fixed + squared_norm(v)) - jnp.log(rate), -slope / rate, v

    found = minimise(
        evaluate,
        first.ravel(),
        v,
        tolerance=how.window * how.tolerance,
        window=how.window,
        max_iterations=how.max_iterations,
    )
    return Found(
        unpack(found.x), found.inner, jnp.exp(-found.history), lbfgs_status(found), found.iterations, found.trials
    )
