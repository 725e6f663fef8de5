"""Block descent of the weighted mean square error for several stations (Zhi et al. 2025, Algorithm 2).

Receivers and weights in closed form, one sweep over the rows of the precoders under a power limit for every RF chain,
then the elements of every station by a solver for their quadratic. Every block that lowers the error raises the
weighted sum rate at the next receivers and weights.
"""

from collections.abc import Callable
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Inexact, Int, Key

from metamimo.conventions import NAT_TO_BIT
from metamimo.errors import ConfigError
from metamimo.linalg import cmatmul, squared_norm
from metamimo.metrics.mean_square_error import MeanSquareError, error_of_received
from metamimo.precoders.wmmse import row_step, shorten_rows
from metamimo.problem import Design, Problem, Solution, Status
from metamimo.schemes.common import scored
from metamimo.schemes.flips import flip_elements
from metamimo.schemes.limited import random_start
from metamimo.schemes.network import Network, shared_surface
from metamimo.tuners.element_block import ElementChoice, ElementSolver, beside, quadratic_alone

States = Inexact[Array, "bs tunable"]


class Descent(eqx.Module):
    """Where the descent stands.

    Attributes:
        states: state of every station.
        precoder: F over the joint axis of (station, port) [sqrt(W)].
        error: mean square error there.
        nodes: nodes of tree searches so far.
        finished: whether all of them came to their end.
    """

    states: States
    precoder: Complex[Array, "user all_ports stream"]
    error: MeanSquareError
    nodes: Int[Array, ""]
    finished: Bool[Array, ""]


Digital = tuple[Complex[Array, "user all_ports stream"], MeanSquareError]
"""Precoders, and the error at the receivers and weights that the elements are to suit."""
DigitalStep = Callable[[Network, Descent], Digital]


def block_descent(
    problem: Problem,
    solver: ElementSolver | None,
    scheme: str,
    *,
    key: Key[Array, ""],
    start: Design | None,
    tolerance: float = 1e-4,
    max_iterations: int = 100,
    sweeps: int = 1,
    returned: str = "best",
    amplitude: float | None = None,
    digital: DigitalStep | None = None,
    leaps: bool = False,
) -> Solution:
    """Run the descent from random states and precoders until the rate stands still.

    Args:
        problem: one subcarrier, a power limit for every port, one surface shared by all stations.
        solver: solver for a station's elements; without one they keep their state.
        scheme: name, for messages.
        key: key of the trial; sub-key "start" draws states and precoders.
        start: a design to start from.
        tolerance: relative change of the weighted sum rate below which the run has converged.
        max_iterations: limit of iterations.
        sweeps: passes over the rows of the precoders in an iteration.
        returned: `best` iterate, or the `last` one; they differ for solvers that are no descent steps. Those need not
            come to rest, so for the last iterate the limit of iterations is a stopping rule like the other.
        amplitude: of elements on or off; if given, flips that raise the rate follow whenever it stands still.
        digital: another step of the precoders; the sweeps over their rows by default.
        leaps: whether an iteration is three, the last from an extrapolation of the first two (`leap`).

    Returns:
        The solution; `trials` counts the nodes of tree searches.

    Raises:
        ConfigError: if the problem is more general than the scheme or an option out of its range.
    """
    if returned not in ("best", "last"):
        raise ConfigError(f"returned: must be 'best' or 'last', got {returned!r}")
    if sweeps < 1 or max_iterations < 1:
        raise ConfigError(f"sweeps, max_iterations: must be at least 1, got {sweeps}, {max_iterations}")
    feasible = shared_surface(problem, scheme).feasible
    stations = problem.link.serves.shape[0]
    states, precoder = random_start(problem, key) if start is None else (start.state[0], start.precoder)
    if solver is None:
        network = Network.with_states(problem, states, scheme)
        entries, project = jnp.ones((stations, network.rows.shape[-1])), jnp.asarray
    else:
        network = Network.of(problem, scheme)
        entries, project = states.reshape(stations, -1), feasible.project
    by_rows = sweeps_over_rows(sweeps)
    first = begun(network, entries, joint_rows(network, precoder[0]))

    def once(now: Descent) -> Descent:
        return iterate(network, solver, now, digital or by_rows)

    def flipped(after: Descent) -> tuple[Descent, Array]:
        assert amplitude is not None
        old = after.states.reshape(stations, *feasible.shape)
        new, _, flips = flip_elements(problem, old, network.by_station(after.precoder), amplitude)
        new = new.reshape(stations, -1)
        z = network.sent(new, network.excitation(after.precoder)).sum(0)
        return replace(after, states=new, error=error_of_received(z, network.weights)), flips > 0

    def body(carry: tuple) -> tuple:
        now, best, history, i, _ = carry
        after = leap(network, project, once, now) if leaps else once(now)
        moved = jnp.abs(after.error.rate - now.error.rate) > tolerance * now.error.rate
        if amplitude is not None:
            after, moved = jax.lax.cond(moved, lambda d: (d, jnp.asarray(True)), flipped, after)
        better = after.error.rate > best.error.rate
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), after, best)
        return after, best, history.at[i + 1].set(after.error.rate), i + 1, moved

    def going(carry: tuple) -> Array:
        return carry[4] & (carry[3] < max_iterations)

    history = jnp.full(max_iterations + 1, first.error.rate)
    begin = (first, first, history, jnp.asarray(0), jnp.asarray(True))
    last, best, history, iterations, moving = jax.lax.while_loop(going, body, begin)
    history = jnp.where(jnp.arange(max_iterations + 1) > iterations, last.error.rate, history)
    status = jnp.where(moving & (returned == "best"), Status.ITERATION_LIMIT, Status.CONVERGED)
    status = jnp.where(last.finished, status, Status.ITERATION_LIMIT)
    status = jnp.where(jnp.isfinite(last.error.rate), status, Status.NOT_FINITE)
    kept = last if returned == "last" else best
    states = states if solver is None else kept.states.reshape(stations, *feasible.shape)
    design = Design((states,), network.by_station(kept.precoder))
    return scored(problem, design, history * NAT_TO_BIT, status, iterations, last.nodes)


