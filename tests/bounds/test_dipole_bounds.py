"""Bounds of coupled tunable slots: against exhaustive tunings, closed forms, random designs and their own rules."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import hankel2

from metamimo.bounds.dipole_search import balanced_power, dipole_bound
from metamimo.bounds.dipoles import (
    DipoleNetwork,
    Multipliers,
    bound_at_multipliers,
    lagrangian,
    local_power_residuals,
)
from metamimo.physics.dipoles import dipole_coupling

K, HEIGHT, STRONGEST = 2 * np.pi, 1 / 6, 10.0
"""Wavenumber at unit wavelength, height of the guide, and the largest resonance strength over its reference."""
GAMMA = K**2 / (8 * HEIGHT) + K**3 / (3 * np.pi)
BOUND = jax.jit(dipole_bound, static_argnames="max_iterations")
AT = jax.jit(bound_at_multipliers)
START = jax.jit(balanced_power)


def gaussian(seed, *shape):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def antenna(nx, ny, feeds, pitch=0.25, k=K):
    """Return the coupling and the feed fields of slots along y over a parallel-plate guide (specification, 2.2)."""
    gx, gy = np.meshgrid((np.arange(nx) - (nx - 1) / 2) * pitch, (np.arange(ny) - (ny - 1) / 2) * pitch, indexing="ij")
    slots = np.stack([gx.ravel(), gy.ravel(), 0 * gx.ravel()], 1)
    d = slots[:, None] - slots
    rho = np.linalg.norm(d, axis=-1) + np.eye(len(slots))
    cosine = (d[..., 0] ** 2 - d[..., 1] ** 2) / rho**2
    guided = -1j * k**2 / (8 * HEIGHT) * (hankel2(0, k * rho) - cosine * hankel2(2, k * rho))
    upper = dipole_coupling(np.zeros((0, 3)), slots, 2 * np.pi / k, backplane=False) * k**3 / (3 * np.pi)
    coupling = np.where(np.eye(len(slots)) > 0, 0, guided) + upper
    offset = slots[:, None, :2] - feeds
    rho = np.linalg.norm(offset, axis=-1)
    return coupling, -1j * k / 4 * offset[..., 0] / rho * hankel2(1, k * rho)


def instance(seed, nx=2, ny=1, *, side=1.0, loss=0.0):
    """Return one station with one feed and one user: the raw arrays, and the network that the bound takes."""
    feed = np.random.default_rng(seed).uniform([-0.08, -0.1], [0.12, 0.1], (1, 2))
    coupling, fields = antenna(nx, ny, feed)
    damping, power, noise = GAMMA * (1 + loss), 0.3, 1e-2
    channel = GAMMA * gaussian(seed, 1, nx * ny)
    network = DipoleNetwork.build(
        jnp.asarray(coupling[None, None]),
        jnp.asarray(fields[None, None]),
        jnp.asarray(channel[None, None, :, None]),
        damping=jnp.array([damping]),
        least_detuning=jnp.array([side * GAMMA / damping / STRONGEST]),
        power=jnp.array([power]),
        noise_power=jnp.asarray(noise),
    )
    return SimpleNamespace(**locals())


def moments(coupling, fields, inverse):
    """Return m per feed current from the polarisabilities' inverses: (diag(1/alpha) - G) m = F."""
    system = inverse[..., None] * np.eye(inverse.shape[-1]) - coupling
    return np.linalg.solve(system, np.broadcast_to(fields, (*system.shape[:-1], fields.shape[-1])))


def best_of_grid(case, steps):
    """Return the largest rate over all tunings of a grid that is uniform in phase."""
    x = np.tan(np.linspace(1e-4, np.arctan(STRONGEST), steps))
    states = np.stack(np.meshgrid(*[x] * case.coupling.shape[0], indexing="ij"), -1).reshape(-1, case.coupling.shape[0])
    m = moments(case.coupling, case.fields, case.side * GAMMA / states + 1j * case.damping)
    return np.log1p(case.power / case.noise * np.sum(np.abs(m[..., 0] @ case.channel.T) ** 2, -1)).max()


