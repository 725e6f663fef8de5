"""Stacked surface: eq. (2), the thin products and their closed-form gradient, and energy."""

from dataclasses import fields
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import even_stack, gaussian, phases, relative_error, stack_product, uneven_stack

from metamimo.errors import ConfigError, ShapeError
from metamimo.geometry.planar import grid_positions, line_positions
from metamimo.physics.diffraction import propagation_matrix
from metamimo.physics.patterns import FieldSample
from metamimo.surfaces.feasible import UnitModulus
from metamimo.surfaces.stacked import StackedSurface

STACKS = {
    "even": even_stack(3, 9, 4, max_layers=4),
    "uneven": uneven_stack(3),
    "one_layer": uneven_stack(1),
    "full": uneven_stack(4),
}
response = jax.jit(lambda surface, state: surface.response(state))
apply_rows = jax.jit(lambda surface, state, rows: surface.apply_rows(state, rows))


def real_loss(out: jax.Array) -> jax.Array:
    """A function of an output that is neither linear nor analytic."""
    weight = jnp.arange(1.0, out.size + 1).reshape(out.shape)
    return (weight * jnp.abs(out) ** 2).sum() + jnp.sin(out.real + 2 * out.imag).sum()


@jax.jit
def closed_form(surface: StackedSurface, state: jax.Array, rows: jax.Array) -> tuple:
    return jax.grad(lambda s, r: real_loss(surface.apply_rows(s, r)), argnums=(0, 1))(state, rows)


@jax.jit
def by_autodiff(surface: StackedSurface, state: jax.Array, rows: jax.Array) -> tuple:
    return jax.grad(lambda s, r: real_loss(r @ surface.response(s)), argnums=(0, 1))(state, rows)


@pytest.fixture
def state() -> jax.Array:
    return jnp.asarray(phases(0, 4, 9))


@pytest.fixture
def rows() -> jax.Array:
    return jnp.asarray(gaussian(1, 1, 5, 9))


@pytest.mark.parametrize("name", STACKS)
def test_response_is_equation_2(name: str, state: jax.Array) -> None:
    surface = STACKS[name]
    b = response(surface, state)
    assert b.shape == (1, 9, 4)
    assert relative_error(b[0], stack_product(surface, np.asarray(state))) <= 1e-13


@pytest.mark.parametrize("name", STACKS)
def test_thin_rows_equal_the_product_with_the_response(name: str, state: jax.Array, rows: jax.Array) -> None:
    expected = np.asarray(rows) @ stack_product(STACKS[name], np.asarray(state))
    assert relative_error(apply_rows(STACKS[name], state, rows), expected) <= 1e-12


@pytest.mark.parametrize("name", STACKS)
def test_closed_form_gradient_is_that_of_the_response(name: str, state: jax.Array, rows: jax.Array) -> None:
    closed, automatic = (f(STACKS[name], state, rows) for f in (closed_form, by_autodiff))
    used = int(STACKS[name].n_layers)
    for value, expected in zip(closed, automatic, strict=True):
        assert relative_error(value, expected) <= 1e-12
    assert not np.any(closed[0][used:]), "layers that do not exist must not move"
    assert np.all(closed[0][:used] != 0)


def test_one_program_serves_every_number_of_layers(state: jax.Array, rows: jax.Array) -> None:
    program = jax.jit(lambda surface, state, rows: (surface.apply_rows(state, rows), surface.response(state)))
    for layers in (1, 2, 3, 4):
        surface = uneven_stack(layers)
        thin, full = program(surface, state, rows)
        expected = stack_product(surface, np.asarray(state))
        assert relative_error(full[0], expected) <= 1e-13
        assert relative_error(thin, np.asarray(rows) @ expected) <= 1e-12
    assert program._cache_size() == 1


def test_rows_keep_all_their_leading_axes(state: jax.Array) -> None:
    rows = gaussian(2, 3, 2, 2, 9)  # three subcarriers
    out = apply_rows(STACKS["uneven"], state, jnp.asarray(rows))
    assert relative_error(out, rows @ stack_product(STACKS["uneven"], np.asarray(state))) <= 1e-12


