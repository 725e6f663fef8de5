"""Elements on or off, improved by flips that raise the weighted sum rate itself.

Block descent fixes receivers and weights, which traps binary states: most single flips that raise the rate raise the
mean square error at the old receivers.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from metamimo.conventions import NAT_TO_BIT
from metamimo.problem import Design, Problem, Solution, Status
from metamimo.schemes.common import scored
from metamimo.schemes.limited import Precoders, States, check_sum_rate, random_start, weighted_rate, within
from metamimo.schemes.network import shared_surface
from metamimo.schemes.network_joint import network_joint
from metamimo.tuners.element_block import expect_on_off

_GAIN = 1e-9
"""Relative gain of the rate by which a flip counts."""


def flip_elements(
    problem: Problem, states: States, precoder: Precoders, amplitude: float
) -> tuple[States, Precoders, Int[Array, ""]]:
    """Try every element of every station once and keep the flips that raise the rate.

    Precoders stay as they are, but for limits that a flip would break: those scale them down.

    Args:
        problem: the weighted sum rate.
        states: of all stations, entries 0 or `amplitude`.
        precoder: F, within the limits [sqrt(W)].
        amplitude: of an element that is on.

    Returns:
        States, precoders within the limits, and how many elements were flipped.
    """
    shape, flat = states.shape, states.ravel()

    def rate(flat: Array) -> Array:
        states = flat.reshape(shape)
        return weighted_rate(problem.link, states, within(problem, states, precoder))

    def visit(q: Int[Array, ""], carry: tuple) -> tuple:
        flat, best, flips = carry
        other = flat.at[q].set(amplitude - flat[q])
        value = rate(other)
        better = value > best * (1 + _GAIN)
        return jnp.where(better, other, flat), jnp.where(better, value, best), flips + better

    first = (flat, rate(flat), jnp.asarray(0))
    flat, _, flips = jax.lax.fori_loop(0, flat.size, visit, first)
    # amplitude - (amplitude - 0) need not be zero to the last bit.
    states = jnp.where(flat > amplitude / 2, amplitude, 0.0).reshape(shape)
    return states, within(problem, states, precoder), flips


def network_flips(
    problem: Problem, *, key: Key[Array, ""], start: Design | None = None, max_rounds: int = 20, **options: Any
) -> Solution:
    """Maximise the weighted sum rate over elements on or off and precoders, under any limits, in turns.

    Precoders of all stations follow gradients (`network_joint`) while the states stand; then every element is tried.
    The limits may be on radiated power, which depends on the states.

    Args:
        problem: the weighted sum rate, without rate constraints, one surface shared by all stations.
        key: key of the trial; sub-key "start" draws states and precoders.
        start: a design to start from.
        max_rounds: limit of rounds.
        **options: options of `network_joint`.

    Returns:
        The solution; `history` holds the sum rate after every round.

    Raises:
        ConfigError: if the problem is more general than the scheme.
    """
    check_sum_rate(problem, "network-flips")
    amplitude = expect_on_off(shared_surface(problem, "network-flips").feasible, "network-flips").amplitude
    states, f = random_start(problem, key) if start is None else (start.state[0], start.precoder)

    def precoders(states: States, f: Precoders) -> Solution:
        return network_joint(problem, key=key, start=Design((states,), f), **options)

    def body(carry: tuple) -> tuple:
        states, f, _, history, i, iterations, trials, _ = carry
        found = precoders(states, f)
        states, f, flips = flip_elements(problem, states, found.design.precoder, amplitude)
        value = weighted_rate(problem.link, states, f) * NAT_TO_BIT
        totals = (i + 1, iterations + found.iterations, trials + found.trials, found.status)
        return states, f, flips > 0, history.at[i].set(value), *totals

    def going(carry: tuple) -> Array:
        return carry[2] & (carry[4] < max_rounds)

    zero = jnp.asarray(0)
    begin = (states, f, jnp.asarray(True), jnp.zeros(max_rounds), zero, zero, zero, zero)
    states, f, flipping, history, rounds, iterations, trials, status = jax.lax.while_loop(going, body, begin)
    last = history[rounds - 1]
    history = jnp.where(jnp.arange(max_rounds) < rounds, history, last)
    status = jnp.where(flipping & (status == Status.CONVERGED), Status.ITERATION_LIMIT, status)
    return scored(problem, Design((states,), f), history, status, iterations, trials)
