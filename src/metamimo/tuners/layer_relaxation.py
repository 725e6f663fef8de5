"""The convex problem of one layer of a stacked surface: all positive semidefinite matrices instead of phi phi^H."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from metamimo.linalg import cmatmul, squared_norm
from metamimo.optimise.low_rank_sdp import Constraints, maximise_low_rank

Backend = Literal["clarabel", "low_rank"]

Coefficients = Complex[Array, "user stream element"]
"""v over unit noise: user k receives stream i with the coefficient sum_n v_kin phi_n; stream k is its own."""

_LEAST_RANK = 4
"""Columns of the low-rank factor, at least one a user: 100 draws of up to 100 elements and 8 users had optima of rank
4 at most, each certified to 4e-5."""

_PERTURBATION = 0.1
"""Of the low-rank start: a factor of rank one is stationary in its zero columns."""

_GOLDEN = 0.6180339887498949


class LayerRelaxation(eqx.Module):
    """Surrogate, rate constraints and rank row about a point (spec 6.1, [x-2] and (41); arXiv 2504.15737, eq. 42).

    Signal model: t_ki = tr(conj(v_ki) v_ki^T Psi), T_k = sum_i t_ki + 1, I_k = T_k - t_kk. Maximise
    sum_k [ln T_k - ln I'_k - (I_k - I'_k) / I'_k] subject to Psi_nn = 1, Psi >= 0, t_kk >= min_sinr_k I_k and
    u^H Psi u >= epsilon N. The objective is a lower bound of the sum rate, equal to it where I = I'.

    Attributes:
        v: coefficients over unit noise.
        min_sinr: least SINR of each user.
        interference: I', interference and noise of each user at the point of the tangent.
        direction: u of norm one.
        epsilon: least share of u in Psi.
    """

    v: Coefficients
    min_sinr: Float[Array, " user"]
    interference: Float[Array, " user"]
    direction: Complex[Array, " element"]
    epsilon: Float[Array, ""]

    @property
    def rows(self) -> Complex[Array, "row element"]:
        """v_ki in the order of t, and u."""
        return jnp.concatenate([self.v.reshape(-1, self.v.shape[-1]), self.direction.conj()[None]])

    @property
    def constraints(self) -> Constraints:
        """One row a user, scaled to its interference, and the rank row."""
        users, elements = self.v.shape[0], self.v.shape[-1]
        scale = 1 / ((1 + self.min_sinr) * self.interference)
        own = jnp.eye(users)[:, :, None] * jnp.eye(users)
        others = jnp.eye(users)[:, :, None] * (1 - jnp.eye(users))
        per_user = (own - self.min_sinr[:, None, None] * others) * scale[:, None, None]
        coefficients = jnp.zeros((users + 1, users**2 + 1))
        coefficients = coefficients.at[:users, :-1].set(per_user.reshape(users, -1)).at[users, -1].set(1 / elements)
        return Constraints(coefficients, jnp.append(self.min_sinr * scale, self.epsilon))

    def surrogate(self, t: Float[Array, " row"]) -> Float[Array, ""]:
        """Return the objective [nat] at the traces."""
        total, interference = received(t[:-1].reshape(self.v.shape[:2]))
        return (jnp.log(total / self.interference) - (interference - self.interference) / self.interference).sum()


class Relaxed(eqx.Module):
    """Solution of a relaxation by either back end.

    Attributes:
        factor: Y with rows of norm one, Psi = Y Y^H.
        value: surrogate there [nat].
        bound: no Psi that satisfies the constraints has a larger surrogate [nat].
        solved: whether the constraints hold and the solver is content.
        infeasible: whether it is proven that no Psi satisfies the constraints.
    """

    factor: Complex[Array, "element rank"]
    value: Float[Array, ""]
    bound: Float[Array, ""]
    solved: Bool[Array, ""]
    infeasible: Bool[Array, ""]


def received(power: Float[Array, "user stream"]) -> tuple[Float[Array, " user"], Float[Array, " user"]]:
    """Return T and I, all that each user receives and what disturbs it, both with unit noise."""
    own = jnp.diagonal(power)
    # Not T - own, which would lose the digits of a small interference.
    interference = (power * (1 - jnp.eye(len(own)))).sum(1) + 1
    return interference + own, interference


def factor_powers(v: Coefficients, factor: Complex[Array, "element rank"]) -> Float[Array, "user stream"]:
    """Return t_ki = |v_ki^T Y|^2."""
    return squared_norm(cmatmul(v, factor), -1)


def user_rates(v: Coefficients, phi: Complex[Array, " element"]) -> Float[Array, " user"]:
    """Return the rate of each user [nat] with the phases phi."""
    total, interference = received(factor_powers(v, phi[:, None]))
    return jnp.log(total / interference)


def relax_low_rank(problem: LayerRelaxation, start: Complex[Array, "element rank"]) -> Relaxed:
    """Solve by `maximise_low_rank`; pure JAX.

    Args:
        problem: what to solve.
        start: factor to start from, see `low_rank_start`.

    Returns:
        The solution; its bound is the dual certificate.
    """
    found = maximise_low_rank(lambda t: problem.surrogate(t), problem.rows, perturbed(start), problem.constraints)
    return Relaxed(found.factor, found.value, found.bound, found.converged, found.infeasible)


def low_rank_start(v: Coefficients, phi: Complex[Array, " element"]) -> Complex[Array, "element rank"]:
    """Return phi as a factor with as many columns as the low-rank back end uses."""
    rank = min(max(_LEAST_RANK, v.shape[0]), v.shape[-1])
    return jnp.zeros((phi.size, rank), phi.dtype).at[:, 0].set(phi)


def perturbed(factor: Complex[Array, "element rank"]) -> Complex[Array, "element rank"]:
    """Return a factor without zero columns: a fixed pattern is added, so that equal input gives equal results."""
    i = jnp.arange(factor.size, dtype=float).reshape(factor.shape)
    phase = 2 * jnp.pi * jnp.mod(_GOLDEN * i**2, 1)
    return factor + _PERTURBATION * jax.lax.complex(jnp.cos(phase), jnp.sin(phase))
