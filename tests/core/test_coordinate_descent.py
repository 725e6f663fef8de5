"""Discrete phases: on the levels, never worse, no better neighbour, and the best rounding of a continuous state."""

import functools
import itertools
from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import broadcast_link, broadcast_rates, even_stack, gaussian, phases, scaled, stack_product, uneven_stack

from metamimo.errors import ConfigError
from metamimo.metrics.rates import linear_sum_rate
from metamimo.problem import Link, Status
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.feasible import QuantizedPhase
from metamimo.surfaces.stacked import StackedSurface
from metamimo.tuners.coordinate_descent import best_common_phase, nearest_levels, rounding_alignment, tune_levels
from metamimo.tuners.tuned import Tuned


@functools.partial(jax.jit, static_argnames=("levels", "max_sweeps"))
def tune(link: Link, state: jax.Array, f: jax.Array, *, levels: int, max_sweeps: int = 50) -> Tuned:
    return tune_levels(link, state, lambda h: linear_sum_rate(h, f), levels=levels, max_sweeps=max_sweeps)


nearest = jax.jit(nearest_levels, static_argnums=1)
common_phase = jax.jit(best_common_phase, static_argnums=1)
contains = jax.jit(lambda feasible, state: feasible.contains(state, atol=1e-14))


def precoder(link: Link, seed: int = 7) -> jax.Array:
    users, rx = link.channel.shape[2:4]
    return jnp.asarray(scaled(gaussian(seed, users, link.surfaces[0].n_ports, rx), 4.0))


def numpy_rate(link: Link, state: np.ndarray, f: jax.Array) -> float:
    """The rate by a full pass through the stack."""
    surface = link.surfaces[0]
    assert isinstance(surface, StackedSurface)
    h = np.asarray(link.channel)[0, 0] @ stack_product(surface, state) / np.sqrt(float(link.noise_power))
    return broadcast_rates(h * np.asarray(link.ports)[0], np.asarray(f)).sum()


def neighbours(state: np.ndarray, layers: int, levels: int) -> Iterator[np.ndarray]:
    """All states that differ in one element of the layers in use."""
    for l, n, turn in itertools.product(range(layers), range(state.shape[1]), range(1, levels)):
        other = state.copy()
        other[l, n] *= np.exp(2j * np.pi * turn / levels)
        yield other


@pytest.fixture(scope="module")
def small() -> tuple[Link, jax.Array]:
    link = broadcast_link(even_stack(2, 4, 4), seed=3)
    return link, precoder(link)


@pytest.mark.parametrize("seed", range(4))
def test_no_single_change_is_better(small: tuple[Link, jax.Array], seed: int) -> None:
    link, f = small
    tuned = tune(link, jnp.asarray(phases(seed, 2, 4)), f, levels=4)
    assert bool(contains(QuantizedPhase(shape=(2, 4), bits=2), tuned.state))
    assert (np.diff(tuned.history) >= 0).all()
    assert int(tuned.status) == Status.CONVERGED
    reached = numpy_rate(link, np.asarray(tuned.state), f)
    others = [numpy_rate(link, other, f) for other in neighbours(np.asarray(tuned.state), 2, 4)]
    assert len(others) == 2 * 4 * 3
    assert max(others) <= reached * (1 + 1e-11)
    assert int(tuned.trials) == 1 + int(tuned.iterations) * 2 * 4 * 4


def test_start_is_rounded_and_improved(small: tuple[Link, jax.Array]) -> None:
    link, f = small
    gains = []
    for seed in range(4):
        state = phases(seed, 2, 4)
        tuned = tune(link, jnp.asarray(state), f, levels=4)
        rounded = numpy_rate(link, np.asarray(nearest(state, 4)), f)
        history = np.asarray(tuned.history)
        assert history[0] == pytest.approx(rounded, rel=1e-12)
        gains.append(history[-1] / rounded)
    assert min(gains) >= 1
    assert max(gains) > 1.05


@pytest.mark.parametrize("levels", [2, 4])
def test_brute_force_is_an_upper_bound_and_a_fixed_point(levels: int) -> None:
    link = broadcast_link(even_stack(1, 4, 4, max_layers=2), seed=5)
    f = precoder(link)
    grid = np.exp(2j * np.pi * np.arange(levels) / levels)
    every = [np.array([choice, np.ones(4)]) for choice in itertools.product(grid, repeat=4)]
    rates = np.array([numpy_rate(link, state, f) for state in every])
    found = [np.asarray(tune(link, phases(s, 2, 4), f, levels=levels).history)[-1] for s in range(4)]
    assert max(found) <= rates.max() * (1 + 1e-12)
    assert min(found) >= np.median(rates)
    stays = tune(link, every[int(rates.argmax())], f, levels=levels)
    assert np.asarray(stays.history)[-1] == pytest.approx(rates.max(), rel=1e-12)
    assert int(stays.iterations) == 1


