"""Parallel-plate antenna: fields, energy, limits of its model, gradients, units."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import gaussian, relative_error
from scipy.special import hankel2, k0

from metamimo.channels.dipole_field import line_of_sight, wire_resistance
from metamimo.conventions import SPEED_OF_LIGHT
from metamimo.geometry.planar import feed_line, grid_positions
from metamimo.physics import parallel_plate as plate
from metamimo.physics.patterns import DipoleOnPlane
from metamimo.physics.wires import WAVE_IMPEDANCE as ETA
from metamimo.surfaces.parallel_plate import ParallelPlateDMA

CARRIER, RESONANCE, HEIGHT = 10e9, 10.1e9, 5e-3
WAVELENGTH = SPEED_OF_LIGHT / CARRIER
K = 2 * np.pi / WAVELENGTH
FREQUENCIES = np.array([9.97e9, 10.01e9])
NUMBERS = 2 * np.pi * FREQUENCIES / SPEED_OF_LIGHT
OWN = RESONANCE + 1e7 * np.arange(8)


@cache
def antenna(**changes) -> ParallelPlateDMA:
    options = {"resonance": RESONANCE, "height": HEIGHT, "carrier": CARRIER} | changes
    if options["resonance"] == "own":
        options["resonance"] = OWN
    return ParallelPlateDMA.on_grid(8, 3, WAVELENGTH / 4, frequencies=FREQUENCIES, **options)


def strengths(seed: int, count: int = 20, signs: bool = True) -> np.ndarray:
    """States of both signs up to ten, drawn on the host."""
    rng = np.random.default_rng(seed)
    x = np.tan(rng.uniform(0, np.arctan(10), (count, 8)))
    return x * rng.choice([-1, 1], x.shape) if signs else x


@jax.jit
def examined(surface: ParallelPlateDMA, states: jax.Array) -> tuple:
    return jax.lax.map(
        lambda x: (
            surface.powers(x),
            surface.impedance(x),
            surface.response(x),
            surface.power_matrix(x, "accepted"),
            surface.power_matrix(x, "radiated"),
            surface.energy_gain(x),
        ),
        states,
    )


def largest(a: np.ndarray) -> float:
    return float(np.abs(a).max())


# Fields and couplings.


def potentials(rho: np.ndarray, modes: int) -> np.ndarray:
    """Scalar potentials of the guide and, doubled, of the half space."""
    guide = -1j / (4 * HEIGHT) * hankel2(0, K * rho)
    for p in range(1, modes + 1):
        guide = guide + k0(np.sqrt((p * np.pi / HEIGHT) ** 2 - K**2) * rho) / (np.pi * HEIGHT)
    return np.array([guide, np.exp(-1j * K * rho) / (2 * np.pi * rho)])


@pytest.mark.parametrize("modes", [0, 6])
def test_couplings_are_derivatives_of_the_scalar_potentials(modes: int) -> None:
    """Check 1."""
    slots = np.random.default_rng(0).uniform(-0.03, 0.03, (5, 3)) * [1, 1, 0]
    guide, free = plate.guide_coupling(slots, K, HEIGHT, modes), plate.half_space_coupling(slots, K)
    step = 1e-6 if modes else 1e-5
    for found in (guide, free):
        np.testing.assert_allclose(found, found.T, rtol=0, atol=1e-13 * largest(found))
    for n in range(1, 5):
        d = slots[n] - slots[0]
        at = [potentials(np.hypot(d[0], d[1] + y), modes) for y in (-step, 0, step)]
        expected = K**2 * at[1] + (at[0] - 2 * at[1] + at[2]) / step**2
        assert relative_error([guide[n, 0], free[n, 0]], expected) <= 1e-5


def test_near_slots_see_their_own_damping() -> None:
    """Check 2."""
    pair = np.array([[0, 0, 0], [0.5e-4, np.sqrt(3) / 2 * 1e-4, 0]])
    coupling = plate.guide_coupling(pair, K, HEIGHT) + plate.half_space_coupling(pair, K)
    assert -coupling[0, 1].imag == pytest.approx(plate.radiation_damping(K, HEIGHT), rel=1e-3)


def test_polarisability_is_lossless() -> None:
    """Check 3; at the carrier the reference strength gives half of the largest response."""
    k_0 = 2 * np.pi * RESONANCE / SPEED_OF_LIGHT
    gamma = plate.radiation_damping(K, HEIGHT)
    reference = float(plate.reference_strength(K, k_0, HEIGHT))
    x = strengths(0).ravel()
    alpha = plate.polarisability(x * reference, K, k_0, HEIGHT)
    np.testing.assert_allclose((1 / alpha).imag, gamma, rtol=1e-12)
    np.testing.assert_allclose(alpha, x / (1 + 1j * x) / gamma, rtol=1e-11)
    in_resonance = plate.polarisability(x * reference, k_0, k_0, HEIGHT)
    np.testing.assert_allclose(in_resonance, -1j / plate.radiation_damping(k_0, HEIGHT), rtol=1e-12)
    assert plate.polarisability(np.zeros(1), K, k_0, HEIGHT)[0] == 0
    # Losses only take: Im(1 / alpha) grows.
    lossy = plate.polarisability(x * reference, K, k_0, HEIGHT, 0.3 * gamma)
    np.testing.assert_allclose((1 / lossy).imag, 1.3 * gamma, rtol=1e-12)


def test_surface_has_these_polarisabilities_on_every_subcarrier() -> None:
    for name in (RESONANCE, "own"):
        surface = antenna(resonance=name, loss=0.05)
        k_0 = 2 * np.pi / SPEED_OF_LIGHT * (OWN if name == "own" else np.full(8, RESONANCE))
        lost = 0.05 * plate.radiation_damping(K, HEIGHT)
        x = strengths(1)[0]
        strength = x * plate.reference_strength(K, k_0, HEIGHT)
        for f, k in enumerate(NUMBERS):
            each = [plate.polarisability(strength[n : n + 1], k, k_0[n], HEIGHT, lost)[0] for n in range(8)]
            found = surface.polarisabilities(jnp.asarray(x))[f] / plate.half_space_damping(k)
            np.testing.assert_allclose(found, each, rtol=1e-12)


def test_pairs_along_the_axes() -> None:
    """Check 17."""
    rho = 0.3 * WAVELENGTH
    h_0, h_2 = hankel2(0, K * rho), hankel2(2, K * rho)
    for axis, expected in ((0, h_0 - h_2), (1, h_0 + h_2)):
        pair = np.zeros((2, 3))
        pair[1, axis] = rho
        found = plate.guide_coupling(pair, K, HEIGHT)[0, 1]
        assert found == pytest.approx(-1j * K**2 / (8 * HEIGHT) * expected, rel=1e-12)


def test_power_forms_are_positive() -> None:
    """Check 7, on a dense grid of the size of the source's; C of the pattern is B^fs of the fields."""
    slots = grid_positions(64, WAVELENGTH / 4)
    radiated = np.eye(64) - plate.half_space_coupling(slots, K).imag / plate.half_space_damping(K)
    np.testing.assert_allclose(DipoleOnPlane().coupling(slots, WAVELENGTH), radiated, rtol=0, atol=1e-12)
    for form in (plate.guide_power(slots, K, HEIGHT), DipoleOnPlane().coupling(slots, WAVELENGTH)):
        values = np.linalg.eigvalsh(form)
        assert values[0] >= -1e-9 * values[-1]
    for surface in (antenna(), antenna(guide_modes=20)):
        for z in np.asarray(examined(surface, strengths(2))[1]).reshape(-1, 3, 3):
            assert relative_error(z, z.T) <= 1e-13
            assert np.linalg.eigvalsh(z.real)[0] > 0


