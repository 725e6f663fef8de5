"""The relaxation of one layer by the interior-point solver Clarabel: the reference, on the host.

Clarabel gets its matrices directly. What depends on the number of elements only is made once; CVXPY would put its own
compilation before the same solver.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float
from scipy import sparse

from metamimo.linalg import cmatmul, squared_norm
from metamimo.optimise.cone_programs import call_host, clarabel_module
from metamimo.optimise.low_rank_sdp import Objective, dual_bound, proves_infeasible
from metamimo.tuners.layer_relaxation import LayerRelaxation, Relaxed

_TOLERANCE = 1e-7
"""On gap and feasibility. With 1e-8 Clarabel stops at the same point and calls it almost solved."""

_REDUCED = 1e-5
"""Tolerance of `almost solved`, which is accepted as well."""

_STATUSES = ("Solved", "AlmostSolved")

Vector = Float[np.ndarray, " row"]


def relax_clarabel(problem: LayerRelaxation) -> Relaxed:
    """Solve by Clarabel: exponential cones for ln T_k, one semidefinite cone for the real form of Psi.

    Inside jit this is a call back to the host. Where Clarabel finds no solution, the largest common slack of the
    constraints is sought in a second run; its dual variables prove infeasibility, if it is that.

    Args:
        problem: what to solve.

    Returns:
        The solution. The bound is Clarabel's dual solution, made valid by the repair of `dual_bound`.

    Raises:
        ShapeError: if the coefficients are too large for a call back to the host; `low_rank` takes any size.
    """
    rows, constraints = problem.rows, problem.constraints
    n, count = rows.shape[1], constraints.lower.size
    answer = _Answer(
        jax.ShapeDtypeStruct((n, n), complex),
        jax.ShapeDtypeStruct((count,), float),
        jax.ShapeDtypeStruct((n,), float),
        jax.ShapeDtypeStruct((), bool),
    )
    numbers = (rows, constraints.coefficients, constraints.lower, problem.interference)
    both = call_host(_solve_on_host, (*answer, *answer), *numbers)
    found, proof = _Answer(*both[: len(answer)]), _Answer(*both[len(answer) :])

    def surrogate(t: Float[Array, " row"]) -> Float[Array, ""]:
        return problem.surrogate(t)

    factor, t, diagonal = _dual_point(problem, surrogate, found)
    bound = dual_bound(surrogate, rows, factor, constraints, found.multipliers, diagonal)
    solved = found.solved & (constraints.violation(t) < _REDUCED)
    other, _, diagonal = _dual_point(problem, lambda t: 0 * t.sum(), proof)
    infeasible = ~found.solved & proves_infeasible(rows, other, constraints, proof.multipliers, diagonal)
    return Relaxed(factor, surrogate(t), bound, solved, infeasible)


class _Answer(NamedTuple):
    """What a run on the host returns: Psi, duals of the constraints and of the semidefinite cone, and success."""

    psi: Any
    multipliers: Any
    diagonal: Any
    solved: Any


def _dual_point(
    problem: LayerRelaxation, objective: Objective, found: _Answer
) -> tuple[Complex[Array, "element rank"], Float[Array, " row"], Float[Array, " element"]]:
    """Return Y, its traces, and y of the dual problem from the diagonal of the semidefinite dual Diag(y) - C."""
    value, vector = jnp.linalg.eigh(found.psi)
    # What the solver left below zero is cut off.
    factor = vector * jnp.sqrt(jnp.maximum(value, 0))
    factor = factor / jnp.sqrt(squared_norm(factor, 1))[:, None]
    t = squared_norm(cmatmul(problem.rows, factor), 1)
    held = jnp.maximum(found.multipliers, 0) @ problem.constraints.coefficients  # real product
    weights = jax.grad(objective)(t) + held
    return factor, t, found.diagonal + weights @ squared_norm(problem.rows[..., None], -1)  # real product


def _solve_on_host(rows: Any, coefficients: Any, lower: Any, interference: Any) -> tuple[Any, ...]:
    """Solve; where that fails, seek the proof of infeasibility."""
    cone = _Cone(rows)
    inequalities = coefficients @ cone.slopes  # host, once
    offset = coefficients @ cone.constants - lower  # host, once
    found = _maximise_surrogate(inequalities, offset, interference, cone)
    return *found, *(found if found.solved else _maximise_slack(inequalities, offset, cone))


class _Cone:
    """The real form [[X, -Y], [Y, X]] of Psi = X + jY over its off-diagonal entries, and traces as affine functions."""

    def __init__(self, rows: Complex[np.ndarray, "row element"]) -> None:
        self.rows, self.n = rows, rows.shape[1]
        self.first, self.second, self.map, self.constant = _structure(self.n)
        products = rows[:, self.first] * rows[:, self.second].conj()
        # t_j = constant_j + slopes_j x, with x the real and imaginary parts of the entries above the diagonal.
        self.slopes = 2 * np.concatenate([np.real(products), -np.imag(products)], 1)
        self.constants = (np.abs(rows) ** 2).sum(1)

    def matrix(self, x: Vector) -> Complex[np.ndarray, "element element"]:
        psi = np.eye(self.n, dtype=complex)
        real, imaginary = np.split(x, 2)
        psi[self.first, self.second] = real + 1j * imaginary
        psi[self.second, self.first] = real - 1j * imaginary
        return psi

    def solve(self, cost: Vector, first: tuple[Any, Any], last: list[tuple[Any, Any]], cones: list) -> _Answer:
        """Minimise cost^T [x, extra] with A and b of the inequalities, then those of further cones."""
        clarabel = clarabel_module()
        size, entries, count = cost.size, self.map.shape[1], len(first[1])
        semidefinite = sparse.hstack([-self.map, sparse.csc_matrix((self.map.shape[0], size - entries))])
        a = sparse.vstack([first[0], semidefinite, *(block[0] for block in last)], format="csc")
        b = np.concatenate([first[1], self.constant, *(block[1] for block in last)])
        cones = [clarabel.NonnegativeConeT(count), clarabel.PSDTriangleConeT(2 * self.n), *cones]
        none = sparse.csc_matrix((size, size))
        solution = clarabel.DefaultSolver(none, cost, a, b, cones, _settings()).solve()
        dual = np.asarray(solution.z)
        diagonal = dual[count : count + self.constant.size][self.constant > 0].reshape(2, self.n).sum(0)
        psi = self.matrix(np.asarray(solution.x)[:entries])
        solved = np.asarray(str(solution.status) in _STATUSES)
        # Where it breaks down numbers may be missing; what is not a number would not come through an eigensolver.
        return _Answer(np.nan_to_num(psi), np.nan_to_num(dual[:count]), np.nan_to_num(diagonal), solved)


def _maximise_surrogate(inequalities: Any, offset: Any, interference: Vector, cone: _Cone) -> _Answer:
    """Maximise sum_k [e_k - I_k / I'_k] with exp(e_k) <= T_k / I'_k."""
    users = len(interference)
    slopes, constants = (x[:-1].reshape(users, users, -1) for x in (cone.slopes, cone.constants))
    own, entries = np.arange(users), cone.slopes.shape[1]
    total = slopes.sum(1) / interference[:, None]
    cost = np.concatenate([(total - slopes[own, own] / interference[:, None]).sum(0), -np.ones(users)])
    a, b = np.zeros((users, 3, cost.size)), np.zeros((users, 3))
    a[own, 0, entries + own] = -1
    a[:, 2, :entries] = -total
    b[:, 1] = 1
    b[:, 2] = (constants.sum((1, 2)) + 1) / interference
    first = (sparse.csc_matrix(np.pad(-inequalities, ((0, 0), (0, users)))), offset)
    last = (sparse.csc_matrix(a.reshape(3 * users, -1)), b.ravel())
    return cone.solve(cost, first, [last], [clarabel_module().ExponentialConeT()] * users)


def _maximise_slack(inequalities: Any, offset: Any, cone: _Cone) -> _Answer:
    """Maximise s <= 1 with slacks of at least s."""
    count, entries = inequalities.shape
    a = np.zeros((count + 1, entries + 1))
    a[:count, :-1], a[:, -1] = -inequalities, 1
    cost = np.append(np.zeros(entries), -1.0)
    found = cone.solve(cost, (sparse.csc_matrix(a), np.append(offset, 1.0)), [], [])
    return found._replace(multipliers=found.multipliers[:-1])


@lru_cache(maxsize=8)
def _structure(n: int) -> tuple[np.ndarray, np.ndarray, Any, Vector]:
    """Return indices above the diagonal and the affine map to Clarabel's scaled upper triangle, column by column."""
    first, second = np.triu_indices(n, 1)
    count = first.size
    entry = np.arange(count)

    def place(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return column * (column + 1) // 2 + row

    rows = [place(first, second), place(first + n, second + n), place(first, second + n), place(second, first + n)]
    columns = [entry, entry, count + entry, count + entry]
    values = np.sqrt(2) * np.repeat([1.0, 1.0, -1.0, 1.0], count)
    height = n * (2 * n + 1)
    affine = sparse.csc_matrix((values, (np.concatenate(rows), np.concatenate(columns))), shape=(height, 2 * count))
    constant = np.zeros(height)
    diagonal = np.arange(2 * n)
    constant[place(diagonal, diagonal)] = 1
    return first, second, affine, constant


def _settings() -> Any:
    settings = clarabel_module().DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    # Supernodal: nine times faster than the default at 36 elements, whose semidefinite block is dense.
    settings.direct_solve_method = "faer"
    for name in ("tol_gap_abs", "tol_gap_rel", "tol_feas"):
        setattr(settings, name, _TOLERANCE)
        setattr(settings, f"reduced_{name}", _REDUCED)
    return settings
