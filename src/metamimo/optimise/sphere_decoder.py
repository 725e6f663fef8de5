"""Quadratics over signs, solved to the global optimum by accelerated sphere decoding (Zhi et al. 2025, Algorithm 1).

With A + diag(shift) = R^T R the shift adds a constant, and min |c - R x|^2 over signs is searched depth first from the
last variable to the first, the nearer sign first. A branch ends where its metric, plus a lower bound of what the rest
must add, reaches the best point found.
"""

from typing import Any, Literal, NamedTuple, get_args, no_type_check

import numpy as np
from numba import njit

from metamimo.errors import ConfigError

Variant = Literal["original", "optimal-condition", "lower-bound", "proposed", "shifted"]

_RIDGE = 1e-3
"""Shift of the diagonal over the largest entry; a tiny one would cost the metric all its digits."""

_STRICT = 1e-10
"""Relative improvement that counts as better."""

_SWEEPS = 200
_STILL = 1e-7


class Decoded(NamedTuple):
    """Result of a sphere decoding.

    Attributes:
        x: best signs found.
        nodes: partial assignments whose metric was computed; the sibling of one that fails is not looked at.
        known: variables that the optimality condition decides beforehand.
        finished: whether the search came to its end, which proves that x is optimal.
    """

    x: np.ndarray
    nodes: int
    known: int
    finished: bool


def decode(
    a: np.ndarray, q: np.ndarray, start: np.ndarray, *, variant: Variant = "proposed", max_nodes: int = 10**6
) -> Decoded:
    """Minimise F(x) = x^T A x - 2 q^T x over x in {-1, +1}^n.

    Args:
        a: A, symmetric, shape (n, n).
        q: q, shape (n,).
        start: signs that the search has to beat.
        variant: `original` prunes by the metric alone; `optimal-condition` decides variables beforehand (Lemma 3);
            `lower-bound` bounds the rest of a branch by its relaxation to the sphere (eqs. 58 to 60); `proposed` does
            both; `shifted` besides moves the diagonal to where the bound at the root is best.
        max_nodes: the search gives up after so many nodes.

    Returns:
        The best signs and what the search took.

    Raises:
        ConfigError: if the variant is unknown or `max_nodes` not positive.

    >>> decode(np.eye(2), np.array([3.0, -1.0]), np.ones(2)).x.tolist()
    [1.0, -1.0]
    """
    if variant not in get_args(Variant):
        raise ConfigError(f"variant: must be one of {', '.join(get_args(Variant))}, got {variant!r}")
    if max_nodes < 1:
        raise ConfigError(f"max_nodes: must be at least 1, got {max_nodes}")
    scale = max(np.abs(a).max(), np.abs(q).max())
    a, q = (a, q) if scale == 0 else (a / scale, q / scale)
    with_condition = variant in ("optimal-condition", "proposed", "shifted")
    known = decide(a, q) if with_condition else np.zeros(len(q))
    free = known == 0
    x = np.where(free, start, known)
    if not free.any():
        return Decoded(x, 0, len(q), True)
    inner, pull = a[np.ix_(free, free)], q[free] - a[np.ix_(free, ~free)] @ known[~free]  # real product
    shift = _best_shift(inner, pull) if variant == "shifted" else np.zeros(len(inner))
    tree = _Tree.of(inner, pull, shift, bounded=variant in ("lower-bound", "proposed", "shifted"))
    best = np.where(known[free] == 0, x[free], 0.0)
    nodes, finished = _search(*tree, best, max_nodes)
    x[free] = best
    return Decoded(x, int(nodes), int((~free).sum()), bool(finished))


@njit(cache=True)
@no_type_check
def decide(a: Any, q: Any) -> Any:
    """Return the signs that every optimum has (Lemma 3, iterated), 0 where nothing is known.

    No flip improves an optimum, so q_i above the sum of |A_ij| over the free j /= i forces x_i = 1, and likewise -1;
    variables that are decided move into q.
    """
    n = q.size
    known, rest = np.zeros(n), q.copy()
    changed = True
    while changed:
        changed = False
        fresh = np.zeros(n)
        for i in range(n):
            if known[i] == 0:
                reach = 0.0
                for j in range(n):
                    if j != i and known[j] == 0:
                        reach += abs(a[i, j])
                if abs(rest[i]) > reach:
                    fresh[i] = 1.0 if rest[i] > 0 else -1.0
        for i in range(n):
            if fresh[i] != 0:
                known[i] = fresh[i]
                rest -= a[:, i] * fresh[i]
                changed = True
    return known


