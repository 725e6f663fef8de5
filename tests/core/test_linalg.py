"""Complex kernels against NumPy's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import gaussian, relative_error

from metamimo.linalg import (
    cmatmul,
    eigenvalue_bound,
    hermitian,
    inverse_hermitian,
    logdet_hermitian,
    matmul_planes,
    planes,
    solve,
    squared_norm,
)


def positive(seed: int, size: int, batch: int = 3) -> np.ndarray:
    a = gaussian(seed, batch, size, size + 1)
    return a @ a.conj().swapaxes(-1, -2) + 0.1 * np.eye(size)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (4, 1)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((2, 9, 12), (12, 10)),
        ((2, 20, 30), (30, 20)),
    ],
)
def test_product_is_numpys(left: tuple, right: tuple) -> None:
    """Sums of products, XLA's own product and three real products take turns as the size grows."""
    a, b = gaussian(0, *left), gaussian(1, *right)
    assert relative_error(cmatmul(jnp.asarray(a), jnp.asarray(b)), a @ b) <= 1e-15 * 10


@pytest.mark.parametrize("which", ["left", "right", "both"])
def test_product_with_real_factors(which: str) -> None:
    a, b = gaussian(0, 3, 4), gaussian(1, 4, 2)
    a, b = (a.real if which != "right" else a), (b.real if which != "left" else b)
    out = cmatmul(jnp.asarray(a), jnp.asarray(b))
    assert out.dtype == (a @ b).dtype
    assert relative_error(out, a @ b) <= 1e-14


def test_product_keeps_single_precision() -> None:
    a, b = gaussian(0, 20, 30).astype(np.complex64), gaussian(1, 30, 20).astype(np.complex64)
    out = cmatmul(jnp.asarray(a), jnp.asarray(b))
    assert out.dtype == jnp.complex64
    assert relative_error(out, a.astype(complex) @ b) <= 1e-6


def test_prepared_factor_gives_the_same_product() -> None:
    a, b = gaussian(0, 5, 7), gaussian(1, 7, 6)
    assert relative_error(matmul_planes(jnp.asarray(a), planes(jnp.asarray(b))), a @ b) <= 1e-14


def test_product_is_as_accurate_as_the_native_one_normwise() -> None:
    """Three real products lose digits of small entries, but not of the norm."""
    a, b = gaussian(0, 60, 60), gaussian(1, 60, 60)
    a = a.real + 1e-8j * a.imag
    exact = a.astype(np.clongdouble) @ b.astype(np.clongdouble)
    assert np.linalg.norm((np.asarray(cmatmul(jnp.asarray(a), jnp.asarray(b))) - exact).astype(complex)) <= (
        1e-15 * np.linalg.norm(a) * np.linalg.norm(b)
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_determinant_and_inverse(size: int) -> None:
    a = positive(size, size)
    np.testing.assert_allclose(logdet_hermitian(jnp.asarray(a)), np.linalg.slogdet(a)[1], rtol=1e-12, atol=1e-12)
    assert relative_error(inverse_hermitian(jnp.asarray(a)), np.linalg.inv(a)) <= 1e-12


@pytest.mark.parametrize(("size", "columns"), [(1, 1), (5, 2), (40, 7)])
def test_solution_and_its_derivatives(size: int, columns: int) -> None:
    """Without a diagonal every matrix but a number needs its pivots."""
    a, b = gaussian(size, size, size), gaussian(size + 1, size, columns)
    a = a - np.diag(np.diag(a)) if size > 1 else a
    da, db = gaussian(size + 2, size, size), gaussian(size + 3, size, columns)
    x, slope = jax.jit(lambda *both: jax.jvp(solve, both, (jnp.asarray(da), jnp.asarray(db))))(a, b)
    expected = np.linalg.solve(a, b)
    tolerance = 1e-15 * size * np.linalg.cond(a)
    assert relative_error(jax.jit(solve)(a, b), expected) <= tolerance
    assert relative_error(x, expected) <= tolerance
    assert relative_error(slope, np.linalg.solve(a, db - da @ expected)) <= tolerance * np.linalg.cond(a)
    weight = gaussian(size + 4, size, columns)
    pulled = jax.jit(jax.grad(lambda right: (weight * solve(jnp.asarray(a), right)).sum().real))(jnp.asarray(b))
    assert relative_error(pulled, np.linalg.solve(a.T, weight)) <= tolerance


@pytest.mark.parametrize("size", [1, 2, 3])
def test_gradient_of_the_determinant_is_the_inverse(size: int) -> None:
    a = jnp.asarray(positive(size, size, 1)[0])
    direction = jnp.asarray(positive(9, size, 1)[0])
    _, slope = jax.jvp(logdet_hermitian, (a,), (direction,))
    assert float(slope) == pytest.approx(np.trace(np.linalg.inv(a) @ direction).real, rel=1e-12)


@pytest.mark.parametrize(("size", "rank"), [(1, 1), (6, 1), (6, 3), (40, 40), (7, 0)])
def test_bound_of_the_largest_eigenvalue_is_one_and_tight(size: int, rank: int) -> None:
    factor = gaussian(size, size, rank) * 1e-9
    a = factor @ factor.conj().T
    largest = np.linalg.eigvalsh(a)[-1]
    bound = float(eigenvalue_bound(jnp.asarray(a)))
    assert largest * (1 - 1e-12) <= bound <= largest * max(rank, 1) ** (1 / 16) * (1 + 1e-12)
    equal = float(eigenvalue_bound(3.0 * jnp.eye(size, dtype=complex)))
    assert equal == pytest.approx(3 * size ** (1 / 16), rel=1e-12)


def test_conjugate_transpose_and_norm() -> None:
    a = gaussian(0, 2, 3, 4)
    np.testing.assert_array_equal(hermitian(jnp.asarray(a)), a.conj().swapaxes(-1, -2))
    np.testing.assert_allclose(squared_norm(jnp.asarray(a), (0, 2)), (np.abs(a) ** 2).sum((0, 2)), rtol=1e-14)
    assert float(squared_norm(jnp.asarray(a))) == pytest.approx(np.linalg.norm(a) ** 2, rel=1e-14)
