"""Alternating optimisation of precoder and phases: algorithm AO of arXiv 2504.15737, with any step for either."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from metamimo.linalg import squared_norm
from metamimo.metrics.rates import linear_user_rates
from metamimo.problem import Problem, Status
from metamimo.schemes.constrained import SLACK, Channel, Precoder, State, active_channel

Digital = Callable[[Channel, Precoder], Precoder]
Phases = Callable[[State, Precoder], tuple[State, Int[Array, ""]]]


class Alternated(eqx.Module):
    """End of the alternation.

    Attributes:
        state: state of the surface.
        precoder: F [sqrt(W)].
        value: objective: nat per channel use and watt of (fixed + |F|^2), or nat per channel use.
        shortfall: largest missing rate [nat].
        history: value after every round, the last one repeated.
        rounds: rounds done.
        steps: iterations of all phase steps.
        status: a `Status`.
    """

    state: State
    precoder: Precoder
    value: Float[Array, ""]
    shortfall: Float[Array, ""]
    history: Float[Array, " round"]
    rounds: Int[Array, ""]
    steps: Int[Array, ""]
    status: Int[Array, ""]


def value_and_shortfall(
    problem: Problem, state: State, precoder: Precoder, fixed: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return objective and largest missing rate [nat] of a design."""
    h = active_channel(problem, state, problem.link.ports[0])
    rate = linear_user_rates(h, precoder, problem.link.evm)
    value = (problem.link.weights * rate).sum()
    if problem.objective == "energy_efficiency":
        value = value / (fixed + squared_norm(precoder))
    return value, jnp.maximum(problem.min_rate - rate, 0).max()


def alternate(
    problem: Problem,
    digital: Digital,
    phases: Phases,
    state: State,
    precoder: Precoder,
    fixed: Float[Array, ""],
    *,
    tolerance: float,
    max_rounds: int,
) -> Alternated:
    """Take turns until a round gains little; a round that lowers the objective at reached rates is refused.

    A round is judged at its end: phases may break least rates that the precoder then restores. As long as rates are
    missed, every round is taken, until one changes the objective as little.

    Args:
        problem: the problem.
        digital: step of the precoder at a fixed effective channel over unit noise.
        phases: step of the state at a fixed precoder.
        state: first state.
        precoder: first precoder.
        fixed: consumed power that does not depend on the precoder, times the amplifier efficiency [W].
        tolerance: relative gain of a round below which the alternation has converged.
        max_rounds: limit of rounds.
    """

    def following(state: State, precoder: Precoder) -> Precoder:
        return digital(active_channel(problem, state, problem.link.ports[0]), precoder)

    def judged(old: tuple, state: State, precoder: Precoder) -> tuple:
        value, shortfall = value_and_shortfall(problem, state, precoder, fixed)
        better = (old[3] > SLACK) | ((shortfall <= SLACK) & (value >= old[2]))
        new = (state, precoder, value, shortfall)
        return jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old)

    def round_of(carry: tuple) -> tuple:
        here, history, i, steps, _ = carry
        before = here[2]
        state, done = phases(here[0], here[1])
        here = judged(here, state, following(state, here[1]))
        i = i + 1
        flat = jnp.abs(here[2] - before) <= tolerance * here[2]
        return here, history.at[i].set(here[2]), i, steps + done, flat

    def going(carry: tuple) -> Array:
        here, _, i, _, flat = carry
        return ~flat & (i < max_rounds) & jnp.isfinite(here[2])

    first = (state, precoder, *value_and_shortfall(problem, state, precoder, fixed))
    first = judged(first, state, following(state, precoder))
    history, zero = jnp.full(max_rounds + 1, first[2]), jnp.asarray(0)
    here, history, i, steps, flat = jax.lax.while_loop(
        going, round_of, (first, history, zero, zero, jnp.asarray(False))
    )
    state, precoder, value, shortfall = here
    history = jnp.where(jnp.arange(max_rounds + 1) > i, value, history)
    status = jnp.where(flat, Status.CONVERGED, Status.ITERATION_LIMIT)
    status = jnp.where(shortfall > SLACK, Status.INFEASIBLE, status)
    status = jnp.where(jnp.isfinite(value), status, Status.NOT_FINITE)
    return Alternated(state, precoder, value, shortfall, history, i, steps, status)
