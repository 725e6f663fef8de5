"""The dual channel: rate and gradient, fewer ports, and the way back to a broadcast precoder."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpc_tools import adjoint, gaussian, power_of, random_factors, user_rates

from metamimo.precoders.covariances import (
    energy_efficient_covariances,
    mac_rate,
    reduce_ports,
    start_covariances,
    transmit_power,
)
from metamimo.precoders.mac_to_bc import broadcast_precoder

value_and_gradient = jax.jit(jax.value_and_grad(mac_rate, argnums=(0, 1)))
precoder_of = jax.jit(broadcast_precoder)
reduced = jax.jit(reduce_ports)
optimal = jax.jit(partial(energy_efficient_covariances, tolerance=1e-12))


@pytest.mark.parametrize("ports", [3, 6])
def test_rate_and_its_gradient(ports: int) -> None:
    """Theorem 1: dR/dH_k* = S_k H_k Z^-1, against central differences in both arguments, on either side of M."""
    h, x = 2 * gaussian(1, 2, 2, ports), random_factors(2, 2, 2, 1.5)
    value, gradients = value_and_gradient(jnp.asarray(h), jnp.asarray(x))
    assert float(value) == pytest.approx(user_rates(h, x).sum(), rel=1e-12)
    assert float(transmit_power(jnp.asarray(x))) == pytest.approx(1.5, rel=1e-12)
    z = np.eye(ports) + sum(adjoint(xk.conj().T @ hk) @ (xk.conj().T @ hk) for xk, hk in zip(x, h, strict=True))
    closed = x @ adjoint(x) @ h @ np.linalg.inv(z)
    np.testing.assert_allclose(np.asarray(gradients[0]), 2 * closed.conj(), rtol=0, atol=1e-12)
    step = 1e-6
    for argument, gradient in enumerate(gradients):
        for seed in range(4):
            points = [h, x]
            direction = gaussian(seed, *points[argument].shape)
            rates = []
            for sign in (1, -1):
                moved = list(points)
                moved[argument] = points[argument] + sign * step * direction
                rates.append(user_rates(*moved).sum())
            slope = (np.asarray(gradient) * direction).sum().real  # JAX's cotangent is linear
            assert (rates[0] - rates[1]) / (2 * step) == pytest.approx(slope, rel=1e-7)


def test_gradient_is_finite_without_power_or_channel() -> None:
    h, x = jnp.asarray(gaussian(1, 2, 2, 3)), jnp.asarray(random_factors(2, 2, 2, 1.0))
    for a, b in ((h, 0 * x), (0 * h, x), (0 * h, 0 * x)):
        value, gradients = value_and_gradient(a, b)
        assert float(value) == 0
        assert not any(np.asarray(g).any() for g in gradients)


@pytest.mark.parametrize("ports", [3, 12])
def test_fewer_ports_change_nothing(ports: int) -> None:
    h, x = 2 * gaussian(3, 2, 2, ports), random_factors(4, 2, 2, 1.0)
    small = np.asarray(reduced(jnp.asarray(h)))
    assert small.shape == (2, 2, min(ports, 4))
    np.testing.assert_allclose(user_rates(small, x), user_rates(h, x), rtol=1e-12)
    stacked = [a.reshape(4, -1) for a in (small, h)]
    grams = [a @ adjoint(a) for a in stacked]
    np.testing.assert_allclose(grams[0], grams[1], atol=1e-12)


def test_start_has_full_power_and_full_rank() -> None:
    x = np.asarray(start_covariances(jnp.asarray(gaussian(0, 3, 2, 4)), jnp.asarray(6.0)))
    np.testing.assert_allclose(x, np.broadcast_to(np.eye(2), (3, 2, 2)), rtol=1e-14)


def broadcast_rates(h: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Eq. (4) user by user for the order 0, 1, ..., K - 1: disturbed by those encoded later [nat]."""
    out = []
    for k, hk in enumerate(h):
        noise = np.eye(len(hk)) + sum(hk @ fj @ adjoint(fj) @ adjoint(hk) for fj in f[k + 1 :])
        own = hk @ f[k] @ adjoint(f[k]) @ adjoint(hk)
        out.append(np.linalg.slogdet(noise + own)[1] - np.linalg.slogdet(noise)[1])
    return np.array(out)


@pytest.mark.parametrize("ports", [3, 4, 9])
@pytest.mark.parametrize("scale", [0.3, 100.0])
def test_broadcast_precoder_has_the_rates_and_the_power(ports: int, scale: float) -> None:
    """Acceptance check 7 at random covariances, some of rank one; the covariances Q_k are products F_k F_k^H."""
    h = scale * gaussian(5, 3, 2, ports)
    for seed in range(3):
        x = random_factors(seed, 3, 2, 2.0)
        x[0, :, 1] = seed * x[0, :, 1]
        f = np.asarray(precoder_of(jnp.asarray(h), jnp.asarray(x)))
        assert f.shape == (3, ports, 2)
        np.testing.assert_allclose(broadcast_rates(h, f), user_rates(h, x), rtol=1e-9)
        assert power_of(f) == pytest.approx(power_of(x), rel=1e-9)
        assert np.linalg.eigvalsh(f @ adjoint(f)).min() >= -1e-12


@pytest.mark.parametrize("limit", [0.3, 100.0])
@pytest.mark.parametrize("seed", range(3))
def test_broadcast_precoder_of_optimal_covariances(seed: int, limit: float) -> None:
    """Acceptance check 7 where the covariances are optimal, with and without an active power limit."""
    h = 2 * gaussian(seed, 3, 2, 4)
    channel, power = jnp.asarray(h), jnp.asarray(limit)
    x = np.asarray(optimal(channel, start_covariances(channel, power), jnp.asarray(5.0), power).factor)
    f = np.asarray(precoder_of(channel, jnp.asarray(x)))
    np.testing.assert_allclose(broadcast_rates(h, f), user_rates(h, x), rtol=1e-9, atol=1e-12)
    assert power_of(f) == pytest.approx(power_of(x), rel=1e-9)
    assert np.linalg.eigvalsh(f @ adjoint(f)).min() >= -1e-12


@pytest.mark.parametrize("ports", [3, 9])
def test_deficient_channels_keep_their_rates_at_less_power(ports: int) -> None:
    """A user with parallel antennas, one without channel, one without power."""
    h, x = 3 * gaussian(6, 3, 2, ports), random_factors(7, 3, 2, 2.0)
    h[0, 1] = 2j * h[0, 0]
    h[1] = 0
    x[2] = 0
    f = np.asarray(precoder_of(jnp.asarray(h), jnp.asarray(x)))
    assert np.isfinite(f).all()
    np.testing.assert_allclose(broadcast_rates(h, f), user_rates(h, x), rtol=1e-9, atol=1e-12)
    assert power_of(f) < power_of(x) * (1 - 1e-3)
    assert not f[1:].any()


def test_more_antennas_than_ports() -> None:
    h, x = 3 * gaussian(8, 2, 3, 2), random_factors(9, 2, 3, 2.0)
    f = np.asarray(precoder_of(jnp.asarray(h), jnp.asarray(x)))
    np.testing.assert_allclose(broadcast_rates(h, f), user_rates(h, x), rtol=1e-9)
    assert power_of(f) <= power_of(x) * (1 + 1e-9)
