"""Complex kernels of the hot paths.

XLA's own complex product on CPU is three to five times slower than three real products of the same size
(benchmarks/), and for matrices of a few antennas the call itself costs more than the work, so no loop of this package
uses `@` or `einsum` on complex arrays: they call `cmatmul`, or `matmul_planes` where one factor is fixed and can be
prepared once. On accelerators both fall back to the native product.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

_TINY = 512
"""Multiplications up to which a sum of products, which XLA fuses with its neighbours, is faster on a CPU."""

_SMALL = 4096
"""Multiplications up to which XLA's own complex product is faster on a CPU, to compile, too."""


def hermitian(a: Inexact[Array, "... m n"]) -> Inexact[Array, "... n m"]:
    """Return the conjugate transpose of the last two axes."""
    return jnp.swapaxes(a.conj(), -1, -2)


def cmatmul(a: Inexact[Array, "... m k"], b: Inexact[Array, "... k n"]) -> Inexact[Array, "... m n"]:
    """Multiply complex matrices over the last two axes (leading axes broadcast).

    (a' + ja'')(b' + jb'') needs three real products instead of four:
    t = (a' + a'') b', real part t - a'' (b' + b''), imaginary part t + a' (b'' - b').

    Args:
        a: left factor.
        b: right factor.

    Returns:
        The product.
    """
    both_complex = jnp.iscomplexobj(a) and jnp.iscomplexobj(b)
    multiplications = a.shape[-2] * a.shape[-1] * b.shape[-1]
    if jax.default_backend() == "cpu" and multiplications <= _TINY:
        return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)
    if not both_complex or multiplications <= _SMALL or jax.default_backend() != "cpu":
        return a @ b  # real product, small, or native on an accelerator
    t = (a.real + a.imag) @ b.real  # real product
    return jax.lax.complex(t - a.imag @ (b.real + b.imag), t + a.real @ (b.imag - b.real))  # real product


def planes(b: Complex[Array, "... k n"]) -> Float[Array, "... 3 k n"]:
    """Prepare a fixed right factor b' + jb'' for `matmul_planes`: b', b'' - b', b' + b''."""
    return jnp.stack([b.real, b.imag - b.real, b.real + b.imag], axis=-3)


@jax.custom_batching.custom_vmap
def matmul_planes(a: Complex[Array, "m k"], b: Float[Array, "3 k n"]) -> Complex[Array, "m n"]:
    """Multiply by a factor that `planes` has prepared; one batched real product of three.

    Under `vmap` over the left factor all rows of the batch enter one product. Not differentiable by itself: its callers
    have closed-form gradients.

    Args:
        a: left factor.
        b: planes of the right factor.

    Returns:
        The product.
    """
    if jax.default_backend() != "cpu":
        return a @ jax.lax.complex(b[0], b[0] + b[1])  # native on an accelerator
    left = jnp.stack([a.real + a.imag, a.real, a.imag])
    t = jax.lax.dot_general(left, b, (((2,), (1,)), ((0,), (0,))))
    return jax.lax.complex(t[0] - t[2], t[0] + t[1])


@matmul_planes.def_vmap
def _merge_rows(
    axis_size: int, in_batched: list[bool], a: Complex[Array, "..."], b: Float[Array, "..."]
) -> tuple[Complex[Array, "batch m n"], bool]:
    a_batched, b_batched = in_batched
    if not b_batched:
        out = matmul_planes(a.reshape(-1, a.shape[-1]), b)
        return out.reshape(axis_size, -1, out.shape[-1]), True
    a = a if a_batched else jnp.broadcast_to(a, (axis_size, *a.shape))
    return cmatmul(a, jax.lax.complex(b[:, 0], b[:, 0] + b[:, 1])), True


def logdet_hermitian(a: Inexact[Array, "... n n"]) -> Float[Array, "..."]:
    """Return ln det of a Hermitian positive definite matrix; closed form up to 2 x 2, Cholesky above."""
    n = a.shape[-1]
    if n == 1:
        return jnp.log(a[..., 0, 0].real)
    if n == 2:
        return jnp.log(_det2(a))
    return 2 * jnp.log(jnp.diagonal(jnp.linalg.cholesky(a), axis1=-2, axis2=-1).real).sum(-1)


