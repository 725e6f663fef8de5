"""One task of Fig. 7: the continuous design of every trial, then its version on the levels."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from metamimo.batching import map_realisations
from metamimo.errors import ConfigError
from metamimo.experiments.config import Experiment, Scalar, scenario_at
from metamimo.experiments.tasks import Task
from metamimo.metrics.consumed import fixed_power
from metamimo.papers.chunks import Scene, bounds_of_chunk, measured
from metamimo.papers.sim_broadcast_ee.quantised import CONTINUOUS, QuantisedBroadcast
from metamimo.papers.sim_broadcast_ee.simulate import Numbers, draw_problem, physical, stack
from metamimo.papers.stacks import deepest_stack
from metamimo.precoders.dirty_paper import DirtyPaperCoding
from metamimo.precoders.linear import LinearPrecoding
from metamimo.precoders.transmission import Transmission
from metamimo.problem import Problem, Solution
from metamimo.randomness import trial_key
from metamimo.schemes.common import starting_state
from metamimo.schemes.joint import Found, Joint, maximise, packed, unit_noise_channel
from metamimo.schemes.quantised import quantise
from metamimo.surfaces.stacked import StackedSurface

Options = tuple[tuple[str, Scalar], ...]


def compute(experiment: Experiment, task: Task) -> dict[str, np.ndarray]:
    """Return the results of one task, with a leading axis of `task.count` trials.

    Args:
        experiment: the experiment, whose scenario is a `QuantisedBroadcast`.
        task: scheme, grid point and trials.
    """
    scenario = scenario_at(experiment, task.index)
    assert isinstance(scenario, QuantisedBroadcast)
    choice = experiment.schemes[task.scheme]
    stop = tuple(sorted((name, value) for name, value in choice.options.items() if name != "reading"))
    room = deepest_stack(experiment, scenario.n_elements)
    trials = np.minimum(task.first + np.arange(task.chunk), task.first + task.count - 1)
    began = time.perf_counter()
    base = scenario.replace(bits=CONTINUOUS).model_dump_json()
    designs = _continuous(choice.scheme, stop, base, room, experiment.seed, tuple(trials.tolist()))
    surface = stack(scenario, room)
    program = _discrete(choice.scheme, str(choice.options["reading"]), scenario.bits, scenario.n_users, scenario.n_rx)
    numbers = physical(scenario, surface)
    out = jax.device_get(program(surface, numbers, experiment.seed, jnp.asarray(trials), designs))
    seconds = (time.perf_counter() - began) / task.chunk
    results = {name: np.asarray(values)[: task.count] for name, values in out.items()}
    sizes = (scenario.n_users, scenario.n_rx)
    scene = Scene(draw_problem, sizes, surface, numbers, experiment.seed, effort="cheap")
    bounds = bounds_of_chunk(scene, tuple(trials.tolist()))[: task.count]
    return results | {"seconds": np.full(task.count, seconds), "upper_bound": bounds}


def _digital(scheme: str, problem: Problem) -> Transmission:
    kinds: dict[str, type[Transmission]] = {"sim-dpc": DirtyPaperCoding, "sim-lp": LinearPrecoding}
    if scheme not in kinds:
        raise ConfigError(f"scheme: phases are made discrete for {', '.join(kinds)}, got {scheme!r}")
    return kinds[scheme](fixed_power(problem), problem.broadcast_limit(scheme))


@functools.lru_cache(maxsize=256)
def _continuous(scheme: str, stop: Options, scenario_json: str, room: int, seed: int, trials: tuple[int, ...]) -> Found:
    """Return the continuous designs of a chunk; every reading and number of bits starts from them.

    SIM-DPC goes on from the phases of SIM-LP.
    """
    scenario = QuantisedBroadcast.model_validate_json(scenario_json)
    surface = stack(scenario, room)
    before = None if scheme == "sim-lp" else _continuous("sim-lp", stop, scenario_json, room, seed, trials).state
    program = _continuous_program(scheme, stop, scenario.n_users, scenario.n_rx)
    return jax.device_get(program(surface, physical(scenario, surface), seed, jnp.asarray(trials), before))


@functools.cache
def _continuous_program(scheme: str, stop: Options, users: int, rx: int) -> Callable[..., Found]:
    """Return the compiled program of a chunk's continuous designs, from random phases where none are given."""
    how = Joint.of(**dict(stop))  # type: ignore[arg-type]

    def chunk(
        surface: StackedSurface, numbers: Numbers, seed: Int[Array, ""], trials: Int[Array, " trial"], before: Any
    ) -> Found:
        def one(item: tuple[Int[Array, ""], Any]) -> Found:
            trial, state = item
            key = trial_key(seed, trial)
            problem = draw_problem(surface, numbers, key, users, rx)
            state = starting_state(problem, key, None) if state is None else state
            return _design(_digital(scheme, problem), problem, state, how)

        return map_realisations(one, (trials, before))

    return jax.jit(chunk)


def _design(digital: Transmission, problem: Problem, state: Array, how: Joint) -> Found:
    return maximise(problem.link, digital, state, digital.begin(unit_noise_channel(problem.link, state)), how)


@functools.cache
def _discrete(scheme: str, reading: Any, bits: int, users: int, rx: int) -> Callable[..., dict[str, Array]]:
    """Return the compiled program that puts a chunk's continuous designs on the levels."""

    def chunk(
        surface: StackedSurface, numbers: Numbers, seed: Int[Array, ""], trials: Int[Array, " trial"], designs: Found
    ) -> dict:
        def one(item: tuple[Int[Array, ""], Found]) -> dict[str, Array]:
            trial, found = item
            problem = draw_problem(surface, numbers, trial_key(seed, trial), users, rx)
            return measured(problem, _solution(problem, found))

        def _solution(problem: Problem, found: Found) -> Solution:
            digital = _digital(scheme, problem)
            if bits == CONTINUOUS:
                return packed(problem, digital, found)
            return quantise(
                problem, digital, found.state, found.variable, bits=bits, reading=reading, status=found.status
            )

        return map_realisations(one, (trials, designs))

    return jax.jit(chunk)
