"""Phases with a few bits: three ways from a design with continuous phases to one on the levels (Fig. 7)."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Int

from metamimo.errors import ConfigError
from metamimo.precoders.linear import LinearPrecoding
from metamimo.precoders.transmission import Transmission
from metamimo.problem import Link, Problem, Solution, Status
from metamimo.schemes.joint import Found, Joint, packed, reduced, unit_noise_channel
from metamimo.tuners.coordinate_descent import best_common_phase, nearest_levels, rounding_alignment, tune_levels

Reading = Literal["rounded", "reoptimised", "discrete"]

_STAGES, _ITERATIONS = 40, 8
_ROUNDS = 1000
_GAIN = 1e-9


def quantise(
    problem: Problem,
    digital: Transmission,
    state: Complex[Array, "layer element"],
    v: Array,
    *,
    bits: int,
    reading: Reading = "discrete",
    status: Int[Array, ""] | int = Status.CONVERGED,
) -> Solution:
    """Bring a design with continuous phases to the phases 2 pi m / 2^bits.

    `rounded` takes the nearest level and keeps the precoder. `reoptimised` runs the digital stage to convergence for
    the rounded phases (the paper's reading). `discrete` treats the phases as discrete variables: elements are fixed to
    their levels little by little, the ones nearest to a level first, while the others are optimised further; then
    single elements change to better levels, in turn with the digital stage, until nothing improves. It is never below
    `reoptimised`.

    Args:
        problem: one station with a stacked surface, one subcarrier, one sum limit.
        digital: the digital stage of the continuous design.
        state: its phases.
        v: its variable.
        bits: bits of a phase, at least 1.
        reading: which way.
        status: status of the continuous design, handed on unless something here fails.

    Returns:
        The solution; `history` holds the energy efficiency [bit/J] at the start and at the end.

    Raises:
        ConfigError: if bits or reading are unknown, or dirty paper coding is asked to keep covariances whose channel
            has changed.
    """
    if bits < 1:
        raise ConfigError(f"bits: a phase needs at least 1 bit, got {bits}")
    if reading not in get_args(Reading):
        raise ConfigError(f"reading: must be one of {', '.join(get_args(Reading))}, got {reading!r}")
    if reading == "rounded" and not isinstance(digital, LinearPrecoding):
        raise ConfigError("reading: 'rounded' keeps the precoder, which only linear precoding can")
    levels = 2**bits
    link = problem.link
    near = nearest_levels(state, levels)
    kept = _found(link, digital, near, v, jnp.asarray(status))
    if reading == "rounded":
        return packed(problem, digital, kept)
    again = _finished(link, digital, near, digital.begin(unit_noise_channel(link, near)), kept)
    if reading == "reoptimised":
        return packed(problem, digital, again)
    searched = _search(link, digital, state, v, levels)
    found = _finished(link, digital, searched.state, searched.variable, kept)
    worked = jnp.where(searched.status == Status.CONVERGED, found.status, searched.status)
    better = found.history[-1] >= again.history[-1]
    best = jax.tree.map(lambda a, b: jnp.where(better, a, b), found, again)
    solution = Found(
        best.state,
        best.variable,
        best.history,
        jnp.where(better, worked, again.status),
        searched.iterations,
        searched.trials,
    )
    return packed(problem, digital, solution)


def _search(link: Link, digital: Transmission, state: Array, v: Array, levels: int) -> Found:
    """Fix the elements in stages, then alternate single changes and the digital stage."""
    state, v, work = _fix_in_stages(link, digital, state, v, levels)

    def turn(carry: tuple) -> tuple:
        state, v, value, i, trials, _ = carry
        tuned = tune_levels(link, state, lambda h: digital.rate(h, v), levels=levels, max_sweeps=1)
        h = unit_noise_channel(link, tuned.state)
        v = digital.improve(h, v, 2)
        after = digital.efficiency(h, v)
        changed = ~jnp.all(tuned.state == state)
        rising = changed | (after > value * (1 + _GAIN))
        return tuned.state, v, after, i + 1, trials + tuned.trials, rising

    def going(carry: tuple) -> Array:
        *_, i, _, rising = carry
        return rising & (i < _ROUNDS)

    first = digital.efficiency(unit_noise_channel(link, state), v)
    state, v, value, i, trials, rising = jax.lax.while_loop(
        going, turn, (state, v, first, jnp.asarray(0), work, jnp.asarray(True))
    )
    status = jnp.where(rising, Status.ITERATION_LIMIT, Status.CONVERGED)
    return Found(state, v, jnp.stack([first, value]), status, i, trials)


def _fix_in_stages(
    link: Link, digital: Transmission, state: Array, v: Array, levels: int
) -> tuple[Array, Array, Array]:
    """Fix an equal share of the elements in every stage, nearest to a level first, and optimise the others a little."""
    how = Joint.of(tolerance=1e-5, max_iterations=_ITERATIONS)
    state = best_common_phase(state, levels)
    # Layers that the state has room for but the stack does not use are fixed from the start.
    used = jnp.broadcast_to(
        jnp.arange(state.shape[0])[:, None] < link.surfaces[0].n_tunable // state.shape[1], state.shape
    )

    def stage(carry: tuple, share: Array) -> tuple:
        state, v, free = carry
        nearness = jnp.where(free, rounding_alignment(state, levels), jnp.inf)
        rank = jnp.argsort(jnp.argsort(-nearness.ravel())).reshape(state.shape)
        free = free & (rank >= state.size - (1 - share) * used.sum())
        state = jnp.where(free, state, nearest_levels(state, levels))
        found = reduced(link, digital, state, v, how, free)
        return (found.state, found.variable, free), found.trials

    shares = jnp.arange(1, _STAGES + 1) / _STAGES
    (state, v, _), trials = jax.lax.scan(stage, (state, v, used), shares)
    return nearest_levels(state, levels), v, trials.sum()


def _found(link: Link, digital: Transmission, state: Array, v: Array, status: Array) -> Found:
    value = digital.efficiency(unit_noise_channel(link, state), v)
    return Found(state, v, jnp.stack([value, value]), status, jnp.asarray(0), jnp.asarray(1))


def _finished(link: Link, digital: Transmission, state: Array, v: Array, before: Found) -> Found:
    """Run the digital stage to convergence."""
    last = digital.finish(unit_noise_channel(link, state), v, tolerance=1e-9)
    history = jnp.stack([jnp.minimum(before.history[0], last.efficiency), last.efficiency])
    status = jnp.where(before.status == Status.CONVERGED, last.status, before.status)
    return Found(state, last.variable, history, status, last.iterations, last.iterations)
