"""Schemes for single-antenna users: joint design, rate constraints, chain selection, alternation, wave-domain."""

import inspect
import math
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes_problems import problem

from metamimo.errors import ConfigError
from metamimo.linalg import squared_norm
from metamimo.metrics.power import port_power
from metamimo.precoders.coordinates import FreeEntries, OptimalForm
from metamimo.problem import Consumption, Limit, Link, Problem, Status
from metamimo.schemes.direct import Merit
from metamimo.schemes.hybrid_alternating import digital_pre, hybrid_fp, hybrid_pga, hybrid_sdp
from metamimo.schemes.hybrid_joint import hybrid_joint
from metamimo.schemes.wave_sim import wave_sim, wave_sim_pga
from metamimo.surfaces.digital import FullyDigital

KEY = jax.random.key(3)
joint = eqx.filter_jit(hybrid_joint)
digital = eqx.filter_jit(digital_pre)
pga = eqx.filter_jit(hybrid_pga)
sdp = eqx.filter_jit(partial(hybrid_sdp, backend="low_rank"))
wave = eqx.filter_jit(wave_sim)
wave_alternating = eqx.filter_jit(wave_sim_pga)


def miso(seed=0, *, power=2.0, port_power=1.0, rate=0.0, per_chain=1.0, idle=False, **case):
    """Return a problem with two users, limits of both kinds, and chains that cost something."""
    p = problem(seed, rx=1, power=power, fixed=2.0, **case)
    ports, users = p.link.ports.size, p.link.channel.shape[2]
    limits = (Limit(jnp.asarray([power])), Limit(jnp.full((1, ports), port_power)))
    consumption = Consumption.of(per_chain=per_chain, static=2.0, amplifier_efficiency=0.5, idle_chains=idle)
    return Problem(p.link, limits, consumption, jnp.full(users, rate))


def chains(solution):
    return int((jnp.abs(solution.design.precoder[0, 0]).sum((0, 2)) > 0).sum())


@pytest.mark.parametrize("seed", range(6))
def test_both_coordinate_forms_end_near_each_other(seed):
    """The optimal form loses nothing: every stationary point of the free entries has it."""
    p = miso(seed, idle=True)
    optimal, free = joint(p, key=KEY, tolerance=1e-9), joint(p, key=KEY, form="free", tolerance=1e-9)
    again = joint(p, key=KEY, start=free.design, tolerance=1e-9)
    assert float(again.value) >= float(free.value) * (1 - 1e-6)
    assert float(optimal.value) >= 0.9 * float(free.value)


def test_least_rates_hold_to_the_last_digit_and_cost_energy_efficiency():
    tight = []
    for seed in range(4):
        free = joint(miso(seed, idle=True), key=KEY)
        target = 0.98 * float(free.rates.mean())
        bound = joint(miso(seed, idle=True, rate=target * np.log(2)), key=KEY, start=free.design)
        assert int(bound.status) == Status.CONVERGED
        assert float(bound.rates.min()) >= target
        if float(bound.rates.min()) < target + 1e-4:
            tight.append(float(bound.value / free.value))
    assert tight
    assert max(tight) < 1


@pytest.mark.parametrize("scheme", [joint, digital, wave, wave_alternating])
def test_rates_out_of_reach_are_reported_and_proven_where_they_can_be(scheme):
    hard = scheme(miso(2, rate=9.0), key=KEY)
    assert int(hard.status) in (Status.INFEASIBLE, Status.IMPOSSIBLE)
    hopeless = scheme(miso(2, rate=30.0), key=KEY)
    assert int(hopeless.status) == Status.IMPOSSIBLE
    assert "proven" in Status(int(hopeless.status)).message
    for solution in (hard, hopeless):
        assert np.isfinite(float(solution.value))
        assert float(solution.ledger.accepted[0]) <= 2.0 * (1 + 1e-9)


