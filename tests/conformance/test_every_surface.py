"""What every registered surface promises. A new surface joins by being registered."""

import inspect
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.errors import ConfigError
from metamimo.surfaces.base import Surface
from metamimo.surfaces.registry import SURFACES

BATCH = 3


@cache
def example(name: str) -> Surface:
    return SURFACES.get(name).example()


@pytest.fixture(params=sorted(SURFACES))
def surface(request: pytest.FixtureRequest) -> Surface:
    return example(request.param)


@pytest.fixture
def state(surface: Surface) -> jax.Array:
    return surface.feasible.random(jax.random.key(0))


@pytest.fixture
def rows(surface: Surface, state: jax.Array) -> jax.Array:
    return gaussian(1, subcarriers(surface, state), 2, 2, surface.n_elements)


@jax.jit
def response(surface: Surface, state: jax.Array) -> jax.Array:
    return surface.response(state)


@jax.jit
def thin(surface: Surface, state: jax.Array, rows: jax.Array, cotangent: jax.Array) -> tuple:
    """Product, both halves, and the derivative of the product by autodiff of the whole response."""
    forward, kept = surface.rows_forward(state, rows)
    through_rows, pull = jax.vjp(surface.apply_rows, state, rows)
    _, full_pull = jax.vjp(lambda s, r: jnp.einsum("fabe,fep->fabp", r, surface.response(s)), state, rows)
    return through_rows, forward, surface.rows_backward(state, kept, cotangent), pull(cotangent), full_pull(cotangent)


@jax.jit
def powers(surface: Surface, state: jax.Array) -> tuple[jax.Array, jax.Array]:
    return surface.power_matrix(state, "accepted"), surface.power_matrix(state, "radiated")


def gaussian(seed: int, *shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape, dtype=complex)


def subcarriers(surface: Surface, state: jax.Array) -> int:
    """A surface without dispersion serves any number of subcarriers: two show that it does."""
    freq = jax.eval_shape(surface.response, state).shape[0]
    return 2 if freq == 1 else freq


def close(value: jax.Array, expected: jax.Array, tolerance: float) -> None:
    assert value.shape == expected.shape
    assert float(jnp.linalg.norm(value - expected)) <= tolerance * float(jnp.linalg.norm(expected))


def test_sizes_are_plain_numbers_and_states_are_members(surface: Surface, state: jax.Array) -> None:
    assert type(surface.n_ports) is int
    assert type(surface.n_elements) is int
    assert state.shape == surface.feasible.shape
    assert bool(surface.feasible.contains(state))
    assert 0 <= int(surface.n_tunable) <= max(state.size, 0)


def test_response_maps_ports_to_elements(surface: Surface, state: jax.Array) -> None:
    a = response(surface, state)
    assert a.shape[1:] == (surface.n_elements, surface.n_ports)
    assert jnp.iscomplexobj(a)
    assert bool(jnp.isfinite(a).all())
    assert float(jnp.abs(a).max()) > 0
    np.testing.assert_allclose(surface.response(state), a, rtol=1e-12, atol=1e-15)


def test_thin_products_and_their_derivative(surface: Surface, state: jax.Array, rows: jax.Array) -> None:
    cotangent = gaussian(2, *rows.shape[:-1], surface.n_ports)
    product, forward, backward, pulled, full = thin(surface, state, rows, cotangent)
    close(product, jnp.einsum("fabe,fep->fabp", rows, jnp.broadcast_to(
        response(surface, state), (rows.shape[0], surface.n_elements, surface.n_ports))), 1e-12)  # fmt: skip
    close(forward, product, 1e-12)
    assert backward.dtype == state.dtype
    for value, expected in ((backward, full[0]), (pulled[0], full[0]), (pulled[1], full[1])):
        close(value, expected, 1e-11)


def test_derivative_is_that_of_finite_differences(surface: Surface, state: jax.Array, rows: jax.Array) -> None:
    if not state.size:
        assert thin(surface, state, rows, gaussian(2, *rows.shape[:-1], surface.n_ports))[2].size == 0
        return
    cotangent = gaussian(2, *rows.shape[:-1], surface.n_ports)
    gradient = thin(surface, state, rows, cotangent)[2]
    step = 1e-6
    # The real part decides: a response need not be holomorphic, so both directions of a complex state are looked at.
    directions = [gaussian(3, *state.shape)]
    directions = [directions[0], 1j * directions[0]] if jnp.iscomplexobj(state) else [directions[0].real]
    for direction in directions:
        ends = [response(surface, state + sign * step * direction) for sign in (1, -1)]
        change = jnp.einsum(
            "fabe,fep->fabp", rows, jnp.broadcast_to(ends[0] - ends[1], (rows.shape[0], *ends[0].shape[1:]))
        )
        measured = float((cotangent * change).sum().real) / (2 * step)
        assert measured == pytest.approx(float((gradient * direction).sum().real), rel=1e-6)


