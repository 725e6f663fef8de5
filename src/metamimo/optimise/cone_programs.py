"""Cone programs solved by Clarabel on the host, and the way from a JAX program to such host code."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from metamimo.errors import ShapeError

LARGEST_ARGUMENT = 65536
"""Bytes of an array that JAX copies at once on its way to a callback. It leaves larger ones (from 100 KB on, JAX 0.10)
to its own threads, and where the only one waits for the callback, both wait forever."""


class Cone(NamedTuple):
    """Rows g and offsets of a condition g x + offset in K.

    Attributes:
        kind: K: "Zero", "Nonnegative", "SecondOrder" (the first entry bounds the norm of the others) or "Exponential"
            (v exp(u / v) <= w for the entries u, v, w).
        g: coefficients, shape (row, unknown).
        offset: constants, shape (row,).
    """

    kind: str
    g: np.ndarray
    offset: np.ndarray


def square_cone(rows: np.ndarray, constant: float, bound: np.ndarray, bound_offset: float = 0.0) -> Cone:
    """Return the condition |rows x|^2 + constant^2 <= bound x + bound_offset."""
    g = np.vstack([bound, bound, 2 * rows, np.zeros_like(bound)])
    offset = np.zeros(len(g))
    offset[[0, 1, -1]] = bound_offset + 1, bound_offset - 1, 2 * constant
    return Cone("SecondOrder", g, offset)


def clarabel_module() -> Any:
    """Return the solver's module, loaded where it is needed; it ships no types."""
    import clarabel

    return clarabel


def solve_cones(cost: np.ndarray, cones: Sequence[Cone]) -> np.ndarray | None:
    """Minimise cost x under conic conditions by Clarabel's interior point method, on one thread.

    Args:
        cost: c, shape (unknown,).
        cones: the conditions.

    Returns:
        x, or None where the solver has none; it may be inexact, so the caller must measure it.
    """
    from scipy.sparse import csc_matrix

    clarabel = clarabel_module()

    of_size = {
        "Zero": clarabel.ZeroConeT,
        "Nonnegative": clarabel.NonnegativeConeT,
        "SecondOrder": clarabel.SecondOrderConeT,
        "Exponential": lambda _: clarabel.ExponentialConeT(),
    }
    kinds = [of_size[cone.kind](len(cone.g)) for cone in cones]
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    g, offset = np.vstack([cone.g for cone in cones]), np.concatenate([cone.offset for cone in cones])
    quadratic = csc_matrix((len(cost), len(cost)))
    # A new solver for every program: a reused one keeps the scaling of its first numbers, and the result would depend
    # on what was solved before.
    x = np.asarray(clarabel.DefaultSolver(quadratic, cost, csc_matrix(-g), offset, kinds, settings).solve().x)
    return x if np.isfinite(x).all() else None


def call_host(
    function: Callable[..., tuple[Any, ...]], expected: tuple[jax.ShapeDtypeStruct, ...], *arrays: Array
) -> tuple[Array, ...]:
    """Call a NumPy function from a JAX program; batches are worked off one item after another.

    Args:
        function: takes NumPy arrays; must not use JAX, which waits for the very thread that runs this call.
        expected: shapes and types of its results.
        *arrays: its arguments, of one item of a batch at most 64 KiB each.

    Returns:
        Its results.

    Raises:
        ShapeError: if an argument is larger, which could stop the program forever.
    """
    largest = max(array.size * array.dtype.itemsize for array in arrays)
    if largest > LARGEST_ARGUMENT:
        raise ShapeError(f"arrays: host code takes at most {LARGEST_ARGUMENT} bytes an array, got {largest}")

    def on_host(*given: Any) -> tuple[np.ndarray, ...]:
        found = function(*(np.asarray(array) for array in given))
        return tuple(np.asarray(array, like.dtype) for array, like in zip(found, expected, strict=True))

    return jax.pure_callback(on_host, expected, *arrays, vmap_method="sequential")