@pytest.mark.parametrize("scheme", [joint, digital])
def test_selection_switches_chains_off_and_pays(scheme):
    p = miso(3, per_chain=3.0)
    chosen, every = scheme(p, key=KEY), scheme(p, key=KEY, selection="none")
    assert chains(chosen) < chains(every) == 4
    assert chains(chosen) >= 2
    assert float(chosen.value) > float(every.value)
    assert float(chosen.value) <= float(chosen.upper_bound) * (1 + 1e-9)


def test_idle_chains_that_are_charged_stay_on():
    assert chains(joint(miso(3, per_chain=3.0, idle=True), key=KEY)) == 4


def test_power_limits_can_only_help():
    """Energy efficiency does not fall with either limit, each point started from the one before."""
    for name in ("power", "port_power"):
        values, start = [], None
        for limit in (0.05, 0.2, 0.8, 3.2):
            solution = joint(miso(4, idle=True, **{name: limit}), key=KEY, start=start)
            values.append(float(solution.value))
            start = solution.design
        assert (np.diff(values) >= -1e-6 * np.array(values[1:])).all(), name


def test_full_power_mode_maximises_the_sum_rate():
    p = miso(5, idle=True)
    efficient = joint(p, key=KEY)
    fast = joint(Problem(p.link, p.limits, p.consumption, p.min_rate, objective="sum_rate"), key=KEY)
    assert float(fast.value) == pytest.approx(float(fast.rates.sum()), rel=1e-12)
    assert float(fast.rates.sum()) > float(efficient.rates.sum())
    assert float(fast.ledger.accepted[0]) == pytest.approx(2.0, rel=1e-6)
    assert float(fast.value) <= float(fast.upper_bound)


def test_distortion_costs_rate_and_schemes_that_ignore_it_refuse():
    p = miso(6, idle=True)
    distorted = eqx.tree_at(lambda q: q.link.evm, p, jnp.asarray(0.1))
    clean, dirty = joint(p, key=KEY), joint(distorted, key=KEY)
    assert float(dirty.value) < float(clean.value)
    with pytest.raises(ConfigError, match=r"evm: digital-pre takes 0 throughout, got 0\.1"):
        digital_pre(distorted, key=KEY)
    with pytest.raises(ConfigError, match=r"evm: must lie in \[0, 1\), got 1\.5"):
        Link.broadcast(p.link.surfaces[0], p.link.channel[0, 0], noise_power=1.0, bandwidth=1.0, frequency=1.0, evm=1.5)


@pytest.mark.parametrize("scheme", [wave, wave_alternating])
def test_wave_domain_design_has_one_stream_a_port(scheme):
    solution = scheme(miso(7), key=KEY)
    f = np.abs(np.asarray(solution.design.precoder)[0, 0, :, :, 0])
    assert ((f > 0).sum(1) == 1).all()
    np.testing.assert_array_equal(f.argmax(1), [1, 2])  # the two central of four ports
    assert chains(solution) == 2


def test_a_guard_inside_the_ascent_stalls_where_the_precoder_would_restore_the_rates():
    """The precoder leaves weak users exactly at their least rate; then the guard lets hardly any step pass."""
    ratios = []
    for seed in range(4):
        p = miso(30 + seed, idle=True)
        half = 0.5 * jnp.log(2) * pga(p, key=KEY).rates.min()
        p = eqx.tree_at(lambda q: q.min_rate, p, jnp.full(2, half))
        free, guarded = pga(p, key=KEY, max_rounds=60), pga(p, key=KEY, max_rounds=60, guard=True)
        assert int(free.status) == Status.CONVERGED
        assert float(free.rates.min()) * np.log(2) >= float(half) - 1e-6
        assert int(guarded.status) in (Status.CONVERGED, Status.INFEASIBLE)
        ratios.append(float(free.value / guarded.value))
    assert min(ratios) > 1 - 1e-6
    assert max(ratios) > 2


