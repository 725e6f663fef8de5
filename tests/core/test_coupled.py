"""Stack of coupled dipoles: energy, reciprocity, far field, special cases, derivatives, bound."""

import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.errors import ConfigError
from metamimo.geometry.planar import grid_positions
from metamimo.linalg import inverse_root
from metamimo.physics.dipoles import interaction
from metamimo.problem import Link
from metamimo.surfaces.coupled import CoupledStack
from metamimo.surfaces.feedforward import FeedforwardStack
from metamimo.tuners.lbfgs import tune_lbfgs

UP, ALONG_X = np.array([[0.0, 0.0, 1.0]]), np.array([[1.0 + 0j, 0.0, 0.0]])


def stack(kind=CoupledStack, **changes):
    return kind.build(**{"n_layers": 2, "n_elements": 9, "n_ports": 3, "wavelength": 0.01} | changes)


def states(surface, seed=0):
    """Twenty, drawn on the host: of one number, so that the tests share their programs."""
    return np.exp(2j * np.pi * np.random.default_rng(seed).random((20, *surface.feasible.shape)))


@jax.jit
def _examined(surface, many):
    def one(state):
        powers = surface.power_matrix(state, "radiated"), surface.absorbed_power(state)
        return *powers, surface.impedance(state), surface.response(state)

    return jax.lax.map(one, many)


def examined(surface, many):
    """Radiated and absorbed power matrices, impedances and responses of states."""
    return (np.asarray(x) for x in _examined(surface, many))


apply_rows = jax.jit(lambda surface, state, rows: surface.apply_rows(state, rows))


def axial(surface):
    """What a plane wave along the axis sees."""
    return np.asarray(surface.plane_wave_rows(UP, ALONG_X))


def gaussian(seed, *shape):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def polarisabilities(surface, phi):
    """Of the electric dipole of a lone atom in several states."""
    return np.asarray(_polarisabilities(surface, phi[:, None, None]))[:, 0, 0]


_polarisabilities = jax.jit(lambda surface, many: jax.lax.map(surface.polarisabilities, many))


def reflection_of(z):
    one = np.eye(z.shape[-1])
    return (z - one) @ np.linalg.inv(z + one)


@pytest.mark.parametrize(
    ("backplane", "loss", "balanced"), list(itertools.product([True, False], [0.0, 0.03], [True, False]))
)
def test_what_the_ports_accept_is_radiated_or_absorbed(backplane, loss, balanced):
    for budget in ("accepted", "available"):
        surface = stack(backplane=backplane, loss=loss, balanced=balanced, budget=budget)
        radiated, absorbed, impedance, _ = (m[:, 0] for m in examined(surface, states(surface)))
        gamma = reflection_of(impedance)
        passed = np.eye(3) - gamma.conj().swapaxes(1, 2) @ gamma
        accepted = np.eye(3) if budget == "accepted" else passed
        np.testing.assert_allclose(radiated + absorbed, np.broadcast_to(accepted, radiated.shape), atol=1e-9)
        assert (np.abs(absorbed).max() > 1e-4) == (loss > 0)


@pytest.mark.parametrize("backplane", [True, False])
def test_radiated_power_is_the_integral_of_the_far_field(backplane):
    surface = stack(backplane=backplane)
    *_, response = examined(surface, states(surface))
    y = response[0, 0] @ np.array([1.0, 0.3 - 0.8j, -0.5j])
    nodes, weights = np.polynomial.legendre.leggauss(60)
    if backplane:
        nodes, weights = (nodes + 1) / 2, weights / 2
    azimuth = 2 * np.pi * np.arange(64) / 64
    c, a = (x.ravel() for x in np.meshgrid(nodes, azimuth, indexing="ij"))
    s, zero = np.sqrt(1 - c**2), 0 * c
    towards = np.stack([s * np.cos(a), s * np.sin(a), c], -1)
    theta = np.stack([c * np.cos(a), c * np.sin(a), -s], -1) + 0j
    phi = np.stack([-np.sin(a), np.cos(a), zero], -1) + 0j
    density = sum(np.abs(np.asarray(surface.plane_wave_rows(towards, pol)) @ y) ** 2 for pol in (theta, phi))
    radiated = (density.reshape(60, 64) * weights[:, None]).sum() * 2 * np.pi / 64 / (4 * np.pi)
    coupled = np.asarray(surface.coupling)[0]
    assert radiated == pytest.approx((y.conj() @ coupled @ y).real, rel=1e-9)


