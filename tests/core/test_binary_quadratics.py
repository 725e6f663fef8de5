"""Quadratics on the sphere and over signs: hidden convexity, local search, certificate, sphere decoding."""

import inspect
import itertools
from typing import get_args

import cvxpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.errors import ConfigError
from metamimo.optimise.binary_quadratic import SignChoice, certified, descend_by_flips, hidden_convexity, normalised
from metamimo.optimise.sphere_decoder import Variant, decide, decode
from metamimo.optimise.sphere_relaxation import SphereMinimum, sphere_minimum

VARIANTS = get_args(Variant)
prove = jax.jit(jax.vmap(certified, in_axes=(None, None, 0)))
_sphere, _choose = jax.jit(sphere_minimum), jax.jit(hidden_convexity)


def sphere(a: np.ndarray, q: np.ndarray) -> SphereMinimum:
    return jax.device_get(_sphere(a, q))


def choose(a: np.ndarray, q: np.ndarray, before: np.ndarray) -> SignChoice:
    return jax.device_get(_choose(a, q, before))


def value(a: np.ndarray, q: np.ndarray, x: np.ndarray) -> np.ndarray:
    return ((x @ a) * x).sum(-1) - 2 * x @ q


def every_sign(n: int) -> np.ndarray:
    return np.array(list(itertools.product([-1.0, 1.0], repeat=n)))


