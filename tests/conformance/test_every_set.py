"""What every registered feasible set promises. A new set joins by being registered."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.errors import ConfigError
from metamimo.surfaces.feasible import FeasibleSet
from metamimo.surfaces.registry import FEASIBLE_SETS

KEY = jax.random.key(0)
BATCH = (3, 2)


@pytest.fixture(params=sorted(FEASIBLE_SETS))
def feasible(request: pytest.FixtureRequest) -> FeasibleSet:
    return FEASIBLE_SETS.get(request.param).example()


@partial(jax.jit, static_argnames="batch")
def random(feasible: FeasibleSet, key: jax.Array, batch: tuple[int, ...] = BATCH) -> jax.Array:
    return feasible.random(key, batch)


project = jax.jit(lambda feasible, x: feasible.project(x))
contains = jax.jit(lambda feasible, x: feasible.contains(x))


def outside(feasible: FeasibleSet) -> np.ndarray:
    """Points with the type of states, none of them a member unless the set has no entries."""
    states = np.asarray(random(feasible, KEY))
    angle = np.exp(0.3j) if np.iscomplexobj(states) else 1.0
    return (1.7 * angle * states + 0.4).astype(states.dtype)


def outside_and_inside(feasible: FeasibleSet) -> np.ndarray:
    """A batch of members with one point outside."""
    x = np.array(random(feasible, jax.random.key(1)))
    x[0, 0] = outside(feasible)[0, 0]
    return x


def test_random_states_are_members_and_batch_axes_lead(feasible: FeasibleSet) -> None:
    states = random(feasible, KEY)
    assert states.shape == BATCH + feasible.shape
    assert jnp.issubdtype(states.dtype, jnp.inexact)
    assert bool(contains(feasible, states))
    if states.size:
        assert len(np.unique(np.asarray(states).reshape(6, -1), axis=0)) > 1


def test_no_entry_exceeds_the_largest_modulus(feasible: FeasibleSet) -> None:
    states = np.concatenate([np.ravel(random(feasible, KEY, (200,))), np.ravel(project(feasible, outside(feasible)))])
    assert (np.abs(states) <= feasible.largest_modulus * (1 + 1e-12)).all()


def test_random_states_depend_on_the_key_only(feasible: FeasibleSet) -> None:
    again = random(feasible, jax.random.key(0))
    np.testing.assert_array_equal(random(feasible, KEY), again)


def test_projection_lands_in_the_set_and_stays(feasible: FeasibleSet) -> None:
    for x in (outside(feasible), outside_and_inside(feasible)):
        projected = project(feasible, x)
        assert projected.shape == x.shape
        assert bool(contains(feasible, projected))
        np.testing.assert_allclose(project(feasible, projected), projected, atol=1e-15)


def test_projection_keeps_members(feasible: FeasibleSet) -> None:
    states = random(feasible, KEY)
    np.testing.assert_allclose(project(feasible, states), states, atol=1e-15)


def test_projection_goes_to_no_farther_member(feasible: FeasibleSet) -> None:
    others = np.asarray(random(feasible, jax.random.key(2), (200,))).reshape(200, -1)
    x = outside(feasible)
    projected = np.asarray(project(feasible, x)).reshape(6, -1)
    for point, member in zip(x.reshape(6, -1), projected, strict=True):
        assert (np.linalg.norm(others - point, axis=1) >= np.linalg.norm(member - point) - 1e-12).all()


def test_outside_points_are_recognised(feasible: FeasibleSet) -> None:
    for x in (outside(feasible), outside_and_inside(feasible)):
        assert bool(contains(feasible, x)) == (x.size == 0), "one bad entry of a batch must show"


def test_real_parameters_round_trip_where_the_set_is_smooth(feasible: FeasibleSet) -> None:
    states = random(feasible, KEY)
    if not feasible.smooth:
        for method, argument in ((feasible.from_real, jnp.zeros(feasible.shape)), (feasible.to_real, states)):
            with pytest.raises(ConfigError, match=f"feasible: {type(feasible).__name__} is a discrete set"):
                method(argument)
        return
    p = jax.jit(lambda feasible, x: feasible.to_real(x))(feasible, states)
    assert jnp.issubdtype(p.dtype, jnp.floating)
    assert p.shape[:2] == BATCH
    from_real = jax.jit(lambda feasible, p: feasible.from_real(p))
    np.testing.assert_allclose(from_real(feasible, p), states, atol=1e-14)
    free = 5 * np.random.default_rng(3).standard_normal(p.shape)
    assert bool(contains(feasible, from_real(feasible, free))), "every real parameter must give a member"


def test_works_under_jit_and_vmap(feasible: FeasibleSet) -> None:
    keys = jax.random.split(KEY, 3)
    many = jax.jit(jax.vmap(lambda k: feasible.project(feasible.random(k))))(keys)
    np.testing.assert_allclose(many, [feasible.random(k) for k in keys], atol=1e-15)


def test_shape_is_static(feasible: FeasibleSet) -> None:
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(feasible))
    assert isinstance(feasible.shape, tuple)
    assert isinstance(feasible.smooth, bool)
    jax.jit(lambda s: jnp.zeros(s.shape))(feasible)  # fails if the shape is traced
