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

from metamimo.bounds.of_problem import upper_bound
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
bound = jax.jit(upper_bound)
# Compiling is nearly all that this file costs: tests share programs, so problems differ in values, not in structure.
joint = eqx.filter_jit(hybrid_joint)
digital = eqx.filter_jit(digital_pre)
pga = eqx.filter_jit(partial(hybrid_pga, selection="none", max_rounds=60))
fp = eqx.filter_jit(partial(hybrid_fp, selection="none", max_rounds=60))
sdp = eqx.filter_jit(partial(hybrid_sdp, backend="low_rank", selection="none"))
wave_from = eqx.filter_jit(wave_sim)
wave_alternating = eqx.filter_jit(partial(wave_sim_pga, max_rounds=60))


def miso(seed=0, *, power=2.0, port_power=1.0, rate=0.0, per_chain=1.0, idle=False, **case):
    """Return a problem with two users, limits of both kinds, and chains that cost something."""
    p = problem(seed, rx=1, power=power, fixed=2.0, **case)
    ports, users = p.link.ports.size, p.link.channel.shape[2]
    limits = (Limit(jnp.asarray([power])), Limit(jnp.full((1, ports), port_power, float)))
    consumption = Consumption.of(per_chain=per_chain, static=2.0, amplifier_efficiency=0.5, idle_chains=idle)
    return Problem(p.link, limits, consumption, jnp.full(users, rate, float))


def joint_all(p, key=KEY, **options):
    """Return the joint design with every chain on."""
    return joint(p, key=key, selection="none", **options)


def wave(p, *, key):
    """Return the wave-domain design from random phases; conformance covers the start of its own."""
    return wave_from(p, key=key, start=digital(p, key=key).design)


def chains(solution):
    return int((jnp.abs(solution.design.precoder[0, 0]).sum((0, 2)) > 0).sum())


@pytest.mark.parametrize("seed", range(6))
def test_both_coordinate_forms_end_near_each_other(seed):
    """The optimal form loses nothing: every stationary point of the free entries has it."""
    p = miso(seed)
    optimal, free = joint_all(p, tolerance=1e-9), joint_all(p, form="free", tolerance=1e-9)
    again = joint_all(p, start=free.design, tolerance=1e-9)
    assert float(again.value) >= float(free.value) * (1 - 1e-6)
    assert float(optimal.value) >= 0.9 * float(free.value)


def test_least_rates_hold_to_the_last_digit_and_cost_energy_efficiency():
    tight = []
    for seed in range(4):
        free = joint_all(miso(seed))
        target = 0.98 * float(free.rates.mean())
        bound = joint_all(miso(seed, rate=target * np.log(2)), start=free.design)
        assert int(bound.status) == Status.CONVERGED
        assert float(bound.rates.min()) >= target
        if float(bound.rates.min()) < target + 1e-4:
            tight.append(float(bound.value / free.value))
    assert tight
    assert max(tight) < 1


@pytest.mark.parametrize(
    "scheme", [joint, digital, wave, wave_alternating], ids=["joint", "digital", "wave", "wave_alternating"]
)
def test_rates_out_of_reach_are_reported_and_proven_where_they_can_be(scheme):
    hard = scheme(miso(2, rate=9.0), key=KEY)
    assert int(hard.status) in (Status.INFEASIBLE, Status.IMPOSSIBLE)
    hopeless = scheme(miso(2, rate=30.0), key=KEY)
    assert int(hopeless.status) == Status.IMPOSSIBLE
    assert "proven" in Status(int(hopeless.status)).message
    for solution in (hard, hopeless):
        assert np.isfinite(float(solution.value))
        assert float(solution.ledger.accepted[0]) <= 2.0 * (1 + 1e-9)


@pytest.mark.parametrize("scheme", [joint, digital], ids=["joint", "digital"])
def test_selection_switches_chains_off_and_pays(scheme):
    p = miso(3, per_chain=3.0)
    chosen, every = scheme(p, key=KEY), scheme(p, key=KEY, selection="none")
    assert chains(chosen) < chains(every) == 4
    assert chains(chosen) >= 2
    assert float(chosen.value) > float(every.value)
    assert float(chosen.value) <= float(bound(p).value) * (1 + 1e-9)


def test_power_limits_can_only_help():
    """Energy efficiency does not fall with either limit, each point started from the one before."""
    for name in ("power", "port_power"):
        values, start = [], {}
        for limit in (0.05, 0.2, 0.8, 3.2):
            solution = joint_all(miso(4, **{name: limit}), **start)
            values.append(float(solution.value))
            start = {"start": solution.design}
        assert (np.diff(values) >= -1e-6 * np.array(values[1:])).all(), name


def test_full_power_mode_maximises_the_sum_rate():
    p = miso(5)
    efficient = joint_all(p)
    rate = Problem(p.link, p.limits, p.consumption, p.min_rate, objective="sum_rate")
    fast = joint(rate, key=KEY, dpc_iterations=0)
    assert float(fast.value) == pytest.approx(float(fast.rates.sum()), rel=1e-12)
    assert float(fast.rates.sum()) > float(efficient.rates.sum())
    assert float(fast.ledger.accepted[0]) == pytest.approx(2.0, rel=1e-6)
    assert float(fast.value) <= float(bound(rate).value)