class _Tree(NamedTuple):
    """What the search needs: R^T, c, and for every leading block eigenvalues and W = Q^T R_k^T of its relaxation."""

    columns: np.ndarray
    c: np.ndarray
    values: np.ndarray
    maps: np.ndarray

    @classmethod
    def of(cls, a: np.ndarray, q: np.ndarray, shift: np.ndarray, bounded: bool) -> "_Tree":
        n = len(q)
        shifted = a + np.diag(shift)
        largest = max(np.abs(shifted).max(), np.abs(q).max())
        ridge = _RIDGE * (largest if largest > 0 else 1.0) + max(0.0, -np.linalg.eigvalsh(shifted)[0])
        lower = np.linalg.cholesky(shifted + ridge * np.eye(n))
        levels = n if bounded else 0
        values, maps = np.zeros((levels, n)), np.zeros((levels, n, n))
        for k in range(1, levels):
            block = np.ascontiguousarray(lower[:k, :k].T)
            values[k, :k], vectors = np.linalg.eigh(block.T @ block)  # real product
            maps[k, :k, :k] = vectors.T @ block.T  # real product
        return cls(lower, np.linalg.solve(lower, q), values, maps)


@njit(cache=True)
@no_type_check
def _search(columns: Any, c: Any, values: Any, maps: Any, best: Any, max_nodes: int) -> Any:
    """Search the tree; `best` holds the signs to beat and then the best ones. Return nodes and whether it ended."""
    n, bounded = c.size, values.shape[0] > 0
    radius = 0.0
    for i in range(n):
        rest = c[i]
        for j in range(i, n):
            rest -= columns[j, i] * best[j]
        radius += rest * rest
    strict = _STRICT * max(1.0, radius)
    x, metric, tried = np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    rest = np.zeros((n, n))  # rest[k, :k + 1] = c - R x over the variables after k
    rest[n - 1] = c
    b = np.zeros(n)
    k, nodes = n - 1, 0
    while True:
        if tried[k] == 2:
            k += 1
            if k == n:
                return nodes, True
            continue
        sign = 1.0 if rest[k, k] >= 0 else -1.0
        if tried[k] == 1:
            sign = -sign
        tried[k] += 1
        if nodes == max_nodes:
            return nodes, False
        nodes += 1
        error = rest[k, k] - columns[k, k] * sign
        reached = metric[k] + error * error
        if reached >= radius - strict:
            tried[k] = 2  # the other sign is farther
            continue
        x[k] = sign
        if k == 0:
            radius = reached
            best[:] = x
            tried[0] = 2
            continue
        for i in range(k):
            rest[k - 1, i] = rest[k, i] - columns[k, i] * sign
        if bounded and _exceeds(values[k], maps[k], rest[k - 1], b, k, radius - strict - reached):
            continue
        metric[k - 1] = reached
        k -= 1
        tried[k] = 0


@njit(cache=True)
@no_type_check
def _exceeds(values: Any, map_: Any, rest: Any, b: Any, k: int, room: float) -> bool:
    """Tell whether min |rest - R_k x|^2 over the sphere |x|^2 = k is proven to be at least `room`.

    The dual value |rest|^2 - sum b_i^2 / (lambda_i + eta) - eta k bounds it for every eta >= -lambda_min; eta follows
    Newton's method from the left, and the first value that is large enough decides.
    """
    norm = 0.0
    for i in range(k):
        total = 0.0
        for j in range(k):
            total += map_[i, j] * rest[j]
        b[i] = total
        norm += rest[i] * rest[i]
    shift = abs(b[0]) / np.sqrt(k)
    for _ in range(50):
        bent, square, cube = 0.0, 0.0, 0.0
        for i in range(k):
            if b[i] != 0:
                gap = values[i] - values[0] + shift
                over = b[i] / gap
                bent += b[i] * over
                square += over * over
                cube += over * over / gap
        if norm + values[0] * k - bent - shift * k >= room:
            return True
        if cube == 0:
            return False
        move = (np.sqrt(square / k) - 1) * square / cube
        if move <= 1e-13 * shift:
            return False
        shift += move
    return False


@njit(cache=True)
@no_type_check
def _unit_rows(c: Any, v: Any, sweeps: int, still: float) -> Any:
    """Minimise sum C_ij v_i^T v_j over unit vectors, one after the other (mixing method), and return |sum_j C_ij v_j|.

    These are the multipliers of the semidefinite relaxation: C + diag of them is positive semidefinite at its optimum.
    """
    n, rank = v.shape
    size = np.zeros(n)
    for _ in range(sweeps):
        moved = 0.0
        for i in range(n):
            g = np.zeros(rank)
            for j in range(n):
                if j != i:
                    g += c[i, j] * v[j]
            size[i] = np.sqrt((g * g).sum())
            if size[i] > 0:
                new = -g / size[i]
                moved = max(moved, np.abs(new - v[i]).max())
                v[i] = new
        if moved < still:
            break
    return size


def _best_shift(a: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the shift for which the relaxation to the sphere is as good as Shor's semidefinite program."""
    n = len(q)
    homogeneous = np.zeros((n + 1, n + 1))
    homogeneous[:n, :n] = a - np.diag(np.diag(a))
    homogeneous[:n, n] = homogeneous[n, :n] = -q
    rank = int(np.sqrt(2 * (n + 1))) + 2
    start = np.random.default_rng(0).standard_normal((n + 1, rank))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    return _unit_rows(homogeneous, start, _SWEEPS, _STILL)[:n] - np.diag(a)
