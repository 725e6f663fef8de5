"""The bound of a problem: which relaxation serves whom, options, and what multi-start does with it."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_problems import network

from metamimo import design
from metamimo.bounds.bound import Bound
from metamimo.bounds.of_problem import upper_bound
from metamimo.bounds.weighted import over_weights
from metamimo.errors import ConfigError, PhysicsWarning
from metamimo.metrics.evaluate import evaluate
from metamimo.problem import Consumption, Design, Limit, Link, Problem
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.sim_lp import sim_lp
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.stacked import StackedSurface

KEY = jax.random.key(4)
BOUND = jax.jit(upper_bound, static_argnames="effort")
STACK = StackedSurface.example()


def problem(seed=0, surface=STACK, rx=1, **changes):
    channel = 3 * jax.random.normal(jax.random.key(seed), (2, rx, surface.n_elements), dtype=complex)
    link = Link.broadcast(surface, channel, noise_power=1.0, bandwidth=1e6, frequency=3e8)
    consumption = Consumption.of(per_chain=0.5, static=1.0, per_element=0.01)
    whole = Problem(link, (Limit(jnp.ones(1)),), consumption, jnp.zeros(2))
    return dataclasses.replace(whole, **changes)


def random_value(p, seed, ports):
    """The value of a random state with random precoders at full power over a random choice of ports."""
    state, f = jax.random.split(jax.random.fold_in(KEY, seed))
    surface = p.link.surfaces[0]
    chosen = jax.random.permutation(f, surface.n_ports) < ports
    precoder = jax.random.normal(f, (1, 1, 2, surface.n_ports, 1), complex) * chosen[:, None]
    precoder = precoder / jnp.linalg.norm(precoder)
    metrics = evaluate(p, Design((surface.feasible.random(state, (1,)),), precoder))
    return metrics.energy_efficiency if p.objective == "energy_efficiency" else metrics.sum_rate


@pytest.mark.parametrize("objective", ["energy_efficiency", "sum_rate"])
def test_more_effort_is_tighter_and_both_hold(objective):
    p = problem(objective=objective)
    cheap, tight = BOUND(p, effort="cheap"), BOUND(p, effort="tight")
    assert float(tight.value) <= float(cheap.value)
    assert (cheap.quality, tight.quality) == ("loose", "moderate")
    value = jax.jit(random_value, static_argnums=2)
    assert max(float(value(p, seed, ports)) for ports in (1, 2, 4) for seed in range(20)) <= float(tight.value)


def test_chains_that_are_off_cost_nothing_and_their_designs_are_covered():
    """With dear chains one of them is the best; a bound that charged all four would lie below that design."""
    dear = Consumption.of(per_chain=10.0, static=0.1)
    p = problem(surface=FullyDigital.example(), consumption=dear)
    gains = jnp.abs(p.link.channel[0, 0, :, 0]) ** 2
    one = float(jnp.log2(1 + gains.max()) * p.link.bandwidth / (10.0 + 0.1 + 1.0))
    values = {idle: float(BOUND(with_idle(p, idle)).value) for idle in (False, True)}
    assert values[True] < one <= values[False]


def with_idle(p, idle):
    return dataclasses.replace(p, consumption=dataclasses.replace(p.consumption, idle_chains=idle))


def test_limits_of_ports_can_only_tighten():
    p = problem(2)
    limits = (*p.limits, Limit(jnp.array([[0.02, 1.0, 0.02, 0.02]])))
    assert float(BOUND(dataclasses.replace(p, limits=limits)).value) < float(BOUND(p).value)


def test_weights_are_peeled_off():
    assert float(over_weights(lambda heard: 1.0 * heard.sum(), jnp.array([2.0, 0.0, 5.0]))) == 7.0
    p = problem(3)
    double = dataclasses.replace(p, link=dataclasses.replace(p.link, weights=jnp.full(2, 2.0)))
    assert float(BOUND(double).value) == pytest.approx(2 * float(BOUND(p).value), rel=1e-12)
    first = dataclasses.replace(p, link=dataclasses.replace(p.link, weights=jnp.array([1.0, 0.0])))
    assert float(BOUND(first).value) < float(BOUND(p).value)


def test_problems_without_a_bound_and_unknown_efforts():
    radiated = (Limit(jnp.ones(1), kind="radiated"),)
    assert upper_bound(problem(limits=radiated)) is None
    assert upper_bound(dataclasses.replace(network(), objective="energy_efficiency")) is None
    with pytest.raises(ConfigError, match="effort: must be one of cheap, tight, got 'best'"):
        upper_bound(problem(), "best")


def test_networks_get_theirs_in_bits():
    cheap, tight = BOUND(network(), effort="cheap"), BOUND(network(), effort="tight")
    assert 0 < float(tight.value) <= float(cheap.value) * (1 + 1e-9)
    assert "chain by chain" in tight.name


def test_design_tells_how_far_it_may_be_from_the_optimum():
    solution = design(problem(), "sim-lp", key=KEY)
    assert 0 < float(solution.value) <= float(solution.upper_bound)
    assert (solution.bound_scope, solution.bound_quality) == ("global", "moderate")
    assert "% below the optimum" in str(solution)
    without = design(problem(), "sim-lp", key=KEY, bound="none")
    assert np.isnan(float(without.upper_bound))
    assert "optimum" not in str(without)
    with pytest.raises(ConfigError, match="bound: must be one of none, cheap, tight, got 'exact'"):
        design(problem(), "sim-lp", key=KEY, bound="exact")


def test_a_design_above_its_bound_is_reported(monkeypatch):
    wrong = Bound(jnp.asarray(1.0), "a wrong one", "tight")
    monkeypatch.setattr("metamimo.schemes.design.upper_bound", lambda *_: wrong)
    with pytest.warns(PhysicsWarning, match=r"sim-lp: value .* exceeds the bound 1 \(a wrong one\)"):
        design(problem(), "sim-lp", key=KEY)


def test_starts_end_when_the_gap_is_small_enough():
    p, most = problem(), 4
    run = jax.jit(
        lambda p, value, gap: best_of_starts(
            sim_lp, p, key=KEY, starts=most, bound=Bound(value, "given", "tight"), target_gap=gap
        ),
        static_argnums=2,
    )
    every = run(p, jnp.asarray(jnp.inf), 0.5)
    values = np.asarray(every.start_values)
    assert np.isfinite(values).all()
    first = run(p, jnp.asarray(1.4 * values[0]), 0.5)
    assert np.isfinite(np.asarray(first.start_values)).tolist() == [True, False, False, False]
    assert int(first.iterations) < int(every.iterations)
    assert "starts: 1 of 4" in str(first)
    with pytest.raises(ConfigError, match=r"target_gap: must not be negative, got -0\.1"):
        run(p, jnp.asarray(1.0), -0.1)
    with pytest.raises(ConfigError, match="target_gap: needs a bound of the problem, which has none"):
        best_of_starts(sim_lp, p, key=KEY, starts=2, target_gap=0.1)


def test_no_warning_without_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error", PhysicsWarning)
        design(problem(surface=FullyDigital.example()), "lp-nosim", key=KEY)