# Energy.

CASES = ({}, {"guide_modes": 20}, {"loss": 0.1}, {"resonance": "own"}, {"resonance": 9.9e9})


@pytest.mark.parametrize("changes", CASES, ids=str)
def test_every_state_conserves_energy(changes: dict) -> None:
    """Check 4, both signs, and the contraction of fair comparison check 3."""
    powers, _, _, accepted, radiated, gain = (
        jax.device_get(x) for x in examined(antenna(**changes), strengths(3, 100))
    )
    size = largest(accepted)
    assert largest(powers.extracted - powers.radiated - powers.scattered - powers.absorbed) <= 1e-10 * size
    assert largest(powers.accepted - powers.radiated - powers.guided - powers.absorbed) <= 1e-10 * size
    np.testing.assert_allclose(accepted, powers.accepted, atol=1e-12 * size)
    np.testing.assert_allclose(radiated, powers.radiated, atol=1e-12 * size)
    assert (largest(powers.absorbed) > 1e-3 * size) == ("loss" in changes)
    for name in ("radiated", "guided", "scattered", "absorbed"):
        assert np.linalg.eigvalsh(getattr(powers, name)).min() >= -1e-9 * size
    assert 0.3 < gain.max() <= 1 + 1e-9


def moments(surface: ParallelPlateDMA, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Moments of the first subcarrier for some currents, and the currents."""
    response = np.asarray(examined(surface, strengths(seed))[2])[0, 0]
    currents = gaussian(seed, 3)
    return response @ currents / float(surface.unit[0]), currents


def test_radiated_power_is_the_integral_of_the_far_field() -> None:
    """Check 5, with the far field of eqs. (7) and (8)."""
    surface, k = antenna(), NUMBERS[0]
    m, i = moments(surface, 4)
    node, weight = np.polynomial.legendre.leggauss(40)
    cos, azimuth = (a.ravel() for a in np.meshgrid((node + 1) / 2, 2 * np.pi * np.arange(64) / 64, indexing="ij"))
    sin = np.sqrt(1 - cos**2)
    towards = np.stack([sin * np.cos(azimuth), sin * np.sin(azimuth), cos], -1)
    common = ETA * k**2 / (2 * np.pi) * np.exp(1j * k * towards @ np.asarray(surface.positions).T) @ m
    density = (np.abs(common * np.cos(azimuth)) ** 2 + np.abs(common * cos * np.sin(azimuth)) ** 2) / (2 * ETA)
    measured = (density.reshape(40, 64).mean(1) * weight / 2).sum() * 2 * np.pi
    radiated = np.asarray(examined(surface, strengths(4))[0].radiated)[0, 0]
    assert measured == pytest.approx((i.conj() @ radiated @ i).real, rel=1e-9)


def test_guided_power_is_the_flux_through_a_cylinder() -> None:
    """Check 6."""
    surface, k = antenna(guide_modes=20), NUMBERS[0]
    m, i = moments(surface, 5)
    slots, feeds = np.asarray(surface.positions), feed_line(3, 8, WAVELENGTH / 4)
    turn = 2 * np.pi * np.arange(400) / 400

    def field(radius: float) -> np.ndarray:
        x, y = radius * np.cos(turn)[:, None], radius * np.sin(turn)[:, None]
        to_feeds = np.hypot(x - feeds[:, 0], y - feeds[:, 1])
        to_slots = np.hypot(x - slots[:, 0], y - slots[:, 1])
        of_feeds = -k * ETA / 4 * hankel2(0, k * to_feeds) @ i
        of_slots = (x - slots[:, 0]) / to_slots * hankel2(1, k * to_slots) @ m
        return of_feeds + k**2 * ETA / (4 * HEIGHT) * of_slots

    radius, step = 0.3, 1e-6
    magnetic = (field(radius + step) - field(radius - step)) / (2 * step) / (1j * k * ETA)
    flux = -0.5 * (field(radius) * magnetic.conj()).real.mean() * 2 * np.pi * radius * HEIGHT
    guided = np.asarray(examined(surface, strengths(5))[0].guided)[0, 0]
    assert flux == pytest.approx((i.conj() @ guided @ i).real, rel=1e-5)


# The response, its gradients and its units.


def test_response_is_the_inverse_of_the_paper_and_regular_at_zero() -> None:
    """Check 8."""
    surface = antenna(guide_modes=3)
    slots, feeds = np.asarray(surface.positions), feed_line(3, 8, WAVELENGTH / 4)
    k_0 = 2 * np.pi * RESONANCE / SPEED_OF_LIGHT
    x = strengths(6)
    x[1, :3], x[2] = 0, 0
    found = np.asarray(examined(surface, x)[2])
    for f, k in enumerate(NUMBERS):
        alpha = plate.polarisability(x[0] * plate.reference_strength(K, k_0, HEIGHT), k, k_0, HEIGHT)
        g = plate.guide_coupling(slots, k, HEIGHT, 3) + plate.half_space_coupling(slots, k)
        t = np.linalg.inv(np.diag(1 / alpha) - g) @ plate.feed_fields(slots, feeds, k)
        assert relative_error(found[0, f] / float(surface.unit[f]), t) <= 1e-10
    assert np.isfinite(found).all()
    assert (found[1, :, :3] == 0).all()
    assert (found[2] == 0).all()
    slope = jax.jit(jax.jacfwd(surface.response))(jnp.zeros(8))
    assert np.isfinite(slope).all()
    # A lone slot that has just been switched on sees the field of the feeds.
    np.testing.assert_allclose(slope[0, 2, :, 2], surface.feed[0, 2] / surface.detuning[0, 2], rtol=1e-12)


def test_without_coupling_slots_are_alone() -> None:
    """Check 14."""
    surface = antenna(coupling=False)
    state = jnp.asarray(strengths(7)[0])
    expected = np.asarray(surface.polarisabilities(state))[..., None] * np.asarray(antenna().feed)
    np.testing.assert_array_equal(surface.response(state), expected)
    np.testing.assert_array_equal(surface.damping, antenna().damping)


def test_gradients_of_powers_are_those_of_the_paper() -> None:
    """Check 10: closed forms of 2.4 against autodiff and central differences."""
    surface, state, step = antenna(guide_modes=3), strengths(8)[0], 1e-6
    i = gaussian(8, 3)

    def both(x: jax.Array) -> jax.Array:
        kinds = (surface.power_matrix(x, kind)[1] for kind in ("accepted", "radiated"))
        return jnp.stack([(i.conj() @ m @ i).real for m in kinds])

    many = np.concatenate([[state], state + step * np.eye(8), state - step * np.eye(8)])
    values, slopes = (
        np.asarray(a) for a in jax.jit(lambda x: jax.lax.map(lambda s: (both(s), jax.jacrev(both)(s)), x))(many)
    )
    differences = ((values[1:9] - values[9:]) / (2 * step)).T

    k, slots = NUMBERS[1], np.asarray(surface.positions)
    k_0 = 2 * np.pi * RESONANCE / SPEED_OF_LIGHT
    reference = plate.reference_strength(K, k_0, HEIGHT)
    pulled = state * reference * k**2
    denominator = k_0**2 - k**2 + 1j * pulled * plate.radiation_damping(k, HEIGHT)
    alpha, rise = pulled / denominator, k**2 * (k_0**2 - k**2) / denominator**2 * reference  # eq. (29)
    g = plate.guide_coupling(slots, k, HEIGHT, 3) + plate.half_space_coupling(slots, k)
    q = np.linalg.inv(np.eye(8) - g * alpha)  # Q^T
    h = plate.feed_fields(slots, feed_line(3, 8, WAVELENGTH / 4), k)
    local, reverse = q @ h @ i, q @ h @ i.conj()
    accepted = 0.5 * (1j * k * ETA * reverse * local * rise).real
    b = plate.half_space_damping(k) * DipoleOnPlane().coupling(slots, 2 * np.pi / k)
    radiated = k * ETA * (q @ b @ (alpha * local).conj() * local * rise).real
    for found, expected, difference in zip(slopes[0], (accepted, radiated), differences, strict=True):
        assert relative_error(found, expected) <= 1e-10
        assert relative_error(difference, expected) <= 1e-5


def test_rates_do_not_know_the_unit() -> None:
    """Volts and square amperes against watts (fair comparison check 7), with eqs. (7)-(9)."""
    surface, volts, length = antenna(), 1e-10, WAVELENGTH / 3
    users = np.array([[-2.0, 3.0, 8.0], [2.5, 2.0, 8.0]])
    wire = np.array([0.6, 0.64, -0.48])
    f = gaussian(9, 2, 3, 2)
    response = np.asarray(examined(surface, strengths(9))[2])[0]
    h = np.asarray(line_of_sight(surface.positions, np.zeros((1, 3)), users, FREQUENCIES, wire=wire))[:, 0, :, 0]

    def sinr(z: np.ndarray, noise: float) -> np.ndarray:
        received = np.abs(z) ** 2
        own = np.diagonal(received, axis1=1, axis2=2)
        return own / (received.sum(2) - own + noise)

    for at, k in enumerate(NUMBERS):
        c = np.array([voltages(np.asarray(surface.positions), user, k, wire, length) for user in users])
        t = response[at] / float(surface.unit[at])
        resistance = wire_resistance(length, 2 * np.pi / k)
        in_volts = sinr((c @ t @ f[at])[None], volts)
        in_watts = sinr((h[at] @ response[at] @ f[at])[None], volts / (8 * resistance))
        np.testing.assert_allclose(in_watts, in_volts, rtol=1e-12)


def voltages(slots: np.ndarray, user: np.ndarray, k: float, wire: np.ndarray, length: float) -> np.ndarray:
    """Eqs. (7)-(9) as they are printed."""
    r = np.linalg.norm(user)
    polar, azimuth = np.arccos(user[2] / r), np.arctan2(user[1], user[0])
    theta = [np.cos(polar) * np.cos(azimuth), np.cos(polar) * np.sin(azimuth), -np.sin(polar)]
    phi = [-np.sin(azimuth), np.cos(azimuth), 0]
    common = ETA * k**2 * np.exp(-1j * k * r) / (2 * np.pi * r) * np.exp(1j * k * slots @ user / r)
    seen = wire @ theta * np.cos(azimuth) - wire @ phi * np.cos(polar) * np.sin(azimuth)
    return length * seen * common
