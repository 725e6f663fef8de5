"""Hybrid arrays: power through dividers, combiners, matching and insertion loss, and derivatives through them."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import gaussian, phases

from metamimo.errors import ConfigError, ShapeError
from metamimo.geometry.planar import grid_positions
from metamimo.physics.patterns import FieldSample, Isotropic
from metamimo.surfaces.hybrid import FullyConnectedHybrid, SubConnectedHybrid

N, R = 12, 4
LOSS_DB = 2.0
KEPT = 10 ** (-LOSS_DB / 10)


SAMPLE = FieldSample(0.25)


def coupling(spacing: float = 0.5, pattern=SAMPLE) -> np.ndarray:
    return pattern.coupling(grid_positions(N, spacing), 1.0)


def inverse_root(matrix: np.ndarray) -> np.ndarray:
    value, vector = np.linalg.eigh(matrix)
    inverse = np.array([v**-0.5 if v > 0.01 * value[-1] else 0.0 for v in value])
    return vector @ np.diag(inverse) @ vector.conj().T


FULL = FullyConnectedHybrid.build(coupling(), R, insertion_loss_db=LOSS_DB)
FULL_PORTS = FullyConnectedHybrid.build(coupling(), R, combiner_loss=False, matching="ports", insertion_loss_db=LOSS_DB)
FULL_CREATING = FullyConnectedHybrid.build(coupling(), R, combiner_loss=False)
SUB = SubConnectedHybrid.build(coupling(), R, insertion_loss_db=LOSS_DB)
SUB_ELEMENTS = SubConnectedHybrid.build(coupling(), R, matching="elements", insertion_loss_db=LOSS_DB)
EVERY = {
    "full": FULL,
    "full, decoupled": FULL_PORTS,
    "full, no combiner loss": FULL_CREATING,
    "sub": SUB,
    "sub, fixed": SUB_ELEMENTS,
}


@pytest.fixture(params=EVERY)
def name(request) -> str:
    return request.param


@jax.jit
def measured(surface, state):
    return surface.response(state)[0], surface.power_matrix(state, "radiated")[0], surface.energy_gain(state)


def network_of(name: str, state: np.ndarray) -> np.ndarray:
    """A_0 by its definition, entry by entry."""
    if name.startswith("full"):
        combiners = R if name == "full" else 1
        return np.array([[state[r, n] for r in range(R)] for n in range(N)]) / np.sqrt(N * combiners)
    # Twelve elements are 3 x 4, four chains 2 x 2: blocks of 2 or 1 columns and two rows.
    columns, rows = ((0, 1), (2,)), ((0, 1), (2, 3))
    network = np.zeros((N, R), complex)
    for r in range(R):
        block = [x + 3 * y for y in rows[r // 2] for x in columns[r % 2]]
        for n in block:
            network[n, r] = state[n] / np.sqrt(len(block))
    return network


def test_response_is_the_definition(name: str) -> None:
    surface = EVERY[name]
    state = phases(1, *surface.feasible.shape)
    network, c = network_of(name, state), coupling()
    if surface.matched is None:
        expected = network @ inverse_root(network.conj().T @ c @ network)
    else:
        expected = inverse_root(c) @ network
    expected = expected * (1.0 if name == "full, no combiner loss" else KEPT**0.5)
    np.testing.assert_allclose(measured(surface, state)[0], expected, atol=1e-12)


@pytest.mark.parametrize("pattern", [Isotropic(), FieldSample(0.25)])
@pytest.mark.parametrize("spacing", [0.5, 0.8])
def test_decoupled_ports_radiate_what_they_accept_but_for_the_insertion_loss(pattern, spacing: float) -> None:
    c = coupling(spacing, pattern)
    for surface in (
        SubConnectedHybrid.build(c, R, insertion_loss_db=LOSS_DB),
        FullyConnectedHybrid.build(c, R, combiner_loss=False, matching="ports", insertion_loss_db=LOSS_DB),
    ):
        for seed in range(3):
            _, radiated, gain = measured(surface, phases(seed, *surface.feasible.shape))
            np.testing.assert_allclose(radiated, KEPT * np.eye(R), atol=1e-9)
            assert float(gain) == pytest.approx(KEPT, abs=1e-9)


def test_weak_modes_of_the_ports_are_not_driven() -> None:
    surface = SubConnectedHybrid.build(coupling(0.08, Isotropic()), R)
    state = jnp.ones(N, complex)
    response, radiated, _ = measured(surface, state)
    network = network_of("sub", np.ones(N))
    value = np.linalg.eigvalsh(network.T @ coupling(0.08, Isotropic()) @ network)
    kept = int((value > 0.01 * value[-1]).sum())
    assert 0 < kept < R
    np.testing.assert_allclose(np.linalg.eigvalsh(radiated), np.repeat([0, 1], [R - kept, kept]), atol=1e-9)
    assert np.linalg.norm(response, 2) ** 2 <= 100 / value[-1]


def test_passive_combiners_never_create_energy_and_lose_what_the_chains_do_not_share() -> None:
    lossless = FullyConnectedHybrid.build(np.eye(N), R)
    equal = np.ones((R, N), complex)
    different = np.exp(2j * np.pi * np.outer(np.arange(R), np.arange(N)) / N)
    assert float(measured(lossless, equal)[2]) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(measured(lossless, different)[1], np.eye(R) / R, atol=1e-12)
    for seed in range(10):
        assert float(measured(FULL, phases(seed, R, N))[2]) <= KEPT


def test_leaving_the_combiners_out_creates_energy() -> None:
    creating = FullyConnectedHybrid.build(np.eye(N), R, combiner_loss=False)
    assert float(measured(creating, np.ones((R, N), complex))[2]) == pytest.approx(R, abs=1e-12)
    assert float(measured(FULL_CREATING, phases(0, R, N))[2]) > 1.5


def test_fixed_matching_radiates_at_most_what_is_accepted() -> None:
    """Elements at half a wavelength have modes that radiate less than 1 % of the strongest; they are lost."""
    for seed in range(10):
        value = np.linalg.eigvalsh(measured(SUB_ELEMENTS, phases(seed, N))[1])
        assert value.max() <= KEPT * (1 + 1e-12)
    spread = SubConnectedHybrid.build(coupling(0.8, Isotropic()), R, matching="elements")
    np.testing.assert_allclose(measured(spread, phases(0, N))[1], np.eye(R), atol=1e-9)


def test_rectangles_share_a_ten_by_ten_grid_among_sixteen_chains() -> None:
    surface = SubConnectedHybrid.build(np.eye(100), 16)
    owned = np.asarray(surface.dividers) > 0
    assert (owned.sum(1) == 1).all()
    assert sorted(owned.sum(0)) == [4] * 4 + [6] * 8 + [9] * 4
    np.testing.assert_allclose((np.asarray(surface.dividers) ** 2).sum(0), 1.0, atol=1e-15)
    for column in owned.T:
        x, y = np.flatnonzero(column) % 10, np.flatnonzero(column) // 10
        assert np.unique(x).size * np.unique(y).size == column.sum()
        assert np.ptp(x) + 1 == np.unique(x).size
        assert np.ptp(y) + 1 == np.unique(y).size


def test_tunable_elements_are_phase_shifters() -> None:
    assert (FULL.n_tunable, SUB.n_tunable) == (R * N, N)


@jax.jit
def pulled(surface, state, cotangent):
    return jax.vjp(surface.response, state)[1](cotangent)[0]


def check_derivative(surface, state: np.ndarray) -> None:
    """The response of decoupled ports is not analytic in the state: only the real part of the pairing is promised."""
    cotangent, direction, step = gaussian(5, 1, surface.n_elements, R), gaussian(6, *state.shape), 1e-6
    gradient = np.asarray(pulled(surface, state, cotangent))
    ends = [np.asarray(measured(surface, state + sign * step * direction)[0]) for sign in (1, -1)]
    slope = (cotangent[0] * (ends[0] - ends[1])).sum().real / (2 * step)
    assert np.isfinite(gradient).all()
    assert abs((gradient * direction).sum().real - slope) <= 1e-6 * max(abs(slope), 1.0)


def test_derivative(name: str) -> None:
    check_derivative(EVERY[name], phases(2, *EVERY[name].feasible.shape))


def test_derivative_at_equal_eigenvalues() -> None:
    """Uncoupled elements: A_0^H A_0 = I exactly, where the derivative of single eigenvectors does not exist."""
    check_derivative(SubConnectedHybrid.build(np.eye(N), R), phases(3, N))


def test_derivative_with_modes_that_are_not_driven() -> None:
    check_derivative(SubConnectedHybrid.build(coupling(0.08, Isotropic()), R), phases(4, N))


def test_thin_products_and_batches_of_decoupled_ports() -> None:
    """The contract's suite runs on fixed matching; this is the same for the network that follows the state."""
    rows = jnp.asarray(gaussian(7, 1, 2, 2, N))
    states = SUB.feasible.random(jax.random.key(0), (3,))
    thin = jax.jit(jax.vmap(lambda s: SUB.apply_rows(s, rows)))(states)
    for state, product in zip(states, thin, strict=True):
        np.testing.assert_allclose(product, np.asarray(rows) @ np.asarray(measured(SUB, state)[0]), atol=1e-12)


