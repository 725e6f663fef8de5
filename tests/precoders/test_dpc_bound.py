"""Algorithm 1's parts: the bound of eq. (20), the recursive inverses, the fractional step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpc_tools import adjoint, efficiency, gaussian, power_of, random_factors, user_rates

from metamimo.optimise.dinkelbach import fractional_root
from metamimo.precoders.covariance_sca import inverse_recursion, lifted, rate_bound, sca_step

bound_of = jax.jit(rate_bound)
recursion_of = jax.jit(inverse_recursion)
step = jax.jit(sca_step)
root_of = jax.jit(fractional_root)

USERS, RX, PORTS, FIXED = 3, 2, 4, 5.0
H = 2 * gaussian(1, USERS, RX, PORTS)
XBAR = random_factors(2, USERS, RX, 2.0)


def largest_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest relative error of the matrices, each by itself."""
    return (np.linalg.norm(found - expected, axis=(1, 2)) / np.linalg.norm(expected, axis=(1, 2))).max()


def bound_value(bound, x: np.ndarray) -> float:
    linear = 2 * (np.asarray(bound.slope).conj() * x).sum().real
    quadratic = sum(np.trace(adjoint(xk) @ m @ xk).real for xk, m in zip(x, np.asarray(bound.curvature), strict=True))
    return float(bound.constant) + linear - quadratic


def test_bound_touches_the_rate_and_never_exceeds_it() -> None:
    """Acceptance check 3 for eq. (20): equal at the expansion point, below at 500 random points."""
    bound = bound_of(jnp.asarray(H), jnp.asarray(XBAR))
    assert float(bound.rate) == pytest.approx(user_rates(H, XBAR).sum(), rel=1e-12)
    assert bound_value(bound, XBAR) == pytest.approx(user_rates(H, XBAR).sum(), abs=1e-11)
    sizes = np.geomspace(1e-3, 10, 250)
    points = [XBAR + s * gaussian(i, *XBAR.shape) for i, s in enumerate(sizes)]
    points += [s * gaussian(i, *XBAR.shape) for i, s in enumerate(sizes)]
    gaps = [user_rates(H, x).sum() - bound_value(bound, x) for x in points]
    assert min(gaps) >= -1e-10
    assert max(gaps) > 1


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_recursion_gives_the_direct_inverses(scale: float) -> None:
    """Acceptance check 4, and the parts of eq. (20) by their definitions."""
    h = scale * H
    found, bound = recursion_of(jnp.asarray(h), jnp.asarray(XBAR)), bound_of(jnp.asarray(h), jnp.asarray(XBAR))
    w = adjoint(XBAR) @ h
    y = np.array([np.eye(PORTS) + sum(adjoint(wj) @ wj for wj in w[:k]) for k in range(USERS + 1)])
    inverse = np.linalg.inv(y)
    assert largest_error(np.asarray(found.inverse), inverse) <= 1e-10
    t = inverse[:-1] @ adjoint(h) @ XBAR
    assert largest_error(np.asarray(found.t), t) <= 1e-10
    curvature = h @ (inverse[:-1] - inverse[-1]) @ adjoint(h)
    assert largest_error(np.asarray(bound.curvature), curvature) <= 1e-10
    e = adjoint(XBAR) @ h @ t
    constant = sum(np.linalg.slogdet(np.eye(RX) + ek)[1] - np.trace(ek).real for ek in e)
    assert float(bound.constant) == pytest.approx(constant - PORTS + np.trace(inverse[-1]).real, rel=1e-10)


def test_root_is_the_ratio_at_its_own_solution() -> None:
    """Acceptance check 5: F(eta) = 0 at eta = g(X(eta)) / P(X(eta)); Newton's iterates never fall."""
    bound = bound_of(jnp.asarray(H), jnp.asarray(XBAR))
    slope, curvature = np.asarray(bound.slope), np.asarray(bound.curvature)
    sigma, vector = np.linalg.eigh(curvature)
    b = np.linalg.norm(adjoint(vector) @ slope, axis=-1).ravel() ** 2
    first = float(bound.rate) / (FIXED + power_of(XBAR))
    eta = float(
        root_of(bound.constant, jnp.asarray(FIXED), jnp.asarray(b), jnp.asarray(sigma.ravel()), jnp.asarray(first))
    )

    def solution(price: float) -> np.ndarray:
        return np.linalg.solve(price * np.eye(RX) + curvature, slope)

    x = solution(eta)
    assert bound_value(bound, x) / (FIXED + power_of(x)) == pytest.approx(eta, rel=1e-12)
    assert eta > first
    free = np.asarray(step(jnp.asarray(H), jnp.asarray(XBAR), jnp.asarray(FIXED), jnp.asarray(1e3)))
    np.testing.assert_allclose(free, x, rtol=1e-10, atol=1e-12)
    iterates = [first]
    for _ in range(8):
        share = b / (iterates[-1] + sigma.ravel())
        value = float(bound.constant) - iterates[-1] * FIXED + share.sum()
        iterates.append(iterates[-1] + value / (FIXED + (share / (iterates[-1] + sigma.ravel())).sum()))
    assert np.diff(iterates).min() >= -1e-14
    assert iterates[-1] == pytest.approx(eta, rel=1e-12)


def test_limited_step_is_the_best_of_the_bound_at_full_power() -> None:
    limit = 0.5
    found = np.asarray(step(jnp.asarray(H), jnp.asarray(0.5 * XBAR), jnp.asarray(FIXED), jnp.asarray(limit)))
    bound = bound_of(jnp.asarray(H), jnp.asarray(0.5 * XBAR))
    assert power_of(found) == pytest.approx(limit, rel=1e-9)
    best = bound_value(bound, found)
    for seed in range(50):
        near = found + 10.0 ** -(seed % 4) * gaussian(seed, *found.shape)
        assert bound_value(bound, near * np.sqrt(limit / power_of(near))) <= best + 1e-12
    assert efficiency(H, found, FIXED) >= efficiency(H, 0.5 * XBAR, FIXED)


def test_direction_without_power_stays_without_unless_it_is_lifted() -> None:
    """Pitfall 2: such a point is fixed by the step, though the problem is concave in the covariances."""
    x = XBAR.copy()
    x[1] = 0
    args = jnp.asarray(H), jnp.asarray(FIXED), jnp.asarray(2.0)
    assert not np.asarray(step(args[0], jnp.asarray(x), *args[1:]))[1].any()
    raised = jax.jit(lifted)(jnp.asarray(x))
    assert np.linalg.matrix_rank(np.asarray(raised)[1]) == RX
    assert power_of(np.asarray(raised)) == pytest.approx(power_of(x), rel=1e-8)
    assert np.linalg.norm(np.asarray(step(args[0], raised, *args[1:]))[1]) > 2 * np.linalg.norm(np.asarray(raised)[1])
