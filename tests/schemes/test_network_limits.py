"""Networks small enough to know the answer: one user, one chain, one element, plain WMMSE (checks 12 and 14)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_problems import network

from metamimo.metrics.effective import effective_channel
from metamimo.papers.hmimo_multicell.scaling import best_lorentz_states
from metamimo.physics.patterns import Isotropic
from metamimo.precoders.wmmse import wmmse
from metamimo.problem import Design, Status
from metamimo.schemes.limited import random_start
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.registry import SCHEMES
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.hologram_sets import LorentzianCircle, OnOff
from metamimo.surfaces.strips import microstrip

KEY = jax.random.key(11)


def strip(strips, per_strip, feasible):
    measures = {"wavelength": 1.0, "spacing": 0.25, "strip_spacing": 0.5, "attenuation": 0.1, "wavenumber": 8.0}
    return microstrip(strips, per_strip, **measures, feasible=feasible)


@pytest.mark.parametrize("seed", range(2))
def test_one_user_of_one_strip_gets_the_exact_optimum_from_the_best_of_many_starts(seed):
    p = network(seed, strip(1, 8, LorentzianCircle((8,))), cells=1, per_cell=1, rx=1)
    options = {"starts": 20, "max_iterations": 400, "tolerance": 1e-9}
    found = jax.jit(lambda p: best_of_starts(SCHEMES.get("wmmse-mm"), p, key=KEY, **options))(p)
    z = np.asarray(p.link.channel[0, 0, 0, 0] * p.link.surfaces[0].wave[0])
    best = np.abs(z @ best_lorentz_states(z))
    assert best == pytest.approx((np.abs(z.sum()) + np.abs(z).sum()) / 2, rel=1e-12)
    power = float(p.limits[0].power[0, 0])
    assert float(found.value) <= np.log2(1 + power * best**2) * (1 + 1e-12)
    reached = np.sqrt((2 ** float(found.value) - 1) / power)
    assert reached == pytest.approx(best, rel=1e-4)


def test_arrays_without_elements_to_tune_run_plain_wmmse():
    """Acceptance check 14: the descent is then WMMSE with a power limit for every antenna, iterate by iterate."""
    surface = FullyDigital.build(Isotropic().coupling(np.arange(4)[:, None] * np.array([[0.5, 0, 0]]), 1.0))
    p = network(2, surface, cells=1, per_cell=3)
    states, f = random_start(p, KEY)
    steps = 30
    run = jax.jit(lambda p, d: SCHEMES.get("wmmse-fixed")(p, key=KEY, start=d, tolerance=0.0, max_iterations=steps))
    descent = run(p, Design((states,), f))
    h = effective_channel(p.link, (states,))[0, 0] / jnp.sqrt(p.link.noise_power)
    stage = wmmse(h, f[0, 0], p.limits[0].power[0], tolerance=0.0, max_steps=steps, weights=p.link.weights)
    np.testing.assert_allclose(descent.history[-1], stage.history[-1] / np.log(2), rtol=1e-10)
    np.testing.assert_allclose(descent.design.precoder[0, 0], stage.precoder, atol=1e-10)


@pytest.mark.parametrize("name", ["wmmse-hc", "wmmse-mm", "network-joint"])
def test_one_chain_with_one_element(name):
    feasible = OnOff((1,)) if name == "wmmse-hc" else LorentzianCircle((1,))
    p = network(3, strip(1, 1, feasible), cells=1, per_cell=1, rx=1)
    found = jax.jit(lambda p: SCHEMES.get(name)(p, key=KEY))(p)
    h = np.asarray(effective_channel(p.link, found.design.state))[0].ravel()
    snr = np.abs(h * np.asarray(found.design.precoder).ravel()) ** 2  # host, once
    assert float(found.value) == pytest.approx(np.log2(1 + snr.item()), rel=1e-10)
    assert int(found.status) in (Status.CONVERGED, Status.ITERATION_LIMIT)
    # An element that is off leaves nothing to climb from: its gradient is zero, and no scheme may stay there.
    full = np.abs(h / np.where(h != 0, np.asarray(found.design.state[0]).ravel(), 1)) ** 2
    assert float(found.value) == pytest.approx(np.log2(1 + full.item() * float(p.limits[0].power[0, 0])), rel=1e-3)


def test_elements_that_cannot_radiate_leave_no_rate_and_no_nan():
    p = network(3, strip(3, 2, OnOff((6,), amplitude=1e-200)), cells=2, per_cell=3, rx=1)
    found = jax.jit(lambda p: SCHEMES.get("wmmse-hc")(p, key=KEY))(p)
    assert np.isfinite(np.asarray(found.design.precoder)).all()
    assert float(found.value) == pytest.approx(0, abs=1e-12)
