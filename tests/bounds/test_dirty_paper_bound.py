"""Bounds of dirty paper coding hold against everything that is feasible, and are tight where theory says so."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metamimo.bounds.dirty_paper import all_phase_bounds, stage_bound
from metamimo.bounds.parallel import parallel_bound
from metamimo.precoders.covariances import energy_efficient_covariances, start_covariances
from metamimo.surfaces.stacked import StackedSurface

USERS, RX, PORTS = 2, 2, 3
FIXED = jnp.asarray(5.0)
stage = jax.jit(energy_efficient_covariances)
bound_at = jax.jit(stage_bound)


@jax.jit
def bound_at_all(g: jax.Array, gains: jax.Array, fixed: jax.Array, power: jax.Array) -> jax.Array:
    """Of all ports, whatever their number."""
    return all_phase_bounds(g, gains, jnp.full(gains.shape, fixed), power)[-1]


def gaussian(seed: int, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def scaled(x: np.ndarray, power: float) -> np.ndarray:
    return x * np.sqrt(power) / np.linalg.norm(x)


def efficiency(h: np.ndarray, x: np.ndarray) -> float:
    """Of covariances x_k x_k^H in the dual channel."""
    w = (x.conj().swapaxes(-1, -2) @ h).reshape(-1, h.shape[-1])
    gains = np.linalg.svd(w, compute_uv=False) ** 2
    return np.log1p(gains).sum() / (float(FIXED) + np.linalg.norm(x) ** 2)


def linear_efficiency(h: np.ndarray, f: np.ndarray) -> float:
    """Of linear precoding (eq. 8)."""
    rate = 0.0
    for k, hk in enumerate(h):
        parts = [hk @ fj @ fj.conj().T @ hk.conj().T for fj in f]
        noise = np.eye(len(hk)) + sum(p for j, p in enumerate(parts) if j != k)
        rate += np.linalg.slogdet(noise + parts[k])[1] - np.linalg.slogdet(noise)[1]
    return rate / (float(FIXED) + np.linalg.norm(f) ** 2)


@given(
    seed=st.integers(0, 2**16),
    level=st.floats(-3, 4),
    powers=st.tuples(st.floats(1e-6, 1), st.floats(1e-6, 1)),
    limit=st.sampled_from([1e-2, 1.0, 1e4]),
)
def test_certificate_is_never_violated(seed: int, level: float, powers: tuple[float, float], limit: float) -> None:
    """From any covariances it covers all others, the optimum and linear precoders."""
    h = 10**level * gaussian(seed, USERS, RX, PORTS)
    h = h if seed % 2 else h[:1] + 1e-4 * h  # nearly the same channel for both
    x, other = (scaled(gaussian(seed + i, USERS, RX, RX), p * limit) for i, p in enumerate(powers, 1))
    args = jnp.asarray(h), FIXED, jnp.asarray(limit)
    best = stage(args[0], jnp.asarray(x), *args[1:])
    for point in (x, np.asarray(best.factor)):
        bound = float(bound_at(args[0], jnp.asarray(point), *args[1:]))
        assert bound >= efficiency(h, x)
        assert bound >= efficiency(h, other)
        assert bound >= efficiency(h, np.asarray(best.factor))
        assert bound >= linear_efficiency(h, scaled(gaussian(seed, USERS, PORTS, RX), limit))
        assert bound >= linear_efficiency(h, scaled(h.conj().swapaxes(1, 2), powers[0] * limit))
    reached = float(np.asarray(best.history)[-1])
    assert bound <= reached * (1 + 1e-3)
    assert float(best.gap) == pytest.approx(bound / reached - 1, abs=1e-9)


CONVERGED = jax.jit(lambda h, x, fixed, power: energy_efficient_covariances(h, x, fixed, power, tolerance=1e-13))


@pytest.mark.parametrize(("fixed", "gap"), [(1e6, 1e-6), (5.0, 1e-5)], ids=["rate", "efficiency"])
def test_certificate_of_random_covariances_and_of_the_optimum(fixed: float, gap: float) -> None:
    """Acceptance check 2: 150 points; at so much fixed power the best efficiency is that of the best rate."""
    power = jnp.asarray(1.0)
    for seed in range(5):
        h = jnp.asarray(3 * gaussian(seed, USERS, RX, PORTS))
        best = CONVERGED(h, start_covariances(h, power), jnp.asarray(fixed), power)
        reached = float(best.history[-1])
        assert reached * (1 - 1e-9) <= float(bound_at(h, best.factor, jnp.asarray(fixed), power)) <= reached * (1 + gap)
        for point in range(30):
            share = np.random.default_rng(point).random()
            x = jnp.asarray(scaled(gaussian(100 + point, USERS, RX, RX), share))
            assert float(bound_at(h, x, jnp.asarray(fixed), power)) >= reached * (1 - 1e-9)


def test_certificate_without_limit_power_or_channel() -> None:
    h, x = jnp.asarray(gaussian(1, USERS, RX, PORTS)), jnp.asarray(scaled(gaussian(2, USERS, RX, RX), 1.0))
    limits = [float(bound_at(h, x, FIXED, jnp.asarray(p))) for p in (1e3, 1e9, np.inf)]
    assert limits[0] <= limits[1] <= limits[2] < np.inf
    assert float(bound_at(0 * h, x, FIXED, jnp.asarray(1.0))) == pytest.approx(0, abs=1e-12)
    assert float(bound_at(h, 0 * x, FIXED, jnp.asarray(0.0))) == pytest.approx(0, abs=1e-12)


def test_bound_of_a_batch() -> None:
    h, x = jnp.asarray(gaussian(1, 3, USERS, RX, PORTS)), jnp.asarray(gaussian(2, 3, USERS, RX, RX))
    batch = jax.jit(jax.vmap(stage_bound, in_axes=(0, 0, None, None)))(h, x, FIXED, jnp.asarray(20.0))
    each = [float(bound_at(a, b, FIXED, jnp.asarray(20.0))) for a, b in zip(h, x, strict=True)]
    np.testing.assert_allclose(np.asarray(batch), each, rtol=1e-12)


@jax.jit
def bound_and_optimum_of_modes(gain: jax.Array, limit: jax.Array) -> tuple[jax.Array, jax.Array]:
    h = jnp.diag(jnp.sqrt(gain)).astype(complex)[:, None]
    start = start_covariances(h, jnp.minimum(limit, 1e4))
    return parallel_bound(gain, FIXED, limit), energy_efficient_covariances(h, start, FIXED, limit).history[-1]


@given(
    gain=st.lists(st.floats(0, 1e6), min_size=3, max_size=3),
    share=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    limit=st.sampled_from([0.0, 1e-2, 1.0, 1e4, np.inf]),
)
@example(gain=[0.0, 0.0, 4e-16], share=[0.0, 0.0, 0.0], limit=1.0)
def test_parallel_channels_are_bounded_by_their_optimum(gain: list[float], share: list[float], limit: float) -> None:
    """The optimum is that of one user a mode; no other powers do better."""
    bound, best = (float(x) for x in bound_and_optimum_of_modes(np.array(gain), limit))
    assert best <= bound <= best * (1 + 1e-9) + 1e-12
    p = np.asarray(share) * min(limit, 1e4) / 3
    assert np.log1p(np.asarray(gain) * p).sum() / (float(FIXED) + p.sum()) <= bound


STACK = StackedSurface.example()
"""Two layers of nine elements in room for three, four ports."""


def uneven(layers: int) -> StackedSurface:
    hops = gaussian(3, 3, 9, 9) / 4
    return StackedSurface(gaussian(4, 9, 4) / 3, hops, np.eye(9), n_layers=layers, max_layers=4)


@jax.jit
def gains_of(surface: StackedSurface) -> tuple[jax.Array, jax.Array]:
    """The limits, and the energy gains of twenty random states."""
    states = surface.feasible.random(jax.random.key(0), (20,))
    return surface.gain_limits(), jax.lax.map(surface.energy_gain, states)


@pytest.mark.parametrize("surface", [STACK, uneven(1), uneven(3)], ids=["even", "one_layer", "uneven"])
def test_gains_are_products_of_singular_values(surface: StackedSurface) -> None:
    gains, of_states = (np.asarray(x) for x in gains_of(surface))
    expected = np.linalg.svd(np.asarray(surface.first), compute_uv=False) ** 2
    for l in range(int(surface.n_layers) - 1):
        hop = np.asarray(surface.hops)[0 if len(surface.hops) == 1 else l]
        expected = expected * np.linalg.svd(hop, compute_uv=False)[:4] ** 2
    np.testing.assert_allclose(gains, expected, rtol=1e-12)
    assert (gains >= expected).all()
    assert len(of_states) == 20
    assert (of_states <= gains[0] * (1 + 1e-12)).all()


@pytest.fixture(scope="module")
def found() -> SimpleNamespace:
    """The best of many random states, each at its optimal covariances, for every power."""
    g, powers = 20 * gaussian(5, USERS, RX, 9), np.array([1e-4, 1e-2, 1.0])

    @jax.jit
    def best(g: jax.Array, powers: jax.Array) -> jax.Array:
        x = start_covariances(g, jnp.asarray(1.0))

        def value(key: jax.Array, power: jax.Array) -> jax.Array:
            h = STACK.apply_rows(STACK.feasible.random(key), g[None])[0]
            return energy_efficient_covariances(h, x * jnp.sqrt(power), FIXED, power, max_steps=30).history[-1]

        keys = jax.random.split(jax.random.key(0), 100)
        return jax.lax.map(lambda power: jax.lax.map(lambda key: value(key, power), keys).max(), powers)

    return SimpleNamespace(g=g, powers=powers, best=np.asarray(best(g, powers)))


def test_bound_covers_all_phases(found: SimpleNamespace) -> None:
    """By the smaller of both relaxations; it is within a factor of what a hundred random states reach."""
    gains = gains_of(STACK)[0]
    bounds = []
    for power, best in zip(found.powers, found.best, strict=True):
        bounds.append(float(bound_at_all(found.g, gains, FIXED, power)))
        # Equal gains leave the first relaxation alone where ports are not fewer than receivers.
        assert best <= bounds[-1] <= float(bound_at_all(found.g, jnp.full(9, gains[0]), FIXED, power)) * (1 + 1e-12)
        assert bounds[-1] < 3 * best
    assert np.diff(bounds).min() > 0


def test_few_ports_have_smaller_bounds_that_cover_every_choice(found: SimpleNamespace) -> None:
    costs = jnp.array([1.0, 2.0, 3.0, 4.0])
    values = np.asarray(jax.jit(all_phase_bounds)(found.g, gains_of(STACK)[0], costs, jnp.asarray(1.0)))
    for port in range(4):
        alone = StackedSurface(np.asarray(STACK.first)[:, [port]], np.asarray(STACK.hops), np.eye(9), n_layers=2)
        few = np.asarray(jax.jit(all_phase_bounds)(found.g, gains_of(alone)[0], costs[:1], jnp.asarray(1.0)))
        assert few[0] <= values[0] * (1 + 1e-9)
    same = np.asarray(jax.jit(all_phase_bounds)(found.g, gains_of(STACK)[0], jnp.full(4, 2.0), jnp.asarray(1.0)))
    assert (np.diff(same) >= 0).all()


def test_bound_follows_the_gains_and_the_scaling_law(found: SimpleNamespace) -> None:
    power, gains = found.powers[-1], gains_of(STACK)[0]
    value = float(bound_at_all(found.g, gains, FIXED, power))
    assert float(bound_at_all(found.g, gains / 2, FIXED, power)) < value
    law = float(bound_at_all(3 * found.g, gains, FIXED / 9, power / 9))
    assert law / 9 == pytest.approx(value, rel=1e-8)


def test_bound_is_the_optimum_for_one_matched_stream() -> None:
    """One port, one layer and one antenna: the bound by the norms is the efficiency of matched phases and power."""
    surface = StackedSurface(np.ones((9, 1), complex) / 3, np.eye(9, dtype=complex)[None], np.eye(9), n_layers=1)
    g = np.exp(2j * np.pi * np.random.default_rng(6).random((1, 1, 9)))  # equal magnitudes: phases reach the norm
    bound = float(bound_at_all(g, gains_of(surface)[0], FIXED, 1.0))
    h = (g[0] * np.exp(-1j * np.angle(g[0]))) @ np.asarray(surface.first)
    best = np.log1p(np.linalg.norm(h) ** 2) / 6  # full power is best here
    assert bound == pytest.approx(best, rel=1e-9)
    assert bound >= best