def instance(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Any rank from one to full, badly conditioned factors, any scale, small and large q."""
    rng = np.random.default_rng(seed)
    rank = rng.integers(1, n + 1)
    factor = rng.standard_normal((n, rank)) * 10.0 ** rng.uniform(-3, 0, rank)
    a = factor @ factor.T * 10.0 ** rng.uniform(-10, 3)
    return a, rng.standard_normal(n) * np.abs(a).max() * 10.0 ** rng.uniform(-3, 0.7)


HARD = {
    "one lowest": (np.diag([1.0, 2, 3, 4]), np.array([0, 0.1, 0.2, 0.3]), 3.94, -1.0),
    "two lowest": (np.diag([1.0, 1, 3, 4]), np.array([0, 0, 0.2, 0.3]), 3.95, -1.0),
    "no linear part": (np.diag([1.0, 2, 3, 4]), np.zeros(4), 4.0, -1.0),
    "no quadratic part": (np.zeros((4, 4)), np.arange(1.0, 5), -4 * np.sqrt(30), np.sqrt(30) / 2),
    "nothing": (np.zeros((4, 4)), np.zeros(4), 0.0, 0.0),
    "one variable": (np.array([[2.0]]), np.array([0.3]), 1.4, -1.7),
    "orthogonal but long": (np.diag([1.0, 2]), np.array([0, 5.0]), None, None),
    "indefinite": (np.diag([-2.0, 1, 3]), np.array([0.3, -0.2, 0.1]), None, None),
}


@pytest.mark.parametrize("case", HARD)
def test_sphere_minimum_of_hard_cases(case: str) -> None:
    a, q, expected, multiplier = HARD[case]
    found = sphere(a, q)
    for x in (found.x, found.mirrored):
        assert value(a, q, x) == pytest.approx(found.bound, abs=1e-12 * max(1, np.abs(q).max()))
    if expected is not None:
        assert found.bound == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert found.multiplier == pytest.approx(multiplier, abs=1e-12)
    _check_optimality(a, q, found)


@pytest.mark.parametrize("seed", range(40))
def test_sphere_minimum_meets_its_optimality_conditions(seed: int) -> None:
    _check_optimality(*instance(seed, 8), sphere(*instance(seed, 8)))


def _check_optimality(a: np.ndarray, q: np.ndarray, found: SphereMinimum) -> None:
    scale = max(np.abs(a).max(), np.abs(q).max(), np.finfo(float).tiny)
    n = len(q)
    for x in (found.x, found.mirrored):
        assert (x**2).sum() == pytest.approx(n, rel=1e-12)
        assert np.abs(a @ x + found.multiplier * x - q).max() <= 1e-8 * scale
        assert abs(value(a, q, x) - found.bound) <= 1e-8 * scale * n
    assert np.linalg.eigvalsh(a + found.multiplier * np.eye(n))[0] >= -1e-10 * scale


@pytest.mark.parametrize("seed", range(3))
def test_sphere_minimum_is_that_of_the_convex_program(seed: int) -> None:
    """Eq. (34): min sum lambda_i y_i - 2 |b_i| sqrt(y_i) over y >= 0 with sum n."""
    a, q = instance(seed, 6)
    scale = max(np.abs(a).max(), np.abs(q).max())
    values, vectors = np.linalg.eigh(a / scale)
    y = cvxpy.Variable(6, nonneg=True)
    objective = values @ y - 2 * np.abs(vectors.T @ q / scale) @ cvxpy.sqrt(y)
    best = cvxpy.Problem(cvxpy.Minimize(objective), [cvxpy.sum(y) == 6]).solve(solver="CLARABEL")
    assert sphere(a, q).bound / scale == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("seed", range(30))
def test_chosen_signs_lie_between_the_bound_and_the_signs_before(seed: int) -> None:
    a, q = instance(seed, 9)
    signs = every_sign(9)
    every = value(a, q, signs)
    scale = np.abs(every).max()
    before = signs[np.random.default_rng(seed).integers(len(signs))]
    found = choose(a, q, before)
    reached = value(a, q, found.x)
    assert set(found.x) <= {-1.0, 1.0}
    assert found.bound - 1e-9 * scale <= every.min() <= reached + 1e-12 * scale
    assert reached <= value(a, q, before) + 1e-12 * scale
    flipped = value(a, q, found.x * (1 - 2 * np.eye(9)))
    assert flipped.min() >= reached - 1e-9 * scale, "a flip improves"
    if found.optimal:
        assert reached <= every.min() + 1e-7 * scale


def test_certificate_is_given_to_optima_and_to_nothing_else() -> None:
    """It proves all of the optima of strong linear parts, and no other point of any instance."""
    proven = 0
    for seed in range(30):
        a, q = instance(seed, 6)
        a, q, _ = normalised(jnp.asarray(a), jnp.asarray(q))
        signs = every_sign(6)
        every = value(np.asarray(a), np.asarray(q), signs)
        told = np.asarray(prove(a, q, signs))
        assert (every[told] <= every.min() + 1e-7).all()
        proven += told.any()
    assert 5 <= proven < 30
    assert certified(0.1 * jnp.eye(3), jnp.array([1.0, -1.0, 1.0]), jnp.array([1.0, -1.0, 1.0]))


def test_flips_start_from_where_they_are_told() -> None:
    x = descend_by_flips(jnp.zeros((3, 3)), jnp.array([1.0, -1.0, 0.0]), jnp.ones(3))
    assert x.tolist() == [1, -1, 1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_decoder_finds_the_optimum_of_brute_force(variant: str) -> None:
    """Sixty instances of up to sixteen variables; from signs that are all one and from the choice of the relaxation."""
    for seed in range(60):
        n = 1 + seed % 16
        a, q = instance(1000 + seed, n)
        every = value(a, q, every_sign(n))
        scale = np.abs(every).max()
        for start in (np.ones(n), choose(a, q, np.ones(n)).x if n in (6, 12) else -np.ones(n)):
            found = decode(a, q, start, variant=variant)
            assert found.finished
            assert set(found.x) <= {-1.0, 1.0}
            assert abs(value(a, q, found.x) - every.min()) <= 1e-9 * scale


def test_bounds_and_conditions_save_nodes() -> None:
    nodes = dict.fromkeys(VARIANTS, 0)
    for seed in range(20):
        a, q = instance(seed, 12)
        for variant in VARIANTS:
            nodes[variant] += decode(a, q, np.ones(12), variant=variant).nodes
    assert nodes["proposed"] <= min(nodes["optimal-condition"], nodes["lower-bound"])
    assert max(nodes["optimal-condition"], nodes["lower-bound"]) <= nodes["original"]
    assert nodes["shifted"] < nodes["proposed"]


def test_what_is_decided_beforehand_agrees_with_every_optimum() -> None:
    known = 0
    for seed in range(30):
        a, q = instance(seed, 8)
        every = every_sign(8)
        best = every[np.argmin(value(a, q, every))]
        signs = decide(a, q)
        assert (signs[signs != 0] == best[signs != 0]).all()
        known += (signs != 0).sum()
    assert known > 0


def test_deciding_goes_on_with_what_it_has_decided() -> None:
    """Neither the second nor the third is decided by itself: |q| = 1.5 < 2, until the first is known."""
    a = np.array([[1.0, 1, 0], [1, 1, 1], [0, 1, 1]])
    assert decide(a, np.array([5.0, -0.5, 1.2])).tolist() == [1, -1, 1]


def test_everything_known_needs_no_tree() -> None:
    found = decode(np.eye(3), np.array([2.0, -2.0, 2.0]), np.ones(3))
    assert found.x.tolist() == [1, -1, 1]
    assert (found.nodes, found.known, found.finished) == (0, 3, True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_to_choose_keeps_what_is_given(variant: str) -> None:
    """All signs are as good where nothing depends on them, also on what is left once others are decided."""
    start = np.array([1.0, -1.0, 1.0])
    for q in (np.zeros(3), np.array([2.0, 0.0, 0.0])):
        found = decode(np.zeros((3, 3)), q, start, variant=variant)
        assert found.finished
        assert found.x.tolist() == start.tolist()


def test_shift_of_the_diagonal_changes_nothing() -> None:
    """Acceptance check 10: the minimiser does not depend on the diagonal."""
    a, q = instance(5, 10)
    scale = max(np.abs(a).max(), np.abs(q).max())
    first = decode(a, q, np.ones(10))
    for delta in (1e-4, 1e-2, 1.0):
        again = decode(a + delta * scale * np.eye(10), q, np.ones(10))
        np.testing.assert_array_equal(again.x, first.x)


def test_search_that_gives_up_says_so_and_is_no_worse_than_its_start() -> None:
    a, q = instance(3, 16)
    start = choose(a, q, np.ones(16)).x
    found = decode(a, 0.01 * q, start, variant="original", max_nodes=20)
    assert not found.finished
    assert found.nodes == 20
    assert value(a, 0.01 * q, found.x) <= value(a, 0.01 * q, start) + 1e-9 * np.abs(a).sum()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"variant": "fast"}, "variant: must be one of original, .*got 'fast'"), ({"max_nodes": 0}, "max_nodes: .*got 0")],
)
def test_decoder_refuses_by_name(wrong: dict, message: str) -> None:
    unchecked = inspect.unwrap(decode)  # the run-time type check of the tests would answer first
    with pytest.raises(ConfigError, match=message):
        unchecked(np.eye(2), np.ones(2), np.ones(2), **wrong)
