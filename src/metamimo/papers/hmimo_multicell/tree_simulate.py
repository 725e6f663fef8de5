"""One task of Figure 7: blocks from the descent by hidden convexity, searched again by sphere decoding."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from metamimo.batching import map_realisations
from metamimo.experiments.config import Experiment, scenario_at
from metamimo.experiments.tasks import Task
from metamimo.optimise.binary_quadratic import certified, normalised
from metamimo.optimise.sphere_decoder import Variant, decode
from metamimo.papers.hmimo_multicell.scenario import HolographicCells
from metamimo.papers.hmimo_multicell.simulate import Numbers, Sizes, array_of, draw_problem, physical, sizes_of
from metamimo.papers.hmimo_multicell.trees import ITERATIONS
from metamimo.problem import Problem
from metamimo.randomness import trial_key
from metamimo.schemes.block_descent import Descent, begun, iterate, joint_rows, sweeps_over_rows
from metamimo.schemes.limited import random_start
from metamimo.schemes.network import Network
from metamimo.surfaces.hologram_sets import OnOff
from metamimo.surfaces.strips import StripArray
from metamimo.tuners.element_block import by_hidden_convexity, element_quadratic, signs_of


class Blocks(NamedTuple):
    """Quadratics over signs, normalised, with what hidden convexity chose."""

    a: Float[Array, "*batch n n"]
    q: Float[Array, "*batch n"]
    chosen: Float[Array, "*batch n"]
    certified: Bool[Array, "*batch"]


def compute(experiment: Experiment, task: Task) -> dict[str, np.ndarray]:
    """Return the results of one task, with a leading axis of `task.count` trials.

    Args:
        experiment: the experiment, whose scenario is a `HolographicCells`; the scheme option `variant` names a search.
        task: scheme, grid point and trials.

    Returns:
        One array a variable of `trees.VARIABLES`: means over the blocks of a realisation.
    """
    scenario = scenario_at(experiment, task.index)
    assert isinstance(scenario, HolographicCells)
    options = experiment.schemes[task.scheme].options
    trials = tuple(min(task.first + i, task.first + task.count - 1) for i in range(task.chunk))
    blocks = _blocks(scenario.model_dump_json(), experiment.seed, trials)
    variant: Any = options["variant"]
    limit = int(options["max_nodes"])
    searched = [_search(Blocks(*(part[i] for part in blocks)), variant, limit) for i in range(task.count)]
    return {name: np.array([each[name] for each in searched]) for name in searched[0]}


def _search(blocks: Blocks, variant: Variant, max_nodes: int) -> dict[str, Any]:
    """Search the blocks of one realisation."""
    a, q, chosen, proven = (np.asarray(part).reshape(-1, *part.shape[2:]) for part in blocks)
    decode(a[0], q[0], chosen[0], variant=variant, max_nodes=1)  # compiled before time counts
    began = time.perf_counter()
    found = [decode(*each, variant=variant, max_nodes=max_nodes) for each in zip(a, q, chosen, strict=True)]
    seconds = (time.perf_counter() - began) / len(a)
    values = []
    for quadratic, linear, start, best in zip(a, q, chosen, found, strict=True):
        reached, optimum = (x @ quadratic @ x - 2 * linear @ x for x in (start, best.x))  # host, once
        values.append((reached - optimum) / max(abs(optimum), np.finfo(float).tiny))
    return {
        "nodes": float(np.mean([each.nodes for each in found])),
        "known": float(np.mean([each.known for each in found])) / q.shape[1],
        "certified": float(proven.mean()),
        "given_up": float(np.mean([not each.finished for each in found])),
        "gap": float(np.mean(values)),
        "status": np.int32(0),
        "seconds": seconds,
    }


@functools.lru_cache(maxsize=64)
def _blocks(scenario_json: str, seed: int, trials: tuple[int, ...]) -> Blocks:
    """Return the blocks of a chunk, which all searches share: (trial, iteration, station)."""
    scenario = HolographicCells.model_validate_json(scenario_json)
    surface, positions = array_of(scenario, "binary left")
    program = _program(sizes_of(scenario))
    return jax.device_get(program(surface, physical(scenario, surface, positions), seed, jnp.asarray(trials)))


@functools.cache
def _program(sizes: Sizes) -> Callable[..., Blocks]:
    def chunk(surface: StripArray, numbers: Numbers, seed: Array, trials: Array) -> Blocks:
        def one(trial: Array) -> Blocks:
            key = trial_key(seed, trial)
            return blocks_of(draw_problem(surface, numbers, key, sizes), key)

        return map_realisations(one, trials)

    return jax.jit(chunk)


def blocks_of(problem: Problem, key: Key[Array, ""]) -> Blocks:
    """Return the blocks of the listed iterations of WMMSE-HC, from its own start."""
    network = Network.of(problem, "wmmse-hc")
    feasible = problem.link.surfaces[0].feasible
    assert isinstance(feasible, OnOff)
    solver, digital = by_hidden_convexity(feasible), sweeps_over_rows()
    states, f = random_start(problem, key)
    first = begun(network, states, joint_rows(network, f[0]))

    def step(now: Descent, _: Array | None) -> tuple[Descent, Blocks]:
        f, error = digital(network, now)
        excitation = network.excitation(f)
        sent = network.sent(now.states, excitation)
        after = iterate(network, solver, now, digital)
        # Users hear one station each, so the others' part does not depend on what those chose in the same iteration.
        quadratic = jax.vmap(element_quadratic, in_axes=(0, 0, None, 0))(
            network.rows, excitation, error, sent.sum(0) - sent
        )
        a, q, _ = jax.vmap(lambda block: normalised(*signs_of(feasible, block)))(quadratic)
        signs = jnp.where(after.states > feasible.amplitude / 2, 1.0, -1.0)
        return after, Blocks(a, q, signs, jax.vmap(certified)(a, q, signs))

    every: Blocks = jax.lax.scan(step, first, length=max(ITERATIONS))[1]
    return jax.tree.map(lambda part: part[jnp.asarray(ITERATIONS) - 1], every)
