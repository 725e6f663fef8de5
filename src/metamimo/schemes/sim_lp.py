"""SIM-LP: energy-efficient linear precoding with all phases of a stack, Algorithm 4 of Perović et al. 2024."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact, Int, Key

from metamimo.linalg import squared_norm
from metamimo.metrics.effective import broadcast_forward
from metamimo.optimise.lbfgs import minimise
from metamimo.optimise.projected_gradient import LineSearch, Point, StepRule, ascend
from metamimo.precoders.energy_efficient import (
    Reduced,
    efficient_scale,
    energy_efficient_precoder,
    reduced_step,
)
from metamimo.precoders.matched import maximum_ratio
from metamimo.problem import Design, Problem, Solution, Status
from metamimo.schemes.common import (
    PhaseStage,
    bits_per_joule,
    check_phase_stage,
    fixed_power,
    single_surface,
    solved,
    starting_state,
)
from metamimo.tuners.fixed_precoder import channel_rate, fixed_precoder_rate
from metamimo.tuners.tuned import lbfgs_status


class _Found(eqx.Module):
    """End of the alternating or reduced stage."""

    state: Inexact[Array, "..."]
    precoder: Complex[Array, "user port stream"]
    history: Float[Array, " iteration"]  # nat per watt
    status: Int[Array, ""]
    iterations: Int[Array, ""]
    trials: Int[Array, ""]


def sim_lp(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    phase_stage: PhaseStage = "lbfgs",
    tolerance: float = 1e-6,
    window: int = 10,
    max_iterations: int = 10_000,
    inner_steps: int | None = None,
    strict: bool = False,
    line_search: LineSearch = "sufficient_increase",
    restart: bool = False,
    polish: float = 1e-9,
) -> Solution:
    """Maximise bits per joule over a linear precoder and the surface state of one base station.

    Signal model: H_k = G_k A(state); R_k = ln det(I + H_k F_k F_k^H H_k^H J_k^-1) (eq. 8); EE = B sum R_k / P (eq. 12)
    with |F|^2 <= P_max. `projected_gradient` is the paper's Algorithm 4: a few steps of Algorithm 3, then one projected
    gradient step on all layers. `lbfgs`, the default, follows the same reduced objective max_F EE(phases, F) by L-BFGS:
    every evaluation takes the steps of Algorithm 3 first, so its partial gradient is that of the reduced objective. It
    needs fewer iterations and ends higher on average (benchmarks/). Both end with Algorithm 3 to convergence.

    Args:
        problem: one station, one subcarrier, one sum limit on accepted power.
        key: key of the trial; sub-key "start" draws the state.
        start: a design to start from; its precoder is used if it is not None.
        phase_stage: `lbfgs` or `projected_gradient`.
        tolerance: relative gain per iteration below which the run has converged, measured over `window` iterations.
        window: iterations that the gain is taken over.
        max_iterations: limit of iterations.
        inner_steps: steps of Algorithm 3 before every phase step; by default 2 for `projected_gradient`, and 1 for
            `lbfgs`, where two ended lower on average.
        strict: Algorithm 3 in its literal two phases inside Algorithm 4, each time to convergence.
        line_search: rule of the projected gradient.
        restart: whether every line search starts at the largest step.
        polish: relative tolerance of the final Algorithm 3.

    Returns:
        The solution; `history` is the energy efficiency [bit/J].

    Raises:
        ConfigError: if the problem is more general than the scheme, or an option is unknown.
    """
    limit = problem.broadcast_limit("sim-lp")
    single_surface(problem, "sim-lp")
    check_phase_stage(phase_stage)
    if inner_steps is None:
        inner_steps = 1 if phase_stage == "lbfgs" else 2
    fixed = fixed_power(problem)
    state = starting_state(problem, key, start)
    unit_noise = 1 / jnp.sqrt(problem.link.noise_power)
    h = broadcast_forward(problem.link, state)[0] * unit_noise
    precoder = efficient_scale(h, maximum_ratio(h, limit), fixed) if start is None else start.precoder[0, 0]
    if phase_stage == "lbfgs":
        found = _reduced(problem, state, precoder, fixed, limit, tolerance, window, max_iterations, inner_steps)
    else:
        rule = StepRule(line_search=line_search, restart=restart)
        found = _alternate(
            problem, state, precoder, fixed, limit, rule, tolerance, window, max_iterations, inner_steps, strict
        )
    h = broadcast_forward(problem.link, found.state)[0] * unit_noise
    last = energy_efficient_precoder(h, found.precoder, fixed, limit, tolerance=polish, strict=strict)
    status = jnp.where(found.status == Status.CONVERGED, last.status, found.status)
    history = jnp.append(found.history, last.history[-1])
    return solved(
        problem, found.state, last.precoder, bits_per_joule(problem, history), status, found.iterations, found.trials
    )


def _alternate(
    problem: Problem,
    state: Inexact[Array, "..."],
    precoder: Complex[Array, "user port stream"],
    fixed: Float[Array, ""],
    limit: Float[Array, ""],
    rule: StepRule,
    tolerance: float,
    window: int,
    max_iterations: int,
    inner_steps: int,
    strict: bool,
) -> _Found:
    """Algorithm 4: (b) steps of Algorithm 3, (c) one projected gradient step, until the window's gain is small."""
    project = problem.link.surfaces[0].feasible.project

    def precode(h: Array, f: Array) -> Array:
        if strict:
            return energy_efficient_precoder(h, f, fixed, limit, strict=True).precoder
        return _precode(h, f, fixed, limit, inner_steps)

    def iterate(carry: tuple) -> tuple:
        f, point, history, i, _ = carry
        f = precode(point.kept[0], f)
        forward, backward = fixed_precoder_rate(problem.link, f)
        here = eqx.tree_at(lambda p: p.value, point, channel_rate(point.kept[0], f))
        point = ascend(forward, backward, project, here, rule)
        i = i + 1
        value = point.value / (fixed + squared_norm(f))
        history = history.at[i].set(value)
        gain = value - history[jnp.maximum(i - window, 0)]
        return f, point, history, i, (i >= window) & (gain <= window * tolerance * value)

    def going(carry: tuple) -> Array:
        _, point, _, i, flat = carry
        return ~flat & (i < max_iterations) & jnp.isfinite(point.value)

    forward, _ = fixed_precoder_rate(problem.link, precoder)
    value, kept = forward(state)
    one = jnp.asarray(1)
    point = Point(state, value, kept, jnp.asarray(rule.first, value.dtype), one, jnp.asarray(True))
    history = jnp.full(max_iterations + 1, value / (fixed + squared_norm(precoder)))
    precoder, point, history, i, flat = jax.lax.while_loop(
        going, iterate, (precoder, point, history, jnp.asarray(0), jnp.asarray(False))
    )
    history = jnp.where(jnp.arange(max_iterations + 1) > i, history[i], history)
    status = jnp.where(flat, Status.CONVERGED, Status.ITERATION_LIMIT)
    status = jnp.where(jnp.isfinite(point.value), status, Status.NOT_FINITE)
    return _Found(point.x, precoder, history, status, i, point.trials)


