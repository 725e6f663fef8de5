"""Phase stage at fixed covariances or a fixed precoder: Theorems 1 and 2, invariances, and what batching may change."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    broadcast_link,
    broadcast_rates,
    conjugate_gradient_by_differences,
    even_stack,
    gaussian,
    phases,
    relative_error,
    scaled,
    stack_product,
    uneven_stack,
)

from metamimo.metrics.effective import broadcast_forward
from metamimo.metrics.evaluate import evaluate
from metamimo.metrics.rates import linear_sum_rate, received_over_unit_noise
from metamimo.optimise.projected_gradient import StepRule, ascend, start_point
from metamimo.precoders.covariances import mac_rate
from metamimo.precoders.energy_efficient import Reduced, reduced_step
from metamimo.precoders.matched import maximum_ratio
from metamimo.problem import Consumption, Design, Limit, Link, Problem
from metamimo.surfaces.feasible import QuantizedPhase, UnitModulus
from metamimo.surfaces.stacked import StackedSurface
from metamimo.tuners.fixed_precoder import fixed_precoder_rate, rate_over_state


@jax.jit
def rate_and_gradient(link: Link, state: jax.Array, f: jax.Array) -> tuple[jax.Array, jax.Array]:
    forward, backward = fixed_precoder_rate(link, f)
    value, kept = forward(state)
    return value, backward(state, kept)


@jax.jit
def dual_rate_and_gradient(link: Link, state: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    forward, backward = rate_over_state(link, lambda h: mac_rate(h, x))
    value, kept = forward(state)
    return value, backward(state, kept)


def numpy_channel(link: Link, state: np.ndarray) -> np.ndarray:
    b = stack_product(link.surfaces[0], state)
    return np.asarray(link.channel)[0, 0] @ b / np.sqrt(float(link.noise_power))


def numpy_rate(link: Link, state: np.ndarray, f: np.ndarray) -> float:
    return broadcast_rates(numpy_channel(link, state), f).sum()


def numpy_dual_rate(link: Link, state: np.ndarray, x: np.ndarray) -> float:
    """ln|I + sum_k H_k^H X_k X_k^H H_k|."""
    rows = x.conj().swapaxes(-1, -2) @ numpy_channel(link, state)
    return np.linalg.slogdet(np.eye(rows.shape[-1]) + (rows.conj().swapaxes(-1, -2) @ rows).sum(0))[1]


def assert_derivative(rate: Callable[[np.ndarray], float], state: np.ndarray, gradient: np.ndarray) -> None:
    """Compare dR/dphi*, its parts apart, and dR/dtheta with central differences."""
    measured = conjugate_gradient_by_differences(rate, state)
    assert relative_error(gradient.real, measured.real) <= 1e-7
    assert relative_error(gradient.imag, measured.imag) <= 1e-7

    slope = 2 * np.imag(np.conj(state) * gradient)
    theta, by_angle = np.angle(state), np.empty(state.shape)
    for index in np.ndindex(state.shape):
        unit = np.zeros(state.shape)
        unit[index] = 1e-5
        ends = [rate(np.exp(1j * (theta + sign * unit))) for sign in (1, -1)]
        by_angle[index] = (ends[0] - ends[1]) / 2e-5
    assert relative_error(slope, by_angle) <= 1e-7


@pytest.mark.parametrize(
    "surface", [even_stack(3, 9, 6), uneven_stack(3, max_layers=3), uneven_stack(1, max_layers=3)],
    ids=["even", "uneven", "one_layer"],
)  # fmt: skip
def test_theorem_2_is_the_derivative(surface: StackedSurface) -> None:
    """Acceptance check 8: phi real and imaginary, and theta, against central differences of a NumPy rate."""
    link = broadcast_link(surface)
    state, f = phases(1, 3, 9), scaled(gaussian(2, 2, surface.n_ports, 2), 2.0)
    value, gradient = (np.asarray(x) for x in rate_and_gradient(link, jnp.asarray(state), jnp.asarray(f)))
    assert float(value) == pytest.approx(numpy_rate(link, state, f), rel=1e-12)
    assert_derivative(lambda s: numpy_rate(link, s, f), state, gradient)


@pytest.mark.parametrize("surface", [even_stack(3, 9, 6), uneven_stack(3, max_layers=3)], ids=["even", "uneven"])
def test_theorem_1_is_the_derivative(surface: StackedSurface) -> None:
    """Acceptance check 8 for dirty paper coding: the dual channel's rate at fixed covariances."""
    link = broadcast_link(surface)
    state, x = phases(1, 3, 9), scaled(gaussian(3, 2, 2, 2), 2.0)
    value, gradient = (np.asarray(a) for a in dual_rate_and_gradient(link, jnp.asarray(state), jnp.asarray(x)))
    assert float(value) == pytest.approx(numpy_dual_rate(link, state, x), rel=1e-12)
    assert_derivative(lambda s: numpy_dual_rate(link, s, x), state, gradient)


