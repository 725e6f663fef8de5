"""Far field of slots at users, and the fading on it."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import relative_error

from metamimo.channels.dipole_field import dipole_field, line_of_sight, wideband_taps, wire_resistance
from metamimo.conventions import SPEED_OF_LIGHT
from metamimo.errors import ConfigError
from metamimo.geometry.planar import grid_positions
from metamimo.geometry.users import users_in_discs
from metamimo.physics.patterns import DipoleOnPlane, psd_root
from metamimo.physics.wires import WAVE_IMPEDANCE as ETA

FREQUENCIES = np.array([9.9e9, 10e9, 10.1e9])
WAVELENGTH = SPEED_OF_LIGHT / 10e9
SLOTS = grid_positions(6, WAVELENGTH / 4)
STATIONS = np.array([[-3.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
USERS = np.array([[-2.0, 3.0, 8.0], [2.0, 3.0, 8.0], [0.5, -1.0, 6.0]])
KEY = jax.random.key(0)
draw = jax.jit(dipole_field, static_argnames=("fading", "pathloss", "taps"))


def test_far_field_is_that_of_the_paper() -> None:
    """Eqs. (7)-(9) at wires of any direction, in volts over sqrt(8 R_a) u_0; the wire's length drops out."""
    wire = np.array([0.3, -0.5, 0.81])
    found = np.asarray(line_of_sight(SLOTS, STATIONS, USERS, FREQUENCIES, wire=7 * wire))
    assert found.shape == (3, 2, 3, 1, 6)
    wire = wire / np.linalg.norm(wire)
    for f, b, u in np.ndindex(3, 2, 3):
        k = 2 * np.pi * FREQUENCIES[f] / SPEED_OF_LIGHT
        away = USERS[u] - STATIONS[b]
        r = np.linalg.norm(away)
        polar, azimuth = np.arccos(away[2] / r), np.arctan2(away[1], away[0])
        theta = [np.cos(polar) * np.cos(azimuth), np.cos(polar) * np.sin(azimuth), -np.sin(polar)]
        phi = [-np.sin(azimuth), np.cos(azimuth), 0]
        field = ETA * k**2 * np.exp(-1j * k * r) / (2 * np.pi * r) * np.exp(1j * k * SLOTS @ away / r)
        seen = wire @ theta * np.cos(azimuth) - wire @ phi * np.cos(polar) * np.sin(azimuth)
        for length in (0.002, 0.015):
            u_0 = np.sqrt(k * ETA / 2 * k**3 / (3 * np.pi))
            volts = length * seen * field / (np.sqrt(8 * wire_resistance(length, 2 * np.pi / k)) * u_0)
            np.testing.assert_allclose(found[f, b, u, 0], volts, rtol=1e-11)


def test_gain_is_that_of_friis() -> None:
    """Fair comparison check 4; the pattern of the slot is the one of its coupling matrix."""
    h = line_of_sight(np.zeros((1, 3)), np.zeros((1, 3)), np.array([[0.0, 0.0, 20.0]]), FREQUENCIES[1:2])
    assert abs(complex(h.squeeze())) == pytest.approx(WAVELENGTH / (80 * np.pi) * np.sqrt(4.5), rel=1e-9)
    assert abs(complex(h.squeeze())) == pytest.approx(2.530388e-4, rel=1e-6)
    above, along_y = STATIONS[:1] + np.eye(3)[2:], np.array([0.0, 1.0, 0.0])
    across = line_of_sight(SLOTS, STATIONS[:1], above, FREQUENCIES, wire=along_y)
    assert float(jnp.abs(across).max()) == 0
    away = USERS[2] / np.linalg.norm(USERS[2])
    both = [  # two wires across the way receive all that there is
        np.asarray(line_of_sight(np.zeros((1, 3)), np.zeros((1, 3)), USERS[2:], FREQUENCIES[1:2], wire=wire)).squeeze()
        for wire in np.linalg.svd(away[None])[2][1:]
    ]
    friis = (WAVELENGTH / (4 * np.pi * np.linalg.norm(USERS[2]))) ** 2 * 1.5 * DipoleOnPlane().gain(away, WAVELENGTH)
    assert (np.abs(both) ** 2).sum() == pytest.approx(float(friis), rel=1e-12)