@pytest.fixture(scope="module")
def cells():
    """Two subcarriers, stations, users and feeds, four slots; the rates of a thousand designs; their network."""
    rng = np.random.default_rng(0)
    pairs = [antenna(2, 2, np.array([[0.02, 0.06], [-0.03, -0.06]]), k=k) for k in (0.98 * K, K)]
    coupling, fields = (np.stack([np.stack([a, a]) for a in each]) for each in zip(*pairs, strict=True))
    damping = np.array([k**2 / (8 * HEIGHT) + k**3 / (3 * np.pi) for k in (0.98 * K, K)])
    detuning, power, noise = np.array([1.3, 1.0]), np.array([0.3, 0.1]), 1e-2
    channel = GAMMA * gaussian(3, 2, 2, 2, 1, 4)

    def network(*, gain=1.0, budget=power):
        return DipoleNetwork.build(
            jnp.asarray(coupling),
            jnp.asarray(fields),
            jnp.asarray(gain * channel),
            damping=jnp.asarray(damping),
            least_detuning=jnp.asarray(detuning / STRONGEST),
            power=jnp.asarray(budget),
            noise_power=jnp.asarray(noise),
        )

    best = 0.0
    for draw in range(1000):
        strength = np.tan(rng.uniform(1e-3, np.arctan(STRONGEST), (2, 4)))
        inverse = damping[:, None, None] * (detuning[:, None, None] / strength + 1j)
        heard = channel[..., 0, :] @ moments(coupling, fields, inverse)
        # Half of the precoders are random, the others matched to the channel.
        w = heard.conj().swapaxes(-1, -2) if draw % 2 else gaussian(draw, 2, 2, 2, 2)
        w = w * np.sqrt(power / (np.abs(w) ** 2).sum((0, 2, 3)))[:, None, None]
        z = (heard @ w).sum(1)
        best = max(best, np.linalg.slogdet(np.eye(2) + z @ z.conj().swapaxes(-1, -2) / noise)[1].mean())
    return SimpleNamespace(network=network, power=power, best=best)


def altered(start, seed):
    """Return other multipliers, some of which prove nothing."""
    rng = np.random.default_rng(seed)
    spread = 10 ** rng.uniform(-2, 0)

    def times(a, room=0.0):
        return a * jnp.exp(jnp.asarray(spread * rng.standard_normal(a.shape) + room))

    return Multipliers(times(start.active), times(start.reactive), times(start.budget, room=2 * spread))


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_lossless_slots_obey_both_power_laws_whatever_they_are_tuned_to(side):
    """Acceptance check 9, on either side of the resonance."""
    coupling, fields = antenna(3, 2, np.array([[0.03, 0.01], [0.1, -0.07]]))
    strength = np.random.default_rng(0).uniform(0.01, STRONGEST, (100, 6))
    m = moments(coupling, fields, side * GAMMA / strength + 1j * GAMMA) @ gaussian(1, 2)
    e = m @ coupling.T + fields @ gaussian(1, 2)
    damping, least = jnp.array([GAMMA]), jnp.array([side / STRONGEST])
    balance, margin = (np.asarray(r) for r in local_power_residuals(jnp.asarray(m), jnp.asarray(e), damping, least))
    size = GAMMA * np.abs(m) ** 2
    assert np.abs(balance / size).max() < 1e-10
    np.testing.assert_allclose(margin / size, 1 / strength - 1 / STRONGEST, rtol=1e-10, atol=1e-10)
    other, _ = local_power_residuals(jnp.asarray(m), jnp.asarray(e), 1.1 * damping, least)
    assert (np.asarray(other) < 0).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("nx", "ny", "steps"), [(2, 1, 400), (2, 2, 16)])
def test_bound_exceeds_every_tuning_and_little_else(seed, nx, ny, steps):
    """Acceptance check 9: exhaustive grids, eight instances."""
    case = instance(seed, nx, ny)
    best, bound = best_of_grid(case, steps), float(BOUND(case.network))
    assert best <= bound <= 1.2 * best


@pytest.mark.parametrize(("side", "loss"), [(-1.0, 0.0), (1.0, 0.3)], ids=["above resonance", "lossy"])
def test_bound_holds_above_resonance_and_with_loss(side, loss):
    case = instance(1, side=side, loss=loss)
    best, bound = best_of_grid(case, 200), float(BOUND(case.network))
    assert best <= bound <= 1.2 * best


@pytest.mark.parametrize("least", [0.0, -0.0, 0.5, -2.0])
def test_bound_of_a_lone_slot_is_exact(least):
    """Its moment is largest at the strongest resonance: |m|^2 = |F|^2 / (1 + r^2)."""
    one = jnp.ones((1, 1, 1, 1), complex)
    network = DipoleNetwork(0 * one, 2j * one, 3 * one, jnp.array([least]))
    exact = np.log1p(36 / (1 + least**2))
    assert exact <= float(BOUND(network)) <= exact * (1 + 1e-4)
    either = dataclasses.replace(network, least_detuning=None)
    assert float(BOUND(either)) == pytest.approx(np.log(37), rel=1e-4)


@pytest.mark.parametrize(("freq", "bs", "rate"), [(2, 1, np.log1p(36 / 2)), (1, 2, np.log1p(4 * 36))])
def test_subcarriers_share_a_budget_and_stations_send_coherently(freq, bs, rate):
    one = jnp.ones((freq, bs, 1, 1), complex)
    bound = float(BOUND(DipoleNetwork(0 * one, 2 * one, 3 * one, jnp.zeros(freq))))
    assert rate <= bound <= rate * (1 + 1e-4)


