"""Semidefinite programs with unit diagonal by low-rank factors, with a dual certificate; pure JAX, inside jit.

The matrix Psi = Y Y^H with rows of Y of norm one is positive semidefinite with unit diagonal by construction, so a
smooth method without constraints on the factor replaces the cone (Burer and Monteiro 2003). The factor's problem is
not convex; what makes an answer trustworthy is the certificate, which holds for the convex problem.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int

from metamimo.conventions import require_x64
from metamimo.errors import ShapeError
from metamimo.linalg import cmatmul, hermitian, squared_norm
from metamimo.optimise.lbfgs import Minimum, minimise, pure

Objective = Callable[[Float[Array, " row"]], Float[Array, ""]]

_NORM_WEIGHT = 1.0
"""Pull of the norms of the rows to one: the objective does not see them, and left alone they grow without limit."""

_FIRST_PENALTY, _PENALTY_GROWTH, _ENOUGH = 10.0, 4.0, 0.25
"""Of the augmented Lagrangian: the penalty grows where the residual does not fall to a quarter."""

_UPDATES = 20
"""Limit of multiplier updates; a handful is usual."""


class Constraints(eqx.Module):
    """Linear inequalities coefficients t >= lower on the traces t.

    Attributes:
        coefficients: of the traces; scale them such that changes of order one matter.
        lower: least value of every combination.
    """

    coefficients: Float[Array, "constraint row"]
    lower: Float[Array, " constraint"]

    def slack(self, traces: Float[Array, " row"]) -> Float[Array, " constraint"]:
        """Return coefficients t - lower."""
        return self.coefficients @ traces - self.lower  # real product

    def violation(self, traces: Float[Array, " row"]) -> Float[Array, ""]:
        """Return the largest violation, zero if all hold."""
        return jnp.max(-self.slack(traces), initial=0.0)


class Feasible(eqx.Module):
    """Result of `find_feasible`.

    Attributes:
        factor: Y with rows of norm one.
        violation: largest violation there.
        multipliers: violation of every constraint.
        infeasible: whether they prove that no Psi satisfies all constraints.
        iterations: L-BFGS iterations.
    """

    factor: Complex[Array, "n rank"]
    violation: Float[Array, ""]
    multipliers: Float[Array, " constraint"]
    infeasible: Bool[Array, ""]
    iterations: Int[Array, ""]


class LowRankOptimum(eqx.Module):
    """Result of `maximise_low_rank`.

    Attributes:
        factor: Y with rows of norm one, Psi = Y Y^H.
        value: objective there.
        multipliers: one a constraint, not negative.
        bound: certificate, no feasible Psi of any rank has a larger objective.
        violation: largest violation of a constraint, zero where converged.
        infeasible: whether it is proven that no Psi satisfies the constraints.
        converged: whether a stationary point was found that satisfies the constraints.
        iterations: L-BFGS iterations, all multiplier updates together.
    """

    factor: Complex[Array, "n rank"]
    value: Float[Array, ""]
    multipliers: Float[Array, " constraint"]
    bound: Float[Array, ""]
    violation: Float[Array, ""]
    infeasible: Bool[Array, ""]
    converged: Bool[Array, ""]
    iterations: Int[Array, ""]


class _Factor(eqx.Module):
    """The traces as a function of a real vector, from which a factor with rows of norm one is made."""

    planes: Float[Array, "part variable"]
    shape: tuple[int, int] = eqx.field(static=True)

    @classmethod
    def of(cls, rows: Complex[Array, "row n"], start: Complex[Array, "size rank"]) -> "_Factor":
        require_x64("a low-rank semidefinite program")
        if start.shape[0] != rows.shape[1]:
            raise ShapeError(f"start: must have {rows.shape[1]} rows, as many as `rows` has columns, got {start.shape}")
        return cls(jnp.block([[rows.real, -rows.imag], [rows.imag, rows.real]]), (start.shape[0], start.shape[1]))

    def pack(self, factor: Complex[Array, "n rank"]) -> Float[Array, " parameter"]:
        z = jnp.stack([factor.real, factor.imag])
        return (z / jnp.sqrt((z**2).sum((0, 2)))[:, None]).ravel()

    def unpack(self, x: Float[Array, " parameter"]) -> Complex[Array, "n rank"]:
        return jax.lax.complex(*self._normalised(x)[0])

    def traces(self, x: Float[Array, " parameter"]) -> tuple[Float[Array, " row"], Float[Array, ""]]:
        """Return the traces and the term that pulls the norms to one."""
        y, norm = self._normalised(x)
        products = self.planes @ y.reshape(-1, self.shape[1])  # real product
        return (products**2).sum(1).reshape(2, -1).sum(0), 0.25 * _NORM_WEIGHT * ((norm - 1) ** 2).sum()

    def _normalised(self, x: Float[Array, " parameter"]) -> tuple[Float[Array, "2 n rank"], Float[Array, " n"]]:
        z = x.reshape(2, *self.shape)
        norm = (z**2).sum((0, 2))
        return z / jnp.sqrt(norm)[:, None], norm


def find_feasible(
    rows: Complex[Array, "row n"],
    start: Complex[Array, "size rank"],
    constraints: Constraints,
    *,
    margin: float = 1e-7,
    tolerance: float = 1e-8,
    max_iterations: int = 3000,
) -> Feasible:
    """Find a matrix with unit diagonal that satisfies linear inequalities, or prove that there is none.

    The sum of squared violations is convex in Psi. Where its minimum is positive, the violations themselves are
    multipliers whose combination of the constraints is negative for every Psi.

    Args:
        rows: a_j of the traces t_j = |a_j^T Y|^2.
        start: first factor, of any positive row norms.
        constraints: what must hold.
        margin: every constraint is sought with this slack, so that it holds in the end although L-BFGS stops early.
        tolerance: absolute gain over ten iterations at which L-BFGS stops.
        max_iterations: limit of iterations.

    Returns:
        The matrix, or the proof.
    """
    factor = _Factor.of(rows, start)
    inner = _with_margin(constraints, margin)

    def violations(x: Float[Array, " parameter"]) -> Float[Array, ""]:
        t, norms = factor.traces(x)
        return 0.5 * (jnp.maximum(-inner.slack(t), 0) ** 2).sum() + norms

    found = minimise(pure(violations), factor.pack(start), tolerance=tolerance, max_iterations=max_iterations)
    t, _ = factor.traces(found.x)
    y, z = factor.unpack(found.x), jnp.maximum(-inner.slack(t), 0)
    violation = constraints.violation(t)
    proven = (violation > 0) & proves_infeasible(rows, y, constraints, z)
    return Feasible(y, violation, z, proven, found.iterations)


def maximise_low_rank(
    objective: Objective,
    rows: Complex[Array, "row n"],
    start: Complex[Array, "size rank"],
    constraints: Constraints,
    *,
    margin: float = 1e-7,
    tolerance: float = 1e-8,
    max_iterations: int = 3000,
) -> LowRankOptimum:
    """Maximise a concave function of traces over the positive semidefinite matrices with unit diagonal.

    Signal model: max g(t), t_j = tr(conj(a_j) a_j^T Psi) = |a_j^T Y|^2, subject to Psi_nn = 1, Psi = Y Y^H >= 0 and
    linear inequalities on t, by an augmented Lagrangian and L-BFGS (Burer and Monteiro 2003, 2005). A start that
    violates the constraints goes through `find_feasible` first.

    Args:
        objective: g, smooth and concave on t >= 0; scale it such that changes of order one matter.
        rows: a_j.
        start: first factor, of any positive row norms. Its number of columns is the rank: with sqrt(n + rows) or more
            there are generically no false maxima. A start of lower rank stays at that rank.
        constraints: inequalities; none are two arrays of length zero.
        margin: slack with which the constraints are held, so that they hold in the end.
        tolerance: absolute gain of the Lagrangian over ten iterations at which L-BFGS stops.
        max_iterations: limit of iterations between two multiplier updates; a small one costs more updates.

    Returns:
        The optimum and its certificate.

    Raises:
        ConfigError: if double precision is off.
        ShapeError: if the arrays do not fit together.

    >>> jax.config.update("jax_enable_x64", True)
    >>> rows, start = jnp.eye(2, dtype=complex) + 1, jnp.array([[1, 0], [1j, 1]])
    >>> none = Constraints(jnp.zeros((0, 2)), jnp.zeros(0))
    >>> found = jax.jit(lambda: maximise_low_rank(jnp.sum, rows, start, none))()
    >>> [round(float(x), 4) for x in (found.value, found.bound)]  # 10 + 8 Re Psi_12
    [18.0, 18.0]
    """
    factor = _Factor.of(rows, start)
    rule = (constraints.lower.size, rows.shape[0])
    if constraints.coefficients.shape != rule:
        raise ShapeError(f"constraints: coefficients must have shape {rule}, got {constraints.coefficients.shape}")
    inner = _with_margin(constraints, margin)

    def climb(x: Float[Array, " parameter"], z: Array, penalty: Array) -> Minimum:
        def lagrangian(x: Float[Array, " parameter"]) -> Float[Array, ""]:
            t, norms = factor.traces(x)
            pull = jnp.maximum(z - penalty * inner.slack(t), 0)
            return norms - objective(t) + (pull @ pull - z @ z) / (2 * penalty)  # real product

        return minimise(pure(lagrangian), x, tolerance=tolerance, max_iterations=max_iterations)

    def update(carry: tuple) -> tuple:
        x, z, penalty, before, i, iterations, _, _ = carry
        found = climb(x, z, penalty)
        slack = inner.slack(factor.traces(found.x)[0])
        z = jnp.maximum(z - penalty * slack, 0)
        # The multiplier of a constraint with slack has not settled, either, before it is zero.
        residual = jnp.max(jnp.abs(jnp.minimum(z, slack)), initial=0.0)
        penalty = jnp.where(residual > _ENOUGH * before, _PENALTY_GROWTH * penalty, penalty)
        # L-BFGS moves the norms a little; every update begins at norm one again.
        x = factor.pack(factor.unpack(found.x))
        settled = (residual <= margin) & (found.flat | found.stalled)
        return x, z, penalty, residual, i + 1, iterations + found.iterations, settled, jnp.isfinite(found.value)

    def going(carry: tuple) -> Array:
        *_, i, _, settled, finite = carry
        return ~settled & finite & (i < _UPDATES)

    def repair() -> Feasible:
        return find_feasible(
            rows, start, constraints, margin=margin, tolerance=tolerance, max_iterations=max_iterations
        )

    def keep() -> Feasible:
        zero, none = jnp.zeros(()), jnp.zeros(constraints.lower.size)
        return Feasible(factor.unpack(factor.pack(start)), zero, none, jnp.asarray(False), jnp.asarray(0))

    violated = constraints.violation(factor.traces(factor.pack(start))[0]) > 0
    first = jax.lax.cond(violated, repair, keep) if constraints.lower.size else keep()
    carry = (
        factor.pack(first.factor),
        jnp.zeros(constraints.lower.size),
        jnp.asarray(_FIRST_PENALTY),
        jnp.asarray(jnp.inf),
        jnp.where(first.infeasible, _UPDATES, 0),
        first.iterations,
        jnp.asarray(False),
        jnp.asarray(True),
    )
    x, z, _, _, _, iterations, settled, finite = jax.lax.while_loop(going, update, carry)
    t, y = factor.traces(x)[0], factor.unpack(x)
    bound = dual_bound(objective, rows, y, constraints, z)
    violation = constraints.violation(t)
    converged = settled & finite & (violation <= 0)
    return LowRankOptimum(y, objective(t), z, bound, violation, first.infeasible, converged, iterations)


def dual_bound(
    objective: Objective,
    rows: Complex[Array, "row n"],
    factor: Complex[Array, "n rank"],
    constraints: Constraints,
    multipliers: Float[Array, " constraint"],
    diagonal: Float[Array, " n"] | None = None,
) -> Float[Array, ""]:
    """Return an upper bound of the problem of `maximise_low_rank` over all Psi, valid whatever is passed in.

    The tangent of g at t(Y) and multipliers z >= 0 of the constraints leave a linear problem max tr(C Psi) with unit
    diagonal, see `linear_bound`. At the optimum the bound equals the value; elsewhere it is weaker, never wrong.
    Rounding is added on the safe side.

    Args:
        objective: g, concave.
        rows: a_j.
        factor: Y with rows of norm one, where the tangent is taken.
        constraints: the inequalities.
        multipliers: any; negative ones count as zero.
        diagonal: y of `linear_bound`.

    Returns:
        The bound.
    """
    z = jnp.maximum(multipliers, 0)
    t = squared_norm(cmatmul(rows, factor), 1)
    value, slope = jax.value_and_grad(objective)(t)
    held = z @ constraints.coefficients  # real product
    linear = linear_bound(rows, slope + held, factor, diagonal)
    eps = jnp.finfo(t.dtype).eps
    # No trace exceeds n |a_j|^2, so this covers a slope that is wrong in its last digits.
    reach = factor.shape[0] * squared_norm(rows, 1)
    size = jnp.abs(slope) + z @ jnp.abs(constraints.coefficients)  # real product
    rounding = 64 * eps * (jnp.abs(value) + size @ reach + z @ jnp.abs(constraints.lower))  # real product
    return value - slope @ t - z @ constraints.lower + linear + rounding  # real product


def proves_infeasible(
    rows: Complex[Array, "row n"],
    factor: Complex[Array, "n rank"],
    constraints: Constraints,
    multipliers: Float[Array, " constraint"],
    diagonal: Float[Array, " n"] | None = None,
) -> Bool[Array, ""]:
    """Tell whether these multipliers prove that no Psi satisfies the constraints; false says nothing.

    If their combination of the slacks is negative for every Psi, some constraint fails for every Psi.

    Args:
        rows: a_j.
        factor: any Y with rows of norm one, best one that maximises the combination.
        constraints: the inequalities.
        multipliers: any; negative ones count as zero.
        diagonal: y of `linear_bound`.

    Returns:
        Whether infeasibility is proven.
    """
    return dual_bound(lambda t: 0 * t.sum(), rows, factor, constraints, multipliers, diagonal) < 0


def linear_bound(
    rows: Complex[Array, "row n"],
    weights: Float[Array, " row"],
    factor: Complex[Array, "n rank"],
    diagonal: Float[Array, " n"] | None = None,
) -> Float[Array, ""]:
    """Return an upper bound of sum_j weights_j t_j = tr(C Psi) over all Psi >= 0 with unit diagonal.

    Weak duality: sum(y) for every y with Diag(y) - C >= 0. A given y is shifted until that holds.

    Args:
        rows: a_j.
        weights: any real numbers.
        factor: Y with rows of norm one near the maximum; only the default of y depends on it.
        diagonal: any y; by default the one that the optimality conditions at Y name.

    Returns:
        sum(y) - n min(lambda_min(Diag(y) - C), 0), rounding added.
    """
    n = rows.shape[1]
    adjoint = hermitian(rows)
    if diagonal is None:
        image = cmatmul(adjoint, weights[:, None] * cmatmul(rows, factor))
        diagonal = (image * factor.conj()).real.sum(1)
    matrix = jnp.diag(diagonal) - cmatmul(adjoint * weights, rows)
    smallest = jnp.linalg.eigvalsh(matrix)[0]
    eps = jnp.finfo(diagonal.dtype).eps
    # Rounding of C and of its eigenvalues (backward stable); y may be any number, so it needs none.
    formed = (rows.shape[0] + 8) * (jnp.abs(weights) @ squared_norm(rows, 1))  # real product
    rounding = 8 * eps * (formed + n * jnp.sqrt(squared_norm(matrix)))
    shift = jnp.maximum(rounding - smallest, 0)
    return diagonal.sum() + n * shift + n * eps * jnp.abs(diagonal).sum()


def _with_margin(constraints: Constraints, margin: float) -> Constraints:
    return Constraints(constraints.coefficients, constraints.lower + margin)
