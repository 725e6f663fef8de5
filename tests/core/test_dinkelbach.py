"""Roots of fractional programs against bracketing, with the edges of their domain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from metamimo.optimise.dinkelbach import fractional_root, power_root

root = jax.jit(fractional_root)
multiplier = jax.jit(power_root)
exponents = st.floats(-6, 6)
modes = st.lists(st.tuples(exponents, exponents), min_size=3, max_size=3)


def program(eta: float, constant: float, fixed: float, b: np.ndarray, sigma: np.ndarray) -> float:
    return constant - eta * fixed + (b / (eta + sigma)).sum()


def spent(nu: float, b: np.ndarray, sigma: np.ndarray) -> float:
    return (b / (nu + sigma) ** 2).sum()


def call(function, *values) -> float:
    return float(function(*(jnp.asarray(v, float) for v in values)))


@given(modes, exponents, st.floats(0.01, 0.999))
def test_fractional_root_is_the_bracketed_one(pairs: list, fixed_exponent: float, below: float) -> None:
    b, sigma = 10.0 ** np.array(pairs).T
    fixed = 10.0**fixed_exponent
    constant = -0.3 * (b / sigma).sum()  # the bound's constant is negative where users disturb each other
    top = (b / sigma).sum() / fixed
    expected = brentq(program, 0, top, args=(constant, fixed, b, sigma), xtol=1e-300, rtol=1e-14, maxiter=500)
    assert call(root, constant, fixed, b, sigma, below * expected) == pytest.approx(expected, rel=1e-10)


@given(modes, st.floats(-5, 5), st.floats(0.01, 0.999))
def test_power_root_is_the_bracketed_one(pairs: list, nu_exponent: float, below: float) -> None:
    b, sigma = 10.0 ** np.array(pairs).T
    power = spent(10.0**nu_exponent, b, sigma)
    expected = brentq(
        lambda nu: spent(nu, b, sigma) / power - 1, 0, 10.0 ** (nu_exponent + 1), xtol=1e-300, rtol=1e-14, maxiter=500
    )
    found = call(multiplier, power, b, sigma, below * expected)
    assert spent(found, b, sigma) == pytest.approx(power, rel=1e-11)


@pytest.mark.parametrize("scale", [1e-60, 1e-12, 1.0, 1e12, 1e60])
def test_roots_follow_the_unit_of_power(scale: float) -> None:
    """Powers times s, ratios over s: b has ratio^2 power, sigma and eta ratio."""
    b, sigma, fixed = np.array([2.0, 0.5, 1.0]), np.array([0.0, 0.3, 2.0]), 3.0
    reference = call(root, -0.1, fixed, b, sigma, 0.2)
    scaled = call(root, -0.1, fixed * scale, b / scale, sigma / scale, 0.2 / scale)
    assert scaled == pytest.approx(reference / scale, rel=1e-12)
    nu = call(multiplier, 0.7, b, sigma, 0.2)
    assert call(multiplier, 0.7 * scale, b / scale, sigma / scale, 0.2 / scale) == pytest.approx(nu / scale, rel=1e-12)


def test_without_any_mode_the_root_is_the_constant_over_the_fixed_power() -> None:
    zero, sigma = np.zeros(3), np.ones(3)
    assert call(root, 2.0, 4.0, zero, sigma, 0.1) == pytest.approx(0.5, rel=1e-14)
    assert call(root, 0.0, 4.0, zero, sigma, 0.0) <= 1e-70  # nothing to gain: the ratio is zero
    assert call(multiplier, 1.0, zero, sigma, 0.25) == 0.25


def test_modes_without_offset() -> None:
    """sigma = 0: c - eta P + b / eta = 0 is a quadratic."""
    b = np.array([4.0, 5.0, 0.0])
    expected = (1 + np.sqrt(1 + 4 * 2 * 9)) / 4
    assert call(root, 1.0, 2.0, b, np.zeros(3), 0.01) == pytest.approx(expected, rel=1e-13)
    assert call(multiplier, 4.0, b, np.zeros(3), 0.01) == pytest.approx(1.5, rel=1e-13)


@pytest.mark.parametrize("start", [0.0, 1e-300, 1e-100, 1e-20])
def test_start_far_below_the_root_is_no_obstacle(start: float) -> None:
    assert call(root, 0.0, 1.0, np.array([4.0, 0.0, 0.0]), np.zeros(3), start) == pytest.approx(2.0, rel=1e-14)
    assert call(root, 0.0, 1e-12, np.array([4e12, 0.0, 0.0]), np.zeros(3), start) == pytest.approx(2e12, rel=1e-14)


def test_limit_that_does_not_bind_returns_the_start() -> None:
    b, sigma = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0])
    assert call(multiplier, 1.001 * spent(0.3, b, sigma), b, sigma, 0.3) == 0.3
    assert call(multiplier, np.inf, b, sigma, 0.3) == 0.3


def test_root_is_the_best_ratio_and_newton_never_falls() -> None:
    """Acceptance check 5: the root is value over power at its inner solution; Dinkelbach's iterates increase."""
    b, sigma, constant, fixed = np.array([3.0, 0.4, 1.0]), np.array([0.0, 0.3, 2.0]), -0.2, 1.5

    def ratio(eta: float) -> float:
        gain = constant + (b / (eta + sigma)).sum() + (eta * b / (eta + sigma) ** 2).sum()
        return gain / (fixed + spent(eta, b, sigma))

    eta = call(root, constant, fixed, b, sigma, 0.05)
    assert eta == pytest.approx(ratio(eta), rel=1e-12)
    assert all(ratio(x) < eta for x in np.geomspace(0.1, 10, 30) if abs(x / eta - 1) > 1e-3)
    iterates = [0.05]
    for _ in range(12):
        iterates.append(ratio(iterates[-1]))  # Newton on F is Dinkelbach's update
    assert np.diff(iterates).min() >= -1e-14
    assert iterates[-1] == pytest.approx(eta, rel=1e-12)


def test_batches_of_problems_equal_single_ones() -> None:
    rng = np.random.default_rng(0)
    b, sigma, start = jnp.asarray(rng.random((5, 3))), jnp.asarray(rng.random((5, 3))), jnp.full(5, 1e-3)
    many = jax.jit(jax.vmap(fractional_root, in_axes=(None, None, 0, 0, 0)))(
        jnp.asarray(0.1), jnp.asarray(2.0), b, sigma, start
    )
    single = [call(root, 0.1, 2.0, b[i], sigma[i], 1e-3) for i in range(5)]
    np.testing.assert_allclose(many, single, rtol=1e-13)
