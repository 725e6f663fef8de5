"""What every scheme for one station promises; a new one joins by being registered.

Those for networks, which maximise a sum rate, are examined in test_network_schemes.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes_problems import problem

from metamimo.bounds.of_problem import upper_bound
from metamimo.errors import ConfigError
from metamimo.metrics.evaluate import evaluate, objective_value
from metamimo.metrics.power import port_power, power_matrices, station_power
from metamimo.problem import Limit, Status
from metamimo.schemes.registry import SCHEMES
from metamimo.surfaces.coupled import CoupledStack
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.feasible import QuantizedPhase
from metamimo.surfaces.stacked import StackedSurface

KEY = jax.random.key(7)


FASTER_TO_COMPILE = {
    "sim-dpc": {"lp_start": "none"},
    "hybrid-joint": {"dpc_iterations": 0},
    "hybrid-sdp": {"backend": "low_rank", "max_rounds": 40},
    "hybrid-pga": {"max_rounds": 200},
    "hybrid-fp": {"max_rounds": 200},
    "hybrid-lbfgs": {"max_rounds": 200},
    "wave-sim-pga": {"max_rounds": 200},
}
"""Options that leave out what other files cover, or let an alternation come to its end."""

FOR_NETWORKS = (
    "cell-free-joint",
    "network-flips",
    "network-joint",
    "ssca",
    "wmmse-cpp",
    "wmmse-fixed",
    "wmmse-hc",
    "wmmse-mm",
    "wmmse-sd",
    "zf-hc",
)
FOR_ONE_STATION = [scheme for scheme in SCHEMES if scheme not in FOR_NETWORKS]
ONE_ANTENNA = ("digital-pre", "hybrid-fp", "hybrid-lbfgs", "hybrid-pga", "hybrid-sdp", "wave-sim", "wave-sim-pga")
"""Schemes for users with one antenna."""
ALTERNATIONS = ("hybrid-fp", "hybrid-lbfgs", "hybrid-pga", "hybrid-sdp")
NEEDS_STACK = ("hybrid-fp", "hybrid-sdp")
RATE_ROUNDING = {"wave-sim-pga": 1e-9}
"""Relative shortfall of a least rate that the cone program of a power step may leave; all others leave none."""


def suited(name, seed=0, **case):
    """Return a problem that the scheme takes."""
    return problem(seed, **({"rx": 1} if name in ONE_ANTENNA else {}) | case)


@functools.cache
def batch(name):
    """One compiled program a scheme and problem shape, shared by all tests of this file: a design for every key."""
    options = FASTER_TO_COMPILE.get(name, {})
    return jax.jit(lambda p, keys: jax.lax.map(lambda k: SCHEMES.get(name)(p, key=k, **options), keys))


def solver(name):
    """Return a function of one key, which runs in a batch with another one."""

    def solve(p, key):
        return jax.tree.map(lambda a: a[0], batch(name)(p, jnp.stack([key, jax.random.fold_in(key, 99)])))

    return solve


bound = jax.jit(upper_bound)
"""The same for all schemes, so its programs are few."""


@jax.jit
def scored(p, design):
    """Return the power that a design uses, whether its states are members of their sets, and what it is worth."""
    used = station_power(p.link, power_matrices(p.link, design.state, "accepted"), design.precoder)
    members = [surface.feasible.contains(x) for surface, x in zip(p.link.surfaces, design.state, strict=True)]
    return used, members, objective_value(evaluate(p, design), p.objective)


@pytest.fixture(params=FOR_ONE_STATION)
def name(request):
    return request.param


@pytest.fixture(params=[scheme for scheme in FOR_ONE_STATION if scheme not in NEEDS_STACK])
def takes_any_surface(request):
    return request.param


@pytest.mark.parametrize("seed", range(5))
def test_design_is_feasible_scored_right_and_its_history_never_falls(name, seed):
    p = suited(name, seed)
    solution = solver(name)(p, jax.random.fold_in(KEY, seed))
    used, members, value = scored(p, solution.design)
    assert float(used[0]) <= float(p.limits[0].power[0]) * (1 + 1e-9)
    assert np.all(members)
    np.testing.assert_allclose(solution.value, value, rtol=1e-12)
    np.testing.assert_allclose(solution.value, solution.history[-1], rtol=1e-9)
    assert float(solution.value) <= float(bound(p).value) * (1 + 1e-9)
    history = np.asarray(solution.history)
    assert (np.diff(history) >= -1e-12 * history[1:]).all()
    assert int(solution.status) == Status.CONVERGED
    assert "converged" in str(solution)


def test_neighbours_in_a_batch_change_no_bit(name):
    p = suited(name, 1)
    first, second = jax.random.split(KEY)
    together, turned = batch(name)(p, jnp.stack([first, second])), batch(name)(p, jnp.stack([second, first]))
    for there, back in zip(jax.tree.leaves(together), jax.tree.leaves(turned), strict=True):
        np.testing.assert_array_equal(there, back[::-1])


@pytest.mark.parametrize("scale", [1e-6, 1e4], ids=["hardly any channel", "80 dB"])
def test_weak_and_strong_channels_end_in_a_finite_design(name, scale):
    solution = solver(name)(suited(name, 2, scale=scale), KEY)
    assert np.isfinite(float(solution.value))
    assert np.isfinite(np.asarray(solution.design.precoder)).all()


def test_dead_user_zero_channel_and_zero_power_give_no_nan(name):
    p = suited(name, 3)
    dead = p.link.channel.at[:, :, 1].set(0)
    for channel, power in ((dead, 1.0), (0 * dead, 1.0), (p.link.channel, 0.0)):
        link = type(p.link).broadcast(p.link.surfaces[0], channel[0, 0], noise_power=1.0, bandwidth=1e6, frequency=3e8)
        q = type(p)(link, (Limit(jnp.asarray([power])),), p.consumption, p.min_rate)
        solution = solver(name)(q, KEY)
        assert np.isfinite(np.asarray(solution.design.precoder)).all()
        assert np.isfinite(np.asarray(solution.rates)).all()
        assert int(solution.status) in (Status.CONVERGED, Status.NOT_FINITE)


def test_rank_deficient_channel(name):
    p = suited(name, 4)
    same = jnp.broadcast_to(p.link.channel[0, 0, :1, :1], p.link.channel.shape[2:])
    link = type(p.link).broadcast(p.link.surfaces[0], same, noise_power=1.0, bandwidth=1e6, frequency=3e8)
    solution = solver(name)(type(p)(link, p.limits, p.consumption, p.min_rate), KEY)
    assert np.isfinite(float(solution.value))
    assert float(solution.value) > 0


# Every shape of a problem compiles for seconds: an odd number of users or antennas shares one with another surface.
def test_one_user_on_a_stack_of_coupled_dipoles(takes_any_surface):
    """The test of the contract: a surface whose ports, powers and bound depend on its state."""
    p = suited(takes_any_surface, 7, users=1, surface=CoupledStack.example())
    solution = solver(takes_any_surface)(p, KEY)
    assert 0 < float(solution.value) <= float(bound(p).value) * (1 + 1e-9)
    assert float(solution.ledger.radiated[0]) == pytest.approx(float(solution.ledger.accepted[0]), rel=1e-9)


@pytest.mark.parametrize("scheme", NEEDS_STACK)
def test_one_user_on_a_stack(scheme):
    p = suited(scheme, 2, users=1)
    solution = solver(scheme)(p, KEY)
    assert 0 < float(solution.value) <= float(bound(p).value) * (1 + 1e-9)


@pytest.mark.parametrize("scheme", NEEDS_STACK)
@pytest.mark.parametrize("surface", [FullyDigital, CoupledStack])
def test_layer_by_layer_schemes_refuse_other_surfaces(scheme, surface):
    with pytest.raises(ConfigError, match=f"{scheme} tunes a StackedSurface layer by layer, got {surface.__name__}"):
        SCHEMES.get(scheme)(suited(scheme, surface=surface.example()), key=KEY)


@pytest.mark.parametrize("scheme", ONE_ANTENNA)
def test_users_with_more_antennas_are_refused(scheme):
    with pytest.raises(ConfigError, match=f"channel: {scheme} serves users with one antenna, got 2"):
        SCHEMES.get(scheme)(problem(0), key=KEY)


def test_one_antenna_a_user_on_a_bare_array_with_all_constraints_that_the_scheme_takes(name):
    """Limits of ports and least rates are met or refused."""
    p = problem(6, rx=1, power=5.0, surface=None if name in NEEDS_STACK else FullyDigital.example())
    most, least = np.array([0.5, 1.0, 1.0, 0.2]), np.array([0.5, 1.0])
    constraints = {
        "takes one sum limit on accepted power, got": {"limits": (Limit(jnp.asarray(most[None])),)},
        "min_rate: ": {"min_rate": jnp.asarray(least)},
    }
    taken = {}
    for rule, constraint in constraints.items():
        wanted = dataclasses.replace(p, **constraint)
        try:
            jax.eval_shape(lambda k, wanted=wanted: SCHEMES.get(name)(wanted, key=k), KEY)
        except ConfigError as refusal:
            assert rule in str(refusal)  # noqa: PT017 (either is right)
        else:
            taken |= constraint
    q, slack = dataclasses.replace(p, **taken), RATE_ROUNDING.get(name, 0.0)
    solution = solver(name)(q, KEY)
    assert int(solution.status) == Status.CONVERGED
    assert 0 < float(solution.value) <= float(bound(q).value) * (1 + 1e-9)
    assert "limits" not in taken or (port_power(p.link, solution.design.precoder) <= most * (1 + 1e-9)).all()
    assert "min_rate" not in taken or (np.asarray(solution.rates) >= least / np.log(2) * (1 - slack)).all()


def test_limits_on_radiated_power_are_refused(name):
    p = suited(name, 6)
    radiated = type(p)(p.link, (Limit(jnp.ones(1), kind="radiated"),), p.consumption, p.min_rate)
    with pytest.raises(ConfigError, match="radiated"):
        SCHEMES.get(name)(radiated, key=KEY)


@pytest.mark.parametrize("gradient_scheme", ["hybrid-joint", "sim-dpc", "sim-lp", "sim-nolp", "sim-nolp-redrf"])
def test_discrete_set_is_refused_by_gradient_schemes(gradient_scheme):
    smooth = StackedSurface.example()
    discrete = StackedSurface(
        np.asarray(smooth.first),
        np.asarray(smooth.hops),
        np.asarray(smooth.coupling[0]),
        n_layers=2,
        max_layers=3,
        feasible=QuantizedPhase(shape=(3, 9), bits=2),
    )
    with pytest.raises(ConfigError, match=r"feasible: .*QuantizedPhase is a discrete set"):
        SCHEMES.get(gradient_scheme)(problem(0, surface=discrete), key=KEY)


def test_no_design_of_200_random_problems_exceeds_its_bound(name):
    """Powers, channels and prices over several decades; a bound holds for designs that are not finished, too."""
    solve = few_rounds(name) if name in ALTERNATIONS else solver(name)
    for seed in range(200):
        value = float(solve(random_problem(name, seed), jax.random.fold_in(KEY, seed)).value)
        assert value <= random_bound(name in ONE_ANTENNA, seed) * (1 + 1e-9), seed


def few_rounds(name):
    scheme = SCHEMES.get(name)
    return jax.jit(lambda p, key: scheme(p, key=key, **FASTER_TO_COMPILE[name] | {"max_rounds": 5}))


def random_problem(name, seed):
    power, scale, fixed = 10 ** np.random.default_rng(seed).uniform([-1, -1, -1], [1, 1, 1])
    return suited(name, 1000 + seed, power=power, scale=scale, fixed=fixed)


@functools.cache
def random_bound(one_antenna, seed):
    """The same problem whatever the scheme."""
    return float(bound(random_problem(ONE_ANTENNA[0] if one_antenna else "sim-lp", seed)).value)
