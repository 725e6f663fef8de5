"""What the blocks of the descent do, one at a time: elements by every solver, precoders, zero-forcing."""

from dataclasses import replace

import cvxpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_problems import CHAINS, CIRCLE, ELEMENTS, ON_OFF, network, strips

from metamimo.linalg import squared_norm
from metamimo.metrics.mean_square_error import error_of_received
from metamimo.schemes.block_descent import begun, iterate, joint_rows, sweeps_over_rows
from metamimo.schemes.limited import random_start
from metamimo.schemes.network import Network
from metamimo.schemes.zf_hc import zero_forcing
from metamimo.surfaces.feasible import UnitModulus
from metamimo.tuners.element_block import (
    ElementChoice,
    ElementQuadratic,
    by_closest_point,
    by_hidden_convexity,
    by_majorisation,
    by_sphere_decoding,
    element_quadratic,
)

KEY = jax.random.key(11)


def as_they_are(_: ElementQuadratic, state: jax.Array) -> ElementChoice:
    return ElementChoice(state, jnp.asarray(False), jnp.asarray(0), jnp.asarray(True))


SOLVERS = {
    "hidden convexity": (ON_OFF, by_hidden_convexity),
    "sphere decoding": (ON_OFF, by_sphere_decoding),
    "Lorentz": (CIRCLE, by_majorisation),
    "unit modulus": (UnitModulus((ELEMENTS,)), by_majorisation),
}


def position(seed, feasible, joint=False):
    """Return a network and a random position of the descent."""
    return at_random(network(seed, strips(feasible), joint=joint), seed)


def at_random(p, seed):
    net = Network.of(p, "test")
    states, f = random_start(p, jax.random.key(seed))
    return net, begun(net, states, joint_rows(net, f[0]))


def weighted_error(net, error, states, f):
    """The weighted mean square error at fixed receivers and weights, up to a constant, straight from its definition."""
    z = np.asarray(net.sent(states, net.excitation(f)).sum(0))
    curvature, slope = np.asarray(error.curvature), np.asarray(error.slope)
    users = len(z)
    total = sum((z[u].conj() * np.einsum("ab,bcd->acd", curvature[u], z[u])).sum().real for u in range(users))
    return total - 2 * sum((slope[u].conj() * z[u, :, u]).sum().real for u in range(users))


@pytest.mark.parametrize("joint", [False, True])
def test_quadratic_of_the_elements_is_the_error(joint):
    """Acceptance check 3, and with stations that serve users together."""
    net, now = position(0, CIRCLE, joint)
    excitation = net.excitation(now.precoder)
    sent = net.sent(now.states, excitation)
    for station in range(2):
        quadratic = element_quadratic(net.rows[station], excitation[station], now.error, sent.sum(0) - sent[station])
        np.testing.assert_allclose(quadratic.z, quadratic.z.conj().T, atol=1e-12)
        assert np.linalg.eigvalsh(quadratic.z)[0] >= -1e-9 * np.linalg.norm(quadratic.z)
        before = weighted_error(net, now.error, now.states, now.precoder)
        for seed in range(3):
            other = now.states.at[station].set(CIRCLE.random(jax.random.key(seed)))
            change = weighted_error(net, now.error, other, now.precoder) - before
            expected = quadratic.value(other[station]) - quadratic.value(now.states[station])
            assert change == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("case", SOLVERS)
@pytest.mark.parametrize("joint", [False, True])
def test_no_block_raises_the_error_and_no_iteration_lowers_the_rate(case, joint):
    """Acceptance check 6."""
    feasible, solver = SOLVERS[case]
    step = jax.jit(lambda net, now: iterate(net, solver(feasible), now, sweeps_over_rows()))
    precoders_only = jax.jit(lambda net, now: iterate(net, as_they_are, now, sweeps_over_rows()))
    for seed in range(4):
        net, now = position(seed, feasible, joint)
        for _ in range(4):
            between, after = precoders_only(net, now), step(net, now)
            errors = [
                weighted_error(net, now.error, states, f)
                for states, f in (
                    (now.states, now.precoder),
                    (now.states, between.precoder),
                    (after.states, after.precoder),
                )
            ]
            np.testing.assert_allclose(between.precoder, after.precoder, rtol=1e-12, atol=1e-12)
            assert errors[1] <= errors[0] + 1e-9 * abs(errors[0])
            assert errors[2] <= errors[1] + 1e-9 * abs(errors[1])
            assert after.error.rate >= now.error.rate * (1 - 1e-9)
            now = after


