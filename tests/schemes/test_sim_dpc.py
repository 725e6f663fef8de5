"""Dirty paper coding schemes against linear precoding, each other, and the paper's algorithm."""

import functools

import equinox as eqx
import jax
import numpy as np
import pytest
from schemes_problems import problem

from metamimo.errors import ConfigError
from metamimo.problem import Status
from metamimo.schemes.dpc_nosim import dpc_nosim
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.sim_dpc import sim_dpc
from metamimo.schemes.sim_lp import sim_lp

KEY = jax.random.key(12)
PLAIN = {
    "phase_stage": "projected_gradient", "lp_start": "none", "tolerance": 1e-10, "max_iterations": 20_000
}  # fmt: skip
solve = eqx.filter_jit(sim_dpc)
from_starts = eqx.filter_jit(functools.partial(best_of_starts, sim_dpc))
linear = eqx.filter_jit(sim_lp)
covariances = eqx.filter_jit(dpc_nosim)


@functools.cache
def algorithm_2(seed):
    """Return the better end of two starts, so that one program serves all tests of the algorithm's default rule."""
    return from_starts(problem(seed), key=KEY, starts=2, **PLAIN)


@pytest.mark.parametrize("seed", range(10))
def test_dirty_paper_coding_is_not_below_linear_precoding_at_the_same_phases(seed):
    """Acceptance check 12, exactly."""
    p, key = problem(seed, fixed=(5.0, 0.1)[seed % 2]), jax.random.fold_in(KEY, seed)
    lp = linear(p, key=key)
    at_its_phases = covariances(p, key=key, start=lp.design, engine="water_filling", tolerance=1e-12)
    assert float(at_its_phases.value) >= float(lp.value)
    assert float(solve(p, key=key).value) >= float(lp.value)


OTHER_RULE = {
    "line_search": "quadratic_model",
    "restart": True,
    "strict": True,
    "tolerance": 1e-6,
    "max_iterations": 300,
}


@pytest.mark.parametrize("options", [{}, OTHER_RULE], ids=["default rule", "other rule"])
def test_algorithm_2_is_monotone(options):
    solution = solve(problem(1), key=KEY, **PLAIN | options) if options else algorithm_2(1)
    history = np.asarray(solution.history)
    assert (np.diff(history) >= -1e-12 * history[1:]).all()
    assert float(solution.ledger.accepted[0]) <= 1 + 1e-9


def test_accelerated_stage_is_stationary_where_algorithm_2_ends():
    p, plain = problem(2), algorithm_2(2)
    polished = solve(p, key=KEY, start=plain.design, tolerance=1e-10)
    assert int(plain.status) == Status.CONVERGED
    assert 1 - 1e-9 <= float(polished.value / plain.value) <= 1 + 1e-5


def test_both_starts_are_reported_and_the_better_one_is_kept():
    solution = solve(problem(3), key=KEY)
    assert solution.start_values.shape == (2,)
    assert float(solution.start_values.max()) == pytest.approx(float(solution.value), rel=1e-9)


def test_from_the_phases_of_linear_precoding_alone():
    p = problem(3)
    only, both = solve(p, key=KEY, lp_start="only"), solve(p, key=KEY)
    assert only.start_values.shape == (1,)
    assert float(linear(p, key=KEY).value) * (1 - 1e-9) <= float(only.value) <= float(both.value) * (1 + 1e-9)


def test_several_starts():
    solution = algorithm_2(4)
    assert solution.start_values.shape == (2,)
    assert float(solution.value) == pytest.approx(float(solution.start_values.max()), rel=1e-12)


@pytest.mark.parametrize("options", [{"line_search": "quadratic_model"}, {"restart": True}, {"strict": True}])
@pytest.mark.parametrize("scheme", [sim_lp, sim_dpc])
def test_options_that_the_accelerated_stage_would_ignore_are_refused(scheme, options):
    with pytest.raises(ConfigError, match=f"{next(iter(options))}: .*projected_gradient"):
        scheme(problem(0), key=KEY, **options)


def test_inner_steps_below_one_are_refused():
    with pytest.raises(ConfigError, match="inner_steps: must be at least 1, got 0"):
        sim_dpc(problem(0), key=KEY, inner_steps=0)