def test_taps_have_their_profile() -> None:
    xi = np.asarray(wideband_taps(KEY, 2, 2, 2000, 8, 4))
    assert xi.shape == (8, 2, 2, 2000)
    delays = np.fft.ifft(xi, axis=0)  # exp(-2 pi j k t / K) turned back
    power = (np.abs(delays) ** 2).mean((1, 2, 3))
    profile = np.exp(-np.arange(4) / 2)
    np.testing.assert_allclose(power[:4], profile / profile.sum(), rtol=0.05)
    np.testing.assert_allclose(power[4:], 0, atol=1e-25)
    flat = xi.reshape(8, 4, 2000)
    assert np.abs(flat[0] @ flat[0].conj().T / 2000 - np.eye(4)).max() < 0.1
    assert abs((flat[0] * flat[0]).mean()) < 0.05


def test_more_users_and_stations_leave_the_first_ones_in_place() -> None:
    few, many = (wideband_taps(KEY, stations, users, 3, 4, 2) for stations, users in ((1, 2), (2, 5)))
    np.testing.assert_allclose(many[:, :1, :2], few, rtol=1e-13)


def test_fadings_multiply_the_far_field() -> None:
    field = np.asarray(draw(KEY, SLOTS, STATIONS, USERS, FREQUENCIES, fading="none"))
    straight = np.asarray(line_of_sight(SLOTS, STATIONS, USERS, FREQUENCIES))
    distance = np.linalg.norm(USERS - STATIONS[:, None], axis=-1)
    beta = 1e-3 * distance**-2.2
    np.testing.assert_allclose(field, straight * np.sqrt(beta)[:, :, None, None], rtol=1e-12)
    each = np.asarray(draw(KEY, SLOTS, STATIONS, USERS, FREQUENCIES)) / field
    xi = np.asarray(wideband_taps(KEY, 2, 3, 6, 3, 4))[:, :, :, None]
    np.testing.assert_allclose(each, xi, rtol=1e-10)
    alike = np.asarray(draw(KEY, SLOTS, STATIONS, USERS, FREQUENCIES, fading="link", pathloss="free_space_only"))
    ratio = alike / straight
    np.testing.assert_allclose(ratio, ratio[..., :1] * np.ones(6), rtol=1e-10)
    # One factor a link whatever the array: another aperture meets the same fading.
    other = draw(KEY, SLOTS[:2], STATIONS, USERS, FREQUENCIES, fading="link", pathloss="free_space_only")
    np.testing.assert_allclose(other, alike[..., :2], rtol=1e-12)


def test_correlated_fading_is_isotropic_scattering() -> None:
    """E[h* h^T] is proportional to C, what slots radiate: fair comparison check 2."""
    users = np.tile([[1.0, 2.0, 8.0]], (20_000, 1))
    c = DipoleOnPlane().coupling(SLOTS, WAVELENGTH)
    root = psd_root(c)[None]
    h = np.asarray(draw(KEY, SLOTS, STATIONS[:1], users, FREQUENCIES[1:2], fading="correlated", root=root))[0, 0, :, 0]
    strength = np.abs(np.asarray(draw(KEY, SLOTS, STATIONS[:1], users[:1], FREQUENCIES[1:2], fading="none"))) ** 2
    assert relative_error(h.conj().T @ h / len(h), strength.mean() * c) <= 0.05


def test_users_fill_their_discs_in_turns() -> None:
    centres = np.array([[-2.0, 3.0, 8.0], [2.0, 3.0, 8.0]])
    places = np.asarray(users_in_discs(KEY, 4000, centres, 1.5))
    offset = places - centres[np.arange(4000) % 2]
    distance = np.linalg.norm(offset, axis=1)
    assert distance.max() <= 1.5
    assert (offset[:, 2] == 0).all()
    assert np.mean(distance > 1.5 / np.sqrt(2)) == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(offset.mean(0), 0, atol=0.05)
    np.testing.assert_array_equal(users_in_discs(KEY, 5, centres, 1.5), places[:5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fading": "rice"}, "fading: must be one of element, correlated, link, none, got 'rice'"),
        ({"pathloss": "log"}, "pathloss: must be one of product, free_space_only, got 'log'"),
        ({"taps": 0}, "taps: must be at least 1, got 0"),
        ({"fading": "correlated"}, "root: correlated fading needs the root"),
    ],
)
def test_unknown_channels_are_refused(options: dict, message: str) -> None:
    unchecked = inspect.unwrap(dipole_field)  # the run-time type check of the tests would answer first
    with pytest.raises(ConfigError, match=message):
        unchecked(KEY, SLOTS, STATIONS, USERS, FREQUENCIES, **options)
