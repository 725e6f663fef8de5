"""Bounds of several cells: against exhaustive grids, the semidefinite relaxation, random responses and every scheme."""

import dataclasses
import itertools

import cvxpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_problems import CIRCLE, ON_OFF, network, strips

from metamimo.bounds.columns import bound_at_prices, circle_columns, column_bound
from metamimo.bounds.network import network_bound
from metamimo.bounds.patterns import bound_at_factors, factors, pattern_bound, start_factors
from metamimo.bounds.priced import priced_rate
from metamimo.errors import ConfigError
from metamimo.geometry.planar import grid_positions
from metamimo.physics.patterns import Isotropic
from metamimo.problem import Limit
from metamimo.schemes.limited import random_start, weighted_rate
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.hybrid import FullyConnectedHybrid

BOUND = jax.jit(network_bound)
SURFACES = {
    "on or off": lambda: strips(ON_OFF),
    "circle": lambda: strips(CIRCLE),
    "hybrid": lambda: FullyConnectedHybrid.build(np.eye(4), 2),
    "digital": lambda: FullyDigital.build(Isotropic().coupling(grid_positions(4, 0.5), 1.0)),
}


def gaussian(seed, *shape):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def capacity(rows, correlation=None):
    """Return ln|I + rows Q rows^H|, Q of unit diagonal."""
    q = np.eye(rows.shape[1]) if correlation is None else correlation
    return np.linalg.slogdet(np.eye(rows.shape[0]) + rows @ q @ rows.conj().T)[1]


def test_price_of_a_rate_is_its_conjugate():
    gains = jnp.array([0.3, 1.0, 2.0, 50.0])
    grid = np.linspace(0, 1, 20001)
    best = [(np.log1p(grid * float(g)) - grid).max() for g in gains]
    np.testing.assert_allclose(priced_rate(gains[:, None]), best, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_pattern_bound_exceeds_every_pattern_and_correlation_and_little_else(seed):
    """Acceptance check 8: two chains of three elements, all 49 patterns, all correlations of their streams."""
    a = 1.5 * gaussian(seed, 2, 2, 3)
    best = 0.0
    moduli, angles = np.linspace(0, 1, 11), np.linspace(0, 2 * np.pi, 24, endpoint=False)
    patterns = [np.array(p) for p in itertools.product((0.0, 1.0), repeat=3) if any(p)]
    for first, second in itertools.product(patterns, repeat=2):
        rows = np.stack([a[:, 0] @ first, a[:, 1] @ second], 1)
        for modulus, angle in itertools.product(moduli, angles):
            c = modulus * np.exp(1j * angle)
            best = max(best, capacity(rows, np.array([[1, c], [np.conj(c), 1]])))
    bound = float(jax.jit(pattern_bound)(jnp.asarray(a)))
    circle = float(column_bound(circle_columns(jnp.asarray(a), 0.5, 0.5)))
    assert best <= bound <= 1.25 * best
    assert bound <= circle * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_circle_bound_is_the_semidefinite_relaxation(seed):
    """Acceptance check 8: the dual of covariances with unit diagonal in the coordinates of the circle."""
    a = 1.2 * gaussian(seed + 10, 2, 2, 3)
    columns = np.asarray(circle_columns(jnp.asarray(a), 0.5, 0.5))
    q = cvxpy.Variable((8, 8), hermitian=True)
    received = np.eye(2) + columns @ q @ columns.conj().T
    problem = cvxpy.Problem(cvxpy.Maximize(cvxpy.log_det(received)), [q >> 0, cvxpy.real(cvxpy.diag(q)) <= 1])
    problem.solve(solver="SCS", eps=1e-7)
    assert float(column_bound(jnp.asarray(columns), tolerance=1e-9)) == pytest.approx(problem.value, rel=1e-4)


def test_any_prices_bound_random_responses():
    a = gaussian(5, 4, 3, 4)
    columns = circle_columns(jnp.asarray(a), 0.5, 0.5)
    rng = np.random.default_rng(0)
    best = 0.0
    for _ in range(1000):
        psi = (1j + np.exp(2j * np.pi * rng.random((3, 4)))) / 2
        f = rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3))
        f /= np.linalg.norm(f, axis=1, keepdims=True)
        best = max(best, capacity((a * psi).sum(2) @ f))
    for scale in (0.1, 1.0, 3.0):
        prices = jnp.asarray(scale * rng.standard_normal(columns.shape[1]) - 1)
        assert float(bound_at_prices(columns, prices)) >= best
    few = [float(column_bound(columns, max_iterations=n)) for n in (0, 3, 10, 300)]
    assert best <= few[3] <= few[2] <= few[1] <= few[0]


