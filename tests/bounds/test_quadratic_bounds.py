"""Bounds of quadratic sub-problems: against grids, all signs and patterns, and the semidefinite relaxation."""

import functools
import itertools

import cvxpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.bounds.binary import binary_bound, optimality_gap
from metamimo.bounds.least_sinr import least_sinr_bound
from metamimo.bounds.one_chain import lorentz_amplitude, on_off_amplitude
from metamimo.bounds.unit_modulus import (
    bound_at_multiplier,
    circle_bound,
    inhomogeneous_bound,
    one_layer_gain_bound,
    unit_modulus_bound,
)
from metamimo.optimise.binary_quadratic import certified, descend_by_flips, normalised
from metamimo.optimise.sphere_relaxation import sphere_minimum
from metamimo.papers.hmimo_multicell.scaling import best_binary_states, best_lorentz_states
from metamimo.physics.patterns import FieldSample
from metamimo.problem import Link
from metamimo.surfaces.stacked import StackedSurface

PHASES, GAIN = jax.jit(unit_modulus_bound), jax.jit(one_layer_gain_bound)
AT = jax.jit(jax.vmap(bound_at_multiplier, in_axes=(None, 0)))
TILTED = jax.jit(inhomogeneous_bound)
LORENTZ = jax.jit(lambda z, b: circle_bound(z, b, 0.5j, 0.5))
SIGNS, SPHERE = jax.jit(binary_bound), jax.jit(sphere_minimum)
GAPS, PROVEN = (jax.jit(jax.vmap(f, in_axes=(None, None, 0))) for f in (optimality_gap, certified))
STILL = jax.jit(jax.vmap(descend_by_flips, in_axes=(None, None, 0)))
ON_OFF, LORENTZIAN = jax.jit(on_off_amplitude), jax.jit(lorentz_amplitude)
EVERY_SIGN = np.array(list(itertools.product([-1.0, 1.0], repeat=10)))