def test_gradients_of_the_rate_are_those_of_the_error():
    """Acceptance check 4: at its receivers and weights the error has the gradient of the rate."""
    net, now = position(1, CIRCLE)

    def rate(states, f):
        return error_of_received(net.sent(states, net.excitation(f)).sum(0), net.weights).rate

    excitation = net.excitation(now.precoder)
    sent = net.sent(now.states, excitation)
    step = 1e-6
    for station in range(2):
        quadratic = element_quadratic(net.rows[station], excitation[station], now.error, sent.sum(0) - sent[station])
        gradient = np.asarray(quadratic.b - quadratic.z @ now.states[station])
        for q in range(3):
            for direction in (1, 1j):
                ends = [float(rate(now.states.at[station, q].add(s * direction), now.precoder)) for s in (step, -step)]
                slope = 2 * (np.conj(direction) * gradient[q]).real
                assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_sphere_decoding_is_no_worse_than_hidden_convexity_in_a_block():
    for seed in range(6):
        net, now = position(seed, ON_OFF)
        drive = net.excitation(now.precoder)
        sent = net.sent(now.states, drive)
        quadratic = element_quadratic(net.rows[0], drive[0], now.error, sent[1])
        relaxed = by_hidden_convexity(ON_OFF)(quadratic, now.states[0])
        exact = by_sphere_decoding(ON_OFF)(quadratic, now.states[0])
        states = ON_OFF.amplitude * ((np.arange(2**ELEMENTS)[:, None] >> np.arange(ELEMENTS)) & 1)
        best = min(float(v) for v in jax.vmap(quadratic.value)(jnp.asarray(states, float)))
        assert bool(exact.optimal)
        assert float(quadratic.value(exact.state)) == pytest.approx(best, rel=1e-9)
        assert float(quadratic.value(exact.state)) <= float(quadratic.value(relaxed.state)) + 1e-12
        if relaxed.optimal:
            assert float(quadratic.value(relaxed.state)) == pytest.approx(best, rel=1e-9)


def test_majorisation_ends_at_a_stationary_point():
    """Acceptance check 11: |df/dphi| below 1e-5 after many steps; f never rises on the way."""
    net, now = position(2, CIRCLE)
    drive = net.excitation(now.precoder)
    sent = net.sent(now.states, drive)
    quadratic = element_quadratic(net.rows[0], drive[0], now.error, sent[1])
    one, many = jax.jit(by_majorisation(CIRCLE, 1)), jax.jit(by_majorisation(CIRCLE, 20_000))
    state, value = now.states[0], np.inf
    for _ in range(20):
        state = one(quadratic, state).state
        assert float(quadratic.value(state)) <= value + 1e-12
        value = float(quadratic.value(state))
    end = many(quadratic, state).state
    turn = jax.grad(lambda phi: quadratic.value(CIRCLE.from_real(phi)))(CIRCLE.to_real(end))
    assert np.abs(turn).max() <= 1e-5 * max(1.0, abs(value))


def test_closest_point_is_the_projection_of_the_free_minimiser():
    net, now = position(3, CIRCLE)
    drive = net.excitation(now.precoder)
    sent = net.sent(now.states, drive)
    quadratic = element_quadratic(net.rows[0], drive[0], now.error, sent[1])
    free = np.linalg.pinv(np.asarray(quadratic.z), rcond=1e-10, hermitian=True) @ np.asarray(quadratic.b)
    for feasible in (CIRCLE, ON_OFF):
        state = by_closest_point(feasible)(quadratic, now.states[0]).state
        np.testing.assert_allclose(state, feasible.project(jnp.asarray(free)), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_zero_forcing_nulls_the_cell_and_has_the_best_powers(seed):
    """Acceptance check 16; powers against CVXPY."""
    net, now = at_random(network(seed, strips(ON_OFF), per_cell=1, power=0.7), seed)
    f, _ = jax.jit(zero_forcing)(net, now)
    heard = np.asarray(net.sent(now.states, net.excitation(f)))
    used = np.asarray(squared_norm(f, (0, 2)))
    assert (used <= np.asarray(net.reach).ravel() ** 2 * (1 + 1e-9)).all()
    for cell in range(2):
        own = heard[cell, cell, :, cell]
        gram = own.conj().T @ own
        assert np.abs(gram - np.diag(np.diag(gram))).max() <= 1e-8 * np.abs(gram).max()
        h = np.asarray(net.effective(now.states))[cell, :, cell * CHAINS : (cell + 1) * CHAINS]
        left = np.linalg.svd(h)[0]
        inverse = np.linalg.pinv(left.conj().T @ h)
        powers = cvxpy.Variable(2, nonneg=True)
        limits = [np.abs(inverse) ** 2 @ powers <= np.asarray(net.reach)[cell] ** 2]
        best = cvxpy.Problem(cvxpy.Maximize(cvxpy.sum(cvxpy.log1p(powers))), limits).solve(solver="CLARABEL")
        assert np.log1p(np.diag(gram).real).sum() == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize(("apart", "forced"), [(1e-7, True), (0.0, False)])
def test_a_cell_that_cannot_be_zero_forced_keeps_its_precoder(apart, forced):
    """Two users of the first cell share a channel, or nearly so."""
    net, now = at_random(network(4, strips(ON_OFF), rx=1), 4)
    other = net.rows[:, 0] + apart * net.rows[:, 1]
    net = replace(net, rows=net.rows.at[:, 1].set(other))
    f, _ = jax.jit(zero_forcing)(net, now)
    cells, before = (net.by_station(each)[0] for each in (f, now.precoder))
    assert bool((cells[0] == before[0]).all()) is not forced
    heard = np.abs(net.sent(now.states, net.excitation(f))[..., 0])[:, :, 0]  # station, user, whose stream
    for cell, mine in enumerate((slice(0, 2), slice(2, 4))):
        inside = heard[cell, mine, mine]
        leaked = np.abs(inside - np.diag(np.diag(inside))).max() / np.diag(inside).max()
        assert bool(leaked < 1e-6) is (forced or cell == 1)
