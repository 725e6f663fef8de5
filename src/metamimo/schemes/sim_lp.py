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
    """End of the alternating or joint stage."""

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
    inner_steps: int = 2,
    strict: bool = False,
    line_search: LineSearch = "sufficient_increase",
    restart: bool = False,
    polish: float = 1e-9,
) -> Solution:
    """Maximise bits per joule over a linear precoder and the surface state of one base station.

    Signal model: H_k = G_k A(state); R_k = ln det(I + H_k F_k F_k^H H_k^H J_k^-1) (eq. 8); EE = B sum R_k / P (eq.
    12) with |F|^2 <= P_max. `projected_gradient` is the paper's Algorithm 4: a few steps of Algorithm 3, then one
    projected gradient step on all layers. `lbfgs`, the default, moves phases and precoder together by L-BFGS, with
    the power limit kept by scaling; it needs far fewer iterations and ends no lower (benchmarks/). Both end with
    Algorithm 3 to convergence.

    Args:
        problem: one station, one subcarrier, one sum limit on accepted power.
        key: key of the trial; sub-key "start" draws the state.
        start: a design to start from; its precoder is used if it is not None.
        phase_stage: `lbfgs` or `projected_gradient`.
        tolerance: relative gain per iteration below which the run has converged, measured over `window` iterations.
        window: iterations that the gain is taken over.
        max_iterations: limit of iterations.
        inner_steps: steps of Algorithm 3 in every iteration of Algorithm 4.
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
    fixed = fixed_power(problem)
    state = starting_state(problem, key, start)
    unit_noise = 1 / jnp.sqrt(problem.link.noise_power)
    h = broadcast_forward(problem.link, state)[0] * unit_noise
    precoder = maximum_ratio(h, limit) if start is None else start.precoder[0, 0]
    if phase_stage == "lbfgs":
        found = _joint(problem, state, precoder, fixed, limit, tolerance, window, max_iterations)
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
        reduced = Reduced.of(h)
        return jax.lax.fori_loop(0, inner_steps, lambda _, f: reduced_step(h, reduced, f, fixed, limit), f)

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


def _joint(
    problem: Problem,
    state: Inexact[Array, "..."],
    precoder: Complex[Array, "user port stream"],
    fixed: Float[Array, ""],
    limit: Float[Array, ""],
    tolerance: float,
    window: int,
    max_iterations: int,
) -> _Found:
    """Minimise -ln EE over the phases and the free entries of the precoder, scaled into the power limit."""
    feasible = problem.link.surfaces[0].feasible
    phases = feasible.to_real(state)
    unit_noise = 1 / jnp.sqrt(problem.link.noise_power)
    # Entries of order one, like the phases: L-BFGS starts from the identity. Without power there is nothing to scale.
    unit = jnp.sqrt(jnp.where(limit > 0, limit, 1) / precoder.size)

    def unpack(x: Float[Array, " n"]) -> tuple[Array, Array]:
        p, real, imag = jnp.split(x, [phases.size, phases.size + precoder.size])
        f = unit * jax.lax.complex(real, imag).reshape(precoder.shape)
        largest = jnp.maximum(squared_norm(f), limit)
        scale = jnp.sqrt(limit / jnp.where(largest > 0, largest, 1))
        return feasible.from_real(p.reshape(phases.shape)), scale * f

    def loss(x: Float[Array, " n"]) -> Float[Array, ""]:
        state, f = unpack(x)
        h = problem.link.surfaces[0].apply_rows(state, problem.link.channel[:, 0])[0] * problem.link.ports[0]
        return jnp.log(fixed + squared_norm(f)) - jnp.log(channel_rate(h * unit_noise, f))

    start = jnp.concatenate([phases.ravel(), precoder.real.ravel() / unit, precoder.imag.ravel() / unit])
    found = minimise(loss, start, tolerance=window * tolerance, window=window, max_iterations=max_iterations)
    state, f = unpack(found.x)
    return _Found(state, f, jnp.exp(-found.history), lbfgs_status(found), found.iterations, found.trials)
