"""The bound of stacked surfaces: never below what is feasible, tight where theory says so (spec of bounds, 11)."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.bounds.dirty_paper import all_phase_bounds
from metamimo.bounds.parallel import parallel_bound
from metamimo.bounds.stack import (
    Cascade,
    Multipliers,
    Spending,
    bounds_at,
    gain_bound,
    gain_bound_at,
    smooth_bound,
    stack_bounds,
)

SEARCH = jax.jit(stack_bounds, static_argnames="max_iterations")
AT = jax.jit(bounds_at)
GAIN, GAIN_AT = jax.jit(gain_bound, static_argnames=("tolerance", "max_iterations")), jax.jit(gain_bound_at)
DIRECT = jax.jit(all_phase_bounds)
SMOOTH = jax.jit(smooth_bound)
MUCH = 1e6
"""Fixed power at which the best ratio is that of the best rate."""


def gaussian(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def cascade(seed, layers, elements, ports=2, receivers=2, strength=3.0):
    rng = np.random.default_rng(seed)
    rows = strength * gaussian(rng, receivers, elements)
    hops = gaussian(rng, max(layers - 1, 1), elements, elements) / np.sqrt(elements)
    first = gaussian(rng, elements, ports) / np.sqrt(elements)
    return Cascade(*map(jnp.asarray, (rows, hops, first, layers)), room=layers)


def rate_only(ports, power):
    return Spending(jnp.full(ports, MUCH * power), jnp.asarray(power))


def in_nats(bounds, spending):
    """Turn the ratio at much fixed power into the rate."""
    return float(np.max(bounds)) * float(spending.fixed[0] + spending.total)


def products(stack, phases):
    """Return H of every row of states, shape (state, layer, element)."""
    h = phases[:, 0, :, None] * np.asarray(stack.first)
    for l in range(1, phases.shape[1]):
        h = phases[:, l, :, None] * (np.asarray(stack.hops)[l - 1] @ h)
    return np.asarray(stack.rows) @ h


def together(h, power):
    """Return the capacity of parallel channels by water-filling, of every H: what users that decode together reach."""
    gain = np.linalg.svd(h, compute_uv=False) ** 2
    best = np.zeros(len(h))
    for count in range(1, gain.shape[1] + 1):
        level = (power + (1 / gain[:, :count]).sum(1)) / count
        p = level[:, None] - 1 / gain[:, :count]
        rate = np.log(np.maximum(level[:, None] * gain[:, :count], 1e-300)).sum(1)
        best = np.where((p >= 0).all(1), rate, best)
    return best


def apart(h, power, shares=21):
    """Return the dirty paper rate of two users by a grid of shares in the dual channel, of every H."""
    best = np.zeros(len(h))
    for share in np.linspace(0, 1, shares):
        q = power * np.array([share, 1 - share])
        best = np.maximum(best, np.linalg.slogdet(np.eye(2) + h.conj().swapaxes(1, 2) @ (q[:, None] * h))[1])
    return best


def grid(layers, elements, steps):
    """Return all states on a grid of phases; the first element of a layer may stay, its phase is common."""
    angles = np.exp(2j * np.pi * np.arange(steps) / steps)
    every = np.array(list(itertools.product(angles, repeat=layers * (elements - 1))))
    free = every.reshape(-1, layers, elements - 1)
    return np.concatenate([np.ones((len(free), layers, 1)), free], 2)


@pytest.mark.parametrize(
    ("layers", "elements", "steps", "mean"), [(1, 3, 100, 1.03), (2, 3, 12, 1.07), (3, 2, 30, 1.08)]
)
def test_bound_covers_all_phases_of_tiny_stacks(layers, elements, steps, mean):
    """Check 4, for B4 and B7; the common phase of a layer does not count."""
    states, ratios = grid(layers, elements, steps), []
    for seed in range(6):
        stack, spending = cascade(seed, layers, elements), rate_only(2, 10.0)
        bound = in_nats(SEARCH(stack, spending), spending)
        best = apart(products(stack, states), 10.0).max()
        assert best <= bound
        # B7 alone: with equal gains for all modes, users that decode together are never the smaller bound.
        norms = [np.linalg.norm(w, 2) ** 2 for w in (stack.first, *stack.hops[: layers - 1])]
        direct = DIRECT(stack.rows[:, None], jnp.full(2, np.prod(norms)), spending.fixed, spending.total)
        assert best <= in_nats(direct, spending)
        ratios.append(bound / best)
    assert np.mean(ratios) <= mean


def test_one_antenna_and_one_port_meet_the_matched_phases():
    """Check 3: L = M = K = 1."""
    stack, spending = cascade(3, 1, 9, ports=1, receivers=1), rate_only(1, 2.0)
    amplitude = np.abs(np.asarray(stack.rows)[0] * np.asarray(stack.first)[:, 0]).sum()
    value = in_nats(SEARCH(stack, spending, max_iterations=1000), spending)
    assert value == pytest.approx(np.log1p(2.0 * amplitude**2), rel=1e-4)
    assert value >= np.log1p(2.0 * amplitude**2)


def test_one_user_behind_one_layer_is_covered_closely():
    """Check 3: L = 1, N = 4, M = 2, K = 1 against a grid of phases."""
    states = grid(1, 4, 40)
    for seed in range(10):
        stack, spending = cascade(seed, 1, 4, receivers=1), rate_only(2, 1.0)
        bound = in_nats(SEARCH(stack, spending), spending)
        best = np.log1p((np.abs(products(stack, states)) ** 2).sum((1, 2))).max()
        assert best <= bound <= 1.02 * best


def test_gain_of_one_user_is_the_matched_one_or_close_to_the_best_of_a_grid():
    """Check 3: B5 is exact with one port and one layer; two ports and four elements against a grid of phases."""
    options = {"tolerance": 1e-12, "max_iterations": 1000}
    one = cascade(3, 1, 9, ports=1, receivers=1)
    matched = np.abs(np.asarray(one.rows)[0] * np.asarray(one.first)[:, 0]).sum() ** 2
    assert matched <= float(GAIN(one, **options)) <= matched * (1 + 1e-6)
    states = grid(1, 4, 60)
    for seed in range(10):
        stack = cascade(seed, 1, 4, receivers=1)
        best = (np.abs(products(stack, states)) ** 2).sum((1, 2)).max()
        assert best <= float(GAIN(stack, **options)) <= 1.01 * best


def test_gain_is_bounded_at_any_multipliers():
    stack = cascade(7, 3, 6, ports=3, receivers=1)
    rng = np.random.default_rng(0)
    h = products(stack, np.exp(2j * np.pi * rng.random((2000, 3, 6))))
    best = (np.abs(h) ** 2).sum((1, 2)).max()
    for seed in range(50):
        assert float(GAIN_AT(stack, multipliers(seed, 10.0 ** (seed % 3 - 1)).layers)) >= best
    few = [float(GAIN(stack, max_iterations=n)) for n in (0, 3, 10, 300)]
    assert best <= few[3] <= few[2] <= few[1] <= few[0]


@pytest.fixture(scope="module")
def stack():
    return cascade(7, 3, 6, ports=3, receivers=4)


@pytest.fixture(scope="module")
def best_rate(stack):
    """The best of 4000 random states that absorb, too, for users that decode together."""
    rng = np.random.default_rng(0)
    states = np.exp(2j * np.pi * rng.random((4000, 3, 6))) * np.where(np.arange(4000) % 4 < 3, 1, 0.9)[:, None, None]
    return together(products(stack, states), 5.0).max()


def multipliers(seed, spread=1.0, ports=3):
    rng = np.random.default_rng(seed)
    return Multipliers(jnp.asarray(spread * rng.standard_normal((3, 6))), jnp.zeros(ports))


def test_any_multipliers_bound_random_phases(stack, best_rate):
    """Check 5."""
    spending = rate_only(3, 5.0)
    for seed in range(100):
        assert in_nats(AT(stack, spending, multipliers(seed, 10.0 ** (seed % 3 - 1))), spending) >= best_rate


@pytest.mark.parametrize("iterations", [0, 3, 10])
def test_an_early_stop_still_bounds(stack, best_rate, iterations):
    """Check 12."""
    spending = rate_only(3, 5.0)
    value = in_nats(SEARCH(stack, spending, max_iterations=iterations), spending)
    assert best_rate <= value
    assert in_nats(SEARCH(stack, spending), spending) <= value * (1 + 1e-12)


def test_logarithm_of_the_gains_makes_the_bound_convex(stack):
    """Check 5, for a rate: along segments between multipliers."""
    spending, last = rate_only(3, 5.0), jnp.asarray(2)
    for seed in range(100):
        a, b = multipliers(seed), multipliers(seed + 1000)
        middle = jax.tree.map(lambda x, y: (x + y) / 2, a, b)
        values = [float(jnp.exp(SMOOTH(stack, spending, d, last))) for d in (a, middle, b)]
        assert values[1] <= (values[0] + values[2]) / 2 * (1 + 1e-10)


@pytest.mark.parametrize("total", [0.1, 500.0])
def test_gradient_is_that_of_differences(stack, total):
    """Check 6, for the multipliers of layers and of ports, where the limit of the sum binds and where it does not."""
    spending = Spending(jnp.array([1.0, 2.0, 3.0]), jnp.asarray(total), jnp.array([1.0, 2.0, 0.5]))
    at = dataclasses.replace(multipliers(1), ports=jnp.array([0.1, 0.2, 0.05]))
    gradient = jax.jit(jax.grad(smooth_bound, 2))(stack, spending, at, jnp.asarray(2))
    rng, step = np.random.default_rng(2), 1e-6
    for _ in range(5):
        way = Multipliers(jnp.asarray(rng.standard_normal((3, 6))), jnp.asarray(rng.standard_normal(3)))
        there, back = (jax.tree.map(lambda x, w, s=s: x + s * step * w, at, way) for s in (1, -1))
        change = float(SMOOTH(stack, spending, there, jnp.asarray(2)) - SMOOTH(stack, spending, back, jnp.asarray(2)))
        slope = sum(float((g * w).sum()) for g, w in zip(jax.tree.leaves(gradient), jax.tree.leaves(way), strict=True))
        assert change / (2 * step) == pytest.approx(slope, rel=1e-5)


def test_limits_of_ports_are_priced_safely(stack):
    """Check 12 for B6: random prices and designs within the limits of sum and ports, by rate and by efficiency."""
    rng = np.random.default_rng(4)
    ports, total = np.array([0.5, 2.0, 0.1]), 2.0
    for fixed in (1.0, MUCH):
        spending = Spending(jnp.full(3, fixed), jnp.asarray(total), jnp.asarray(ports))
        best = 0.0
        for _ in range(40):
            h = products(stack, np.exp(2j * np.pi * rng.random((1, 3, 6))))[0]
            f = gaussian(rng, 3, 4)
            f = f * np.sqrt(ports * rng.random(3) / (np.abs(f) ** 2).sum(1))[:, None]
            f = f * np.sqrt(min(1, total / (np.abs(f) ** 2).sum()))
            rate = np.linalg.slogdet(np.eye(4) + h @ f @ f.conj().T @ h.conj().T)[1]
            best = max(best, rate / (fixed + (np.abs(f) ** 2).sum()))
        for seed in range(40):
            priced = dataclasses.replace(multipliers(seed), ports=jnp.asarray(rng.random(3) * 10.0 ** (seed % 3 - 2)))
            assert float(AT(stack, spending, priced).max()) >= best
        searched = float(SEARCH(stack, spending).max())
        assert best <= searched <= float(SEARCH(stack, Spending(spending.fixed, spending.total)).max()) * (1 + 1e-3)
    assert searched < 0.95 * float(SEARCH(stack, Spending(spending.fixed, spending.total)).max())


def test_few_ports_have_bounds_of_their_own(stack):
    """B9: that with n ports on is the largest of the stacks that have only n."""
    spending = Spending(jnp.array([1.0, 2.0, 3.0]), jnp.asarray(5.0))
    values = np.asarray(AT(stack, spending, multipliers(3)))
    for count in (1, 2, 3):
        each = []
        for chosen in itertools.combinations(range(3), count):
            few = dataclasses.replace(stack, first=jnp.where(np.isin(np.arange(3), chosen), stack.first, 0))
            same = dataclasses.replace(spending, fixed=jnp.full(3, float(count)))
            each.append(float(AT(few, same, multipliers(3))[-1]))
        assert values[count - 1] == pytest.approx(max(each), rel=1e-9)


def test_many_ports_are_bounded_by_their_strongest_modes():
    many = cascade(5, 2, 12, ports=9, receivers=3)
    spending = Spending(jnp.arange(1.0, 10.0), jnp.asarray(5.0))
    values = np.asarray(SEARCH(many, spending))
    few = dataclasses.replace(many, first=many.first[:, :8])
    assert values.shape == (9,)
    assert (np.asarray(SEARCH(few, dataclasses.replace(spending, fixed=spending.fixed[:8]))) <= values[:8] * 1.01).all()


def test_scaling_power_and_passive_layers(stack):
    """Check 11."""
    spending, at = rate_only(3, 5.0), multipliers(6)
    value = in_nats(AT(stack, spending, at), spending)
    scaled = dataclasses.replace(stack, rows=3 * stack.rows)
    less = rate_only(3, 5.0 / 9)
    assert in_nats(AT(scaled, less, at), less) == pytest.approx(value, rel=1e-9)
    more = rate_only(3, 10.0)
    assert in_nats(AT(stack, more, at), more) > value
    u, s, v = np.linalg.svd(np.asarray(stack.hops))
    clipped = dataclasses.replace(stack, hops=jnp.asarray(u * np.minimum(s, 1)[:, None] @ v))
    none = Multipliers(jnp.zeros((3, 6)), jnp.zeros(3))
    assert in_nats(AT(clipped, spending, none), spending) <= in_nats(AT(stack, spending, none), spending)


def test_layers_that_are_not_in_use_do_not_count(stack):
    short = dataclasses.replace(stack, n_layers=jnp.asarray(2))
    alone = Cascade(stack.rows, stack.hops[:1], stack.first, jnp.asarray(2), room=2)
    spending = rate_only(3, 5.0)
    assert float(SEARCH(short, spending).max()) == pytest.approx(float(SEARCH(alone, spending).max()), rel=1e-6)


def test_line_bound_of_parallel_channels_is_their_optimum():
    """Check 1: B1 and B8 against a grid of powers, 200 instances."""
    bound = jax.jit(parallel_bound)
    rng = np.random.default_rng(8)
    shares = np.geomspace(1e-6, 1, 2400)
    for _ in range(200):
        gain, power, fixed = 10 ** rng.uniform(-2, 4, 3), 10 ** rng.uniform(-2, 2), 10 ** rng.uniform(-1, 2)
        # One mode at a time would miss mixtures: fill at every total power.
        level = np.array([(power * shares + (1 / np.sort(gain)[::-1][:n]).sum()) / n for n in (1, 2, 3)]).min(0)
        p = np.maximum(level[:, None] - 1 / gain, 0)
        best = (np.log1p(gain * p).sum(1) / (fixed + p.sum(1))).max()
        assert best * (1 - 1e-12) <= float(bound(gain, fixed, power)) <= best * (1 + 1e-5)