def inverse_hermitian(a: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
    """Return the inverse of a Hermitian positive definite matrix; closed form up to 2 x 2, Cholesky above."""
    n = a.shape[-1]
    if n == 1:
        return 1 / a
    if n == 2:
        swapped = jnp.stack(
            [jnp.stack([a[..., 1, 1], -a[..., 0, 1]], -1), jnp.stack([-a[..., 1, 0], a[..., 0, 0]], -1)], -2
        )
        return swapped / _det2(a)[..., None, None]
    root = jnp.linalg.cholesky(a)
    half = jax.scipy.linalg.solve_triangular(root, jnp.broadcast_to(jnp.eye(n, dtype=a.dtype), a.shape), lower=True)
    return cmatmul(hermitian(half), half)


@jax.custom_jvp
def solve(a: Inexact[Array, "n n"], b: Inexact[Array, "n m"]) -> Inexact[Array, "n m"]:
    """Return a^-1 b for a few right-hand sides, from one LU of [a b].

    Elimination turns b into L^-1 P b on its way, so neither the permutation nor the first triangular solve is left to
    do, which for matrices of 64 rows cost a third of the factorisation. Derivatives are those of `jnp.linalg.solve` and
    take its way, where value and derivative share a factorisation.

    Args:
        a: regular matrix.
        b: right-hand sides.

    Returns:
        The solution.

    >>> jax.config.update("jax_enable_x64", True)
    >>> solve(jnp.array([[0.0, 2.0], [1.0, 1.0]]), jnp.array([[2.0], [3.0]])).ravel().tolist()
    [2.0, 1.0]
    """
    n = a.shape[-1]
    eliminated = jax.lax.linalg.lu(jnp.concatenate([a, b], axis=-1))[0]
    return jax.lax.linalg.triangular_solve(eliminated[..., :n], eliminated[..., n:], left_side=True, lower=False)


@solve.defjvp
def _solve_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    return jax.jvp(jnp.linalg.solve, primals, tangents)


def squared_norm(a: Inexact[Array, "..."], axis: int | tuple[int, ...] | None = None) -> Float[Array, "..."]:
    """Return the sum of |a|^2 over the given axes (all by default)."""
    return (a.real**2 + a.imag**2).sum(axis)


def eigenvalue_bound(a: Complex[Array, "n n"]) -> Float[Array, ""]:
    """Return (tr A^16)^(1/16): no less than the largest eigenvalue of A >= 0, and at most n^(1/16) times it.

    Three squares of small matrices, where eigenvalues cost many times as much. With A = X + jY a square is
    X X - Y Y + j (X Y + Y X), whose four products are the blocks of one real product: in two thirds of the time that
    the complex ones take.
    """
    n = len(a)
    trace = jnp.trace(a).real
    power = a / jnp.where(trace > 0, trace, 1)
    x, y = power.real, power.imag
    for _ in range(3):
        blocks = jnp.concatenate([x, y]) @ jnp.concatenate([x, y], axis=1)  # real product
        x, y = blocks[:n, :n] - blocks[n:, n:], blocks[:n, n:] + blocks[n:, :n]
    return trace * ((x**2 + y**2).sum()) ** (1 / 16)


def _det2(a: Inexact[Array, "... 2 2"]) -> Float[Array, "..."]:
    return (a[..., 0, 0] * a[..., 1, 1]).real - (a[..., 0, 1] * a[..., 1, 0]).real


@jax.custom_jvp
def inverse_root(a: Inexact[Array, "n n"]) -> Inexact[Array, "n n"]:
    """Return a^(-1/2) of a positive definite matrix; equal eigenvalues do not disturb its derivative."""
    values, vectors = jnp.linalg.eigh(a)
    return cmatmul(vectors / jnp.sqrt(values), hermitian(vectors))


@inverse_root.defjvp
def _inverse_root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """In the eigenbasis, (f_i - f_j) / (v_i - v_j) = -1 / (s_i s_j (s_i + s_j)) with s the roots of the eigenvalues."""
    (a,), (da,) = primals, tangents
    values, vectors = jnp.linalg.eigh(a)
    s = jnp.sqrt(values)
    inner = cmatmul(hermitian(vectors), cmatmul(da, vectors))
    inner = -inner / (s[:, None] * s * (s[:, None] + s))
    turned = cmatmul(vectors, cmatmul(inner, hermitian(vectors)))
    return cmatmul(vectors / s, hermitian(vectors)), turned