def test_geometry_gets_no_gradient_through_thin_rows(state: jax.Array, rows: jax.Array) -> None:
    gradient = eqx.filter_jit(eqx.filter_grad(lambda surface: real_loss(surface.apply_rows(state, rows))))(
        STACKS["uneven"]
    )
    for leaf in jax.tree.leaves(eqx.filter(gradient, eqx.is_inexact_array)):
        assert not np.any(leaf)


def test_geometry_gradient_of_the_response_is_the_derivative(state: jax.Array) -> None:
    surface = STACKS["uneven"]

    @jax.jit
    def loss(first: jax.Array, hops: jax.Array) -> jax.Array:
        moved = eqx.tree_at(lambda s: (s.first, s.hops), surface, (first, hops))
        return real_loss(moved.response(state))

    point = (surface.first, surface.hops)
    slopes = jax.grad(loss, argnums=(0, 1))(*point)
    for number, slope in enumerate(slopes):
        direction = jnp.asarray(gaussian(3 + number, *slope.shape))
        step = 1e-5
        ends = [
            loss(*(p + sign * step * direction if i == number else p for i, p in enumerate(point))) for sign in (1, -1)
        ]
        measured = float(ends[0] - ends[1]) / (2 * step)
        # JAX's complex gradient pairs without conjugation: df = Re sum(gradient * dx).
        assert measured == pytest.approx(float((slope * direction).real.sum()), rel=1e-7)
        assert abs(measured) > 1e-3


def test_insertion_loss_is_a_power_loss_of_every_layer(state: jax.Array) -> None:
    lossless, lossy = even_stack(3, 9, 4), even_stack(3, 9, 4, loss_db=2.0)
    b, c = (response(s, state[:3]) for s in (lossless, lossy))
    assert relative_error(c, 10 ** (-3 * 2.0 / 20) * b) <= 1e-13
    r = jnp.asarray(gaussian(4, 1, 2, 9))
    assert relative_error(apply_rows(lossy, state[:3], r), 10 ** (-0.3) * apply_rows(lossless, state[:3], r)) <= 1e-12


@pytest.mark.parametrize(
    ("array", "antennas", "long_side"), [("grid", grid_positions(4, 0.03), "y"), ("line", line_positions(4, 0.03), "x")]
)
def test_build_places_antennas_and_layers_where_it_says(array: str, antennas: np.ndarray, long_side: str) -> None:
    surface = StackedSurface.build(
        n_layers=2, n_elements=6, n_ports=4, wavelength=0.05, element_spacing=0.02, antenna_spacing=0.03,
        layer_spacing=0.04, feed_distance=0.01, pattern=FieldSample(4e-4), antenna_array=array,
    )  # fmt: skip
    layers = [grid_positions(6, 0.02, z, long_side=long_side) for z in (0.01, 0.05)]
    first = propagation_matrix(layers[0], antennas, 0.05, 4e-4)
    np.testing.assert_allclose(surface.first, first, rtol=1e-12)
    np.testing.assert_allclose(surface.hops[0], propagation_matrix(layers[1], layers[0], 0.05, 4e-4), rtol=1e-12)
    np.testing.assert_allclose(surface.coupling[0], FieldSample(4e-4).coupling(layers[1], 0.05), rtol=1e-12)


@pytest.mark.parametrize("kernel", ["clipped", "band_limited"])
@pytest.mark.parametrize("shape", [(2, 16, 4), (4, 25, 9)])
def test_passive_kernels_never_radiate_more_than_they_accept(kernel: str, shape: tuple[int, int, int]) -> None:
    """A^H C A <= I for 100 random states, A from eq. (2)."""
    layers, elements, ports = shape
    surface = even_stack(layers, elements, ports, kernel=kernel)
    coupling = np.asarray(surface.coupling[0])
    worst = 0.0
    for seed in range(100):
        b = stack_product(surface, phases(seed, layers, elements))
        worst = max(worst, np.linalg.eigvalsh(b.conj().T @ coupling @ b)[-1])
    assert 0.1 < worst <= 1 + 1e-9


