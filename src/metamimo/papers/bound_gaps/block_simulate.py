"""One task of the study of blocks: random quadratics, their optima, bounds, and the time of each once compiled."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int, Key

from metamimo.batching import map_realisations
from metamimo.bounds.binary import binary_bound
from metamimo.bounds.unit_modulus import unit_modulus_bound
from metamimo.experiments.config import Experiment, scenario_at
from metamimo.experiments.tasks import Task
from metamimo.linalg import cmatmul, hermitian
from metamimo.papers.bound_gaps.blocks import QuadraticBlock
from metamimo.papers.bound_gaps.timing import timed
from metamimo.randomness import purpose_key, trial_key

_SWEEPS = 100


def block_gaps(experiment: Experiment, task: Task) -> dict[str, np.ndarray]:
    """Return one array a variable of `declared.VARIABLES`.

    Over phases the ratio is that of bound and best value. Over signs, whose values have no natural zero, it is one plus
    the bound's distance from the optimum over the range of all values. The cheap bound stops its search at once.
    """
    block = scenario_at(experiment, task.index)
    assert isinstance(block, QuadraticBlock)
    starts = int(experiment.schemes[task.scheme].options["starts"])
    programs = _programs(block.kind, block.size, block.rank, starts)
    trials = np.minimum(task.first + np.arange(task.chunk), task.first + task.count - 1)
    keys = jax.vmap(lambda trial: purpose_key(trial_key(experiment.seed, trial), "fading"))(jnp.asarray(trials))
    (best, worst), design_seconds = timed(programs["best"], keys, draws=task.chunk)
    tight, tight_seconds = timed(programs["tight"], keys, draws=task.chunk)
    cheap, cheap_seconds = timed(programs["cheap"], keys, draws=task.chunk)
    ratios = [1 + (bound - best) / (best - worst) for bound in (tight, cheap)]
    seconds = {"design": design_seconds, "tight": tight_seconds, "cheap": cheap_seconds}
    values = {"tight_over_design": ratios[0], "cheap_over_design": ratios[1], "design_over_tight": 1 / ratios[0]}
    times = {f"seconds_{name}": np.full(task.count, each) for name, each in seconds.items()}
    return {name: each[: task.count] for name, each in values.items()} | times | {"status": np.zeros(task.count, int)}


@functools.cache
def _programs(kind: str, size: int, rank: int, starts: int) -> dict[str, Callable[..., Any]]:
    if kind == "phases":

        def bound(key: Key[Array, ""], limit: int) -> Float[Array, ""]:
            return unit_modulus_bound(_definite(key, size, rank), max_iterations=limit)

        def best(key: Key[Array, ""]) -> tuple[Array, Array]:
            return _best_phases(_definite(key, size, rank), key, starts), jnp.zeros(())

    else:

        def bound(key: Key[Array, ""], limit: int) -> Float[Array, ""]:
            return -binary_bound(*_signed(key, size, rank), max_iterations=limit)

        def best(key: Key[Array, ""]) -> tuple[Array, Array]:
            a, q = _signed(key, size, rank)
            x = jnp.asarray(list(itertools.product((-1.0, 1.0), repeat=size)))
            values = 2 * x @ q - ((x @ a) * x).sum(1)  # real product
            return values.max(), values.min()

    each = {"best": best, "tight": lambda key: bound(key, 1000), "cheap": lambda key: bound(key, 0)}
    return {name: jax.jit(functools.partial(map_realisations, one)) for name, one in each.items()}


def _definite(key: Key[Array, ""], size: int, rank: int) -> Complex[Array, "n n"]:
    g = jax.lax.complex(*jax.random.normal(key, (2, size, rank)))
    return cmatmul(g, hermitian(g))


def _signed(key: Key[Array, ""], size: int, rank: int) -> tuple[Float[Array, "n n"], Float[Array, " n"]]:
    of_matrix, of_vector = jax.random.split(key)
    b = jax.random.normal(of_matrix, (size, rank))
    return b @ b.T, 2 * jax.random.normal(of_vector, (size,))  # real product


def _best_phases(c: Complex[Array, "n n"], key: Key[Array, ""], starts: int) -> Float[Array, ""]:
    """Return the largest phi^H C phi that cyclic ascent finds: one phase after another turned to its best."""

    def ascend(key: Key[Array, ""]) -> Float[Array, ""]:
        phi = jnp.exp(2j * jnp.pi * jax.random.uniform(key, (c.shape[0],)))

        def turn(step: Int[Array, ""], phi: Array) -> Array:
            n = step % c.shape[0]
            pull = (c[n] * phi).sum() - c[n, n] * phi[n]
            size = jnp.abs(pull)
            return phi.at[n].set(jnp.where(size > 0, pull / jnp.where(size > 0, size, 1), phi[n]))

        phi = jax.lax.fori_loop(0, _SWEEPS * c.shape[0], turn, phi)
        return (phi.conj() * (c * phi).sum(1)).sum().real

    return jax.vmap(ascend)(jax.random.split(jax.random.fold_in(key, 1), starts)).max()
