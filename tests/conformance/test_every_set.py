"""What every registered feasible set promises. A new set joins by being registered."""

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


def outside(feasible: FeasibleSet) -> jax.Array:
    """A point with the type of a state that is no member unless the set has no entries."""
    state = feasible.random(KEY)
    angle = jnp.exp(0.3j) if jnp.iscomplexobj(state) else 1.0
    return (1.7 * angle * state + 0.4).astype(state.dtype)


def test_random_states_are_members_and_batch_axes_lead(feasible: FeasibleSet) -> None:
    states = feasible.random(KEY, BATCH)
    assert states.shape == BATCH + feasible.shape
    assert jnp.issubdtype(states.dtype, jnp.inexact)
    assert bool(feasible.contains(states))
    if states.size:
        assert len(np.unique(np.asarray(states).reshape(6, -1), axis=0)) > 1


def test_random_states_depend_on_the_key_only(feasible: FeasibleSet) -> None:
    again = feasible.random(jax.random.key(0), BATCH)
    np.testing.assert_array_equal(feasible.random(KEY, BATCH), again)


def test_projection_lands_in_the_set_and_stays(feasible: FeasibleSet) -> None:
    x = jnp.stack([outside(feasible), feasible.random(jax.random.key(1))])
    projected = feasible.project(x)
    assert projected.shape == x.shape
    assert bool(feasible.contains(projected))
    np.testing.assert_allclose(feasible.project(projected), projected, atol=1e-15)


def test_projection_keeps_members(feasible: FeasibleSet) -> None:
    states = feasible.random(KEY, BATCH)
    np.testing.assert_allclose(feasible.project(states), states, atol=1e-15)


def test_projection_goes_to_no_farther_member(feasible: FeasibleSet) -> None:
    x = outside(feasible)
    others = feasible.random(jax.random.key(2), (200,))
    nearest = jnp.linalg.norm(feasible.project(x) - x)
    assert (np.linalg.norm(np.asarray(others - x).reshape(200, -1), axis=1) >= float(nearest) - 1e-12).all()


def test_outside_points_are_recognised(feasible: FeasibleSet) -> None:
    x = outside(feasible)
    assert bool(feasible.contains(x)) == (x.size == 0)
    if x.size:
        one_off = jnp.stack([feasible.random(KEY), x])
        assert not bool(feasible.contains(one_off)), "one bad entry of a batch must show"


def test_real_parameters_round_trip_where_the_set_is_smooth(feasible: FeasibleSet) -> None:
    states = feasible.random(KEY, BATCH)
    if not feasible.smooth:
        for method, argument in ((feasible.from_real, jnp.zeros(feasible.shape)), (feasible.to_real, states)):
            with pytest.raises(ConfigError, match=f"feasible: {type(feasible).__name__} is a discrete set"):
                method(argument)
        return
    p = feasible.to_real(states)
    assert jnp.issubdtype(p.dtype, jnp.floating)
    assert p.shape[:2] == BATCH
    np.testing.assert_allclose(feasible.from_real(p), states, atol=1e-14)
    free = 5 * jax.random.normal(jax.random.key(3), p.shape)
    assert bool(feasible.contains(feasible.from_real(free))), "every real parameter must give a member"


def test_works_under_jit_and_vmap(feasible: FeasibleSet) -> None:
    keys = jax.random.split(KEY, 3)
    many = jax.jit(jax.vmap(lambda k: feasible.project(feasible.random(k))))(keys)
    np.testing.assert_allclose(many, jnp.stack([feasible.random(k) for k in keys]), atol=1e-15)


def test_shape_is_static(feasible: FeasibleSet) -> None:
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(feasible))
    assert isinstance(feasible.shape, tuple)
    assert isinstance(feasible.smooth, bool)
    jax.jit(lambda s: jnp.zeros(s.shape))(feasible)  # fails if the shape is traced