def adversarial_gain(kernel: str, layers: int = 4, sweeps: int = 15) -> float:
    """Largest eigenvalue of B^H B after aligning the phases of one layer after another between the strongest input and
    output, and renewing both; N = 100 and half-wave spacing, in NumPy."""
    grids = [grid_positions(100, 0.5, z) for z in (0.5, 1.0)]
    first = propagation_matrix(grids[0], grid_positions(16, 0.5), 1.0, 0.25, kernel)
    hop = propagation_matrix(grids[1], grids[0], 1.0, 0.25, kernel)
    stack, state = SimpleNamespace(first=first, hops=hop[None], n_layers=layers), phases(0, layers, 100)
    for _ in range(sweeps):
        u, _, vh = np.linalg.svd(stack_product(stack, state), full_matrices=False)
        rows = [u[:, 0].conj()]
        for l in range(layers - 1, 0, -1):
            rows.append((rows[-1] * state[l]) @ hop)
        wave = first @ vh[0].conj()
        for l in range(layers):
            state[l] = np.exp(-1j * np.angle(rows[layers - 1 - l] * wave))
            wave = hop @ (state[l] * wave)
    return np.linalg.norm(stack_product(stack, state), 2) ** 2


def test_sampled_kernel_creates_energy_and_the_passive_ones_do_not() -> None:
    """Each sampled hop gains little, the adversarial stack much (pitfall 6)."""
    assert adversarial_gain("sampled") > 1.5
    for kernel in ("clipped", "band_limited"):
        assert adversarial_gain(kernel) <= 1 + 1e-9


def test_energy_gain_is_the_largest_eigenvalue(state: jax.Array) -> None:
    b = stack_product(STACKS["uneven"], np.asarray(state))
    assert float(STACKS["uneven"].energy_gain(state)) == pytest.approx(
        np.linalg.eigvalsh(b.conj().T @ b)[-1], rel=1e-12
    )


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("n_layers", {"n_layers": 0}),
        ("n_layers", {"n_layers": 3, "max_layers": 2}),
        ("n_elements", {"n_elements": 0}),
        ("n_ports", {"n_ports": -1}),
        ("element_spacing", {"element_spacing": 0.0}),
        ("antenna_spacing", {"antenna_spacing": -0.5}),
        ("layer_spacing", {"layer_spacing": 0.0}),
        ("feed_distance", {"feed_distance": -1.0}),
        ("wavelength", {"wavelength": -1.0}),
        ("insertion_loss_db", {"insertion_loss_db": -1.0}),
        ("insertion_loss_db", {"insertion_loss_db": float("nan")}),
    ],
)
def test_bad_geometry_names_the_argument(field: str, arguments: dict) -> None:
    good = {"n_layers": 2, "n_elements": 4, "n_ports": 2, "wavelength": 1.0, "element_spacing": 0.5,
            "antenna_spacing": 0.5, "layer_spacing": 0.5, "pattern": FieldSample(0.25)}  # fmt: skip
    with pytest.raises(ConfigError, match=f"^{field}: "):
        StackedSurface.build(**{**good, **arguments})


def test_feasible_set_of_another_shape_is_named() -> None:
    arrays = np.ones((4, 2), complex), np.zeros((1, 4, 4), complex), np.eye(4)
    with pytest.raises(ShapeError, match=r"^feasible: .*\(2, 4\), got \(2, 3\)"):
        StackedSurface(*arrays, n_layers=2, feasible=UnitModulus(shape=(2, 3)))


@pytest.mark.parametrize("hops", [np.zeros((2, 4, 4), complex), np.zeros((0, 4, 4), complex)])
def test_missing_hops_are_named(hops: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"^hops: "):
        StackedSurface(np.ones((4, 2), complex), hops, np.eye(4), n_layers=4)


def test_state_room_is_static_and_the_layer_count_is_data() -> None:
    static = {f.name for f in fields(StackedSurface) if f.metadata.get("static")}
    assert static == {"n_ports", "n_elements"}
    assert jax.tree.structure(uneven_stack(1)) == jax.tree.structure(uneven_stack(4))
