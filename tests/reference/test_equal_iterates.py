"""Iterate by iterate the package walks where plain NumPy walks: two programs that share no code, one algorithm.

The reference counts time the other way round (exp(-jwt)), so it gets the conjugates of the package's channels and
phases. Along a line search rounding grows, hence 1e-9 over the first ten iterations and 1e-6 over all.
"""

import functools
import importlib
import sys
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.channels.rayleigh import correlated_rayleigh
from metamimo.geometry.planar import grid_positions
from metamimo.optimise.projected_gradient import StepRule
from metamimo.physics.patterns import Isotropic, psd_root
from metamimo.precoders.antenna_map import random_antennas
from metamimo.problem import Consumption, Limit, Link, Problem
from metamimo.randomness import purpose_key
from metamimo.schemes.lp_nosim import lp_nosim
from metamimo.schemes.sim_lp import sim_lp
from metamimo.schemes.sim_nolp import sim_nolp, sim_nolp_redrf
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.stacked import StackedSurface

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
reference = importlib.import_module("numpy_reference")

# A gain of one over this noise: around 20 dB at full power, where the line searches have to backtrack.
TOY = reference.Scenario(n_tx=4, users=2, layers=2, elements=9, noise_power=2e-4)
ITERATIONS = 30
KEYS = [jax.random.fold_in(jax.random.key(12), i) for i in range(3)]
RULES = {"sufficient_increase": "increase", "quadratic_model": "model"}


@functools.cache
def toy_stack():
    return StackedSurface.build(
        n_layers=TOY.layers,
        n_elements=TOY.elements,
        n_ports=TOY.n_tx,
        wavelength=TOY.wavelength,
        element_spacing=TOY.element_spacing,
        antenna_spacing=TOY.antenna_spacing,
        layer_spacing=TOY.layer_spacing,
        pattern=Isotropic(),
    )


def bare_array():
    places = grid_positions(TOY.n_tx, TOY.antenna_spacing)
    return FullyDigital.build(Isotropic().coupling(places, TOY.wavelength))


@jax.jit
def fading(key, gain, root):
    return correlated_rayleigh(key, gain, TOY.n_rx, root)


def toy_problem(surface, key):
    """Return the problem, and the same channel in the reference's convention."""
    root = jnp.asarray(psd_root(np.asarray(surface.coupling[0])))
    gain = 1e-3 * jnp.linspace(1.0, 0.5, TOY.users)
    channel = fading(purpose_key(key, "fading"), gain, root)
    link = Link.broadcast(
        surface, channel, noise_power=TOY.noise_power, bandwidth=TOY.bandwidth, frequency=3e8 / TOY.wavelength
    )
    power = Consumption.of(per_chain=TOY.per_chain, static=TOY.standby, per_element=TOY.per_element)
    problem = Problem(link, (Limit(jnp.asarray([TOY.max_power])),), power, jnp.zeros(TOY.users))
    return problem, np.asarray(channel).conj() / np.sqrt(TOY.noise_power)


@functools.cache
def solver(scheme, **options):
    return jax.jit(lambda p, k: scheme(p, key=k, max_iterations=ITERATIONS, **options))


@eqx.filter_jit
def random_phases(surface, key):
    return surface.feasible.random(key)


def start_phases(surface, key):
    return np.asarray(random_phases(surface, purpose_key(key, "start"))).conj()


@jax.jit
def two_of_four_antennas(key):
    return random_antennas(key, TOY.n_tx, TOY.users, 1, jnp.asarray(1.0))


def options_of(line_search="sufficient_increase"):
    """Return the reference's options; every number of the step rule is the package's."""
    rule = StepRule()
    return reference.Options(
        line_search=RULES[line_search],
        first_step=rule.first,
        shrink=rule.shrink,
        increase=rule.increase,
        max_reductions=rule.reductions,
        tolerance=0.0,
        max_iterations=ITERATIONS,
        polish=False,
    )


