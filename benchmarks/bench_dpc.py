"""Covariances of dirty paper coding at the default size: 4 users with 2 antennas each, 16 antennas without a surface.

Every engine runs with the loosest tolerance that leaves all realisations within 1e-6 of the optimum, so its time holds
its own stopping rule; the two fast ones also go on until the certified gap is below 1e-6.
"""

from functools import partial

import cvxpy as cp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measure import CPU_TIME, interleave, report

from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_broadcast_ee.simulate import bare_array, draw_problem, physical
from metamimo.precoders.covariances import energy_efficient_covariances, reduce_ports, start_covariances
from metamimo.randomness import trial_key
from metamimo.metrics.consumed import fixed_power

pytestmark = CPU_TIME

SEED, WITHIN = 20240902, 1e-6
ENGINES = {"water_filling": 500, "xu_qiu": 500, "sca": 20_000}
"""Limits of steps; the history has room for all of them."""
TOLERANCES = 10.0 ** -np.arange(2.0, 14.0)
SCENARIO = SimBroadcast()
POWERS = {"limit of 1 W, active": 1.0, "limit of 1 kW, not active": 1e3}
CONVEX = 2
"""Realisations that CVXPY solves in every round."""


@pytest.fixture(scope="module")
def draws():
    """Return a function that draws effective channels over unit noise, and the fixed power."""
    surface = bare_array(SCENARIO)
    numbers = physical(SCENARIO, surface)

    def one(trial):
        problem = draw_problem(surface, numbers, trial_key(SEED, trial), SCENARIO.n_users, SCENARIO.n_rx)
        return problem.link.channel[0, 0] / jnp.sqrt(problem.link.noise_power), fixed_power(problem)

    def draw(count):
        h, fixed = jax.lax.map(one, jnp.arange(count))
        return h, fixed[0]

    return draw


@partial(jax.jit, static_argnames="engine")
def solve(h, fixed, power, tolerance, *, engine):
    """Run one engine on all realisations, one after another as in production."""

    def one(channel):
        start = start_covariances(channel, power)
        return energy_efficient_covariances(
            channel, start, fixed, power, engine=engine, tolerance=tolerance, max_steps=ENGINES[engine]
        )

    return jax.lax.map(one, h)


def convex(h, fixed, power):
    """Solve the problem on few ports by CVXPY and Clarabel: the log-det inside Dinkelbach's method."""
    real = [np.block([[hk.real, -hk.imag], [hk.imag, hk.real]]) for hk in h]
    covariance = [cp.Variable((hk.shape[0],) * 2, PSD=True) for hk in real]
    z = np.eye(real[0].shape[1]) + sum(hk.T @ s @ hk for hk, s in zip(real, covariance, strict=True))
    rate, spent = cp.log_det(z) / 2, cp.sum([cp.trace(s) for s in covariance]) / 2
    price = cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Maximize(rate - price * spent), [spent <= power])
    users, rx, ports = h.shape
    rows = h.reshape(-1, ports) * np.sqrt(min(power, 1.0) / users / rx)
    eta, before = np.linalg.slogdet(np.eye(users * rx) + rows @ rows.conj().T)[1] / (fixed + min(power, 1.0)), 0.0
    while eta - before > WITHIN * eta:
        before, price.value = eta, eta
        problem.solve(solver=cp.CLARABEL)
        eta = float(rate.value / (fixed + spent.value))
    return eta


@pytest.mark.parametrize("case", POWERS)
def test_engines(benchmark, rounds, batch, draws, case):
    h, fixed = draws(batch)
    power = jnp.asarray(POWERS[case])
    exact = {name: solve(h, fixed, power, 1e-14, engine=name) for name in ENGINES}
    best = np.max([np.asarray(found.history[:, -1]) for found in exact.values()], 0)
    assert max(float(found.gap.max()) for name, found in exact.items() if name != "sca") < 2e-6

    programs = {}
    for name, found in exact.items():
        needed = np.argmax(np.asarray(found.history) >= (1 - WITHIN) * best[:, None], 1)
        for tolerance in TOLERANCES:
            out = solve(h, fixed, power, tolerance, engine=name)
            worst = (1 - np.asarray(out.history[:, -1]) / best).max()
            if worst <= WITHIN:
                break
        assert worst <= WITHIN
        programs[name] = partial(solve, h, fixed, power, tolerance, engine=name)
        steps = np.asarray(out.iterations)
        print(
            f"\n{case}, {name}: 1e-6 reached in step {needed.mean():.1f} (at most {needed.max()}); stops at tolerance "
            f"{tolerance:.0e} after {steps.mean():.1f} steps, within {worst:.0e}, gap {float(out.gap.max()):.0e}"
        )

    small = np.asarray(jax.jit(jax.vmap(reduce_ports))(h[:CONVEX]))
    found = np.array([convex(hk, float(fixed), float(power)) for hk in small])
    print(f"{case}, CVXPY: within {np.abs(found / best[:CONVEX] - 1).max():.0e}")

    own, other = interleave(
        benchmark,
        programs["water_filling"],
        {
            "xu_qiu": programs["xu_qiu"],
            "sca": programs["sca"],
            "cvxpy": lambda: [convex(hk, float(fixed), float(power)) for hk in small],
        },
        rounds,
    )
    own, other["cvxpy"] = own / batch, other["cvxpy"] / CONVEX
    print(f"{np.median(own) * 1e6:.0f} us a realisation, CVXPY {np.median(other['cvxpy']) * 1e3:.0f} ms")
    report(benchmark, f"covariances, {case}, CVXPY and Clarabel over metamimo", other["cvxpy"] / own, 100)
    report(
        benchmark, f"covariances, {case}, Algorithm 1 (SCA) over the default engine", other["sca"] / batch / own, None
    )
    report(benchmark, f"covariances, {case}, Xu-Qiu over the default engine", other["xu_qiu"] / batch / own, None)