def _reduced(
    problem: Problem,
    state: Inexact[Array, "..."],
    precoder: Complex[Array, "user port stream"],
    fixed: Float[Array, ""],
    limit: Float[Array, ""],
    tolerance: float,
    window: int,
    max_iterations: int,
    inner_steps: int,
) -> _Found:
    """Minimise -ln max_F EE over the phases: every evaluation takes steps of Algorithm 3 before its gradient."""
    feasible = problem.link.surfaces[0].feasible
    phases = feasible.to_real(state)

    def evaluate(x: Float[Array, " n"], f: Array) -> tuple[Array, Array, Array]:
        state, pull = jax.vjp(feasible.from_real, x.reshape(phases.shape))
        forward, _ = fixed_precoder_rate(problem.link, f)
        h, passes = forward(state)[1]
        f = _precode(h, f, fixed, limit, inner_steps)
        _, backward = fixed_precoder_rate(problem.link, f)
        rate = channel_rate(h, f)
        # Twice the conjugate of the Wirtinger gradient is JAX's cotangent.
        (slope,) = pull(2 * backward(state, (h, passes)).conj())
        return jnp.log(fixed + squared_norm(f)) - jnp.log(rate), -slope.ravel() / rate, f

    found = minimise(
        evaluate,
        phases.ravel(),
        precoder,
        tolerance=window * tolerance,
        window=window,
        max_iterations=max_iterations,
    )
    state = feasible.from_real(found.x.reshape(phases.shape))
    return _Found(state, found.inner, jnp.exp(-found.history), lbfgs_status(found), found.iterations, found.trials)


def _precode(h: Array, f: Array, fixed: Float[Array, ""], limit: Float[Array, ""], steps: int) -> Array:
    """Take steps of Algorithm 3 at fixed phases."""
    reduced = Reduced.of(h)
    return jax.lax.fori_loop(0, steps, lambda _, f: reduced_step(h, reduced, f, fixed, limit), f)
