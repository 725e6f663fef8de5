"""Projected gradient: monotone under both rules, clean at a maximum, bad rules refused by name."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import gaussian, phases

from metamimo.errors import ConfigError
from metamimo.optimise.projected_gradient import Point, StepRule, ascend, start_point
from metamimo.surfaces.feasible import UnitModulus

MATRIX = jnp.asarray(gaussian(0, 6, 6) @ gaussian(0, 6, 6).conj().T)
TARGET = jnp.asarray(phases(1, 6))
CIRCLE = UnitModulus(shape=(6,))


def form(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """x^H A x; what is kept is A x, its gradient."""
    slope = MATRIX @ x
    return jnp.vdot(x, slope).real, slope


def alignment(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """2 Re t^H x, which is largest at x = t with the gradient t."""
    return 2 * jnp.vdot(TARGET, x).real, TARGET


@partial(jax.jit, static_argnums=1)
def run(x: jax.Array, rule: StepRule) -> tuple[Point, tuple]:
    def step(point: Point, _) -> tuple[Point, tuple]:
        point = ascend(form, lambda _, kept: kept, CIRCLE.project, point, rule)
        return point, (point.value, point.step, point.trials, point.moved)

    return jax.lax.scan(step, start_point(form, x, rule), None, length=80)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("rule", ["sufficient_increase", "quadratic_model"])
def test_history_never_falls_and_reaches_a_stationary_point(rule: str, restart: bool) -> None:
    start = jnp.asarray(phases(2, 6))
    point, (values, steps, trials, _) = run(start, StepRule(line_search=rule, restart=restart))
    history = np.array([float(form(start)[0]), *values])
    # The quadratic model compares rounded numbers with a difference of their own size at a maximum.
    slack = 1e-12 * history[-1] if rule == "quadratic_model" else 0
    assert np.diff(history).min() >= -slack
    assert history[-1] > 1.2 * history[0]
    np.testing.assert_allclose(np.abs(point.x), 1, atol=1e-14)
    tangent = np.imag(np.conj(point.x) * np.asarray(MATRIX @ point.x))
    assert np.abs(tangent).max() <= 1e-4 * history[-1]
    assert (np.diff(np.array([1, *trials])) >= 1).all()
    assert (np.asarray(steps) <= 1000).all()


def test_step_shrinks_until_it_is_accepted_and_grows_again_by_two() -> None:
    first = 1000.0
    _point, (_, steps, trials, moved) = run(
        jnp.asarray(phases(2, 6)), StepRule(line_search="quadratic_model", first=first)
    )
    steps, trials = np.asarray(steps), np.array([1, *trials])
    assert np.asarray(moved).all()
    reductions = np.diff(trials) - 1
    tried = np.minimum(first, 2 * np.array([first, *steps[:-1]]))
    np.testing.assert_allclose(steps, tried * 0.5**reductions, rtol=1e-12)
    assert reductions.max() >= 1


@pytest.mark.parametrize("rule", ["sufficient_increase", "quadratic_model"])
def test_maximum_is_kept(rule: str) -> None:
    options = StepRule(line_search=rule)
    point = start_point(alignment, TARGET, options)
    after = jax.jit(lambda p: ascend(alignment, lambda _, kept: kept, CIRCLE.project, p, options))(point)
    np.testing.assert_allclose(after.x, TARGET, atol=1e-14)
    assert float(after.value) == pytest.approx(12, rel=1e-14)


def test_stall_keeps_the_point_and_says_so() -> None:
    options = StepRule(reductions=5)
    point = start_point(alignment, TARGET, options)
    # At the maximum, with a gradient that is wrong: every step loses.
    after = jax.jit(lambda p: ascend(alignment, lambda _, kept: 1j * kept, CIRCLE.project, p, options))(point)
    assert not bool(after.moved)
    np.testing.assert_array_equal(after.x, point.x)
    assert float(after.value) == float(point.value)
    assert float(after.step) == float(point.step)
    assert int(after.trials) == 1 + 6  # the first trial and five reductions


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shrink", 0.0),
        ("shrink", 1.0),
        ("shrink", float("nan")),
        ("first", 0.0),
        ("first", -1.0),
        ("first", float("nan")),
    ],
)
def test_bad_rule_is_named(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: .*got {value}"):
        StepRule(**{field: value})
