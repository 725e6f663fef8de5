"""Bounds join by registration: whoever knows one for a kind of problem adds it, and the smallest counts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_problems import CIRCLE, network, strips

from metamimo.bounds.bound import Bound
from metamimo.bounds.of_problem import upper_bound
from metamimo.bounds.registry import BOUNDS
from metamimo.errors import ConfigError
from metamimo.problem import Consumption, Limit, Link, Problem
from metamimo.surfaces.digital import FullyDigital


@pytest.fixture(autouse=True)
def _registry_as_it_was(monkeypatch):
    monkeypatch.setattr(BOUNDS, "_entries", dict(BOUNDS._entries))


def half_a_bit(problem, effort):
    """Hold for sum rates only."""
    return Bound(jnp.asarray(0.5), "half a bit", "tight") if problem.objective == "sum_rate" else None


def nothing_known(problem, effort):
    return Bound(jnp.asarray(jnp.nan), "nothing", "loose")


def without_limit(problem, effort):
    return Bound(jnp.asarray(jnp.inf), "no limit", "loose")


def test_every_entry_is_a_function_of_problem_and_effort():
    for name in BOUNDS:
        bound = BOUNDS.get(name)(network(), "cheap")
        assert bound is None or bound.quality in ("tight", "moderate", "loose"), name


def test_the_smallest_bound_counts_and_names_are_joined():
    p = network(surface=strips(CIRCLE))
    before = upper_bound(p)
    BOUNDS.register("half", f"{__name__}:half_a_bit")
    after = jax.jit(upper_bound)(p)
    assert float(after.value) == 0.5 < float(before.value)
    assert upper_bound(network()).quality == "tight"  # elements on or off, whose own bound is loose
    assert (before.quality, after.quality) == ("moderate", "tight")
    assert after.name == f"{before.name}, or half a bit"


def test_a_bound_that_does_not_hold_changes_nothing():
    BOUNDS.register("half", f"{__name__}:half_a_bit")
    assert upper_bound(dataclasses.replace(network(), objective="energy_efficiency")) is None


def test_what_is_not_known_does_not_hide_what_is():
    p = network()
    value = float(upper_bound(p).value)
    BOUNDS.register("nothing", f"{__name__}:nothing_known")
    assert float(upper_bound(p).value) == value


def test_no_number_is_nan_and_not_infinite():
    BOUNDS.register("nothing", f"{__name__}:without_limit")
    assert np.isnan(float(upper_bound(dataclasses.replace(network(), objective="energy_efficiency")).value))


def test_a_problem_with_two_bounds_gets_both_names():
    """A digital array with limits of its ports: from its covariances, and chain by chain."""
    surface = FullyDigital.example()
    channel = jax.random.normal(jax.random.key(0), (2, 1, surface.n_elements), dtype=complex)
    link = Link.broadcast(surface, channel, noise_power=1.0, bandwidth=1e6, frequency=3e8)
    limits = (Limit(jnp.ones((1, surface.n_ports))),)
    p = Problem(link, limits, Consumption.of(static=1.0), jnp.zeros(2), objective="sum_rate")
    each = [BOUNDS.get(name)(p, "tight") for name in ("chains", "station")]
    both = upper_bound(p)
    assert float(both.value) == pytest.approx(min(float(bound.value) for bound in each), rel=1e-12)
    assert all(bound.name in both.name for bound in each)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="bound: there is no 'slot'; did you mean slots"):
        BOUNDS.get("slot")