@pytest.mark.parametrize(
    ("surface", "off"),
    [(even_stack(2, 9, 4, max_layers=3), 1), (uneven_stack(3), None)],
    ids=["room_and_a_port_off", "uneven"],
)
def test_rank_one_updates_equal_a_full_pass(surface: StackedSurface, off: int | None) -> None:
    link = broadcast_link(surface)
    if off is not None:
        ports = np.arange(link.ports.size) != off
        link = eqx.tree_at(lambda l: l.ports, link, jnp.asarray(ports[None]))
    f = precoder(link)
    state = phases(2, surface.feasible.shape[0], 9)
    tuned = tune(link, state, f, levels=4)
    final, layers, reached = np.asarray(tuned.state), int(surface.n_layers), np.asarray(tuned.history)[-1]
    assert int(tuned.iterations) >= 2
    assert reached == pytest.approx(numpy_rate(link, final, f), rel=1e-11)
    others = [numpy_rate(link, other, f) for other in neighbours(final, layers, 4)]
    assert max(others) <= reached * (1 + 1e-11)
    np.testing.assert_array_equal(final[layers:], np.asarray(nearest(state, 4))[layers:])


def test_limit_of_sweeps_is_reported(small: tuple[Link, jax.Array]) -> None:
    link, f = small
    state = jnp.asarray(phases(0, 2, 4))
    first = tune(link, state, f, levels=4, max_sweeps=1)
    assert int(tune(link, state, f, levels=4).iterations) > 1
    assert int(first.status) == Status.ITERATION_LIMIT
    assert first.history.shape == (2,)


def test_batch_equals_single_runs(small: tuple[Link, jax.Array]) -> None:
    link, f = small
    states = phases(9, 3, 2, 4)
    batch = jax.device_get(jax.jit(jax.vmap(lambda s: tune(link, s, f, levels=4)))(states))
    for i, state in enumerate(states):
        single = tune(link, state, f, levels=4)
        np.testing.assert_allclose(batch.state[i], single.state, atol=1e-14)
        np.testing.assert_allclose(batch.history[i], single.history, rtol=1e-12)
        assert int(batch.iterations[i]) == int(single.iterations)


def test_silent_and_broken_channels_end_with_a_status(small: tuple[Link, jax.Array]) -> None:
    link, f = small
    state = jnp.asarray(phases(0, 2, 4))
    silent = eqx.tree_at(lambda l: l.channel, link, jnp.zeros_like(link.channel))
    broken = eqx.tree_at(lambda l: l.channel, link, link.channel * jnp.nan)
    tuned = tune(silent, state, f, levels=4)
    assert (int(tuned.status), np.asarray(tuned.history)[-1]) == (Status.CONVERGED, 0)
    np.testing.assert_array_equal(tuned.state, nearest(state, 4))
    assert int(tune(broken, state, f, levels=4).status) == Status.NOT_FINITE


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_nearest_levels_follow_the_feasible_set(bits: int) -> None:
    halfway = np.exp(1j * np.pi * (2 * np.arange(8) + 1) / 2**bits)
    state = np.concatenate([phases(1, 40), halfway]).reshape(6, 8)
    expected = jax.jit(QuantizedPhase(shape=(6, 8), bits=bits).project)(state)
    np.testing.assert_array_equal(nearest(state, 2**bits), expected)


@pytest.mark.parametrize("levels", [2, 3, 8])
def test_no_other_common_phase_rounds_better(levels: int) -> None:
    def moved(state: np.ndarray) -> np.ndarray:
        step = 2 * np.pi / levels
        return (abs(np.exp(1j * step * np.round(np.angle(state) / step)) - state) ** 2).sum(-1)

    state = phases(4, 5, 7)
    turned = np.asarray(common_phase(state, levels))
    ratio = turned / state
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-12)
    turns = np.exp(2j * np.pi * np.arange(4000) / (4000 * levels))
    by_search = moved(turns[:, None, None] * state)
    assert (moved(turned) <= by_search.min(0) + 1e-12).all()
    assert (moved(turned) >= by_search.min(0) - 1e-2).all()
    assert (moved(turned) < moved(state)).all()


def test_alignment_is_one_on_a_level_and_minus_one_between_two() -> None:
    state = jnp.asarray(np.exp(1j * np.pi * np.array([0.0, 0.5, 0.25, -0.25])))
    np.testing.assert_allclose(rounding_alignment(state, 4), [1, 1, -1, -1], atol=1e-12)


def test_refuses_what_it_cannot_tune(small: tuple[Link, jax.Array]) -> None:
    link, f = small
    state = jnp.asarray(phases(0, 2, 4))
    with pytest.raises(ConfigError, match=r"levels: .* got 1"):
        tune(link, state, f, levels=1)
    with pytest.raises(ConfigError, match=r"levels: .* got 0"):
        best_common_phase(state, 0)
    array = FullyDigital.example()
    with pytest.raises(ConfigError, match=r"StackedSurface, got FullyDigital"):
        tune(broadcast_link(array), state, f, levels=4)
