"""One chunk of trials as one compiled program: draw, design, score; shared by the papers."""

import functools
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from metamimo.batching import map_realisations
from metamimo.bounds.bound import Effort
from metamimo.bounds.of_problem import upper_bound
from metamimo.experiments.config import SchemeChoice
from metamimo.experiments.tasks import Task
from metamimo.metrics.evaluate import evaluate
from metamimo.metrics.physics import energy_gain
from metamimo.metrics.power import emitted_power
from metamimo.problem import Problem, Solution
from metamimo.randomness import trial_key
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.registry import SCHEMES
from metamimo.surfaces.base import Surface

Draw = Callable[..., Problem]
"""(surface, numbers, key of the trial, *sizes) -> problem; numbers are traced, sizes are shapes."""
Score = Callable[[Problem, Solution], dict[str, Array]]
View = Callable[[Problem, Any, Key[Array, ""]], Problem]
"""(true problem, numbers, key of the trial) -> what the designer knows of it."""
Program = Callable[..., dict[str, Array]]


def all_is_known(truth: Problem, numbers: Any, key: Key[Array, ""]) -> Problem:
    """Return the true problem: the designer knows it all."""
    return truth


@dataclass(frozen=True, eq=False)
class Scene:
    """What is drawn for a chunk; the digest is equal where the numbers are, so schemes share what depends on it only.

    Attributes:
        draw: draws the problem of one trial.
        sizes: last arguments of `draw`.
        surface, numbers: its first two arguments.
        seed: seed of the experiment.
        effort: spent on the bounds of its problems, see `upper_bound`, or `none`.
        view: what the designer sees; designs are scored, and bounded, on the truth that `draw` returns.
    """

    draw: Draw
    sizes: tuple[Any, ...]
    surface: Surface
    numbers: Any
    seed: int
    effort: Effort | Literal["none"] = "tight"
    view: View = all_is_known
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        leaves, shape = jax.tree.flatten((self.surface, self.numbers))
        content = hashlib.sha256(repr(shape).encode())
        for leaf in leaves:
            array = np.asarray(leaf)
            content.update(f"{array.shape}{array.dtype}".encode() + array.tobytes())
        object.__setattr__(self, "digest", content.digest())


def run_chunk(choice: SchemeChoice, scene: Scene, score: Score, task: Task, users: int) -> dict[str, np.ndarray]:
    """Run a scheme on the trials of a task; the rates are padded to the largest number of users of the grid.

    Args:
        choice: scheme and its options; choices that differ in their labels share a program.
        scene: what is drawn.
        score: returns what is stored of a design, one array a quantity.
        task: the trials.
        users: largest number of users.
    """
    options = tuple(sorted(choice.options.items()))
    program = _program(choice.scheme, options, scene.draw, scene.sizes, scene.view, score)
    # The last chunk is padded, so that one program serves all chunks.
    trials = np.minimum(task.first + np.arange(task.chunk), task.first + task.count - 1)
    began = time.perf_counter()
    out = jax.device_get(program(scene.surface, scene.numbers, scene.seed, jnp.asarray(trials)))
    seconds = (time.perf_counter() - began) / task.chunk
    results = {name: np.asarray(values)[: task.count] for name, values in out.items()}
    padding = ((0, 0), (0, users - results["rate"].shape[1]))
    results["rate"] = np.pad(results["rate"], padding, constant_values=np.nan)
    bounds = bounds_of_chunk(scene, tuple(trials.tolist()))[: task.count]
    return results | {"seconds": np.full(task.count, seconds), "upper_bound": bounds}


_KEPT: dict[tuple, np.ndarray] = {}
"""Bounds by what they depend on: a few numbers each, without the arrays of the scene."""


def bounds_of_chunk(scene: Scene, trials: tuple[int, ...]) -> np.ndarray:
    """Return `compute_bounds`, kept for the next scheme that meets the same trials."""
    key = (scene.draw, scene.sizes, scene.seed, scene.effort, scene.digest, trials)
    if key not in _KEPT:
        _KEPT[key] = compute_bounds(scene, trials)
    return _KEPT[key]