@pytest.mark.parametrize("seed", range(3))
def test_wave_domain_powers_and_phases_at_once_are_no_worse_than_in_turns(seed):
    p = miso(20 + seed, rate=0.1)
    turns = wave_alternating(p, key=KEY, max_rounds=60)
    once = wave(p, key=KEY, start=turns.design)
    assert int(turns.status) == int(once.status) == Status.CONVERGED
    assert float(once.value) >= float(turns.value) * (1 - 1e-6)
    assert (np.diff(np.asarray(turns.history)) >= -1e-9 * np.asarray(turns.history)[1:]).all()


def test_alternation_never_falls_and_the_joint_design_is_above_it():
    gains = []
    for seed in range(4):
        p = miso(10 + seed, idle=True)
        best = joint(p, key=KEY)
        for scheme in (hybrid_pga, hybrid_fp):
            other = eqx.filter_jit(scheme)(p, key=KEY)
            assert (np.diff(np.asarray(other.history)) >= -1e-9 * np.asarray(other.history)[1:]).all()
            assert (port_power(p.link, other.design.precoder) <= 1 + 1e-9).all()
            gains.append(float(best.value / other.value))
    assert np.mean(gains) > 1


def test_best_of_eight_joint_runs_is_above_the_alternations():
    gains = []
    for seed in range(10):
        p = miso(10 + seed, idle=True)
        best = max(float(joint(p, key=jax.random.fold_in(KEY, start)).value) for start in range(8))
        gains.append([best / float(other(p, key=KEY).value) for other in (pga, sdp)])
    assert (np.mean(np.array(gains) >= 0.97, 0) >= 0.9).all()
    assert (np.mean(gains, 0) > 1).all()


@pytest.mark.parametrize(
    ("coordinates", "size"), [(OptimalForm(), 8), (FreeEntries(jnp.asarray(0.7)), 16)], ids=["optimal", "free"]
)
@pytest.mark.parametrize("power", [1.0, 50.0], ids=["limited", "unlimited"])
def test_gradient_of_the_joint_objective(coordinates, size, power):
    """Against central differences in every coordinate, with one least rate missed and one reached."""
    p = miso(9, power=power, port_power=0.4 * power, idle=True)
    shape, limits = p.link.surfaces[0].feasible.shape, p.accepted_limits("test")
    point = jax.random.normal(KEY, (math.prod(shape) + size,))
    merit = Merit.of(p, coordinates, shape, jnp.ones(4, bool), limits)
    rates = eqx.filter_jit(Merit.value_and_rates)(merit, point)[1]
    merit = eqx.tree_at(lambda m: m.target, merit, rates * jnp.array([1.1, 0.5]))
    value = jax.jit(jax.vmap(lambda y: merit.lagrangian(y, jnp.array([0.3, 0.2]), jnp.asarray(10.0))))
    gradient = jax.jit(jax.grad(lambda y: value(y[None])[0]))(point)
    step = 1e-5 * jnp.eye(point.size)
    measured = (value(point + step) - value(point - step)) / 2e-5
    assert float(jnp.linalg.norm(gradient - measured) / jnp.linalg.norm(measured)) <= 1e-6
    used = float(squared_norm(eqx.filter_jit(Merit.unpack)(merit, point)[2]))
    assert (used > 0.99 * power) == (power == 1)


def test_bare_array_is_the_baseline_without_surface():
    p = miso(8, surface=FullyDigital.example(), idle=True)
    assert float(joint(p, key=KEY).value) == pytest.approx(float(digital(p, key=KEY).value), rel=2e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "best"}, "form: must be one of optimal, free, got 'best'"),
        ({"selection": "random"}, "selection: must be one of backward, none, got 'random'"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        inspect.unwrap(hybrid_joint)(miso(), key=KEY, **options)  # the run-time type check would answer first


def test_problem_without_limit_is_refused():
    p = miso()
    with pytest.raises(ConfigError, match="limits: hybrid-joint needs at least one limit on accepted power, got none"):
        hybrid_joint(Problem(p.link, (), p.consumption, p.min_rate), key=KEY)
