"""L-BFGS over parts of a point: the same steps as over the whole point, from sums of inner products alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.optimise.lbfgs import enough, minimise, pure, shorter_step
from metamimo.optimise.spread_lbfgs import PAIRS, Part, own_products, turned

SIZES = (3, 1, 4)
SCALES = jnp.logspace(-1, 1.5, sum(SIZES))


def bowl(x):
    return (SCALES * (x - 1) ** 2).sum() + (x**4).sum()


def wells(x):
    """On their walls the curvature is negative: pairs of such steps are not remembered."""
    return -jnp.exp(-((x - 1) ** 2)).sum() + 0.001 * SCALES @ x**2


def cut(x):
    return jnp.split(x, np.cumsum(SIZES)[:-1])


def spread(objective, x, iterations):
    """Return the values of all iterates, and how many pairs were refused on the way."""
    differentiate, products, turn = jax.jit(jax.grad(objective)), jax.jit(own_products), jax.jit(turned)
    parts, values, refused = [Part.start(part) for part in cut(x)], [float(objective(x))], 0
    for _ in range(iterations):
        gradient = cut(differentiate(jnp.concatenate([part.x for part in parts])))
        parts = [part.with_gradient(g) for part, g in zip(parts, gradient, strict=True)]
        before = int(parts[0].count)
        found = [turn(part, sum(map(products, parts))) for part in parts]
        parts, slope = [part for part, _ in found], float(found[0][1])
        assert len({(float(slope), int(part.count)) for part, slope in found}) == 1
        refused += len(values) > 1 and int(parts[0].count) == before
        direction = jnp.concatenate([part.direction for part in parts])
        here = jnp.concatenate([part.x for part in parts])
        assert slope == pytest.approx(float(differentiate(here) @ direction), rel=1e-6)
        length = 1.0
        while not enough(length, values[-1], new := float(objective(here + length * direction)), slope):
            length = float(shorter_step(length, values[-1], new, slope))
        parts = [part.after_step(part.x + length * part.direction) for part in parts]
        values.append(new)
    return np.array(values), refused


@pytest.mark.parametrize(("objective", "iterations"), [(bowl, 2 * PAIRS + 3), (wells, 30)])
def test_the_iterates_are_those_over_the_whole_point(objective, iterations):
    start = jnp.asarray(np.random.default_rng(4).normal(size=sum(SIZES)))
    whole = minimise(pure(objective), start, tolerance=-jnp.inf, max_iterations=iterations)
    values, refused = spread(objective, start, iterations)
    np.testing.assert_allclose(values, whole.history[: len(values)], rtol=1e-8, atol=1e-9)
    assert values[-1] < values[0]
    assert (refused > 0) == (objective is wells)