def compute_bounds(scene: Scene, trials: tuple[int, ...]) -> np.ndarray:
    """Return what no design of these trials exceeds [Mbit/J, or bit/s/Hz], nan where nothing is known."""
    if scene.effort == "none":
        return np.full(len(trials), np.nan)
    program = _bounds(scene.draw, scene.sizes, scene.effort)
    return np.asarray(program(scene.surface, scene.numbers, scene.seed, jnp.asarray(trials)))


def measured(problem: Problem, solution: Solution) -> dict[str, Array]:
    """Score a design on the true link and return one number a stored quantity, but the wall time."""
    scored = evaluate(problem, solution.design)
    return {
        "energy_efficiency": scored.energy_efficiency * 1e-6,
        "sum_rate": scored.sum_rate,
        "rate": scored.rates,
        "accepted": scored.ledger.accepted.sum(),
        "radiated": scored.ledger.radiated.sum(),
        "captured": emitted_power(problem.link, solution.design).sum(),
        "consumed": scored.ledger.consumed,
        "energy_gain": energy_gain(problem, solution.design).max(),
        "served": scored.served,
        "status": solution.status,
        "iterations": solution.iterations,
        "line_search_trials": solution.trials,
        "start_spread": (solution.start_values.max() - solution.start_values.min()) * 1e-6,
    }


@functools.cache
def measured_with_history(checkpoints: tuple[int, ...]) -> Score:
    """Return `measured` with the history at the checkpoints and its largest relative fall; the same object each time.

    Args:
        checkpoints: iterations at which the history is kept.
    """

    def score(problem: Problem, solution: Solution) -> dict[str, Array]:
        return measured(problem, solution) | {
            "history": history_at(checkpoints, solution) * 1e-6,
            "largest_fall": largest_fall(solution),
        }

    return score


def history_at(checkpoints: tuple[int, ...], solution: Solution) -> Float[Array, " checkpoint"]:
    """Return the objective at iterations of a run; beyond its end, the value there."""
    return solution.history[jnp.minimum(jnp.asarray(checkpoints), solution.history.size - 1)]


def largest_fall(solution: Solution) -> Float[Array, ""]:
    """Return the largest fall of the objective in an iteration, relative to the value before."""
    return (1 - solution.history[1:] / solution.history[:-1]).max(initial=0.0)


@functools.cache
def _program(
    scheme: str, options: tuple[tuple[str, Any], ...], draw: Draw, sizes: tuple[Any, ...], view: View, score: Score
) -> Program:
    function = SCHEMES.get(scheme)

    def chunk(surface: Surface, numbers: Any, seed: Int[Array, ""], trials: Int[Array, " trial"]) -> dict:
        def one(trial: Int[Array, ""]) -> dict[str, Array]:
            key = trial_key(seed, trial)
            truth = draw(surface, numbers, key, *sizes)
            known = view(truth, numbers, key)
            return score(truth, best_of_starts(function, known, key=key, **dict(options)))

        return map_realisations(one, trials)

    return jax.jit(chunk)


@functools.cache
def _bounds(draw: Draw, sizes: tuple[Any, ...], effort: Effort) -> Callable[..., Float[Array, " trial"]]:
    def one(surface: Surface, numbers: Any, seed: Int[Array, ""], trial: Int[Array, ""]) -> Float[Array, ""]:
        problem = draw(surface, numbers, trial_key(seed, trial), *sizes)
        bound = upper_bound(problem, effort)
        if bound is None:
            return jnp.asarray(jnp.nan)
        return bound.value * (1e-6 if problem.objective == "energy_efficiency" else 1.0)

    def chunk(surface: Surface, numbers: Any, seed: Int[Array, ""], trials: Int[Array, " trial"]) -> Array:
        return map_realisations(lambda trial: one(surface, numbers, seed, trial), trials)

    return jax.jit(chunk)
