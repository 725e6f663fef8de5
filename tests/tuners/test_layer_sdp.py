"""Semidefinite layer step: acceptance checks of spec section 10, with both back ends against each other and a grid."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_problems import gaussian_layer, global_optimum, phase_grid, powers, rates, sinrs, surrogate

from metamimo.errors import ConfigError, ShapeError
from metamimo.optimise.low_rank_sdp import Constraints, dual_bound, maximise_low_rank
from metamimo.physics.patterns import FieldSample
from metamimo.problem import Link, Status
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.stacked import StackedSurface
from metamimo.tuners.layer_bound import layer_bound_min_sinr
from metamimo.tuners.layer_coefficients import layer_coefficients
from metamimo.tuners.layer_relaxation import Relaxed
from metamimo.tuners.layer_sdp import LayerStep, layer_relaxation, layer_step

BACKENDS = ("clarabel", "low_rank")
USERS, SMALL = 2, 4
FREE = np.zeros(USERS)

steps = {name: jax.jit(functools.partial(layer_step, backend=name)) for name in BACKENDS}
relaxations = {name: jax.jit(functools.partial(layer_relaxation, backend=name)) for name in BACKENDS}
min_sinr_bound = jax.jit(layer_bound_min_sinr)


def step(backend: str, *arguments: np.ndarray) -> LayerStep:
    return steps[backend](*map(jnp.asarray, arguments))


def relax(backend: str, *arguments: np.ndarray) -> Relaxed:
    return relaxations[backend](*map(jnp.asarray, arguments))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(2))
def test_relaxation_is_above_the_surrogate_of_all_phases(backend: str, seed: int) -> None:
    v, phi = gaussian_layer(seed, USERS, SMALL, gain=3.0)
    relaxed = relax(backend, v, phi, FREE)
    assert bool(relaxed.solved)
    best = surrogate(v, powers(v, phase_grid(SMALL, 36)), phi).max()
    assert float(relaxed.value) >= best - 1e-6
    assert float(relaxed.bound) >= float(relaxed.value)
    assert float(relaxed.bound) <= float(relaxed.value) * (1 + 2e-4)
    at_start = surrogate(v, powers(v, phi), phi)
    assert at_start == pytest.approx(rates(v, phi).sum(), rel=1e-12)
    # The surrogate is a lower bound of the rate.
    grid = phase_grid(SMALL, 6)
    assert (surrogate(v, powers(v, grid), phi) <= rates(v, grid).sum(-1) + 1e-12).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(3))
def test_step_reaches_the_global_optimum_of_benign_layers(backend: str, seed: int) -> None:
    v, phi = gaussian_layer(seed, USERS, SMALL, gain=2.0)
    found = step(backend, v, phi, FREE)
    best = global_optimum(lambda phi: rates(v, phi).sum(-1), SMALL)
    assert 0.98 * best <= float(found.rate) <= best * (1 + 1e-9)
    assert float(found.rate) == pytest.approx(rates(v, np.asarray(found.phi)).sum(), rel=1e-12)
    np.testing.assert_allclose(np.abs(found.phi), 1, atol=1e-14)
    assert float(found.eigen_ratio) > 1 - 1e-4
    assert (np.diff(found.history) >= 0).all()
    assert float(found.history[0]) == float(found.start_rate) == pytest.approx(rates(v, phi).sum(), rel=1e-12)
    assert Status(int(found.status)) == Status.CONVERGED


@pytest.mark.parametrize("backend", BACKENDS)
def test_constraints_hold_and_cost_rate(backend: str) -> None:
    v, phi = gaussian_layer(1, USERS, SMALL, gain=2.0)
    free = step(backend, v, phi, FREE)
    reached = rates(v, np.asarray(free.phi))
    least = 1.1 * reached * (np.arange(USERS) == reached.argmin())
    start = np.asarray(free.phi)
    held = step(backend, v, start, least)
    assert (rates(v, np.asarray(held.phi)) >= least - 1e-6).all()
    assert 0.9 * float(free.rate) < float(held.rate) < float(free.rate)
    # Repaired once, the layer is feasible from the start, and only gets better.
    again = step(backend, v, np.asarray(held.phi), least)
    assert float(again.start_rate) == pytest.approx(float(held.rate), rel=1e-12)
    assert float(again.rate) >= float(again.start_rate)
    assert (rates(v, np.asarray(again.phi)) >= least - 1e-6).all()
    assert min(float(found.eigen_ratio) for found in (free, held, again)) > 1 - 1e-4


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_infeasible_start_is_repaired(backend: str) -> None:
    v, phi = gaussian_layer(2, USERS, SMALL, gain=2.0)
    grid = rates(v, phase_grid(SMALL, 36))
    least = np.full(USERS, 0.9 * grid.min(-1).max())
    assert (rates(v, phi) < least).any()
    found = step(backend, v, phi, least)
    assert (rates(v, np.asarray(found.phi)) >= least - 1e-6).all()
    best = grid.sum(-1)[(grid >= least).all(-1)].max()
    assert float(found.rate) >= 0.98 * best


@pytest.mark.parametrize("backend", BACKENDS)
def test_infeasible_constraints_are_proven_and_the_start_returned(backend: str) -> None:
    v, phi = gaussian_layer(0, USERS, SMALL, gain=2.0)
    # Each user alone can have this, but not both.
    grid = rates(v, phase_grid(SMALL, 36))
    least = 0.97 * grid.max(0)
    assert not (grid >= least - 0.1).all(-1).any()
    found = step(backend, v, phi, least)
    assert Status(int(found.status)) == Status.INFEASIBLE
    np.testing.assert_array_equal(found.phi, phi)
    assert float(found.rate) == float(found.start_rate)
    assert int(found.passes) == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_infinite_coefficients_are_reported(backend: str) -> None:
    v, phi = gaussian_layer(0, USERS, SMALL)
    v[0, 0, 0] = np.nan
    assert Status(int(step(backend, v, phi, FREE).status)) == Status.NOT_FINITE


def test_a_single_user_gets_all_elements_in_phase() -> None:
    v, phi = gaussian_layer(0, 1, SMALL)
    found = step("low_rank", v, phi, np.zeros(1))
    assert float(found.rate) == pytest.approx(np.log1p(np.abs(v).sum() ** 2), rel=1e-6)


def test_a_silent_user_does_no_harm() -> None:
    v, phi = gaussian_layer(0, USERS, SMALL)
    v[:, 1] = 0
    found = step("low_rank", v, phi, FREE)
    assert float(found.rate) == pytest.approx(np.log1p(np.abs(v[0, 0]).sum() ** 2), rel=1e-4)


@pytest.mark.parametrize("held", [False, True])
def test_low_rank_agrees_with_clarabel(held: bool) -> None:
    v, phi = gaussian_layer(5, 4, 16, gain=3.0)
    least = rates(v, phi) * held
    reference, found = (relax(backend, v, phi, least) for backend in BACKENDS)
    assert bool(reference.solved)
    assert bool(found.solved)
    assert float(found.value) == pytest.approx(float(reference.value), rel=1e-4)
    assert float(found.bound) - float(found.value) < 1e-4 * float(found.value)
    assert float(found.bound) >= float(found.value)
    assert min(float(found.bound), float(reference.bound)) >= float(reference.value) - 1e-6


def test_certificate_holds_wherever_it_is_taken() -> None:
    v, phi = gaussian_layer(3, USERS, SMALL, gain=2.0)
    optimum = float(relax("low_rank", v, phi, FREE).value)
    rows, rng = jnp.asarray(v.reshape(-1, SMALL)), np.random.default_rng(0)
    before = powers(v, phi).sum(1) + 1 - np.diagonal(powers(v, phi))
    own = jnp.eye(USERS, dtype=bool)
    none = Constraints(jnp.zeros((0, USERS**2)), jnp.zeros(0))

    def objective(t: jax.Array) -> jax.Array:
        total = t.reshape(USERS, USERS).sum(1) + 1
        interference = total - t.reshape(USERS, USERS)[own]
        return (jnp.log(total / before) - (interference - before) / before).sum()

    bound = jax.jit(lambda y: dual_bound(objective, rows, y, none, jnp.zeros(0)))
    for _ in range(5):
        y = rng.standard_normal((SMALL, 2)) + 1j * rng.standard_normal((SMALL, 2))
        assert float(bound(jnp.asarray(y / np.linalg.norm(y, axis=1, keepdims=True)))) >= optimum - 1e-7


@pytest.mark.parametrize("seed", range(3))
def test_min_sinr_bound_is_one_and_tight_where_the_relaxation_is(seed: int) -> None:
    v, phi = gaussian_layer(seed, USERS, SMALL, gain=2.0)
    found = min_sinr_bound(jnp.asarray(v), jnp.asarray(phi))
    best = sinrs(v, phase_grid(SMALL, 60)).min(-1).max()
    assert float(found.bound) >= best
    assert float(found.reached) <= float(found.bound) <= 1.003 * float(found.reached)
    # Two Hermitian forms: the relaxation of two constraints is exact for a free common phase and few elements.
    assert float(found.bound) <= 1.1 * best


@pytest.mark.parametrize("layer", range(3))
def test_coefficients_give_the_signal_of_the_whole_stack(layer: int) -> None:
    stack = StackedSurface.build(
        n_layers=3,
        max_layers=4,
        n_elements=9,
        n_ports=4,
        wavelength=1.0,
        element_spacing=0.5,
        antenna_spacing=0.5,
        layer_spacing=0.5,
        pattern=FieldSample(0.25),
    )
    rng = np.random.default_rng(layer)
    channel, precoder = (
        rng.standard_normal(shape) + 1j * rng.standard_normal(shape) for shape in ((3, 1, 9), (3, 4, 1))
    )
    link = Link.broadcast(stack, jnp.asarray(channel), noise_power=0.2, bandwidth=1.0, frequency=6e9)
    state = stack.feasible.random(jax.random.key(layer))
    v = jax.jit(layer_coefficients)(link, state, jnp.asarray(precoder), layer)
    expected = channel[:, 0] @ np.asarray(stack.response(state))[0] @ precoder[..., 0].T / np.sqrt(0.2)
    np.testing.assert_allclose(np.einsum("kin,n->ki", v, state[layer]), expected, rtol=1e-12)
    other = state.at[layer].set(1j)
    np.testing.assert_allclose(layer_coefficients(link, other, jnp.asarray(precoder), layer), v, rtol=1e-12)
    with pytest.raises(ConfigError, match="layer: must lie between 0 and 2, got 3"):
        layer_coefficients(link, state, jnp.asarray(precoder), 3)


def test_bad_input_is_named() -> None:
    v, phi = (jnp.asarray(x) for x in gaussian_layer(0, USERS, SMALL))
    with pytest.raises(ShapeError, match=r"phi: must have shape \(4,\)"):
        layer_step(v, phi[:3], jnp.zeros(USERS))
    with pytest.raises(ShapeError, match="as many streams as users"):
        layer_step(v[:1], phi, jnp.zeros(1))
    none = Constraints(jnp.zeros((0, 1)), jnp.zeros(0))
    with pytest.raises(ShapeError, match="start: must have 4 rows"):
        maximise_low_rank(jnp.sum, v[0], jnp.ones((3, 2), complex), none)
    with pytest.raises(ShapeError, match="coefficients must have shape"):
        maximise_low_rank(jnp.sum, v[0], jnp.ones((4, 2), complex), none)
    two = Link.broadcast(StackedSurface.example(), jnp.ones((1, 2, 9), complex), **LINK)
    with pytest.raises(ShapeError, match="1 antenna each, got 2"):
        layer_coefficients(two, jnp.ones((3, 9), complex), jnp.ones((1, 4, 1), complex), 0)
    bare = FullyDigital.example()
    flat = Link.broadcast(bare, jnp.ones((1, 1, bare.n_elements), complex), **LINK)
    with pytest.raises(ConfigError, match="belongs to a StackedSurface, got FullyDigital"):
        layer_coefficients(flat, jnp.ones((1, 1), complex), jnp.ones((1, bare.n_ports, 1), complex), 0)


LINK = {"noise_power": 1.0, "bandwidth": 1.0, "frequency": 6e9}