@pytest.mark.parametrize("budget", ["accepted", "available"])
def test_ports_are_reciprocal_and_resistive(budget):
    surface = stack(budget=budget, loss=0.02)
    _, _, impedance, _ = examined(surface, states(surface))
    for z in impedance[:, 0]:
        np.testing.assert_allclose(z, z.T, rtol=0, atol=1e-12)
        assert np.linalg.eigvalsh(z.real).min() > 0
    assert np.linalg.eigvalsh(np.asarray(surface.coupling)[0]).min() >= -1e-9


def test_incident_minus_reflected_waves_are_accepted():
    surface = stack(budget="available")
    b = np.array([0.2, 1j, -0.7 + 0.1j])
    _, _, impedance, _ = examined(surface, states(surface))
    for z in impedance[:, 0]:
        a = 2 * np.linalg.solve(z + np.eye(3), b)
        reflected = reflection_of(z) @ b
        assert (np.abs(b) ** 2).sum() - (np.abs(reflected) ** 2).sum() == pytest.approx(
            (a.conj() @ z.real @ a).real, rel=1e-12
        )


def test_one_atom_scatters_what_it_takes_from_a_wave():
    """Optical theorem: -Im(alpha) = |alpha|^2 in units of the radiation damping; phi = 1 is no atom."""
    surface = stack(n_layers=1, n_elements=1)
    phi = np.exp(-1j * np.linspace(0, 2 * np.pi, 101))
    alpha = polarisabilities(surface, phi)
    np.testing.assert_allclose(-alpha.imag, np.abs(alpha) ** 2, atol=1e-12)
    assert alpha[0] == 0
    np.testing.assert_allclose((1 / alpha[1:-1]).imag, 1, atol=1e-10)


@pytest.mark.parametrize("pitch", [0.5, 0.3])
def test_state_is_the_transmission_of_an_infinite_layer(pitch):
    surface = stack(n_layers=1, n_elements=1, element_spacing=pitch * 0.01)
    sheet = 3 / (2 * np.pi * pitch**2)  # k / A over gamma
    phi = np.exp(-1j * np.linspace(0.1, 6.2, 101))
    alpha = polarisabilities(surface, phi)
    assert np.abs(1 - 1j * sheet / (1 / alpha - interaction(pitch)) - phi).max() <= 1e-9


def test_middle_of_a_large_layer_transmits_its_phase_and_reflects_nothing():
    """What the edges still do in the middle depends on the phase: 0.003 to 0.005, and 0.012 at theta = 2."""
    side, pitch = 31, 0.5
    surface = stack(n_layers=1, n_elements=side**2, n_ports=1, backplane=False)
    coupling = np.asarray(surface.atoms)[0]
    incident = np.concatenate([np.ones(side**2), np.full(side**2, 1j)])  # E / eta and j H of a wave along z
    middle = np.zeros((side, side), bool)
    middle[13:18, 13:18] = True
    sheet = 3 / (2 * np.pi * pitch**2)
    for theta in (1.0, 3.0):
        layer = np.full((1, 1, side**2), np.exp(-1j * theta))
        alpha = np.asarray(_polarisabilities(surface, layer))[0, 0]
        moments = alpha * np.linalg.solve(np.eye(2 * side**2) - coupling * alpha, incident)
        p, m = moments[: side**2], moments[side**2 :] / 1j
        forward = 1 - 0.5j * sheet * (p + m)[middle.ravel()].mean()
        backward = -0.5j * sheet * (p - m)[middle.ravel()].mean()
        assert abs(forward - np.exp(-1j * theta)) < 0.01
        assert abs(backward) < 1e-12


@pytest.mark.parametrize("budget", ["accepted", "available"])
def test_transparent_layer_is_not_there(budget):
    two, one, none = (stack(n_layers=count, budget=budget) for count in (2, 1, 0))
    state = states(one)[0]
    rows = [axial(s)[None] for s in (two, one, none)]
    above = apply_rows(two, np.concatenate([state, np.ones((1, 9))]), rows[0])
    np.testing.assert_allclose(above, apply_rows(one, state, rows[1]), atol=1e-12)
    bare = apply_rows(none, np.ones((0, 9), complex), rows[2])
    np.testing.assert_allclose(apply_rows(two, np.ones((2, 9), complex), rows[0]), bare, atol=1e-12)


def test_bare_antenna_over_a_plane_has_the_gain_of_a_dipole_and_its_image():
    bare = stack(n_layers=0, n_ports=1)
    gain = np.abs(apply_rows(bare, np.ones((0, 9), complex), axial(bare)[None])) ** 2
    assert 10 * np.log10(float(gain.squeeze())) == pytest.approx(7.17, abs=0.005)