def assert_same_history(package, plain):
    """Compare bits per joule; the reference's are nats per watt."""
    expected = reference.bit_per_joule(np.array(plain), TOY.bandwidth)
    found = np.asarray(package)[: expected.size]
    assert expected.size > 10
    assert expected[-1] > 1.02 * expected[0], "a run that stands still proves nothing"
    np.testing.assert_allclose(found[:11], expected[:11], rtol=1e-9)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def assert_same_run(solution, run):
    """Compare the histories without the start, which the reference does not keep, and the number of forward passes."""
    assert run.stalled_steps == 0, "after a stall the two restart at different steps"
    assert_same_history(solution.history[1:], run.history)
    assert int(solution.iterations) == ITERATIONS
    assert int(solution.trials) == run.trials + 1  # the package counts the start


def test_both_model_the_same_stack():
    plain = reference.stack_matrices(TOY)
    np.testing.assert_allclose(toy_stack().first, plain[0].conj(), rtol=1e-12)
    np.testing.assert_allclose(toy_stack().hops[0], plain[1].conj(), rtol=1e-12)


@pytest.mark.parametrize("line_search", list(RULES))
@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_algorithm_4(key, line_search):
    problem, g = toy_problem(toy_stack(), key)
    solve = solver(sim_lp, phase_stage="projected_gradient", tolerance=0.0, line_search=line_search)
    run = reference.sim_lp(
        TOY, reference.stack_matrices(TOY), g, start_phases(toy_stack(), key), options_of(line_search)
    )
    assert_same_run(solve(problem, key), run)


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_algorithm_4_ends_in_the_same_design(key):
    problem, g = toy_problem(toy_stack(), key)
    solve = solver(sim_lp, phase_stage="projected_gradient", tolerance=0.0, line_search="sufficient_increase")
    plain = replace(options_of(), polish=True)
    run = reference.sim_lp(TOY, reference.stack_matrices(TOY), g, start_phases(toy_stack(), key), plain)
    solution = solve(problem, key)
    np.testing.assert_allclose(solution.value, reference.bit_per_joule(run.value, TOY.bandwidth), rtol=1e-6)
    np.testing.assert_allclose(solution.design.state[0][0], run.phases.conj(), atol=1e-4)


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_sim_nolp(key):
    problem, g = toy_problem(toy_stack(), key)
    run = reference.sim_no_lp(
        TOY, reference.stack_matrices(TOY), g, start_phases(toy_stack(), key), np.arange(TOY.users), options_of()
    )
    assert_same_run(solver(sim_nolp, phase_stage="projected_gradient", tolerance=0.0)(problem, key), run)


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_sim_nolp_with_fewer_chains(key):
    """One receive antenna, so that two of the four antennas are off."""
    toy = replace(TOY, n_rx=1)
    problem, g = toy_problem(toy_stack(), key)
    link = Link.broadcast(
        toy_stack(), problem.link.channel[0, 0, :, :1], noise_power=TOY.noise_power, bandwidth=TOY.bandwidth,
        frequency=3e8 / TOY.wavelength,
    )  # fmt: skip
    problem = Problem(link, problem.limits, problem.consumption, problem.min_rate)
    antennas = np.abs(two_of_four_antennas(purpose_key(key, "scheme")))[:, :, 0].argmax(1)
    run = reference.sim_no_lp_red_rf(
        toy, reference.stack_matrices(toy), g[:, :1], start_phases(toy_stack(), key), antennas, options_of()
    )
    assert_same_run(solver(sim_nolp_redrf, phase_stage="projected_gradient", tolerance=0.0)(problem, key), run)


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_lp_nosim(key):
    """Both histories of Algorithm 3 start with the matched filter."""
    problem, h = toy_problem(bare_array(), key)
    p, history = reference.algorithm_3(
        h,
        reference.matched_start(h, TOY.max_power),
        TOY.fixed_power(TOY.n_tx, 0),
        TOY.max_power,
        tolerance=0.0,
        max_steps=ITERATIONS,
    )
    solution = solver(lp_nosim, tolerance=0.0)(problem, key)
    assert_same_history(solution.history, history)
    np.testing.assert_allclose(solution.design.precoder[0, 0], p.conj(), atol=1e-6)
