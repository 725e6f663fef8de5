"""Feasible sets beyond what the conformance suite asks of all: nearest points, levels, uniform draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import gaussian
from scipy.stats import chisquare, kstest

from metamimo.errors import ConfigError
from metamimo.surfaces.feasible import QuantizedPhase, UnitModulus


def test_projection_on_the_circle_is_the_nearest_point() -> None:
    x = 3 * gaussian(0, 50)
    projected = np.asarray(UnitModulus(shape=(50,)).project(jnp.asarray(x)))
    circle = np.exp(2j * np.pi * np.arange(3600) / 3600)
    assert (np.abs(x - projected) <= np.abs(x[:, None] - circle).min(1) + 1e-12).all()
    np.testing.assert_allclose(np.abs(projected), 1, atol=1e-15)


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_projection_survives_extreme_lengths(scale: float) -> None:
    x = gaussian(1, 20)
    projected = UnitModulus(shape=(20,)).project(jnp.asarray(scale * x))
    np.testing.assert_allclose(projected, x / np.abs(x), atol=1e-14)


def test_projection_of_zero_is_one_and_does_not_poison_gradients() -> None:
    circle = UnitModulus(shape=(2,))
    x = jnp.asarray([0.0, 2.0j])
    np.testing.assert_array_equal(circle.project(x), [1, 1j])
    gradient = jax.grad(lambda p: circle.project(jax.lax.complex(p, p)).real.sum())(jnp.array([0.0, 1.0]))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("bits", [1, 2, 3, 12])
def test_quantised_projection_is_the_nearest_level(bits: int) -> None:
    x = gaussian(2, 40)
    quantised = QuantizedPhase(shape=(40,), bits=bits)
    projected = np.asarray(quantised.project(jnp.asarray(x)))
    levels = np.exp(2j * np.pi * np.arange(2**bits) / 2**bits)
    assert (np.abs(x - projected) <= np.abs(x[:, None] - levels).min(1) + 1e-12).all()
    words = np.asarray(quantised.levels(jnp.asarray(x)))
    assert words.min() >= 0
    assert words.max() < 2**bits
    np.testing.assert_allclose(levels[words], projected, atol=1e-14)


def test_quantised_set_knows_its_members() -> None:
    quantised = QuantizedPhase(shape=(1,), bits=2)
    assert bool(quantised.contains(jnp.asarray([-1j])))
    assert not bool(quantised.contains(jnp.asarray([np.exp(0.1j)])))
    assert not bool(quantised.contains(jnp.asarray([0.9 + 0j])))


@pytest.mark.parametrize("bits", [0, -1])
def test_bits_below_one_are_refused(bits: int) -> None:
    with pytest.raises(ConfigError, match=f"bits: .*{bits}"):
        QuantizedPhase(shape=(1,), bits=bits)


def test_draws_are_uniform() -> None:
    key = jax.random.key(3)
    angle = np.angle(UnitModulus(shape=(2000,)).random(key)) / (2 * np.pi)
    assert kstest(np.mod(angle, 1), "uniform").pvalue > 1e-3
    quantised = QuantizedPhase(shape=(2000,), bits=3)
    count = np.bincount(np.asarray(quantised.levels(quantised.random(key))), minlength=8)
    assert chisquare(count).pvalue > 1e-3


def test_quantisation_error_falls_with_every_bit() -> None:
    x = jnp.asarray(gaussian(4, 200))
    on_circle = UnitModulus(shape=(200,)).project(x)
    for bits in (1, 4, 8, 12):
        error = jnp.abs(QuantizedPhase(shape=(200,), bits=bits).project(x) - on_circle).max()
        assert 0.8 * np.pi / 2**bits < float(error) <= np.pi / 2**bits