def test_rows_of_a_pair_are_those_of_short_dipoles():
    surface = stack(n_layers=1, n_elements=1, n_ports=1, backplane=False, feed_distance=0.01)
    polar, azimuth = 0.7, 0.4
    towards = np.array([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)])
    theta = np.array([np.cos(polar) * np.cos(azimuth), np.cos(polar) * np.sin(azimuth), -np.sin(polar)])
    phi = np.array([-np.sin(azimuth), np.cos(azimuth), 0])
    atom = np.exp(2j * np.pi * 1.25 * towards[2])  # at one and a quarter wavelengths
    for pol, electric, magnetic in (
        (theta, np.cos(polar) * np.cos(azimuth), np.cos(azimuth)),
        (phi, -np.sin(azimuth), -np.cos(polar) * np.sin(azimuth)),
    ):
        rows = np.asarray(surface.plane_wave_rows(towards, pol))
        np.testing.assert_allclose(rows[:2], np.sqrt(1.5) * atom * np.array([electric, -1j * magnetic]), atol=1e-13)


@jax.jit
def rates_and_gradients(surface, angles, rows, w):
    """Of a sum rate at several angles of the atoms."""

    def rate(theta):
        f = jnp.abs(surface.apply_rows(jnp.exp(-1j * theta), rows)[0] @ w) ** 2
        own = jnp.diagonal(f)
        return jnp.log1p(own / (f.sum(1) - own + 1)).sum()

    return jax.lax.map(jax.value_and_grad(rate), angles)


@pytest.mark.parametrize(
    ("kind", "budget", "balanced"),
    [
        *itertools.product([CoupledStack], ["accepted", "available"], [True, False]),
        (FeedforwardStack, "accepted", True),
    ],
)
def test_gradient_of_a_rate_is_that_of_central_differences(kind, budget, balanced):
    surface = stack(kind, budget=budget, balanced=balanced, loss=0.01)
    theta, step = -np.angle(states(surface)[0]), 1e-5
    directions = gaussian(0, 3, *theta.shape).real
    angles = np.concatenate([theta[None], theta + step * directions, theta - step * directions])
    rows, w = gaussian(5, 1, 3, surface.n_elements), gaussian(6, 3, 3)
    rates, gradients = (np.asarray(x) for x in rates_and_gradients(surface, angles, rows, w))
    slopes = (rates[1:4] - rates[4:]) / (2 * step)
    expected = [(gradients[0] * d).sum() for d in directions]
    np.testing.assert_allclose(slopes, expected, rtol=1e-7)


def test_no_state_exceeds_the_gain_of_any_currents():
    surface = stack(n_ports=1)
    rows = jnp.asarray(axial(surface))
    white, gains = surface.envelope(rows)
    bound = (np.abs(np.asarray(white)) ** 2).sum() * np.asarray(gains)[0]

    @jax.jit
    def random_and_climbed(angles):
        def gain(theta):
            return (jnp.abs(surface.apply_rows(jnp.exp(-1j * theta), rows[None])) ** 2).sum()

        ascend = jax.grad(lambda theta: jnp.log(gain(theta)))
        climbed = jax.lax.fori_loop(0, 200, lambda _, theta: theta + 0.3 * ascend(theta), angles[0])
        return jax.lax.map(gain, jnp.concatenate([angles, climbed[None]]))

    many = np.concatenate([states(surface, seed) for seed in range(5)])
    *random, climbed = np.asarray(random_and_climbed(-np.angle(many)))
    assert len(random) == 100
    assert max(random) < climbed < bound


@jax.jit
def lbfgs_history(surface, state, rows):
    link = Link.broadcast(surface, rows, noise_power=1.0, bandwidth=1.0, frequency=3e10)
    tuned = tune_lbfgs(link, state, jnp.ones((1, 1, 1), complex), tolerance=1e-8, window=5, max_iterations=100)
    return tuned.history, tuned.state


def test_another_layer_never_lowers_the_optimum():
    """Nested geometry: the new layer starts as one that is not there."""
    best, state = 0.0, np.ones((0, 4), complex)
    for count in (1, 2, 3):
        surface = stack(n_layers=count, n_elements=4, n_ports=1)
        rows = axial(surface)[:, None]
        history, state = lbfgs_history(surface, np.concatenate([state, np.ones((1, 4))]), rows)
        assert float(history[0]) >= best * (1 - 1e-9)
        assert float(history[-1]) >= best * (1 - 1e-6)
        best = float(history[-1])
    assert best > 0


