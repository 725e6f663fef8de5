"""Maximum ratio, zero-forcing and its regularised form."""

from collections.abc import Callable

import jax
import numpy as np
import pytest

from metamimo.precoders import matched
from metamimo.precoders import zero_forcing as forms

maximum_ratio = jax.jit(matched.maximum_ratio)
zero_forcing = jax.jit(forms.zero_forcing)
regularised_zero_forcing = jax.jit(forms.regularised_zero_forcing)

ALL = [maximum_ratio, zero_forcing, regularised_zero_forcing]
POWER = np.asarray(2.0)
Precoder = Callable[[np.ndarray, np.ndarray], jax.Array]


def channel(users: int = 2, rx: int = 2, ports: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((users, rx, ports)) + 1j * rng.standard_normal((users, rx, ports))


def through(h: np.ndarray, f: jax.Array) -> np.ndarray:
    """H F with all receive antennas as rows and all streams as columns."""
    ports = h.shape[-1]
    return h.reshape(-1, ports) @ np.asarray(f).transpose(1, 0, 2).reshape(ports, -1)


@pytest.mark.parametrize("precoder", ALL)
@pytest.mark.parametrize("shape", [(2, 2, 6), (3, 2, 4), (1, 1, 1)])
def test_spends_exactly_the_power(precoder: Precoder, shape: tuple[int, int, int]) -> None:
    f = precoder(channel(*shape), POWER)
    assert f.shape == (shape[0], shape[2], shape[1])
    assert np.linalg.norm(f) ** 2 == pytest.approx(2.0, rel=1e-12)


def test_maximum_ratio_points_at_every_antenna() -> None:
    h = channel()
    ratio = np.asarray(maximum_ratio(h, POWER)) / h.conj().swapaxes(1, 2)
    np.testing.assert_allclose(ratio, ratio[0, 0, 0].real, rtol=1e-12)


def test_zero_forcing_diagonalises() -> None:
    h = channel()
    product = through(h, zero_forcing(h, POWER))
    assert product[0, 0].real > 0
    np.testing.assert_allclose(product, product[0, 0].real * np.eye(4), atol=1e-12)


@pytest.mark.parametrize(("power", "limit"), [(1e-9, maximum_ratio), (1e9, zero_forcing)])
def test_regularised_form_tends_to_both_others(power: float, limit: Precoder) -> None:
    h = channel()
    f, expected = (p(h, np.asarray(power)) for p in (regularised_zero_forcing, limit))
    np.testing.assert_allclose(f, expected, atol=1e-7 * np.linalg.norm(expected))
    assert not np.allclose(regularised_zero_forcing(h, POWER), limit(h, POWER), rtol=1e-3)


def test_regularised_form_equals_its_definition() -> None:
    h = channel(3, 2, 4)
    flat = h.reshape(6, 4)
    inverse = np.linalg.inv(flat.conj().T @ flat + 6 / 2.0 * np.eye(4)) @ flat.conj().T
    expected = inverse * np.sqrt(2.0) / np.linalg.norm(inverse)
    f = np.asarray(regularised_zero_forcing(h, POWER))
    np.testing.assert_allclose(f.transpose(1, 0, 2).reshape(4, 6), expected, rtol=1e-11)


@pytest.mark.parametrize("case", ["more rows than ports", "equal users"])
def test_dependent_rows_leave_the_projector_on_the_range(case: str) -> None:
    h = channel(3, 2, 4) if case == "more rows than ports" else channel()[[0, 0]]
    product = through(h, zero_forcing(h, POWER))
    scale = np.linalg.norm(product, 2)
    np.testing.assert_allclose(product @ product, scale * product, atol=1e-11 * scale**2)
    np.testing.assert_allclose(product, product.conj().T, atol=1e-11 * scale)
    assert round(np.trace(product).real / scale, 6) == np.linalg.matrix_rank(h.reshape(-1, h.shape[-1]))


@pytest.mark.parametrize("precoder", ALL)
def test_zero_channel_dead_user_and_zero_power_stay_finite(precoder: Precoder) -> None:
    h = channel()
    assert not np.any(precoder(np.zeros_like(h), POWER))
    assert not np.any(precoder(h, np.asarray(0.0)))
    h[1] = 0
    f = np.asarray(precoder(h, POWER))
    np.testing.assert_allclose(f[1], 0, atol=1e-12)
    assert np.linalg.norm(f[0]) ** 2 == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize("precoder", ALL)
@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_extreme_channels_stay_finite(precoder: Precoder, scale: float) -> None:
    f = precoder(scale * channel(), POWER)
    assert np.linalg.norm(f) ** 2 == pytest.approx(2.0, rel=1e-9)


def test_regularised_form_survives_dependent_users_at_very_high_power() -> None:
    f = regularised_zero_forcing(channel()[[0, 0]], np.asarray(1e20))
    assert np.linalg.norm(f) ** 2 == pytest.approx(1e20, rel=1e-12)
    np.testing.assert_allclose(f[0], f[1], atol=0.1 * np.linalg.norm(f))


@pytest.mark.parametrize("precoder", ALL)
def test_port_that_is_switched_off_gets_no_power(precoder: Precoder) -> None:
    h = channel()
    h[..., 3] = 0
    np.testing.assert_allclose(np.asarray(precoder(h, POWER))[:, 3], 0, atol=1e-12)
