"""What one station computes: gradients, the minorant of the rate, and the steps of its surrogates."""

import dataclasses

import cvxpy as cp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_free_problems import CoupledElements, cell_free

from metamimo.conventions import NAT_TO_BIT
from metamimo.linalg import squared_norm
from metamimo.schemes.cell_free import Point, no_track, slopes, sum_rate
from metamimo.schemes.cell_free_network import CellFreeNetwork
from metamimo.schemes.limited import weighted_rate
from metamimo.schemes.surrogates import linear_step, proximal_weight, structured_step
from metamimo.surfaces.parallel_plate import ParallelPlateDMA

OPTIONS = {"surrogate": "structured", "coordinate": "phase", "step_state": 0.3}
RNG = np.random.default_rng(3)


def normal(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


def half_served(surface):
    """Two stations, one of which sends to one user and through one port only; users count differently."""
    p = cell_free(4, surface=surface)
    link = dataclasses.replace(
        p.link,
        serves=jnp.array([[True, True], [False, True]]),
        ports=jnp.array([[True, True], [True, False]]),
        weights=jnp.array([1.0, 2.5]),
    )
    return dataclasses.replace(p, link=link)


@jax.jit
def _rate(network, points):
    return sum_rate(network.rules, network.listen(points, network.channels).amplitudes.sum(0))


@jax.jit
def _step(network, points):
    """Track of one iteration, from local data and the summed amplitudes, and the targets it leads to."""
    heard = network.listen(points, network.channels)
    nothing = jax.vmap(no_track)(points)
    return network.step(points, nothing, heard, heard.amplitudes.sum(0), jnp.asarray(0))


@pytest.mark.parametrize(
    ("coordinate", "antenna"), [("phase", CoupledElements), ("F", CoupledElements), ("phase", ParallelPlateDMA)]
)
def test_gradients_agree_with_differences_and_automatic_differentiation(coordinate, antenna):
    """Check 9; the slots have a closed form, the other elements a derivative by JAX."""
    p = half_served(antenna.example())
    network = CellFreeNetwork.of(p, "test", **OPTIONS | {"coordinate": coordinate})
    points = network.first(jax.random.key(2), None, "joint", network.channels)
    assert float(_rate(network, points)) == pytest.approx(
        float(weighted_rate(p.link, network.design(points).state[0], network.design(points).precoder)) * NAT_TO_BIT,
        rel=1e-12,
    )
    track, _ = _step(network, points)
    auto = jax.jit(jax.grad(_rate, argnums=1))(network, points)
    masked = np.asarray(auto.precoder).conj() / 2 * np.asarray(points.precoder != 0)
    np.testing.assert_allclose(track.precoder, masked, atol=1e-10)
    np.testing.assert_allclose(track.state, auto.state, rtol=1e-9, atol=1e-10)

    def difference(direction, h=1e-5):
        ends = [_rate(network, jax.tree.map(lambda a, d, s=s: a + s * h * d, points, direction)) for s in (1, -1)]
        return float(ends[0] - ends[1]) / (2 * h)

    along = Point(jnp.asarray(RNG.normal(size=points.state.shape)), jnp.zeros_like(points.precoder))
    assert difference(along) == pytest.approx(float((track.state * along.state).sum()), rel=1e-6, abs=1e-8)
    along = Point(jnp.zeros_like(points.state), jnp.asarray(normal(*points.precoder.shape)) * (points.precoder != 0))
    wanted = 2 * float((track.precoder.conj() * along.precoder).sum().real)
    assert difference(along) == pytest.approx(wanted, rel=1e-6)


def test_the_minorant_and_its_separable_form_never_exceed_the_rate():
    """Check 12."""
    p = cell_free(1, stations=2)
    network = CellFreeNetwork.of(p, "test", **OPTIONS)
    rules, points = network.rules, network.first(jax.random.key(0), None, "own", network.channels)
    rate = jax.jit(jax.vmap(lambda z: sum_rate(rules, z)))
    heard = network.listen(points, network.channels)
    z0 = heard.amplitudes.sum(0)
    psi, b = slopes(rules, z0)
    spread = 10.0 ** RNG.uniform(-4, 2, size=(1000, 1, 1, 1))
    change = jnp.asarray(spread * normal(1000, *z0.shape))
    linear = 2 * (psi.conj() * change).real.sum((1, 2, 3))
    bound = sum_rate(rules, z0) + linear - (b[..., None] * jnp.abs(change) ** 2).sum((1, 2, 3))
    assert (bound <= rate(z0 + change) + 1e-12 * jnp.abs(bound)).all()

    track, _ = _step(network, points)
    move = jnp.asarray(10.0 ** RNG.uniform(-4, 1, size=(1000, 1, 1, 1, 1)) * normal(1000, *points.precoder.shape))
    root = jnp.sqrt(network.stations.budget)[:, None, None, None]
    shifted = z0 + jnp.einsum("bfur,nbfjr->nfuj", heard.rows * root, move)
    quadratic = jnp.einsum("nbfjr,bfrs,nbfjs->n", move.conj(), track.curvature, move).real
    bound = sum_rate(rules, z0) + 2 * (track.precoder.conj() * move).real.sum((1, 2, 3, 4)) - quadratic
    assert (bound <= rate(shifted) + 1e-12 * jnp.abs(bound)).all()


def _step_case(size):
    v = normal(2, 3, 2)
    v = jnp.asarray(0.9 * v / np.linalg.norm(v))
    rows = normal(2, 2, 3)
    return v, jnp.asarray(size * normal(2, 3, 2)), jnp.asarray(rows.conj().swapaxes(1, 2) @ rows)


@pytest.mark.parametrize("size", [1e-4, 5.0])
@pytest.mark.parametrize("kind", ["linear", "structured"])
def test_steps_meet_the_optimality_conditions_and_agree_with_a_convex_solver(kind, size):
    """Check 11."""
    v, slope, curvature = _step_case(size)
    weight = proximal_weight(slope, 0.2, 1e-6) if kind == "linear" else jnp.asarray(0.01)
    h = curvature if kind == "structured" else 0 * curvature
    found, multiplier = (
        jax.jit(structured_step)(v, slope, h, weight) if kind == "structured" else linear_step(v, slope, weight)
    )
    stiff = np.asarray(h) + float(weight) * np.eye(3)
    residual = np.asarray(slope) - stiff @ np.asarray(found - v) - float(multiplier) * np.asarray(found)
    used = float(squared_norm(found))
    assert np.abs(residual).max() <= 1e-9 * max(1, size)
    assert used <= 1 + 1e-15
    assert float(multiplier) * (1 - used) <= 1e-9
    if kind == "structured":
        assert (float(multiplier) > 0) == (size > 1)

    x = cp.Variable((6, 2), complex=True)
    old, d = np.asarray(v).reshape(6, 2), np.asarray(slope).reshape(6, 2)
    root = np.zeros((6, 6), complex)
    for k in range(2):
        root[3 * k : 3 * k + 3, 3 * k : 3 * k + 3] = np.linalg.cholesky(stiff[k]).conj().T
    gain = 2 * cp.real(cp.sum(cp.multiply(d.conj(), x - old))) - cp.sum_squares(root @ (x - old))
    best = cp.Problem(cp.Maximize(gain), [cp.Constant(1) >= cp.sum_squares(x)]).solve()
    change = np.asarray(found).reshape(6, 2) - old
    own = 2 * (d.conj() * change).sum().real - np.linalg.norm(root @ change) ** 2
    assert own == pytest.approx(best, rel=1e-6)
    np.testing.assert_allclose(np.asarray(found).reshape(6, 2), np.asarray(x.value), atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "antenna"),
    [("accepted", CoupledElements), ("radiated", CoupledElements), ("accepted", ParallelPlateDMA)],
)
def test_the_step_under_a_true_power_limit_agrees_with_a_convex_solver(kind, antenna):
    """Check 19. The proximal term counts power, too: tr(D^H (H + tau M) D) with M the power matrix at this state."""
    p = cell_free(2, kind=kind, surface=antenna.example())
    network = CellFreeNetwork.of(p, "test", **OPTIONS)
    points = network.first(jax.random.key(1), None, "own", network.channels)
    track, goals = _step(network, points)
    state = network.design(points).state[0][0]
    power = np.broadcast_to(np.asarray(network.surface.power_matrix(state, kind)), (2, 2, 2))
    found = np.asarray(goals.precoder)[0, 0].swapaxes(1, 2)
    old, d = (np.asarray(a)[0].swapaxes(1, 2) for a in (points.precoder, track.precoder))
    gain, used, own = cp.Constant(0), cp.Constant(0), 0.0
    variables = [cp.Variable((2, 2), complex=True) for _ in range(2)]
    for k, x in enumerate(variables):
        stiff = np.linalg.cholesky(np.asarray(track.curvature)[0, k] + 0.01 * power[k]).conj().T
        gain += 2 * cp.real(cp.sum(cp.multiply(d[k].conj(), x - old[k]))) - cp.sum_squares(stiff @ (x - old[k]))
        used += cp.sum_squares(np.linalg.cholesky(power[k]).conj().T @ x)
        change = found[k] - old[k]
        own += 2 * (d[k].conj() * change).sum().real - np.linalg.norm(stiff @ change) ** 2
    best = cp.Problem(cp.Maximize(gain), [cp.Constant(1) >= used]).solve()
    assert own == pytest.approx(best, rel=1e-4)
    spent = sum(np.trace(x.conj().T @ m @ x).real for x, m in zip(found, power, strict=True))
    assert spent == pytest.approx(1, abs=1e-9)


def test_without_gradient_the_targets_are_the_points():
    p = cell_free(2)
    network = CellFreeNetwork.of(p, "test", **OPTIONS)
    points = network.first(jax.random.key(1), None, "own", network.channels)
    silent = dataclasses.replace(network, channels=0 * network.channels)
    track, goals = _step(silent, points)
    assert all(not np.asarray(a).any() for a in jax.tree.leaves(track))
    for before, after in zip(jax.tree.leaves(points), jax.tree.leaves(goals), strict=True):
        np.testing.assert_allclose(after[0], before, rtol=1e-13, atol=1e-15)