@pytest.mark.parametrize("detuning", [0.97, 1.02, 1.1])
def test_atoms_off_the_carrier_stay_lossless(detuning):
    surface, carrier = stack(detuning=(1.0, detuning)), stack()
    many = states(surface)
    radiated, _, impedance, _ = examined(surface, many)
    _, _, at_carrier, _ = examined(carrier, many)
    np.testing.assert_allclose(impedance[:, 0], at_carrier[:, 0], atol=1e-10)
    np.testing.assert_allclose(radiated[:, 1], np.broadcast_to(np.eye(3), (20, 3, 3)), atol=1e-9)
    assert np.abs(impedance[:, 1] - impedance[:, 0]).max() > 0.01


def test_frequencies_of_a_grid_serve_their_own_rows():
    surface = stack(detuning=(1.0, 1.05))
    many, rows = states(surface), gaussian(1, 2, 4, 2, surface.n_elements)
    *_, response = examined(surface, many)
    expected = np.einsum("fabe,fep->fabp", rows, response[0])
    np.testing.assert_allclose(apply_rows(surface, many[0], rows), expected, rtol=1e-11, atol=1e-12)


def test_atoms_and_antennas_are_where_it_says():
    """The longer side of a layer follows the line of antennas; every layer is a distance above the last."""
    surface = CoupledStack.build(
        n_layers=2, n_elements=6, n_ports=2, wavelength=1.0, element_spacing=0.4, layer_spacing=0.6, feed_distance=0.3
    )
    layers = [grid_positions(6, 0.4, z, long_side="x") for z in (0.55, 1.15)]
    antennas = [[-0.25, 0, 0.25], [0.25, 0, 0.25]]
    np.testing.assert_allclose(surface.positions, np.concatenate([*layers, antennas]), atol=1e-15)


def test_density_of_atoms_settles():
    """A lens of one layer on a fixed aperture: its gain hardly depends on the pitch once it is fine."""
    gains = []
    for side in (6, 8, 10):
        pitch = 2.5 / side
        surface = CoupledStack.build(
            n_layers=1, n_elements=side**2, n_ports=1, wavelength=1.0, element_spacing=pitch, feed_distance=0.625
        )
        places = np.asarray(surface.positions)
        distance = np.linalg.norm(places[:-1] - places[-1], axis=1)
        lens = np.exp(2j * np.pi * (distance - distance.min()))[None]
        gain = np.abs(apply_rows(surface, lens, axial(surface)[None])) ** 2
        gains.append(10 * np.log10(float(gain.squeeze())))
    assert np.abs(np.array(gains) - np.mean(gains)).max() <= 0.3


def test_inverse_root_and_its_derivative_at_equal_eigenvalues():
    a = np.diag([2.0, 2.0, 5.0])
    d = np.array([[0.1, 0.3, -0.2], [0.3, -0.5, 0.7], [-0.2, 0.7, 0.4]])
    h = 1e-6
    root_and_slope = jax.jit(jax.vmap(lambda x: jax.jvp(inverse_root, (x,), (jnp.asarray(d),))))
    (root, above, below), slope = (np.asarray(x) for x in root_and_slope(np.stack([a, a + h * d, a - h * d])))
    np.testing.assert_allclose(root @ a @ root, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(slope[0], (above - below) / (2 * h), atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_spacing": 0.001}, r"layer_spacing: point dipoles need at least 0\.2 wavelengths, got 0\.1"),
        ({"element_spacing": 0.008}, r"element_spacing: must lie in \(0, 0\.7\] wavelengths, got 0\.8"),
        ({"loss": -0.1}, r"loss: must not be negative, got -0\.1"),
        ({"budget": "radiated"}, "budget: must be one of accepted, available, got 'radiated'"),
        ({"n_layers": -1}, "n_layers: must be at least 0, got -1"),
        ({"wavelength": 0.0}, r"wavelength: must be positive, got 0\.0"),
        ({"detuning": ()}, "detuning: frequencies over the carrier must be positive"),
    ],
)
def test_bad_stacks_have_one_clear_message(changes, message):
    unchecked = inspect.unwrap(CoupledStack.build.__func__)  # the run-time type check would answer first
    with pytest.raises(ConfigError, match=message):
        unchecked(CoupledStack, **{"n_layers": 2, "n_elements": 9, "n_ports": 3, "wavelength": 0.01} | changes)
