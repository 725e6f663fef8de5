"""What every registered surface promises. A new surface joins by being registered."""

import inspect
from functools import cache
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.errors import ConfigError
from metamimo.surfaces.base import Surface
from metamimo.surfaces.registry import SURFACES

BATCH, STATES, STEP = 3, 20, 1e-6


@cache
def example(name: str) -> Surface:
    return SURFACES.get(name).example()


@pytest.fixture(params=sorted(SURFACES))
def surface(request: pytest.FixtureRequest) -> Surface:
    return example(request.param)


@pytest.fixture
def found(request: pytest.FixtureRequest, surface: Surface) -> SimpleNamespace:
    return examined(request.node.callspec.params["surface"])


@cache
def examined(name: str) -> SimpleNamespace:
    """What one program says of a surface; the tests compare on the host, where nothing compiles."""
    surface = example(name)
    state, response = jax.eval_shape(drawn, surface, jax.random.key(0))
    # A surface without dispersion serves any number of subcarriers: two show that it does.
    freq = 2 if response.shape[0] == 1 else response.shape[0]
    directions = gaussian(3, 1, *state.shape)
    # The real part decides: a response need not be holomorphic, so both directions of a complex state are looked at.
    complex_state = jnp.issubdtype(state.dtype, jnp.complexfloating)
    given = {
        "rows": gaussian(1, freq, 2, 2, surface.n_elements),
        "columns": gaussian(5, freq, surface.n_ports, 2),
        "cotangent": gaussian(2, freq, 2, 2, surface.n_ports),
        "directions": np.concatenate([directions, 1j * directions]) if complex_state else directions.real,
    }
    return SimpleNamespace(**given, **jax.device_get(program(surface, **given)))


