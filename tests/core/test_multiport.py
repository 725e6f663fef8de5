"""Tunable two-ports in given surroundings: energy, reciprocity, adjoint, wires, Touchstone files."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skrf

from metamimo.errors import ConfigError, ShapeError
from metamimo.geometry.planar import line_positions
from metamimo.interop.touchstone import read_touchstone
from metamimo.physics.wires import wire_impedance, wire_rows
from metamimo.surfaces.multiport import MultiportSurface

FEEDS = line_positions(2, 0.5)
ATOMS = np.repeat(line_positions(3, 0.5), 2, axis=0) + np.tile([[0, 0, 0.4], [0, 0, 0.6]], (3, 1))
PLACES = np.concatenate([FEEDS, ATOMS])
IMPEDANCE = wire_impedance(PLACES, 1.0, radius=1e-3)


def surface(**options):
    return MultiportSurface.from_impedance(IMPEDANCE, 2, **{"reference": 73.0, "matched": False} | options)


def states(made, seed=0):
    return np.exp(2j * np.pi * np.random.default_rng(seed).random((20, *made.feasible.shape)))


solved = jax.jit(lambda made, many: jax.lax.map(made.waves_and_reflection, many))
two_ports = jax.jit(lambda made, many: jax.lax.map(made.two_ports, many))
responses = jax.jit(lambda made, many: jax.lax.map(made.response, many))


def test_atoms_are_lossless_and_reciprocal():
    made = surface()
    for s in np.asarray(two_ports(made, states(made))).reshape(-1, 2, 2):
        np.testing.assert_allclose(s.conj().T @ s, np.eye(2), atol=1e-12)
        np.testing.assert_allclose(s, s.T, atol=1e-15)
    through = np.asarray(two_ports(surface(matched=True), np.exp([[0.3j, 1j, 2j]])))[0]
    np.testing.assert_allclose(through[:, 0, 1], np.exp([0.3j, 1j, 2j]), atol=1e-15)
    np.testing.assert_allclose(through[:, 0, 0], 0, atol=1e-15)


@pytest.mark.parametrize("matched", [True, False])
def test_what_the_feeds_accept_is_radiated(matched):
    """In waves, and in currents: i^H Re(Z) i with i = (I - S) waves / sqrt(R_0)."""
    made = surface(matched=matched, budget="available")
    waves, reflected = (np.asarray(x)[:, 0] for x in solved(made, states(made)))
    np.testing.assert_allclose(reflected, reflected.swapaxes(1, 2), atol=1e-12)
    accepted = np.eye(2) - reflected.conj().swapaxes(1, 2) @ reflected
    radiated = waves.conj().swapaxes(1, 2) @ np.asarray(made.coupling)[0] @ waves
    np.testing.assert_allclose(radiated, accepted, atol=1e-12)
    currents = (np.eye(8) - np.asarray(made.scattering)[0]) @ waves / np.sqrt(73.0)
    np.testing.assert_allclose(currents.conj().swapaxes(1, 2) @ IMPEDANCE.real @ currents, accepted, atol=1e-12)
    through_network = np.asarray(responses(surface(matched=matched), states(made)))[:, 0]
    radiated = through_network.conj().swapaxes(1, 2) @ np.asarray(made.coupling)[0] @ through_network
    np.testing.assert_allclose(radiated, np.broadcast_to(np.eye(2), radiated.shape), atol=1e-12)


def test_waves_are_those_of_the_whole_circuit():
    """Surroundings and atoms solved at once by incident and outgoing waves of every port."""
    made = surface()
    state = states(made)[:1]
    waves, reflected = (np.asarray(x)[0, 0] for x in solved(made, state))
    s, phi = np.asarray(made.scattering)[0], np.zeros((8, 8), complex)
    for i, pair in enumerate(np.asarray(two_ports(made, state))[0]):
        phi[2 + 2 * i : 4 + 2 * i, 2 + 2 * i : 4 + 2 * i] = pair
    # a = fed + phi b, b = S a.
    a = np.linalg.solve(np.eye(8) - phi @ s, np.eye(8)[:, :2])
    np.testing.assert_allclose(waves, a, atol=1e-12)
    np.testing.assert_allclose(reflected, (s @ a)[:2], atol=1e-12)


def test_gradient_is_that_of_the_adjoint():
    """d e / d Phi_ij = Y_i b_j with Y = (I - S_aa Phi)^-T rows, for the matched phase shifters."""
    made = surface(matched=True, budget="available")
    state = states(made)[0]
    rng = np.random.default_rng(3)
    rows = jnp.asarray(rng.standard_normal((1, 1, 8)) + 1j * rng.standard_normal((1, 1, 8)))

    def power(theta):
        return (jnp.abs(made.apply_rows(jnp.exp(1j * theta), rows)) ** 2).sum()

    theta = np.angle(state)
    found = np.asarray(jax.jit(jax.grad(power))(theta))
    s, phi = np.asarray(made.scattering)[0], np.zeros((6, 6), complex)
    for i in range(3):
        phi[2 * i, 2 * i + 1] = phi[2 * i + 1, 2 * i] = state[i]
    b = np.linalg.solve(np.eye(6) - s[2:, 2:] @ phi, s[2:, :2])
    e = rows[0, 0, :2] + rows[0, 0, 2:] @ phi @ b
    # Rows see the atoms' waves directly and after the surroundings.
    y = np.linalg.solve((np.eye(6) - phi @ s[2:, 2:]).T, rows[0, 0, 2:])
    slope = [y[2 * i] * b[2 * i + 1] + y[2 * i + 1] * b[2 * i] for i in range(3)]
    expected = [2 * (e.conj() @ (d * 1j * p)).real for d, p in zip(slope, state, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_resistance_of_wires_is_the_integral_of_their_far_field():
    nodes, weights = np.polynomial.legendre.leggauss(60)
    azimuth = 2 * np.pi * np.arange(64) / 64
    c, a = (x.ravel() for x in np.meshgrid(nodes, azimuth, indexing="ij"))
    s, zero = np.sqrt(1 - c**2), 0 * c
    towards = np.stack([s * np.cos(a), s * np.sin(a), c], -1)
    theta = np.stack([c * np.cos(a), c * np.sin(a), -s], -1) + 0j
    phi = np.stack([-np.sin(a), np.cos(a), zero], -1) + 0j
    area = np.repeat(weights, 64) * 2 * np.pi / 64 / (4 * np.pi)
    rows = [wire_rows(PLACES, towards, pol, 1.0) for pol in (theta, phi)]
    resistance = sum((r.conj() * area[:, None]).T @ r for r in rows)
    # A wire sees itself at the distance of its radius, which changes its resistance, too.
    thin = wire_impedance(PLACES, 1.0, radius=1e-6).real
    np.testing.assert_allclose(resistance, thin, rtol=0, atol=1e-7 * thin.max())
    assert thin[0, 0] == pytest.approx(73.08, abs=0.05)


def test_impedance_of_wires_is_symmetric_and_that_of_the_books():
    np.testing.assert_allclose(IMPEDANCE, IMPEDANCE.T, rtol=1e-12)
    side_by_side = wire_impedance(line_positions(2, 0.5), 1.0, radius=1e-4)[0, 1]
    assert side_by_side == pytest.approx(-12.5 - 29.9j, abs=0.1)  # Balanis, Antenna Theory, section 8.6


def test_a_grid_of_frequencies_is_one_surface_each():
    grid = np.stack([wire_impedance(PLACES, w, radius=1e-3) for w in (1.0, 1.03)])
    made = MultiportSurface.from_impedance(grid, 2)
    state = states(made)[:1]
    both = np.asarray(responses(made, state))[0]
    for i, z in enumerate(grid):
        single = MultiportSurface.from_impedance(z, 2)
        np.testing.assert_allclose(both[i], np.asarray(responses(single, state))[0, 0], atol=1e-12)
    assert made.envelope(jnp.eye(8, dtype=complex)) is None


def test_touchstone_file_gives_the_surface_that_wrote_it(tmp_path):
    frequencies = [2.9e8, 3e8]
    grid = np.stack([wire_impedance(PLACES, 2.99792458e8 / f, radius=1e-3) for f in frequencies])
    written = skrf.Network(f=frequencies, f_unit="hz", z=grid, z0=73.0)
    written.write_touchstone("wires", dir=str(tmp_path), form="ri", format_spec_A="{:.15e}", format_spec_B="{:.15e}")
    read = read_touchstone(tmp_path / "wires.s8p")
    assert read.frequencies.tolist() == frequencies
    assert read.reference == 50.0
    made = MultiportSurface.from_scattering(read.scattering, 2)
    expected = MultiportSurface.from_impedance(grid, 2, reference=50.0)
    np.testing.assert_allclose(made.scattering, expected.scattering, atol=1e-12)


def test_bad_touchstone_files_have_one_clear_message(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(f"path: there is no file {tmp_path / 'none.s2p'}")):
        read_touchstone(tmp_path / "none.s2p")
    (tmp_path / "bad.s2p").write_text("nothing of that kind\n")
    with pytest.raises(ConfigError, match="cannot be read as a Touchstone file"):
        read_touchstone(tmp_path / "bad.s2p")


def test_a_pickle_is_not_opened(tmp_path):
    opened = tmp_path / "opened"
    payload = f"cposix\nsystem\n(S'touch {opened}'\ntR."
    (tmp_path / "evil.s2p").write_text(payload)
    with pytest.raises(ConfigError, match="cannot be read as a Touchstone file"):
        read_touchstone(tmp_path / "evil.s2p")
    assert not opened.exists()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((1.1 * np.eye(4), 2), ConfigError, "scattering: must not create energy, got an amplification of 1.1"),
        ((np.zeros((4, 4)), 1), ShapeError, "n_ports: behind the feeds every atom has two of the 4 ports, got 1 feeds"),
        ((np.zeros((4, 3)), 2), ShapeError, "scattering: must be square"),
        (
            (np.zeros((4, 4)), 2, {"budget": "all"}),
            ConfigError,
            "budget: must be one of accepted, available, got 'all'",
        ),
    ],
)
def test_bad_matrices_have_one_clear_message(given, error, message):
    unchecked = inspect.unwrap(MultiportSurface.from_scattering.__func__)
    scattering, ports, *options = given
    with pytest.raises(error, match=message):
        unchecked(MultiportSurface, scattering, ports, **(options[0] if options else {}))