def begun(network: Network, states: States, precoder: Complex[Array, "user all_ports stream"]) -> Descent:
    """Return the descent at its start."""
    z = network.sent(states, network.excitation(precoder)).sum(0)
    return Descent(states, precoder, error_of_received(z, network.weights), jnp.asarray(0), jnp.asarray(True))


def sweeps_over_rows(sweeps: int = 1) -> DigitalStep:
    """Return the step of the precoders that lowers the error row by row; receivers and weights stay."""

    def step(network: Network, now: Descent) -> Digital:
        h = network.effective(now.states)
        return row_step(h, now.precoder, now.error, network.reach.ravel(), sweeps, network.sends), now.error

    return step


def iterate(network: Network, solver: ElementSolver | None, now: Descent, digital: DigitalStep) -> Descent:
    """Return the descent after one iteration: precoders, then the elements of one station after the other."""
    f, error = digital(network, now)
    if solver is None:
        return begun(network, now.states, f)
    excitation = network.excitation(f)
    sent = network.sent(now.states, excitation)

    def station(total: Array, item: tuple) -> tuple[Array, ElementChoice]:
        rows, state, drive, own, alone = item
        choice = solver(beside(alone, rows, drive, error, total - own), state)
        users, rx, n = rows.shape
        new = cmatmul((rows * choice.state).reshape(users * rx, n), drive.reshape(n, -1)).reshape(own.shape)
        return total - own + new, choice

    alone = jax.vmap(quadratic_alone, in_axes=(0, 0, None))(network.rows, excitation, error)
    total, choices = jax.lax.scan(station, sent.sum(0), (network.rows, now.states, excitation, sent, alone))
    return Descent(
        choices.state,
        f,
        error_of_received(total, network.weights),
        now.nodes + choices.nodes.sum(),
        now.finished & choices.finished.all(),
    )


def leap(
    network: Network, project: Callable[[Array], Array], once: Callable[[Descent], Descent], now: Descent
) -> Descent:
    """Return the descent after three iterations, the third from where the first two seem to lead (SQUAREM).

    With changes r and r + v of two iterations the next point is x - 2 a r + a^2 v, a = -|r| / |v| (Varadhan and Roland
    2008), brought back to the feasible set. Where that leads to a lower rate the second iteration stands, so the rate
    never falls.
    """
    first = once(now)
    second = once(first)
    points = [(d.states, d.precoder) for d in (now, first, second)]
    r = jax.tree.map(lambda a, b: b - a, points[0], points[1])
    v = jax.tree.map(lambda a, b, c: c - 2 * b + a, *points)
    size = [sum(squared_norm(part) for part in change) for change in (r, v)]
    a = -jnp.sqrt(size[0] / jnp.maximum(size[1], jnp.finfo(float).tiny))
    states, f = jax.tree.map(lambda x, r, v: x - 2 * a * r + a**2 * v, points[0], r, v)
    third = once(begun(network, project(states), shorten_rows(f, network.reach.ravel())))
    third = replace(third, nodes=second.nodes + third.nodes, finished=second.finished & third.finished)
    better = third.error.rate > second.error.rate
    return jax.tree.map(lambda a, b: jnp.where(better, a, b), third, second)


def joint_rows(
    network: Network, precoder: Complex[Array, "bs user port stream"]
) -> Complex[Array, "user all_ports stream"]:
    """Return precoders over the joint axis of (station, port), shortened to the limits."""
    bs, users, ports, streams = precoder.shape
    f = precoder.transpose(1, 0, 2, 3).reshape(users, bs * ports, streams)
    return shorten_rows(jnp.where(network.sends.T[:, :, None], f, 0), network.reach.ravel())