def drawn(surface: Surface, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    state = surface.feasible.random(key)
    return state, surface.response(state)


@jax.jit
def program(
    surface: Surface, rows: jax.Array, columns: jax.Array, cotangent: jax.Array, directions: jax.Array
) -> dict[str, jax.Array]:
    """Everything that is asked of a surface; `states[0]` is the one at which it is differentiated."""
    states = jax.vmap(surface.feasible.random)(jax.random.split(jax.random.key(0), STATES))
    state = states[0]
    ends = jnp.concatenate([state + STEP * directions, state - STEP * directions])

    def one(state: jax.Array) -> tuple:
        return surface.response(state), surface.power_matrix(state, "accepted"), surface.power_matrix(state, "radiated")

    responses, accepted, radiated = jax.lax.map(one, jnp.concatenate([states, ends]))
    forward, kept = surface.rows_forward(state, rows)
    through_rows, pull = jax.vjp(surface.apply_rows, state, rows)
    # The derivative of the product by autodiff of the whole response.
    _, full_pull = jax.vjp(lambda s, r: jnp.einsum("fabe,fep->fabp", r, surface.response(s)), state, rows)
    return {
        "states": states,
        "members": surface.feasible.contains(states),
        "responses": responses[:STATES],
        "ends": responses[STATES:].reshape(2, -1, *responses.shape[1:]),
        "accepted": accepted[:STATES],
        "radiated": radiated[:STATES],
        "ports": surface.power_matrix(state, "port"),
        "forward": forward,
        "through_rows": through_rows,
        "backward": surface.rows_backward(state, kept, cotangent),
        "pulled": pull(cotangent),
        "fully_pulled": full_pull(cotangent),
        "batch": jax.vmap(lambda s: (surface.response(s), surface.apply_rows(s, rows)))(states[:BATCH]),
        "driven": surface.drive(state, columns),
        "factors": surface.factors(),
        "gain_limits": surface.gain_limits(),
        "envelope": surface.envelope(jnp.eye(surface.n_elements, dtype=complex)),
    }


def gaussian(seed: int, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def product(rows: np.ndarray, response: np.ndarray) -> np.ndarray:
    """rows @ A for all subcarriers."""
    return rows @ np.broadcast_to(response, (len(rows), *response.shape[1:]))[:, None]


def close(value: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert value.shape == expected.shape
    assert np.linalg.norm(value - expected) <= tolerance * np.linalg.norm(expected)


def test_sizes_are_plain_numbers_and_states_are_members(surface: Surface, found: SimpleNamespace) -> None:
    assert type(surface.n_ports) is int
    assert type(surface.n_elements) is int
    assert found.states.shape[1:] == surface.feasible.shape
    assert bool(found.members)
    assert 0 <= int(surface.n_tunable) <= max(found.states[0].size, 0)


def test_response_maps_ports_to_elements(surface: Surface, found: SimpleNamespace) -> None:
    a = found.responses[0]
    assert a.shape[1:] == (surface.n_elements, surface.n_ports)
    assert np.iscomplexobj(a)
    assert np.isfinite(a).all()
    assert np.abs(a).max() > 0
    np.testing.assert_allclose(surface.response(jnp.asarray(found.states[0])), a, rtol=1e-12, atol=1e-15)


def test_thin_products_and_their_derivative(found: SimpleNamespace) -> None:
    close(found.through_rows, product(found.rows, found.responses[0]), 1e-12)
    close(found.forward, found.through_rows, 1e-12)
    assert found.backward.dtype == found.states.dtype
    (by_state, by_rows), full = found.pulled, found.fully_pulled
    for value, expected in ((found.backward, full[0]), (by_state, full[0]), (by_rows, full[1])):
        close(value, expected, 1e-11)


def test_derivative_is_that_of_finite_differences(found: SimpleNamespace) -> None:
    if not found.states.size:
        assert found.backward.size == 0
        return
    for direction, above, below in zip(found.directions, *found.ends, strict=True):
        measured = (found.cotangent * product(found.rows, above - below)).sum().real / (2 * STEP)
        assert measured == pytest.approx((found.backward * direction).sum().real, rel=1e-6)


def test_power_matrices_are_hermitian_and_positive(surface: Surface, found: SimpleNamespace) -> None:
    identity = np.broadcast_to(np.eye(surface.n_ports), found.ports.shape)
    np.testing.assert_array_equal(found.ports, identity)
    assert surface.ports_are_waves == np.array_equal(found.accepted[0], found.ports)
    for m in (found.accepted[0], found.radiated[0]):
        assert m.shape[1:] == (surface.n_ports, surface.n_ports)
        np.testing.assert_allclose(m, m.conj().swapaxes(1, 2), atol=1e-12)
        assert np.linalg.eigvalsh(m).min() >= -1e-9
    coupling, a = np.asarray(surface.coupling), found.responses[0]
    np.testing.assert_allclose(coupling, coupling.conj().swapaxes(1, 2), atol=1e-12)
    np.testing.assert_allclose(found.radiated[0], a.conj().swapaxes(1, 2) @ (coupling @ a), atol=1e-12)


def test_example_radiates_no_more_than_it_accepts(surface: Surface, found: SimpleNamespace) -> None:
    """A surface without gain limits promises nothing; then `energy_gain` says what its states create."""
    if found.gain_limits is None:
        accepted, radiated = found.accepted[0], found.radiated[0]
        largest = np.abs(np.linalg.eigvals(np.linalg.solve(accepted, radiated))).max()
        gain = jax.jit(lambda state: surface.energy_gain(state))
        assert float(gain(found.states[0])) == pytest.approx(largest, rel=1e-9)
        return
    for accepted, radiated in zip(found.accepted, found.radiated, strict=True):
        assert np.linalg.eigvalsh(accepted - radiated).min() >= -1e-9
        assert np.trace(radiated[0]).real > 0


def test_gain_limits_cover_every_state(found: SimpleNamespace) -> None:
    """Products of the largest squared singular values never exceed those of the limits (Horn 1950)."""
    if found.gain_limits is None:
        assert found.envelope is None
        return
    for a in found.responses:
        values = np.linalg.svd(a[0], compute_uv=False) ** 2
        assert (np.cumprod(values) <= np.cumprod(found.gain_limits) * (1 + 1e-9)).all()


def test_envelope_covers_every_state_in_its_own_basis(found: SimpleNamespace) -> None:
    """rows V^-1 V A = rows A, and no V A amplifies more than the bounds say."""
    if found.envelope is None:
        assert found.gain_limits is None
        return
    basis, limits = found.envelope  # V^-1
    for a in found.responses:
        values = np.linalg.svd(np.linalg.lstsq(basis, a[0])[0], compute_uv=False) ** 2
        assert (np.cumprod(values) <= np.cumprod(limits) * (1 + 1e-9)).all()


def test_factors_are_the_response(found: SimpleNamespace) -> None:
    """A(state) = X diag(state) Y, where a surface says that its response is linear."""
    if found.factors is None:
        return
    left, right = found.factors
    for state, response in zip(found.states, found.responses, strict=True):
        close((left * state.ravel()) @ right, response[0], 1e-12)


def test_unknown_power_is_refused(surface: Surface, found: SimpleNamespace) -> None:
    unchecked = inspect.unwrap(type(surface).power_matrix)  # the run-time type check of the tests would answer first
    with pytest.raises(ConfigError, match="kind: must be 'port', 'accepted' or 'radiated', got 'reflected'"):
        unchecked(surface, found.states[0], "reflected")


def test_batches_of_states_equal_single_ones(found: SimpleNamespace) -> None:
    for response, through_rows, single in zip(*found.batch, found.responses[:BATCH], strict=True):
        close(response, single, 1e-12)
        close(through_rows, product(found.rows, single), 1e-12)


def test_surface_is_an_argument_not_a_constant(surface: Surface) -> None:
    """A surface is a pytree whose arrays are leaves, so that one program serves many of a kind."""
    leaves, structure = jax.tree.flatten(surface)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert hash(structure) == hash(jax.tree.structure(SURFACES.get(name_of(surface)).example()))


def name_of(surface: Surface) -> str:
    return next(name for name in SURFACES if SURFACES.get(name) is type(surface))


def test_drive_and_rows_are_two_sides_of_one_response(surface: Surface, found: SimpleNamespace) -> None:
    assert found.driven.shape == (len(found.rows), surface.n_elements, 2)
    close(found.rows @ found.driven[:, None], found.through_rows @ found.columns[:, None], 1e-11)
