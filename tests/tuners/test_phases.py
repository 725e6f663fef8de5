"""Phase steps at a fixed precoder: Theorem 1, guarded ascent, closed-form element updates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.linalg import cmatmul
from metamimo.metrics.rates import linear_user_rates
from metamimo.problem import Link
from metamimo.surfaces.stacked import StackedSurface
from metamimo.tuners.fractional import tune_elements
from metamimo.tuners.phase_ascent import ascend_phases

SURFACE = StackedSurface.example()
USERS = 3


def link(seed=0):
    channel = 3 * jax.random.normal(jax.random.key(seed), (USERS, 1, 9), dtype=complex)
    return Link.broadcast(SURFACE, channel, noise_power=1.0, bandwidth=1.0, frequency=3e8)


def precoder(seed=1):
    return 0.5 * jax.random.normal(jax.random.key(seed), (USERS, 4, 1), dtype=complex)


def rates(theta, link, f):
    state = SURFACE.feasible.from_real(theta)
    h = SURFACE.apply_rows(state, link.channel[:, 0])[0]
    return linear_user_rates(h, f, jnp.zeros(()))


def theorem_1(theta, link, f):
    """Eqs. (43) to (45), entry by entry, with whole matrix chains."""
    phi, layers = np.exp(1j * np.asarray(theta)), 2
    first, hop = np.asarray(SURFACE.first), np.asarray(SURFACE.hops[0])
    h, w = np.asarray(link.channel)[0, 0, :, 0], np.asarray(f)[:, :, 0].T
    maps = [first, hop]
    received = h @ np.diag(phi[1]) @ hop @ np.diag(phi[0]) @ first @ w
    power = np.abs(received) ** 2
    total = power.sum(1) + 1
    sinr = np.diag(power) / (total - np.diag(power))
    gradient = np.zeros_like(theta)
    for l in range(layers):
        left, right = h, maps[0]
        for m in range(layers - 1, l, -1):
            left = left @ np.diag(phi[m]) @ maps[m]
        for m in range(1, l + 1):
            right = maps[m] @ np.diag(phi[m - 1]) @ right
        b = right @ w
        for n in range(9):
            eta = np.imag(np.conj(phi[l, n] * left[:, n][:, None] * b[n]) * received)
            own = np.diag(eta)
            gradient[l, n] = 2 * ((own - sinr * (eta.sum(1) - own)) / total).sum()
    return gradient


def slope_by_differences(function, x, direction, step=1e-5):
    return float(function(x + step * direction) - function(x - step * direction)) / (2 * step)


def test_theorem_1_is_the_gradient():
    scene, f = link(), precoder()
    theta = jax.random.uniform(jax.random.key(2), (3, 9), maxval=6.28)
    rate = jax.jit(lambda t: rates(t, scene, f).sum())
    gradient = np.asarray(jax.grad(rate)(theta))
    np.testing.assert_allclose(gradient[:2], theorem_1(np.asarray(theta)[:2], scene, f), rtol=1e-12)
    for seed in range(3, 8):
        direction = np.asarray(jax.random.normal(jax.random.key(seed), (3, 9)))
        slope = slope_by_differences(rate, theta, direction)
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-6)
    # A common phase of a layer changes nothing.
    np.testing.assert_allclose(gradient.sum(1), 0, atol=1e-12 * np.linalg.norm(gradient))


def test_gradient_in_the_precoder():
    """dR/dW* = A^H E of the spec's [x-3], and along random directions."""
    h, f = 3 * jax.random.normal(jax.random.key(1), (USERS, 1, 4), dtype=complex), precoder()
    rate = jax.jit(lambda f: linear_user_rates(h, f, jnp.zeros(())).sum())
    gradient = np.asarray(jax.grad(rate)(f)).conj() / 2  # JAX's cotangent is twice the conjugate
    a, w = np.asarray(h)[:, 0], np.asarray(f)[:, :, 0].T
    received = a @ w
    total = (np.abs(received) ** 2).sum(1, keepdims=True) + 1
    interference = total - np.abs(np.diag(received))[:, None] ** 2
    e = received / total - np.where(np.eye(USERS, dtype=bool), 0, received / interference)
    np.testing.assert_allclose(gradient[:, :, 0].T, a.conj().T @ e, rtol=1e-12)
    for seed in range(5):
        direction = precoder(seed + 30)
        slope = 2 * float((np.conj(gradient) * direction).sum().real)
        assert slope_by_differences(rate, f, direction) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_ascent_never_falls_and_keeps_rates_that_hold(seed):
    scene, f = link(seed), precoder(seed + 10)
    state = SURFACE.feasible.random(jax.random.key(seed))
    before = rates(SURFACE.feasible.to_real(state), scene, f)
    guarded = jax.jit(ascend_phases)(scene, state, f, 0.999 * before)
    free = jax.jit(ascend_phases)(scene, state, f, jnp.zeros(USERS))
    after = rates(SURFACE.feasible.to_real(guarded.state), scene, f)
    assert (np.asarray(after) >= 0.999 * np.asarray(before) - 1e-8).all()
    for tuned in (guarded, free):
        history = np.asarray(tuned.history)
        assert (np.diff(history) >= 0).all()
        assert bool(SURFACE.feasible.contains(tuned.state))
    assert history[-1] > history[0]


@pytest.mark.parametrize("seed", range(3))
def test_element_updates_never_lower_the_rate_and_end_where_no_gradient_is_left(seed):
    scene, f = link(seed), precoder(seed + 20)
    state = SURFACE.feasible.random(jax.random.key(seed))
    tuned = jax.jit(lambda s: tune_elements(scene, s, f, tolerance=1e-12, max_sweeps=5000))(state)
    history = np.asarray(tuned.history)
    assert (np.diff(history) >= -1e-9 * history[1:]).all()
    theta = SURFACE.feasible.to_real(tuned.state)
    assert history[-1] == pytest.approx(float(rates(theta, scene, f).sum()), rel=1e-10)
    gradient = jax.grad(lambda t: rates(t, scene, f).sum())(theta)
    assert float(jnp.abs(gradient).max()) < 1e-3
    np.testing.assert_array_equal(tuned.state[2], state[2])  # a layer that does not exist


def test_element_bound_touches_the_rate_and_stays_below():
    """The fractional bound of one layer: equal at its own point, nowhere above."""
    scene, f = link(5), precoder(6)
    state = SURFACE.feasible.random(jax.random.key(7))
    rows = np.asarray(SURFACE.rows_forward(state, scene.channel[:, 0])[1][0])
    v = rows[:, None, :] * np.asarray(cmatmul(SURFACE.first, f[:, :, 0].T)).T

    def parts(phi):
        received = v @ phi
        power = np.abs(received) ** 2
        total = power.sum(1) + 1
        return received, power, total

    received, power, total = parts(np.asarray(state[0]))
    own = np.diag(power)
    alpha = own / (total - own)

    def bound(phi):
        got, _, whole = parts(phi)
        beta = np.sqrt(1 + alpha) * np.diag(received) / total
        linear = 2 * np.sqrt(1 + alpha) * np.real(np.conj(beta) * np.diag(got))
        return (np.log1p(alpha) - alpha + linear - np.abs(beta) ** 2 * whole).sum()

    def rate(phi):
        _, power, total = parts(phi)
        return np.log(total / (total - np.diag(power))).sum()

    assert bound(np.asarray(state[0])) == pytest.approx(rate(np.asarray(state[0])), rel=1e-12)
    for seed in range(200):
        other = np.exp(2j * np.pi * np.random.default_rng(seed).random(9))
        assert bound(other) <= rate(other) + 1e-10
