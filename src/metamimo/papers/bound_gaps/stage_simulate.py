"""One task of the studies of stage bounds and of one user's gain: design, bounds, and the time of each."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metamimo.batching import map_realisations
from metamimo.bounds.dirty_paper import stage_bound
from metamimo.bounds.stack import Cascade, gain_bound, gain_bound_at
from metamimo.experiments.config import Experiment
from metamimo.experiments.tasks import Task
from metamimo.linalg import squared_norm
from metamimo.metrics.consumed import bits_per_joule, fixed_power
from metamimo.metrics.effective import effective_channel
from metamimo.optimise.lbfgs import minimise, pure
from metamimo.papers.bound_gaps.stages import OPTION
from metamimo.papers.bound_gaps.timing import timed
from metamimo.papers.sim_broadcast_ee import simulate as broadcast
from metamimo.papers.sim_miso_ee import simulate as miso
from metamimo.precoders.covariances import energy_efficient_covariances, start_covariances
from metamimo.problem import Problem, Status
from metamimo.randomness import purpose_key, trial_key
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.registry import SCHEMES
from metamimo.surfaces.stacked import StackedSurface

_STEPS = 2000
Numbers = dict[str, np.ndarray]


def stage_gaps(experiment: Experiment, task: Task) -> Numbers:
    """Return one array a variable of `declared.VARIABLES` for a digital stage at the phases of a design.

    The cheap bound takes white covariances for its multiplier, the tight one those that the covariance stage finds.
    All chains are charged, idle or not: a bound at given phases knows nothing of their choice.
    """
    choice = experiment.schemes[task.scheme]
    scene = broadcast.scene_of(experiment, task)
    programs = _stage_programs(choice.scheme, scene.sizes)
    draws = (scene.surface, scene.numbers, scene.seed, _trials(task))
    (value, status, state), design_seconds = timed(programs["design"], *draws, draws=task.chunk)
    (factor, reached), stage_seconds = timed(programs["covariances"], *draws, state, draws=task.chunk)
    tight, tight_seconds = timed(programs["tight"], *draws, state, factor, draws=task.chunk)
    cheap, cheap_seconds = timed(programs["cheap"], *draws, state, draws=task.chunk)
    if choice.options[OPTION] == "covariances":
        value, design_seconds, status = reached, stage_seconds, 0 * status
    else:
        # The covariances are nothing but the bound's multiplier here, so their search is its cost.
        tight_seconds += stage_seconds
    seconds = {"design": design_seconds, "tight": tight_seconds, "cheap": cheap_seconds}
    return _row(value, tight, cheap, seconds, status, task.count)


def gain_gaps(experiment: Experiment, task: Task) -> Numbers:
    """Return one array a variable of `declared.VARIABLES` for the power gain of one user with one antenna.

    The cheap bound takes no prices of the atoms' power. The design is the best of ascents of the gain itself over all
    phases: with several antennas, designs of phases and precoder together end up to 12 % below it.
    """
    scene, choice = miso.scene_of(experiment, task), experiment.schemes[task.scheme]
    programs = _gain_programs(int(choice.options["starts"]), scene.sizes)
    draws = (scene.surface, scene.numbers, scene.seed, _trials(task))
    (gain, status), design_seconds = timed(programs["design"], *draws, draws=task.chunk)
    tight, tight_seconds = timed(programs["tight"], *draws, draws=task.chunk)
    cheap, cheap_seconds = timed(programs["cheap"], *draws, draws=task.chunk)
    seconds = {"design": design_seconds, "tight": tight_seconds, "cheap": cheap_seconds}
    return _row(gain, tight, cheap, seconds, status, task.count)


def _trials(task: Task) -> Array:
    """Return the numbers of the trials; the last chunk is padded, so that one program serves all chunks."""
    return jnp.asarray(np.minimum(task.first + np.arange(task.chunk), task.first + task.count - 1))


def _row(
    value: np.ndarray, tight: np.ndarray, cheap: np.ndarray, seconds: dict[str, float], status: np.ndarray, count: int
) -> Numbers:
    times = {f"seconds_{name}": np.full(count, each) for name, each in seconds.items()}
    value, tight, cheap = value[:count], tight[:count], cheap[:count]
    over = {
        "tight_over_design": tight / value,
        "cheap_over_design": cheap / value,
        "design_over_tight": value / tight,
    }
    return over | times | {"status": status[:count]}


def _mapped(one: Callable[..., Any]) -> Callable[..., Any]:
    """Return the compiled program (surface, numbers, seed, trials, *more) of a function of one problem and its key."""

    def chunk(surface: Any, numbers: Any, seed: Any, trials: Array, *more: Any) -> Any:
        def of_trial(item: tuple) -> Any:
            trial, *rest = item
            return one(surface, numbers, trial_key(seed, trial), *rest)

        return map_realisations(of_trial, (trials, *more))

    return jax.jit(chunk)


@functools.cache
def _stage_programs(scheme: str, sizes: tuple) -> dict[str, Callable[..., Any]]:
    def drawn(surface: Any, numbers: Any, key: Array) -> Problem:
        problem = broadcast.draw_problem(surface, numbers, key, *sizes)
        return replace(problem, consumption=replace(problem.consumption, idle_chains=True))

    def design(surface: Any, numbers: Any, key: Array) -> tuple[Array, Array, Array]:
        found = best_of_starts(SCHEMES.get(scheme), drawn(surface, numbers, key), key=key)
        return found.value, found.status, found.design.state[0][0]

    def stage(surface: Any, numbers: Any, key: Array, state: Array) -> tuple[Problem, Array, Array, Array]:
        problem = drawn(surface, numbers, key)
        h = effective_channel(problem.link, (state[None],))[0, 0] / jnp.sqrt(problem.link.noise_power)
        return problem, h, fixed_power(problem), problem.limits[0].power[0]

    def covariances(surface: Any, numbers: Any, key: Array, state: Array) -> tuple[Array, Array]:
        problem, h, fixed, power = stage(surface, numbers, key, state)
        found = energy_efficient_covariances(h, start_covariances(h, power), fixed, power, max_steps=_STEPS)
        return found.factor, bits_per_joule(problem, found.history[-1])

    def tight(surface: Any, numbers: Any, key: Array, state: Array, factor: Array) -> Float[Array, ""]:
        problem, h, fixed, power = stage(surface, numbers, key, state)
        return bits_per_joule(problem, stage_bound(h, factor, fixed, power))

    def cheap(surface: Any, numbers: Any, key: Array, state: Array) -> Float[Array, ""]:
        problem, h, fixed, power = stage(surface, numbers, key, state)
        return bits_per_joule(problem, stage_bound(h, start_covariances(h, power), fixed, power))

    parts = {"design": design, "covariances": covariances, "tight": tight, "cheap": cheap}
    return {name: _mapped(one) for name, one in parts.items()}


@functools.cache
def _gain_programs(starts: int, sizes: tuple) -> dict[str, Callable[..., Any]]:
    def design(surface: StackedSurface, numbers: Any, key: Array) -> tuple[Array, Array]:
        problem, feasible = miso.draw_problem(surface, numbers, key, *sizes), surface.feasible
        rows = problem.link.channel[:, 0] / jnp.sqrt(problem.link.noise_power)

        def loss(p: Array) -> Array:
            return -jnp.log(squared_norm(surface.apply_rows(feasible.from_real(p.reshape(feasible.shape)), rows)))

        def ascend(key: Array) -> tuple[Array, Array]:
            start = feasible.to_real(feasible.random(key)).ravel()
            found = minimise(pure(loss), start, tolerance=1e-8, max_iterations=2000)
            return found.value, found.flat

        values, flat = jax.lax.map(ascend, jax.random.split(purpose_key(key, "start"), starts))
        best = values.argmin()
        status = jnp.where(flat[best], Status.CONVERGED, Status.ITERATION_LIMIT)
        return problem.limits[0].power[0] * jnp.exp(-values[best]), status

    def scaled(surface: StackedSurface, numbers: Any, key: Array) -> tuple[Cascade, Float[Array, ""]]:
        problem = miso.draw_problem(surface, numbers, key, *sizes)
        rows = problem.link.channel[0, 0, 0] / jnp.sqrt(problem.link.noise_power)
        cascade = Cascade(rows, surface.hops, surface.first, surface.n_layers, surface.feasible.shape[0])
        return cascade, problem.limits[0].power[0]

    def tight(surface: StackedSurface, numbers: Any, key: Array) -> Float[Array, ""]:
        cascade, power = scaled(surface, numbers, key)
        return power * gain_bound(cascade)

    def cheap(surface: StackedSurface, numbers: Any, key: Array) -> Float[Array, ""]:
        cascade, power = scaled(surface, numbers, key)
        return power * gain_bound_at(cascade, jnp.zeros((cascade.room, cascade.rows.shape[1])))

    return {name: _mapped(one) for name, one in {"design": design, "tight": tight, "cheap": cheap}.items()}
