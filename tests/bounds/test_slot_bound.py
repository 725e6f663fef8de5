"""The bound of parallel-plate antennas as `upper_bound` gives it: for which problems, in whose units, above what."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_free_problems import cell_free

from metamimo import design
from metamimo.bounds.dipoles import local_power_residuals
from metamimo.bounds.of_problem import upper_bound
from metamimo.bounds.slots import slots_of
from metamimo.channels.csi import FreshEstimates
from metamimo.conventions import NAT_TO_BIT
from metamimo.metrics.effective import effective_channel
from metamimo.problem import Limit, Problem
from metamimo.schemes.limited import random_start, weighted_rate
from metamimo.surfaces.parallel_plate import ParallelPlateDMA
from metamimo.surfaces.resonance import ResonanceStrength

BOUND = jax.jit(upper_bound, static_argnames="effort")
ALIKE = {"frequencies": np.array([9.98e9, 10.02e9]), "height": 5e-3}
MIXED = np.array([10.1e9, 9.9e9, 10.15e9, 9.8e9])
"""Resonances on both sides of the band."""


def antenna(resonance=10.1e9, most=10.0, negative=False, **options):
    feasible = ResonanceStrength((4,), most=most, allow_negative=negative)
    return ParallelPlateDMA.on_grid(4, 2, 7.5e-3, **ALIKE, resonance=resonance, feasible=feasible, **options)


PLAIN = antenna()
SURFACES = {
    "plain": PLAIN,
    "lossy": antenna(loss=0.3),
    "weak": antenna(most=0.5),
    "above resonance": antenna(resonance=9.9e9),
    "both sides": antenna(resonance=MIXED),
    "any sign": antenna(negative=True),
    "uncoupled": antenna(coupling=False),
    "coupling ignored": dataclasses.replace(PLAIN, coupled=False),
}


def network(seed=0, surface=PLAIN, power=1.0, scale=1.0, **changes):
    """Return two stations and two users over unit noise, with limits of the currents."""
    p = cell_free(seed, surface=surface, power=power, kind="port", **changes)
    return dataclasses.replace(p, link=dataclasses.replace(p.link, channel=0.1 * scale * p.link.channel))


def linked(p, **changes):
    return dataclasses.replace(p, link=dataclasses.replace(p.link, **changes))


@jax.jit
def best_random(p: Problem):
    """The best rate of 200 random designs [bit/s/Hz]."""
    keys = jax.random.split(jax.random.key(3), 200)
    return jax.lax.map(lambda key: weighted_rate(p.link, *random_start(p, key)), keys).max() * NAT_TO_BIT


@pytest.mark.parametrize("kind", SURFACES)
def test_units_are_those_of_the_surface(kind):
    """Moments of any state obey both laws, and what users hear of them is the surface's own response."""
    surface = SURFACES[kind]
    p = linked(network(1, surface), noise_power=jnp.asarray(0.3))
    slots = slots_of(p)
    state = surface.feasible.random(jax.random.key(2), (2,))
    damping = np.asarray(surface.damping)[:, None, None]
    inverse = np.asarray(surface.detuning)[:, None] / np.asarray(state) / damping + 1j
    coupling, feed = np.asarray(slots.coupling), np.asarray(slots.feed)
    moment = np.linalg.solve(inverse[..., None] * np.eye(4) - coupling, feed)
    field = coupling @ moment + feed
    least = np.zeros((2, 1, 1)) if slots.least_detuning is None else np.asarray(slots.least_detuning)[:, None]
    moments, fields = (jnp.asarray(a.swapaxes(2, 3))[..., None] for a in (moment, field))
    balance, margin = local_power_residuals(moments, fields, jnp.ones(1), jnp.asarray(least[:, None, ..., None]))
    assert np.abs(np.asarray(balance)).max() < 1e-10 * np.abs(moment).max() ** 2
    if slots.least_detuning is not None:
        assert np.asarray(margin).min() > -1e-10 * np.abs(moment).max() ** 2
    heard = np.asarray(slots.channel) @ moment
    amplitude = np.sqrt(np.asarray(p.limits[0].power) / 0.3)[:, None, None]
    expected = amplitude * np.asarray(effective_channel(p.link, (state,)))[..., 0, :]
    np.testing.assert_allclose(heard, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", SURFACES)
def test_no_random_design_exceeds_either_bound(kind):
    p = network(2, SURFACES[kind])
    cheap, tight = BOUND(p, effort="cheap"), BOUND(p, effort="tight")
    best = float(best_random(p))
    assert 0 < best <= float(tight.value) <= float(cheap.value) < np.inf
    assert (tight.quality, tight.name) == ("loose", "power conserved slot by slot")


def test_weights_masks_switched_off_feeds_and_limits_of_feeds_are_respected():
    p = network(3)
    plain = float(BOUND(p).value)
    changed = {
        "weights": linked(p, weights=jnp.array([1.0, 2.5])),
        "own users": linked(p, serves=jnp.eye(2, dtype=bool)),
        "one feed": linked(p, ports=jnp.array([[True, False], [True, True]])),
        "feeds": dataclasses.replace(p, limits=(*p.limits, Limit(jnp.array([[0.1, 0.2], [0.3, 5.0]]), "port"))),
    }
    values = {name: float(BOUND(q).value) for name, q in changed.items()}
    for name, q in changed.items():
        assert float(best_random(q)) <= values[name], name
    assert plain < values["weights"] < 2.5 * plain
    assert max(values[name] for name in ("own users", "one feed", "feeds")) < plain
    double = linked(p, weights=jnp.full(2, 2.0))
    assert float(BOUND(double).value) == pytest.approx(2 * plain, rel=1e-9)


def test_one_user_on_one_subcarrier_is_called_moderate():
    alone = ParallelPlateDMA.on_grid(4, 2, 7.5e-3, frequencies=np.array([10e9]), height=5e-3, resonance=10.1e9)
    p = network(4, alone, users=1, freq=1, stations=1)
    assert (BOUND(p).quality, BOUND(p, effort="cheap").quality) == ("moderate", "loose")


def test_problems_of_other_kinds_get_none():
    p = network()
    for kind in ("accepted", "radiated"):
        assert upper_bound(dataclasses.replace(p, limits=(Limit(jnp.ones(2), kind),))) is None
    assert upper_bound(dataclasses.replace(p, objective="energy_efficiency")) is None
    assert upper_bound(cell_free(0, kind="port")) is None


def test_an_estimate_does_not_hide_the_designers_bound():
    """The value of a robust design is that on the designer's channel, and so is its bound."""
    p = network(5, power=10.0)
    robust = dataclasses.replace(p, csi=FreshEstimates(p.link.channel, jnp.asarray(0.1)))
    solution = design(robust, "ssca", key=jax.random.key(0), max_iterations=40)
    assert 0 < float(solution.value) <= float(solution.upper_bound)
    assert (solution.bound_scope, solution.bound_quality) == ("global", "loose")
    assert float(solution.upper_bound) == pytest.approx(float(BOUND(p).value), rel=1e-3)


def test_a_large_network_is_bounded_without_a_dead_lock():
    """Sixteen subcarriers, four stations and 32 slots: factorisations of large batches must not meet."""
    grid = 10e9 + 6.25e6 * (np.arange(16) - 7.5)
    large = ParallelPlateDMA.on_grid(32, 2, 7.5e-3, frequencies=grid, height=5e-3, resonance=10.1e9)
    p = network(6, large, freq=16, stations=4)
    assert np.isfinite(float(BOUND(p, effort="cheap").value))