BAD = [
    (FullyConnectedHybrid, {"n_ports": 0}, "n_ports: must be at least 1, got 0"),
    (
        SubConnectedHybrid,
        {"n_ports": 25},
        "n_ports: a grid of 5 x 5 chains must fit into one of 3 x 4 elements, got 25",
    ),
    (SubConnectedHybrid, {"insertion_loss_db": -0.5}, "insertion_loss_db: must not be negative, got -0.5"),
    (SubConnectedHybrid, {"insertion_loss_db": float("nan")}, "insertion_loss_db: must not be negative, got nan"),
    (SubConnectedHybrid, {"matching": "both"}, "matching: must be one of elements, ports, got 'both'"),
    (FullyConnectedHybrid, {"matching": "ports"}, "matching='ports' needs combiner_loss=False, got True"),
]


@pytest.mark.parametrize(("kind", "changes", "message"), BAD)
def test_bad_values_are_named(kind, changes: dict, message: str) -> None:
    unchecked = inspect.unwrap(kind.build.__func__)  # the run-time type check of the tests would answer first
    with pytest.raises(ConfigError, match=message):
        unchecked(kind, **{"coupling": np.eye(N), "n_ports": R} | changes)


@pytest.mark.parametrize("kind", [FullyConnectedHybrid, SubConnectedHybrid])
def test_bad_coupling_is_named(kind) -> None:
    with pytest.raises(ShapeError, match=r"^coupling: .*\(2, 3\)"):
        kind.build(np.ones((2, 3)), 2)