def test_gradients_are_those_of_differences():
    """Acceptance check 6."""
    a = jnp.asarray(gaussian(7, 3, 2, 3))
    cases = [(lambda x: bound_at_prices(circle_columns(a, 0.5, 0.5), x), jnp.linspace(-2, 0, 8))]
    x = start_factors(a) + 0.1 * jnp.asarray(np.random.default_rng(1).standard_normal(36))
    cases.append((lambda x: bound_at_factors(a, x), x))
    for value, at in cases:
        direction = jnp.asarray(np.random.default_rng(2).standard_normal(at.size))
        slope = float(jax.grad(value)(at) @ direction)
        step = 1e-6
        difference = float(value(at + step * direction) - value(at - step * direction)) / (2 * step)
        assert slope == pytest.approx(difference, rel=1e-5)


def test_scaling_and_power():
    """Acceptance check 11."""
    a = jnp.asarray(gaussian(8, 3, 2, 3))
    for bound in (pattern_bound, lambda a: column_bound(circle_columns(a, 0.5, 0.5))):
        values = [float(bound(jnp.asarray(scale) * a)) for scale in (1.0, 1.1, 2.0)]
        assert values == sorted(values)


def test_flat_prices_and_long_chains_are_refused():
    a = jnp.asarray(gaussian(9, 2, 1, 2))
    x = start_factors(a)
    assert np.isinf(float(bound_at_factors(a, x.at[0].add(30.0))))
    assert np.isfinite(np.asarray(factors(x, 1, 2))).all()
    with pytest.raises(ConfigError, match="at most 10 elements a chain"):
        pattern_bound(jnp.zeros((2, 1, 11), complex))


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("kind", ["on or off", "circle", "hybrid", "digital"])
def test_no_random_design_of_a_network_exceeds_its_bound(kind, joint):
    surface = SURFACES[kind]()
    bound = BOUND(network(1, surface, joint=joint))
    for seed in range(20):
        p = network(1, surface, joint=joint)
        states, f = random_start(p, jax.random.key(seed))
        assert float(weighted_rate(p.link, states, f)) <= float(bound)
    louder = BOUND(network(1, surface, joint=joint, power=2.0))
    assert float(louder) >= float(bound)
    heavier = dataclasses.replace(p, link=dataclasses.replace(p.link, weights=3 * p.link.weights))
    assert float(BOUND(heavier)) == pytest.approx(3 * float(bound), rel=1e-9)


def test_one_user_and_one_chain_have_the_exact_bound():
    p = network(3, strips(CIRCLE), cells=1, per_cell=1, rx=1)
    p = dataclasses.replace(p, limits=(Limit(p.limits[0].power * jnp.array([1.0, 0, 0])),))
    z = np.asarray(p.link.channel[0, 0, 0, 0, :3] * p.link.surfaces[0].wave[0])
    best = (np.abs(z.sum()) + np.abs(z).sum()) / 2
    exact = np.log1p(float(p.limits[0].power[0, 0]) * best**2)
    assert float(BOUND(p)) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_fixed_patterns_are_bounded_by_their_capacity(seed):
    """Check 12: with every strip fixed a chain is one column, whose power alone is limited."""
    a, patterns = 2 * gaussian(seed, 3, 3, 4), np.random.default_rng(seed).random((3, 4)) < 0.5
    columns = (a * patterns).sum(2)
    q = cvxpy.Variable((3, 3), hermitian=True)
    rate = cvxpy.log_det(np.eye(3) + columns @ q @ columns.conj().T)
    best = cvxpy.Problem(cvxpy.Maximize(rate), [q >> 0, cvxpy.real(cvxpy.diag(q)) <= 1]).solve(solver="SCS", eps=1e-8)
    bound = float(jax.jit(column_bound)(columns))
    assert best * (1 - 1e-6) <= bound <= 1.01 * best


def test_problems_without_a_bound_get_none():
    p = network(1)
    assert network_bound(dataclasses.replace(p, limits=(Limit(jnp.ones(2)),))) is None