def test_distortion_costs_rate_and_schemes_that_ignore_it_refuse():
    p = miso(6)
    distorted = eqx.tree_at(lambda q: q.link.evm, p, jnp.asarray(0.1, float))
    clean, dirty = joint_all(p), joint_all(distorted)
    assert float(dirty.value) < float(clean.value)
    with pytest.raises(ConfigError, match=r"evm: digital-pre takes 0 throughout, got 0\.1"):
        digital_pre(distorted, key=KEY)
    with pytest.raises(ConfigError, match=r"evm: must lie in \[0, 1\), got 1\.5"):
        Link.broadcast(p.link.surfaces[0], p.link.channel[0, 0], noise_power=1.0, bandwidth=1.0, frequency=1.0, evm=1.5)


@pytest.mark.parametrize("scheme", [wave, wave_alternating], ids=["wave", "wave_alternating"])
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
        p = miso(30 + seed)
        half = 0.5 * jnp.log(2) * pga(p, key=KEY).rates.min()
        p = eqx.tree_at(lambda q: q.min_rate, p, jnp.full(2, half))
        free, guarded = pga(p, key=KEY), pga(p, key=KEY, guard=True)
        assert int(free.status) == Status.CONVERGED
        assert float(free.rates.min()) * np.log(2) >= float(half) - 1e-6
        assert int(guarded.status) in (Status.CONVERGED, Status.INFEASIBLE)
        ratios.append(float(free.value / guarded.value))
    assert min(ratios) > 1 - 1e-6
    assert max(ratios) > 2


@pytest.mark.parametrize("seed", range(3))
def test_wave_domain_powers_and_phases_at_once_are_no_worse_than_in_turns(seed):
    p = miso(20 + seed, rate=0.1)
    turns = wave_alternating(p, key=KEY)
    once = wave_from(p, key=KEY, start=turns.design)
    assert int(turns.status) == int(once.status) == Status.CONVERGED
    assert float(once.value) >= float(turns.value) * (1 - 1e-6)
    assert (np.diff(np.asarray(turns.history)) >= -1e-9 * np.asarray(turns.history)[1:]).all()


def test_alternation_never_falls_and_the_joint_design_is_above_it():
    gains, used = [], eqx.filter_jit(port_power)
    for seed in range(4):
        p = miso(10 + seed)
        best = joint_all(p)
        for scheme in (pga, fp):
            other = scheme(p, key=KEY)
            assert (np.diff(np.asarray(other.history)) >= -1e-9 * np.asarray(other.history)[1:]).all()
            assert (used(p.link, other.design.precoder) <= 1 + 1e-9).all()
            gains.append(float(best.value / other.value))
    assert np.mean(gains) > 1


def test_best_of_eight_joint_runs_is_above_the_alternations():
    gains = []
    for seed in range(10):
        p = miso(10 + seed)
        best = max(float(joint_all(p, jax.random.fold_in(KEY, start)).value) for start in range(8))
        gains.append([best / float(other(p, key=KEY).value) for other in (pga, sdp)])
    assert (np.mean(np.array(gains) >= 0.97, 0) >= 0.9).all()
    assert (np.mean(gains, 0) > 1).all()


@eqx.filter_jit
def slopes(p, coordinates, point):
    """Return gradient and central differences of the joint objective, and the power of the precoder."""
    shape, limits = p.link.surfaces[0].feasible.shape, p.accepted_limits("test")
    merit = Merit.of(p, coordinates, shape, jnp.ones(4, bool), limits)
    rates = merit.value_and_rates(point)[1]
    merit = eqx.tree_at(lambda m: m.target, merit, rates * jnp.array([1.1, 0.5]))
    step = 1e-5 * jnp.eye(point.size)
    value = jax.value_and_grad(lambda y: merit.lagrangian(y, jnp.array([0.3, 0.2]), jnp.asarray(10.0)))
    values, gradients = jax.vmap(value)(jnp.concatenate([point + step, point - step, point[None]]))
    ahead, behind = values[:-1].reshape(2, -1)
    return gradients[-1], (ahead - behind) / 2e-5, squared_norm(merit.unpack(point)[2])


@pytest.mark.parametrize(
    ("coordinates", "size"), [(OptimalForm(), 8), (FreeEntries(jnp.asarray(0.7)), 16)], ids=["optimal", "free"]
)
@pytest.mark.parametrize("power", [1.0, 50.0], ids=["limited", "unlimited"])
def test_gradient_of_the_joint_objective(coordinates, size, power):
    """Against central differences in every coordinate, with one least rate missed and one reached."""
    p = miso(9, power=power, port_power=0.4 * power)
    point = jax.random.normal(KEY, (math.prod(p.link.surfaces[0].feasible.shape) + size,))
    gradient, measured, used = map(np.asarray, slopes(p, coordinates, point))
    assert np.linalg.norm(gradient - measured) / np.linalg.norm(measured) <= 1e-6
    assert (used > 0.99 * power) == (power == 1)


def test_bare_array_is_the_baseline_without_surface_and_charged_idle_chains_stay_on():
    p = miso(8, surface=FullyDigital.example(), per_chain=3.0, idle=True)
    # Nothing can be tuned: the dirty paper stage would leave the start as it is.
    every, baseline = joint(p, key=KEY, dpc_iterations=0), digital(p, key=KEY)
    assert float(every.value) == pytest.approx(float(baseline.value), rel=2e-3)
    assert chains(every) == 4


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
