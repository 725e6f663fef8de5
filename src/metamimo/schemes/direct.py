"""Surface state and linear precoder in one L-BFGS run, with power limits met exactly and rate constraints enforced."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from metamimo.linalg import squared_norm
from metamimo.metrics.consumed import fixed_power
from metamimo.metrics.rates import linear_user_rates
from metamimo.optimise.lbfgs import minimise, pure
from metamimo.precoders.coordinates import Coordinates
from metamimo.problem import Problem, Status
from metamimo.schemes.constrained import Channel, Limits, Precoder, State, active_channel, within_limits
from metamimo.tuners.tuned import lbfgs_status

_MARGIN = 1e-7
"""Rates aim that much above their constraint [nat], so that the last rounding cannot break it."""
_PENALTY, _GROWTH, _ROUNDS = 10.0, 4.0, 12
"""First penalty of the augmented Lagrangian, its growth where a round did not help enough, and most rounds."""


class Reached(eqx.Module):
    """End of one run.

    Attributes:
        state: state of the surface.
        x: coordinates of the precoder.
        precoder: F [sqrt(W)].
        merit: log of the energy efficiency or sum rate.
        shortfall: largest missing rate [nat].
        status: a `Status`.
        iterations: L-BFGS iterations.
        trials: evaluations.
    """

    state: State
    x: Float[Array, " n"]
    precoder: Precoder
    merit: Float[Array, ""]
    shortfall: Float[Array, ""]
    status: Int[Array, ""]
    iterations: Int[Array, ""]
    trials: Int[Array, ""]

    @property
    def feasible(self) -> Bool[Array, ""]:
        """Whether every rate is reached."""
        return self.shortfall <= _MARGIN


class Merit(eqx.Module):
    """The problem's objective over one real vector: parameters of the state, then coordinates of the precoder.

    Attributes:
        problem: one station, one subcarrier, a smooth feasible set.
        coordinates: of the precoder.
        shape: shape of the state's parameters.
        active: ports that are switched on.
        limits: sum limit and limits of the ports [W].
        fixed: power that does not depend on the precoder, times the amplifier efficiency [W].
        target: rates to reach, slightly above their constraints [nat].
    """

    problem: Problem
    coordinates: Coordinates
    shape: tuple[int, ...] = eqx.field(static=True)
    active: Bool[Array, " port"]
    limits: Limits
    fixed: Float[Array, ""]
    target: Float[Array, " user"]

    @classmethod
    def of(
        cls,
        problem: Problem,
        coordinates: Coordinates,
        shape: tuple[int, ...],
        active: Bool[Array, " port"],
        limits: Limits,
    ) -> "Merit":
        """Work out the fixed power and the targets."""
        fixed = fixed_power(problem, active[None])
        target = jnp.where(problem.min_rate > 0, problem.min_rate + _MARGIN, 0)
        return cls(problem, coordinates, shape, active, limits, fixed, target)

    def unpack(self, point: Float[Array, " m"]) -> tuple[State, Channel, Precoder]:
        """Return the state, the effective channel over unit noise, and the precoder within its limits."""
        size = math.prod(self.shape)
        state = self.problem.link.surfaces[0].feasible.from_real(point[:size].reshape(self.shape))
        h = active_channel(self.problem, state, self.active)
        return state, h, within_limits(self.coordinates.precoder(h, point[size:]), self.limits)

    def value_and_rates(self, point: Float[Array, " m"]) -> tuple[Float[Array, ""], Float[Array, " user"]]:
        """Return the log of the objective, and the rates [nat]."""
        link = self.problem.link
        _, h, f = self.unpack(point)
        rate = linear_user_rates(h, f, link.evm)
        value = jnp.log(jnp.maximum((link.weights * rate).sum(), jnp.finfo(rate.dtype).tiny))
        if self.problem.objective == "energy_efficiency":
            value = value - jnp.log(self.fixed + squared_norm(f))
        return value, rate

    def lagrangian(
        self, point: Float[Array, " m"], multiplier: Float[Array, " user"], penalty: Float[Array, ""]
    ) -> Float[Array, ""]:
        """Return what a round minimises: minus the log, and (|max(0, nu + c (r_min - R))|^2 - |nu|^2) / 2c."""
        value, rate = self.value_and_rates(point)
        push = jnp.maximum(0, multiplier + penalty * (self.target - rate))
        return -value + ((push**2 - multiplier**2) / (2 * penalty)).sum()


def run(
    problem: Problem,
    coordinates: Coordinates,
    state: State,
    x: Float[Array, " n"],
    active: Bool[Array, " port"],
    limits: Limits,
    *,
    tolerance: float,
    window: int,
    max_iterations: int,
) -> Reached:
    """Maximise the problem's objective over the state and the precoder's coordinates, all at once.

    Power limits hold at every point: `within_limits` maps what exceeds them to the border. Rate constraints enter an
    augmented Lagrangian, whose rounds end once every rate is reached; without constraints one round is all.

    Args:
        problem: one station, one subcarrier, a smooth feasible set.
        coordinates: of the precoder.
        state: first state.
        x: first coordinates.
        active: ports that are switched on.
        limits: sum limit and limits of the ports [W].
        tolerance: gain of the objective's logarithm per iteration below which a run has converged.
        window: iterations that the gain is taken over.
        max_iterations: limit of iterations of every round.

    Returns:
        The end; infeasible where a rate is missed.
    """
    first = problem.link.surfaces[0].feasible.to_real(state)
    merit = Merit.of(problem, coordinates, first.shape, active, limits)

    def round_of(carry: tuple) -> tuple:
        point, multiplier, penalty, missing, *_, i, iterations, trials = carry

        found = minimise(
            pure(lambda point: merit.lagrangian(point, multiplier, penalty)),
            point,
            tolerance=window * tolerance,
            window=window,
            max_iterations=max_iterations,
        )
        rate = merit.value_and_rates(found.x)[1]
        missed = jnp.maximum(0, merit.target - rate).max()
        multiplier = jnp.maximum(0, multiplier + penalty * (merit.target - rate))
        penalty = jnp.where(missed > 0.25 * missing, _GROWTH * penalty, penalty)
        totals = (i + 1, iterations + found.iterations, trials + found.trials)
        return found.x, multiplier, penalty, missed, lbfgs_status(found), *totals

    def going(carry: tuple) -> Array:
        missing, i = carry[3], carry[5]
        return (i == 0) | ((missing > _MARGIN) & (i < _ROUNDS))

    zero = jnp.asarray(0)
    point = jnp.concatenate([first.ravel(), x])
    begin: tuple[Any, ...] = (point, jnp.zeros(merit.target.size), jnp.asarray(_PENALTY), jnp.asarray(jnp.inf))
    point, _, _, missed, status, _, iterations, trials = jax.lax.while_loop(
        going, round_of, (*begin, zero, zero, zero, zero)
    )
    state, _, f = merit.unpack(point)
    value, _ = merit.value_and_rates(point)
    status = jnp.where((missed > _MARGIN) & (status != Status.NOT_FINITE), Status.INFEASIBLE, status)
    return Reached(state, point[first.size :], f, value, missed, status, iterations, trials)
