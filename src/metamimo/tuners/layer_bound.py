"""Upper bound of the smallest SINR that the phases of one layer can give, a certificate for the layer step."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from metamimo.optimise.low_rank_sdp import find_feasible
from metamimo.tuners.layer_relaxation import (
    Coefficients,
    LayerRelaxation,
    factor_powers,
    low_rank_start,
    perturbed,
    received,
)

_LBFGS_TOLERANCE = 1e-13
"""On the sum of squared violations, which is small next to the largest feasible SINR."""

_RAISED = 1 + 1e-12
"""Rounding of the first bound, a sum of moduli."""


class MinSinrBound(eqx.Module):
    """Result of `layer_bound_min_sinr`.

    Attributes:
        bound: no phases of this layer give every user a larger SINR; proven.
        reached: SINR that a matrix Psi of the relaxation gives every user.
        steps: relaxations solved.
    """

    bound: Float[Array, ""]
    reached: Float[Array, ""]
    steps: Int[Array, ""]


def layer_bound_min_sinr(
    v: Coefficients, phi: Complex[Array, " element"], *, tolerance: float = 1e-3, max_steps: int = 40
) -> MinSinrBound:
    """Bound max over phases of min_k SINR_k by bisection over semidefinite feasibility problems (spec section 10).

    Signal model: SINR_k = |v_kk^T phi|^2 / (sum_{i != k} |v_ki^T phi|^2 + 1); the other layers and the precoder stay as
    they are. A level is out of reach where multipliers prove that no Psi >= 0 with unit diagonal, and so no phi phi^H,
    gives it to every user. A level that is neither reached nor refuted counts as reached: that loosens the bound only.

    Args:
        v: coefficients over unit noise, see `layer_coefficients`.
        phi: first phases; they set where the search begins, not what is true.
        tolerance: relative width at which the bisection stops.
        max_steps: limit of its steps.

    Returns:
        The bound.

    >>> jax.config.update("jax_enable_x64", True)
    >>> v = jnp.array([[[2, 1], [0, 0]], [[0, 0], [1j, 2]]], complex)  # no interference: both users reach 3^2
    >>> found = jax.jit(layer_bound_min_sinr)(v, jnp.ones(2, complex))
    >>> bool(7.828 < found.bound < 7.84)  # but not with the same phases: 5 + 4 cos x and 5 + 4 sin x
    True
    """
    users = v.shape[0]

    def level(power: Float[Array, "user stream"]) -> Float[Array, ""]:
        total, interference = received(power)
        return (total / interference - 1).min()

    def step(carry: tuple) -> tuple:
        low, high, reached, factor, i = carry
        middle = jnp.sqrt(low * high)
        interference = received(factor_powers(v, factor))[1]
        levels = jnp.full(users, middle)
        problem = LayerRelaxation(v, levels, interference, phi / jnp.sqrt(float(phi.size)), jnp.zeros(()))
        found = find_feasible(problem.rows, perturbed(factor), problem.constraints, tolerance=_LBFGS_TOLERANCE)
        low, high = jnp.where(found.infeasible, low, middle), jnp.where(found.infeasible, middle, high)
        return low, high, jnp.maximum(reached, level(factor_powers(v, found.factor))), found.factor, i + 1

    def going(carry: tuple) -> Array:
        low, high, _, _, i = carry
        return (high > (1 + tolerance) * low) & (i < max_steps)

    first = level(factor_powers(v, phi[:, None]))
    own = jnp.abs(v[jnp.arange(users), jnp.arange(users)]).sum(-1)
    high = _RAISED * (own**2).min()
    # A silent user has level zero, where bisection on a logarithmic scale would never end.
    low = jnp.maximum(first, 1e-6 * high)
    carry = (low, high, first, low_rank_start(v, phi), jnp.asarray(0))
    _, high, reached, _, steps = jax.lax.while_loop(going, step, carry)
    return MinSinrBound(high, reached, steps)