def test_power_matrices_are_hermitian_and_positive(surface: Surface, state: jax.Array) -> None:
    for m in powers(surface, state):
        assert m.shape[1:] == (surface.n_ports, surface.n_ports)
        np.testing.assert_allclose(m, m.conj().swapaxes(1, 2), atol=1e-12)
        assert float(jnp.linalg.eigvalsh(m).min()) >= -1e-9
    coupling = surface.coupling
    np.testing.assert_allclose(coupling, coupling.conj().swapaxes(1, 2), atol=1e-12)
    a = response(surface, state)
    np.testing.assert_allclose(powers(surface, state)[1], a.conj().swapaxes(1, 2) @ (coupling @ a), atol=1e-12)


def test_example_radiates_no_more_than_it_accepts(surface: Surface) -> None:
    for state in surface.feasible.random(jax.random.key(4), (10,)):
        accepted, radiated = (np.asarray(m) for m in powers(surface, state))
        gap = np.broadcast_to(accepted, np.broadcast_shapes(accepted.shape, radiated.shape)) - radiated
        assert np.linalg.eigvalsh(gap).min() >= -1e-9
        assert np.trace(radiated[0]).real > 0


def test_gain_limits_cover_every_state(surface: Surface) -> None:
    """Products of the largest squared singular values never exceed those of the limits (Horn 1950)."""
    limits = surface.gain_limits()
    assert limits is not None
    states = surface.feasible.random(jax.random.key(3), (20,))
    for state in states:
        values = np.linalg.svd(response(surface, state)[0], compute_uv=False) ** 2
        assert (np.cumprod(values) <= np.cumprod(limits) * (1 + 1e-9)).all()


def test_envelope_covers_every_state_in_its_own_basis(surface: Surface) -> None:
    """rows V^-1 V A = rows A, and no V A amplifies more than the bounds say."""
    found = surface.envelope(jnp.eye(surface.n_elements, dtype=complex))
    assert found is not None
    basis, limits = found  # V^-1
    for state in surface.feasible.random(jax.random.key(6), (5,)):
        values = np.linalg.svd(np.linalg.lstsq(basis, response(surface, state)[0])[0], compute_uv=False) ** 2
        assert (np.cumprod(values) <= np.cumprod(limits) * (1 + 1e-9)).all()


def test_unknown_power_is_refused(surface: Surface, state: jax.Array) -> None:
    unchecked = inspect.unwrap(type(surface).power_matrix)  # the run-time type check of the tests would answer first
    with pytest.raises(ConfigError, match="kind: must be 'accepted' or 'radiated', got 'reflected'"):
        unchecked(surface, state, "reflected")


def test_batches_of_states_equal_single_ones(surface: Surface, rows: jax.Array) -> None:
    states = surface.feasible.random(jax.random.key(5), (BATCH,))
    many = jax.jit(jax.vmap(lambda s: (surface.response(s), surface.apply_rows(s, rows))))(states)
    for i in range(BATCH):
        close(many[0][i], response(surface, states[i]), 1e-12)
        flat = rows @ jnp.broadcast_to(response(surface, states[i]), (rows.shape[0], *many[0].shape[2:]))[:, None]
        close(many[1][i], flat, 1e-12)


def test_surface_is_an_argument_not_a_constant(surface: Surface, state: jax.Array) -> None:
    """A surface is a pytree whose arrays are leaves, so that one program serves many of a kind."""
    leaves, structure = jax.tree.flatten(surface)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert hash(structure) == hash(jax.tree.structure(SURFACES.get(name_of(surface)).example()))


def name_of(surface: Surface) -> str:
    return next(name for name in SURFACES if SURFACES.get(name) is type(surface))


def test_drive_and_rows_are_two_sides_of_one_response(surface: Surface, state: jax.Array, rows: jax.Array) -> None:
    columns = gaussian(5, rows.shape[0], surface.n_ports, 2)
    excited = surface.drive(state, columns)
    assert excited.shape == (rows.shape[0], surface.n_elements, 2)
    through_rows = jnp.einsum("fabp,fps->fabs", surface.apply_rows(state, rows), columns)
    close(jnp.einsum("fabe,fes->fabs", rows, excited), through_rows, 1e-11)