def test_what_the_forward_pass_keeps_serves_another_precoder() -> None:
    link, state = broadcast_link(even_stack(3, 9, 6)), jnp.asarray(phases(1, 3, 9))
    first, second = (jnp.asarray(scaled(gaussian(s, 2, 6, 2), 2.0)) for s in (2, 3))

    @jax.jit
    def crossed(link: Link) -> jax.Array:
        _, kept = fixed_precoder_rate(link, first)[0](state)
        return fixed_precoder_rate(link, second)[1](state, kept)

    np.testing.assert_allclose(crossed(link), rate_and_gradient(link, state, second)[1], rtol=1e-12)


def test_received_signal_and_rate_over_unit_noise() -> None:
    h, f = gaussian(0, 2, 2, 6), gaussian(1, 2, 6, 2)
    z, rate = jax.jit(lambda h, f: (received_over_unit_noise(h, f), linear_sum_rate(h, f)))(h, f)
    np.testing.assert_allclose(z, np.einsum("krp,jps->krjs", h, f), rtol=1e-11)
    assert float(rate) == pytest.approx(broadcast_rates(h, f).sum(), rel=1e-12)


def problem(surface: StackedSurface) -> Problem:
    return Problem(
        link=broadcast_link(surface), limits=(Limit(jnp.ones(1)),),
        consumption=Consumption.of(per_chain=0.5, static=1.0, per_element=0.01), min_rate=jnp.zeros(2),
    )  # fmt: skip


@jax.jit
def bits_per_joule(problem: Problem, state: jax.Array, f: jax.Array) -> jax.Array:
    return evaluate(problem, Design((state[None],), f[None, None])).energy_efficiency


def test_common_phase_of_a_layer_changes_nothing() -> None:
    """Acceptance check 14."""
    p, state = problem(even_stack(3, 9, 6)), phases(1, 3, 9)
    f = jnp.asarray(gaussian(2, 2, 6, 2))
    reference = float(bits_per_joule(p, jnp.asarray(state), f))
    for layer in range(3):
        turned = state.copy()
        turned[layer] *= np.exp(0.7j)
        assert float(bits_per_joule(p, jnp.asarray(turned), f)) == pytest.approx(reference, rel=1e-12)
    uneven = state.copy()
    uneven[0, 0] *= np.exp(0.7j)
    assert abs(float(bits_per_joule(p, jnp.asarray(uneven), f)) / reference - 1) > 1e-6


@pytest.mark.parametrize("bits", [12, 14])
def test_fine_quantisation_costs_less_than_a_thousandth(bits: int) -> None:
    """Acceptance check 15."""
    p, state = problem(even_stack(3, 9, 6)), jnp.asarray(phases(1, 3, 9))
    f = jnp.asarray(gaussian(2, 2, 6, 2))
    rounded = jax.jit(QuantizedPhase(shape=(3, 9), bits=bits).project)(state)
    before, after = (float(bits_per_joule(p, s, f)) for s in (state, rounded))
    assert 0 < abs(after / before - 1) < 1e-3


RULE = StepRule()
LINK = broadcast_link(even_stack(3, 9, 6))


def trial(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A short alternation: random phases, then three times (precoder step, phase step)."""
    state = UnitModulus(shape=(3, 9)).random(key)
    limit, fixed, noise = jnp.asarray(1.0), jnp.asarray(3.0), jnp.sqrt(LINK.noise_power)
    f = maximum_ratio(broadcast_forward(LINK, state)[0] / noise, limit)

    def step(carry: tuple, _) -> tuple:
        state, f, _size = carry
        h = broadcast_forward(LINK, state)[0] / noise
        f = reduced_step(h, Reduced.of(h), f, fixed, limit)
        forward, backward = fixed_precoder_rate(LINK, f)
        point = start_point(forward, state, StepRule(first=RULE.first))
        point = ascend(forward, backward, UnitModulus(shape=(3, 9)).project, point, RULE)
        return (point.x, f, point.step), point.value

    (state, f, _), values = jax.lax.scan(step, (state, f, jnp.asarray(RULE.first)), None, length=3)
    return state, f, values


@pytest.fixture(scope="module")
def one_by_one() -> tuple:
    keys = jax.random.split(jax.random.key(0), 4)
    single = jax.jit(trial)
    return keys, jax.tree.map(lambda *x: np.stack(x), *[jax.device_get(single(k)) for k in keys])


def test_neighbours_in_a_batch_change_no_bit(one_by_one: tuple) -> None:
    keys, expected = one_by_one
    loop = jax.jit(lambda k: jax.lax.map(trial, k))
    turned = np.roll(np.arange(len(keys)), 1)
    straight, other_way = (jax.device_get(loop(k)) for k in (keys, keys[turned]))
    for value, other, reference in zip(straight, other_way, expected, strict=True):
        np.testing.assert_array_equal(value[turned], other)
        assert relative_error(value, reference) <= 1e-10  # alone it is another program


def test_vectorised_batch_agrees_to_rounding(one_by_one: tuple) -> None:
    keys, expected = one_by_one
    for value, reference in zip(jax.jit(jax.vmap(trial))(keys), expected, strict=True):
        assert relative_error(value, reference) <= 1e-10


def test_alternation_climbs(one_by_one: tuple) -> None:
    values = one_by_one[1][2]
    assert (values[:, -1] > 1.02 * values[:, 0]).all()
