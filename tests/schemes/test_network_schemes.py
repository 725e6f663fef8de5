"""Schemes for several stations: block descent with every solver of the elements, and the joint gradient run."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_problems import CIRCLE, ELEMENTS, ON_OFF, network, strips

from metamimo.bounds.network import network_bound
from metamimo.errors import ConfigError
from metamimo.geometry.planar import grid_positions
from metamimo.metrics.evaluate import evaluate
from metamimo.metrics.power import port_power, power_matrices, station_power
from metamimo.physics.patterns import Isotropic
from metamimo.problem import Design, Limit, Status
from metamimo.schemes.limited import weighted_rate
from metamimo.schemes.registry import SCHEMES
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.hybrid import FullyConnectedHybrid, SubConnectedHybrid
from metamimo.surfaces.stacked import StackedSurface

KEY = jax.random.key(11)
BOUND = jax.jit(network_bound)
CHEAP_BOUND = jax.jit(functools.partial(network_bound, search=False))
SCHEME_SETS = {
    "wmmse-fixed": ON_OFF,
    "wmmse-hc": ON_OFF,
    "wmmse-sd": ON_OFF,
    "wmmse-mm": CIRCLE,
    "wmmse-cpp": CIRCLE,
    "zf-hc": ON_OFF,
    "network-flips": ON_OFF,
    "network-joint": CIRCLE,
}
NO_DESCENT = ("wmmse-cpp", "zf-hc")


def suited(name, seed=0, **case):
    return network(seed, strips(SCHEME_SETS[name]), **case)


@functools.cache
def batch(name, **options):
    """One compiled program a scheme and problem shape."""
    return jax.jit(lambda p, keys: jax.lax.map(lambda k: SCHEMES.get(name)(p, key=k, **options), keys))


def solve(name, p, key=KEY):
    found = batch(name)(p, jnp.stack([key, jax.random.fold_in(key, 99)]))
    return jax.tree.map(lambda a: a[0], found)


@pytest.fixture(params=list(SCHEME_SETS))
def name(request):
    return request.param


@pytest.mark.parametrize("seed", range(3))
def test_design_is_feasible_scored_right_and_its_history_never_falls(name, seed):
    p = suited(name, seed)
    solution = solve(name, p, jax.random.fold_in(KEY, seed))
    assert (port_power(p.link, solution.design.precoder) <= p.limits[0].power * (1 + 1e-12)).all()
    assert p.link.surfaces[0].feasible.contains(solution.design.state[0], 1e-12)
    assert float(solution.value) == pytest.approx(float(evaluate(p, solution.design).sum_rate), rel=1e-12)
    assert float(weighted_rate(p.link, solution.design.state[0], solution.design.precoder)) <= float(BOUND(p))
    history = np.asarray(solution.history)
    if name in NO_DESCENT:
        assert float(solution.value) == pytest.approx(history.max(), rel=1e-9)
    else:
        assert (np.diff(history) >= -1e-9 * history[1:]).all()
        assert float(solution.value) == pytest.approx(history[-1], rel=1e-9)
    assert int(solution.status) in (Status.CONVERGED, Status.ITERATION_LIMIT)


def test_no_design_of_200_random_problems_exceeds_its_bound(name):
    """Powers, channels and interference over several decades; one price for all columns."""
    for seed in range(200):
        p = random_problem(name, seed)
        value = float(solve(name, p, jax.random.fold_in(KEY, seed)).value)
        assert value <= random_bound(SCHEME_SETS[name], seed) / np.log(2) * (1 + 1e-9), seed


def random_problem(name, seed):
    power, scale, cross = 10 ** np.random.default_rng(seed).uniform([-1, -1, -1], [1, 1, 0])
    return suited(name, 1000 + seed, power=power, scale=scale, cross=cross)


@functools.cache
def random_bound(feasible, seed):
    """The same problem whatever the scheme."""
    name = next(scheme for scheme, states in SCHEME_SETS.items() if states is feasible)
    return float(CHEAP_BOUND(random_problem(name, seed)))


def test_stations_send_to_their_own_users_only(name):
    solution = solve(name, suited(name))
    silent = np.asarray(~suited(name).link.serves)
    assert np.abs(np.asarray(solution.design.precoder)[0][silent]).max() == 0


def test_dead_users_dead_networks_and_zero_power_give_no_nan(name):
    p = suited(name, 3)
    dead = p.link.channel.at[:, :, 1].set(0)
    for channel, limits in (
        (dead, p.limits),
        (0 * dead, p.limits),
        (p.link.channel, (Limit(0 * p.limits[0].power),)),
        (p.link.channel, (Limit(p.limits[0].power.at[0, 1].set(0)),)),
    ):
        q = dataclasses.replace(p, link=dataclasses.replace(p.link, channel=channel), limits=limits)
        solution = solve(name, q)
        assert np.isfinite(np.asarray(solution.design.precoder)).all()
        assert np.isfinite(np.asarray(solution.rates)).all()
        assert (port_power(q.link, solution.design.precoder) <= limits[0].power + 1e-12).all()


def test_noise_without_bounds_leaves_no_rate(name):
    p = suited(name, 3, scale=1e-6)
    assert float(solve(name, p).value) < 1e-9


@pytest.mark.parametrize("cells", [1, 2])
def test_cells_that_do_not_hear_each_other_decouple(cells):
    """The joint rate of separate cells is the sum of theirs, from the same start."""
    p = suited("wmmse-hc", 5, cross=0.0)
    whole = solve("wmmse-hc", p)
    own, users = slice(cells - 1, cells), slice(2 * cells - 2, 2 * cells)
    part = dataclasses.replace(
        p.link,
        channel=p.link.channel[:, own, users],
        serves=jnp.ones((1, 2), bool),
        ports=p.link.ports[:1],
        weights=p.link.weights[users],
    )
    limits = (Limit(p.limits[0].power[own]),)
    alone = dataclasses.replace(p, link=part, limits=limits, min_rate=jnp.zeros(2))
    design = Design((jnp.asarray(whole.design.state[0][own]),), jnp.asarray(whole.design.precoder[:, own, users]))
    rates = np.asarray(evaluate(alone, design).rates)
    np.testing.assert_allclose(rates, np.asarray(whole.rates)[users], rtol=1e-10)


# Beyond the paper.


def test_polished_designs_are_better_on_average_and_never_end_before_a_flip_that_helps():
    plain, polished = [], []
    for seed in range(6):
        p = suited("wmmse-hc", seed)
        key = jax.random.fold_in(KEY, seed)
        plain.append(float(solve("wmmse-hc", p, key).value))
        run = batch("wmmse-hc", polish=True, max_iterations=300)
        polished.append(jax.tree.map(lambda a: a[0], run(p, jnp.stack([key, KEY]))))
        assert float(polished[-1].value) >= plain[-1] * (1 - 1e-9)
    assert np.mean([float(s.value) for s in polished]) > 1.02 * np.mean(plain)
    p, solution = suited("wmmse-hc", 5), polished[-1]
    assert int(solution.status) == Status.CONVERGED
    states = np.asarray(solution.design.state[0])
    for b in range(2):
        for q in range(ELEMENTS):
            flipped = states.copy()
            flipped[b, q] = 0.8 - flipped[b, q]
            other = type(solution.design)((jnp.asarray(flipped),), jnp.asarray(solution.design.precoder))
            assert float(evaluate(p, other).sum_rate) <= float(solution.value) * (1 + 1e-8)


def test_joint_run_from_the_end_of_the_descent_is_never_worse():
    p = suited("wmmse-mm", 4)
    descent = solve("wmmse-mm", p)
    joint = jax.jit(lambda p, start: SCHEMES.get("network-joint")(p, key=KEY, start=start))(p, descent.design)
    assert float(joint.value) >= float(descent.value) * (1 - 1e-9)


def test_leaps_need_fewer_iterations_and_lose_nothing():
    """Three iterations a leap; on average it gets farther in the same number of them."""
    gains = []
    for seed in range(5):
        p, key = suited("wmmse-mm", seed), jax.random.fold_in(KEY, seed)
        runs = (
            batch("wmmse-mm", tolerance=0.0, max_iterations=60),
            batch("wmmse-mm", tolerance=0.0, max_iterations=20, leaps=True),
        )
        plain, leaping = (jax.tree.map(lambda a: a[0], run(p, jnp.stack([key, KEY]))) for run in runs)
        history = np.asarray(leaping.history)
        assert (np.diff(history) >= -1e-9 * history[1:]).all()
        assert (port_power(p.link, leaping.design.precoder) <= p.limits[0].power * (1 + 1e-12)).all()
        gains.append(float(leaping.value / plain.value))
    assert np.mean(gains) > 1


@pytest.mark.parametrize("scheme", ["network-joint", "network-flips"])
@pytest.mark.parametrize("kind", ["accepted", "radiated"])
def test_limits_of_stations_are_met(scheme, kind):
    p = dataclasses.replace(suited(scheme, 2), limits=(Limit(jnp.array([1.0, 0.5]), kind),))
    solution = solve(scheme, p)
    used = station_power(p.link, power_matrices(p.link, solution.design.state, kind), solution.design.precoder)
    assert (np.asarray(used) <= np.array([1.0, 0.5]) * (1 + 1e-9)).all()
    assert used.max() > 0.4


@pytest.mark.parametrize(
    "surface",
    [
        FullyDigital.build(np.eye(4)),
        FullyConnectedHybrid.build(np.eye(9), 3),
        SubConnectedHybrid.build(Isotropic().coupling(grid_positions(9, 1 / 3), 1.0), 3, matching="elements"),
        StackedSurface.example(),
    ],
    ids=["digital", "fully connected", "sub-connected", "stack"],
)
def test_schemes_take_every_surface_that_they_can(surface):
    p = network(1, surface)
    linear = surface.factors() is not None
    names = ["wmmse-fixed", "wmmse-mm"] if linear else ["wmmse-fixed", "network-joint"]
    values = {name: float(solve(name, p).value) for name in names}
    assert all(value > 0 for value in values.values())
    if "wmmse-mm" in values:
        assert values["wmmse-mm"] > values["wmmse-fixed"]


def test_unknown_or_unfit_requests_are_refused_by_name():
    p = suited("wmmse-hc")
    cases = [
        ("wmmse-hc", suited("wmmse-mm"), {}, "feasible: hidden convexity takes .* on or off, got LorentzianCircle"),
        ("wmmse-sd", suited("wmmse-mm"), {}, "feasible: sphere decoding takes .* on or off, got LorentzianCircle"),
        ("wmmse-mm", p, {}, "feasible: majorisation takes elements on a circle, got OnOff"),
        ("wmmse-mm", network(0, StackedSurface.example()), {}, "surfaces: wmmse-mm needs a response that is linear"),
        ("wmmse-mm", suited("wmmse-mm"), {"steps": 0}, "steps: must be at least 1, got 0"),
        ("wmmse-hc", p, {"sweeps": 0}, "sweeps, max_iterations: must be at least 1, got 0"),
        ("wmmse-hc", p, {"returned": "first"}, "returned: must be 'best' or 'last', got 'first'"),
        ("wmmse-hc", dataclasses.replace(p, objective="energy_efficiency"), {}, "objective: wmmse-hc maximises"),
        ("wmmse-hc", dataclasses.replace(p, min_rate=jnp.ones(4)), {}, "min_rate: wmmse-hc takes 0 throughout"),
        ("wmmse-hc", dataclasses.replace(p, limits=(Limit(jnp.ones(2)),)), {}, "limits: wmmse-hc takes limits of"),
        ("zf-hc", suited("wmmse-mm"), {}, "feasible: hidden convexity takes"),
        ("network-joint", dataclasses.replace(p, limits=()), {}, "limits: network-joint needs at least one"),
    ]
    for scheme, problem, options, message in cases:
        with pytest.raises(ConfigError, match=message):
            SCHEMES.get(scheme)(problem, key=KEY, **options)