def gaussian(seed, *shape):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def hermitian_matrix(seed, n):
    """Definite of low rank, definite, or indefinite."""
    g = gaussian(seed, n, n)
    kind = seed % 3
    return g + g.conj().T if kind == 0 else g[:, : kind * n // 2] @ g[:, : kind * n // 2].conj().T


def circle_grid(elements, steps):
    level = np.exp(2j * np.pi * np.arange(steps) / steps)
    return np.array(list(itertools.product(level, repeat=elements)))


def quadratic(phi, c):
    return np.real(((phi.conj() @ c) * phi).sum(-1))


def relaxation(c):
    """max tr(C Psi) over Psi >= 0 with unit diagonal."""
    norm = np.linalg.norm(c)
    psi = cvxpy.Variable(c.shape, hermitian=True)
    value = cvxpy.real(cvxpy.trace(c / norm @ psi))
    problem = cvxpy.Problem(cvxpy.Maximize(value), [psi >> 0, cvxpy.diag(psi) == 1])
    return norm * problem.solve(solver="SCS", eps=1e-9)


def values_of_signs(a, q, x=EVERY_SIGN):
    return ((x @ a) * x).sum(-1) - 2 * x @ q


def sign_problem(seed):
    """Ten signs, low rank, as the blocks of holograms are."""
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((10, rng.integers(1, 5)))
    return factor @ factor.T, 2 * rng.standard_normal(10)


# Phases (B14, B5)


@pytest.mark.parametrize("seed", range(3))
def test_phase_bound_is_the_semidefinite_relaxation(seed):
    """Acceptance check 7."""
    c = hermitian_matrix(seed, 12)
    assert float(PHASES(c)) == pytest.approx(relaxation(c), rel=1e-6)


def test_phase_bound_exceeds_every_grid_and_little_else():
    """Acceptance check 7: four elements, the first phase free to choose; ten instances."""
    rest = circle_grid(3, 60)
    phi = np.concatenate([np.ones((len(rest), 1)), rest], 1)
    for seed in range(10):
        c = hermitian_matrix(seed, 4)
        best = quadratic(phi, c).max()
        assert best <= float(PHASES(c)) <= 1.02 * best


def test_any_multiplier_bounds_any_phases():
    c = hermitian_matrix(3, 6)
    rng = np.random.default_rng(1)
    best = quadratic(np.exp(2j * np.pi * rng.random((4000, 6))), c).max()
    multipliers = rng.standard_normal((100, 6)) * 10.0 ** rng.uniform(-2, 2, (100, 1))
    assert float(AT(c, multipliers).min()) >= best


def test_phase_bound_of_a_definite_matrix_holds_for_lossy_elements():
    c = hermitian_matrix(1, 12)
    rng = np.random.default_rng(2)
    lossy = np.sqrt(rng.random((1000, 12))) * np.exp(2j * np.pi * rng.random((1000, 12)))
    assert quadratic(lossy, c).max() <= float(PHASES(c))


def test_an_early_stop_is_weaker_but_valid():
    """Acceptance check 12."""
    c = hermitian_matrix(0, 12)
    exact = relaxation(c)
    for iterations in (0, 3, 10):
        early = float(jax.jit(functools.partial(unit_modulus_bound, max_iterations=iterations))(c))
        assert exact * (1 - 1e-7) <= early < np.inf
        assert early >= float(PHASES(c)) * (1 - 1e-7)


def test_phase_bound_follows_scale_and_diagonal():
    """Acceptance check 11: the units of C are free, and its diagonal adds a constant."""
    c = hermitian_matrix(0, 12)
    bound = float(PHASES(c))
    for scale in (1e-12, 7.0, 1e9):
        assert float(PHASES(scale * c)) == pytest.approx(scale * bound, rel=1e-9)
    diagonal = np.random.default_rng(0).standard_normal(12)
    assert float(PHASES(c + np.diag(diagonal))) == pytest.approx(bound + diagonal.sum(), rel=1e-7)
    assert float(PHASES(0 * c)) == 0
    assert np.isnan(float(PHASES(np.nan * c)))


def test_gain_of_one_antenna_behind_one_layer():
    """Acceptance check 3."""
    rest = circle_grid(3, 60)
    phi = np.concatenate([np.ones((len(rest), 1)), rest], 1)
    for seed in range(10):
        h, w = gaussian(seed, 4), gaussian(seed + 50, 4, 2)
        best = (np.abs((phi * h) @ w) ** 2).sum(-1).max()
        assert best <= float(GAIN(h, w)) <= 1.01 * best
        port = gaussian(seed + 90, 4, 1)
        exact = (np.abs(h) * np.abs(port[:, 0])).sum() ** 2
        assert float(GAIN(h, port)) == pytest.approx(exact, rel=1e-6)
        assert float(GAIN(h, port)) >= exact


# Circles (B15)


def test_bound_with_a_linear_part_exceeds_every_grid():
    """Acceptance check 7: unit modulus and, as a lower bound, Lorentzian elements; six instances."""
    phi = circle_grid(3, 60)
    for seed in range(6):
        c, q = hermitian_matrix(seed, 3), gaussian(seed + 20, 3)
        best = (quadratic(phi, c) + 2 * np.real(phi @ q.conj())).max()
        assert best <= float(TILTED(c, q)) <= 1.02 * best
        psi = (1j + phi) / 2
        f = quadratic(psi, c) - 2 * np.real(psi.conj() @ q)
        assert f.min() - 0.02 * np.ptp(f) <= float(LORENTZ(c, q)) <= f.min()


def test_lorentz_bound_of_many_elements_is_below_every_draw_and_the_relaxation_of_the_circle():
    z, b = hermitian_matrix(2, 12), gaussian(30, 12)
    rng = np.random.default_rng(0)
    u = np.exp(2j * np.pi * rng.random((4000, 12)))
    psi = (1j + u) / 2
    values = quadratic(psi, z) - 2 * np.real(psi.conj() @ b)
    bound = float(LORENTZ(z, b))
    assert bound <= values.min()
    bordered = np.zeros((13, 13), complex)
    bordered[:12, :12], bordered[:12, 12] = -z / 4, (2 * b - 1j * z.sum(1)) / 4
    bordered[12, :12] = bordered[:12, 12].conj()
    # What is left of f does not depend on u.
    constant = values[0] + quadratic(np.append(u[0], 1), bordered)
    relaxed = relaxation(bordered)
    assert bound == pytest.approx(constant - relaxed, abs=1e-6 * relaxed)


# Signs (B16, B17)


def test_sign_bound_lies_between_the_sphere_and_the_best_signs():
    """Acceptance check 7, and the order of section 6; forty instances."""
    for seed in range(40):
        a, q = sign_problem(seed)
        f = values_of_signs(a, q)
        bound = float(SIGNS(a, q))
        assert bound <= f.min()
        assert bound >= f.min() - 0.15 * np.ptp(f)
        assert bound >= float(SPHERE(a, q).bound) - 1e-9 * np.ptp(f)


def test_sign_bound_is_the_semidefinite_relaxation():
    a, q = sign_problem(1)
    x = cvxpy.Variable((11, 11), symmetric=True)
    form = np.block([[a, -q[:, None]], [-q[None], np.zeros((1, 1))]])
    value = cvxpy.trace(form @ x)
    best = cvxpy.Problem(cvxpy.Minimize(value), [x >> 0, cvxpy.diag(x) == 1]).solve(solver="CLARABEL")
    assert float(SIGNS(a, q)) == pytest.approx(best, rel=1e-6)


def test_gap_of_signs_is_proven_and_nothing_but_optima_is_accepted():
    """Acceptance check 7: all signs of every problem, with strong linear parts besides, which have provable optima."""
    accepted = 0
    for seed in range(40):
        a, q = sign_problem(seed)
        q = 10.0 ** (seed % 4 - 1) * q
        f = values_of_signs(a, q)
        gaps = np.asarray(GAPS(a, q, EVERY_SIGN))
        assert (f - f.min() <= gaps).all()
        small, pull, scale = normalised(jnp.asarray(a), jnp.asarray(q))
        proven = np.asarray(PROVEN(small, pull, EVERY_SIGN))
        optimal = f - f.min() <= 1e-9 * np.ptp(f)
        for accept in (proven, gaps <= 1e-9 * float(scale)):
            assert not (accept & ~optimal).any()
            accepted += accept.sum()
        still = STILL(small, pull, EVERY_SIGN[::97])
        assert (values_of_signs(a, q, np.asarray(still)) - f.min() <= np.asarray(GAPS(a, q, still))).all()
    assert accepted >= 20


def test_gap_of_one_sign_is_exact():
    a, q = jnp.array([[0.7]]), jnp.array([1.3])
    assert float(GAPS(a, q, -jnp.ones((1, 1)))[0]) == pytest.approx(4 * 1.3, rel=1e-12)
    assert float(GAPS(a, q, jnp.ones((1, 1)))[0]) == 0


# Least SINR of one layer (B18)


@pytest.fixture(scope="module")
def pair():
    """Two layers of four atoms, two users; a function of the seed."""
    stack = StackedSurface.build(
        n_layers=2,
        max_layers=2,
        n_elements=4,
        n_ports=2,
        wavelength=1.0,
        element_spacing=0.5,
        antenna_spacing=0.5,
        layer_spacing=0.5,
        pattern=FieldSample(0.25),
    )

    def draw(seed):
        link = Link.broadcast(
            stack, jnp.asarray(gaussian(seed, 2, 1, 4)), noise_power=0.05, bandwidth=1.0, frequency=6e9
        )
        state = jnp.asarray(np.exp(2j * np.pi * np.random.default_rng(seed).random((2, 4))))
        return link, state, jnp.asarray(gaussian(seed + 5, 2, 2, 1))

    return draw


def test_least_sinr_bound_exceeds_every_grid(pair):
    """Acceptance check 7: N = 4, K = 2, four instances."""
    bound = jax.jit(lambda link, state, f: least_sinr_bound(link, state, f, 1))
    early = [jax.jit(lambda *p, n=n: least_sinr_bound(*p, 1, max_steps=n)) for n in (0, 3)]
    rest = circle_grid(3, 60)
    phi = np.concatenate([np.ones((len(rest), 1)), rest], 1)
    for seed in range(4):
        link, state, f = pair(seed)
        # The response is linear in the phases of one layer.
        units = [link.surfaces[0].response(state.at[1].set(e))[0] for e in np.eye(4, dtype=complex)]
        received = np.einsum("kn,enp,ip->eki", link.channel[0, 0, :, 0], np.array(units), f[..., 0])
        power = np.abs(np.tensordot(phi, received, 1)) ** 2
        own = np.diagonal(power, axis1=1, axis2=2)
        sinr = own / (power.sum(2) - own + 0.05)
        best = sinr.min(1).max()
        found = float(bound(link, state, f))
        assert best <= found <= 1.1 * best
        assert all(float(b(link, state, f)) >= best for b in early)


# One chain (B20)


@pytest.mark.parametrize("n", [1, 3, 10])
def test_amplitudes_of_one_chain_are_the_largest(n):
    patterns = np.array(list(itertools.product([0.0, 1.0], repeat=n)))
    rng = np.random.default_rng(n)
    for seed in range(20):
        z = gaussian(seed, n)
        # Equal and opposite directions, both signs of zero.
        z = [z, z.real + 0j, (z.real + 0j).conj(), 1j ** rng.integers(0, 4, n)][seed % 4]
        on_off, lorentz = float(ON_OFF(z)), float(LORENTZIAN(z))
        assert on_off == pytest.approx(np.abs(patterns @ z).max(), rel=1e-10)
        assert on_off == pytest.approx(np.abs(z @ best_binary_states(z)), rel=1e-10)
        assert lorentz == pytest.approx(np.abs(z @ best_lorentz_states(z)), rel=1e-10)
        draws = (1j + np.exp(2j * np.pi * rng.random((500, n)))) / 2
        assert np.abs(draws @ z).max() <= lorentz
        assert on_off <= lorentz * (1 + 1e-9)
        assert float(ON_OFF(3 * z)) == pytest.approx(3 * on_off, rel=1e-12)