def test_no_multipliers_are_crossed_by_random_designs(cells):
    """Acceptance check 9: a thousand surfaces, a hundred sets of prices."""
    network = cells.network()
    start = START(network)
    bounds = np.array([float(AT(network, altered(start, seed))) for seed in range(100)])
    assert 30 < np.isfinite(bounds).sum() < 100
    found = float(BOUND(network))
    assert 0 < cells.best <= found <= float(AT(network, start)) <= 2 * found
    assert found <= bounds.min()


def test_prices_that_prove_nothing_are_refused(cells):
    network = cells.network()
    start = START(network)
    assert np.isfinite(float(AT(network, start)))
    wrong = {"reactive": -start.reactive, "budget": -start.budget, "active": -start.active}
    for name, value in wrong.items():
        assert np.isinf(float(AT(network, dataclasses.replace(start, **{name: value}))))
    assert np.isinf(float(AT(network, dataclasses.replace(start, budget=0.1 * start.budget))))
    silent = DipoleNetwork(*(jnp.zeros((1, 1, 2, 2), complex),) * 3, None)
    for small, refused in ((1e-10, False), (1e-12, True)):
        active = jnp.array([[[1.0, small]]])
        assert np.isinf(float(AT(silent, Multipliers(active, 0 * active, jnp.ones(1))))) == refused


def test_gradients_are_those_of_differences(cells):
    """Acceptance check 6."""
    network = cells.network()
    start = START(network)
    flat, unravel = jax.flatten_util.ravel_pytree(start)
    value = jax.jit(lambda x: jnp.stack(lagrangian(network, unravel(x))))
    slopes = np.asarray(jax.jit(jax.jacrev(lambda x: jnp.stack(lagrangian(network, unravel(x)))))(flat))
    for seed in range(3):
        direction = np.asarray(flat) * np.random.default_rng(seed).standard_normal(flat.size)
        step = 1e-6
        difference = np.asarray(value(flat + step * direction) - value(flat - step * direction)) / (2 * step)
        np.testing.assert_allclose(slopes @ direction, difference, rtol=1e-5)


def test_bound_is_convex_in_the_multipliers(cells):
    network = cells.network()
    start = START(network)
    counted = 0
    for seed in range(20):
        ends = altered(start, seed), altered(start, seed + 100)
        middle = jax.tree.map(lambda a, b: (a + b) / 2, *ends)
        chord = (float(AT(network, ends[0])) + float(AT(network, ends[1]))) / 2
        assert float(AT(network, middle)) <= chord * (1 + 1e-7)
        counted += np.isfinite(chord)
    assert counted >= 5


def test_bound_is_valid_however_early_the_search_stops(cells):
    """Acceptance check 12."""
    network = cells.network()
    found = [float(BOUND(network, max_iterations=limit)) for limit in (2000, 10, 3, 0)]
    assert cells.best <= found[0] < found[1] < found[2] < found[3] < np.inf


def test_scaling_and_power(cells):
    """Acceptance check 11: the units of channel and currents do not matter, more power never hurts."""
    value = float(BOUND(cells.network()))
    assert float(BOUND(cells.network(gain=4.0, budget=cells.power / 16))) == pytest.approx(value, rel=1e-9)
    start = START(cells.network())
    nine = cells.network(gain=3.0, budget=cells.power / 9)
    dearer = Multipliers(9 * start.active, 9 * start.reactive, start.budget)
    assert float(AT(nine, dearer)) == pytest.approx(float(AT(cells.network(), start)), rel=1e-9)
    values = [float(BOUND(cells.network(budget=scale * cells.power))) for scale in (0.01, 0.5, 1.0, 1.5, 100.0)]
    assert values == sorted(values)


def test_nothing_is_received_without_power_or_channel(cells):
    assert 0 <= float(BOUND(cells.network(budget=0 * cells.power))) < 1e-6
    assert 0 <= float(BOUND(cells.network(gain=0.0))) < 1e-6
    assert np.isfinite(float(BOUND(cells.network(budget=cells.power * np.array([1.0, 0.0])))))


def test_weak_slots_are_worth_less(cells):
    """The second law lowers the bound, and a batch of networks is one program."""
    network = cells.network()
    weak = dataclasses.replace(network, least_detuning=20 * network.least_detuning)
    pair = jax.tree.map(lambda *a: jnp.stack(a), network, weak)
    both = np.asarray(jax.jit(jax.vmap(dipole_bound))(pair))
    assert both[0] == pytest.approx(float(BOUND(network)), rel=1e-4)
    assert both[1] < 0.9 * both[0]
