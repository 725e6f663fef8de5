"""L-BFGS: exactness, monotone histories, honest flags."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der

from metamimo.optimise.lbfgs import Minimum, minimise, pure


def rosenbrock(x: jax.Array) -> jax.Array:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


HESSIAN = jnp.asarray(np.diag(np.geomspace(1, 1e3, 8)) + 0.3)


def quadratic(x: jax.Array) -> jax.Array:
    return 0.5 * (x - 1) @ HESSIAN @ (x - 1)


def check_history(found: Minimum) -> None:
    history, i = np.asarray(found.history), int(found.iterations)
    assert (np.diff(history) <= 0).all()
    assert history[-1] == float(found.value)
    assert (history[i:] == history[i]).all()
    assert int(found.trials) >= i + 1


def test_quadratic() -> None:
    found = jax.jit(lambda x: minimise(pure(quadratic), x, tolerance=1e-14, max_iterations=200))(jnp.zeros(8))
    check_history(found)
    np.testing.assert_allclose(found.x, 1, atol=1e-6)
    assert bool(found.flat) or bool(found.stalled)
    assert float(found.value) <= 1e-12


def test_rosenbrock_ends_where_scipy_ends() -> None:
    start = np.full(5, -1.2)
    found = jax.jit(lambda x: minimise(pure(rosenbrock), x, tolerance=1e-13, max_iterations=500))(jnp.asarray(start))
    theirs = minimize(rosen, start, jac=rosen_der, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9})
    check_history(found)
    assert float(found.value) == pytest.approx(theirs.fun, abs=1e-8)
    np.testing.assert_allclose(found.x, theirs.x, atol=1e-3)
    assert int(found.trials) <= 3 * theirs.nfev


def test_iteration_limit_sets_no_flag() -> None:
    found = jax.jit(lambda x: minimise(pure(rosenbrock), x, tolerance=1e-12, max_iterations=7))(jnp.full(5, -1.2))
    check_history(found)
    assert int(found.iterations) == 7
    assert found.history.shape == (8,)
    assert not bool(found.flat)
    assert not bool(found.stalled)


def test_start_at_the_minimum_stays_there() -> None:
    found = jax.jit(lambda x: minimise(pure(quadratic), x, max_iterations=50))(jnp.ones(8))
    np.testing.assert_array_equal(found.x, 1)
    assert float(found.value) == 0
    assert bool(found.flat) or bool(found.stalled)


def test_no_descent_is_called_a_stall() -> None:
    """|x| from its kink, with the gradient of one side: no step decreases."""
    found = jax.jit(lambda x: minimise(pure(lambda y: jnp.where(y >= 0, y, -y).sum()), x))(jnp.zeros(2))
    assert bool(found.stalled)
    assert not bool(found.flat)
    assert int(found.iterations) == 1


def test_start_that_is_not_finite_ends_at_once() -> None:
    found = jax.jit(lambda x: minimise(pure(lambda y: jnp.log(y).sum()), x))(jnp.asarray([-1.0, 1.0]))
    assert not np.isfinite(float(found.value))
    assert int(found.iterations) == 0


def test_wall_of_infinite_values_is_stepped_back_from() -> None:
    """-ln has no value beyond zero: the line search shortens its steps."""

    def barrier(x: jax.Array) -> jax.Array:
        return (1e4 * x - jnp.log(x)).sum()

    found = jax.jit(lambda x: minimise(pure(barrier), x, tolerance=1e-12, max_iterations=200))(jnp.ones(2))
    check_history(found)
    np.testing.assert_allclose(found.x, 1e-4, rtol=1e-4)


def test_batch_equals_single_runs() -> None:
    starts = jnp.asarray(np.random.default_rng(0).standard_normal((3, 4)))
    run = jax.jit(lambda x: minimise(pure(rosenbrock), x, tolerance=1e-10, max_iterations=300).value)
    many = jax.jit(jax.vmap(lambda x: minimise(pure(rosenbrock), x, tolerance=1e-10, max_iterations=300).value))(starts)
    np.testing.assert_allclose(many, [run(x) for x in starts], atol=1e-8)
