"""Stochastic successive convex approximation of a cell-free network, all stations in one program.

Specification of the cell-free DMA paper, section 6: every station tracks the gradient of the rate over channel samples,
maximises a concave surrogate of its own precoder and state, and goes a share of the way there. All stations move at
once and agree on nothing but the summed amplitudes of `metamimo.schemes.cell_free`.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int, Key

from metamimo.problem import Design, Problem, Solution, Status
from metamimo.randomness import purpose_key
from metamimo.schemes.cell_free import Heard, Point, Track, no_track, sum_rate
from metamimo.schemes.cell_free_network import CellFreeNetwork, check_options
from metamimo.schemes.common import scored

_CALM = 10
"""Iterations in a row without a change of the tracked rate that end a run: with samples, one such is luck."""
MOST_HALVINGS = 20
"""Halvings of a step that lowers the rate before the point stays where it is."""


class Progress(eqx.Module):
    """The tracked rate, by which a run ends.

    Attributes:
        rate: (1 - rho_t) of the last one plus rho_t times the rate of iteration t [bit/s/Hz].
        calm: how many times in a row it has hardly changed.
    """

    rate: Float[Array, ""]
    calm: Int[Array, ""]

    @classmethod
    def start(cls) -> "Progress":
        """Return what is known before the first iteration."""
        return cls(jnp.zeros(()), jnp.asarray(0))

    def after(self, rate: Float[Array, ""], rho: Float[Array, ""], tolerance: float | Array) -> "Progress":
        """Return the progress after one more iteration."""
        following = (1 - rho) * self.rate + rho * rate
        still = jnp.abs(following - self.rate) <= tolerance * jnp.abs(self.rate)
        return Progress(following, jnp.where(still, self.calm + 1, 0))

    @property
    def over(self) -> Bool[Array, ""]:
        """Whether the run has converged."""
        return self.calm >= _CALM


class _Run(eqx.Module):
    """Where a run stands."""

    points: Point
    tracks: Track
    heard: Heard
    z: Complex[Array, "freq user user2"]
    rate: Float[Array, ""]


def ssca(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    surrogate: str = "structured",
    coordinate: str = "phase",
    first_precoder: str = "joint",
    tune_states: bool = True,
    safeguard: bool = True,
    tracking: float = 0.55,
    stepping: float = 0.6,
    proximal: float = 1e-2,
    step_precoder: float = 0.2,
    step_state: float | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 200,
) -> Solution:
    """Maximise the weighted sum rate of a cell-free network, perhaps averaged over channel samples.

    Signal model: that of `metamimo.problem.Link` with users of one antenna and states that are real and bounded. With
    `problem.csi` every iteration sees a new sample and the last iterate is returned; without it the channel is
    constant, a step that lowers the rate is halved, and the best iterate is returned. In the history every entry is the
    rate on the sample of its iteration [bit/s/Hz].

    Args:
        problem: the weighted sum rate, one power limit for every station, one surface shared by all.
        key: key of the trial; sub-key "start" draws the states, "scheme" the channel samples.
        start: a design to start from.
        surrogate: `structured`: a minorant of the rate for every station; `linear`: the gradient (the source's);
            `best`: what comes out better at each step, for a constant channel.
        coordinate: of the states: `phase`, arctan of the state, or `F`, the state itself (the source's).
        first_precoder: regularised zero-forcing on the `joint` channel, or maximum ratio of every station on its `own`.
        tune_states: whether the states move at all.
        safeguard: whether steps are halved for a constant channel; without it, this is the source's algorithm.
        tracking: rho_t = (t + 1)^-tracking weighs the gradient of iteration t.
        stepping: gamma_t = (t + 1)^-stepping is the length of the step.
        proximal: tau_W of the structured surrogate.
        step_precoder: s_W, length of a step of the linear surrogate.
        step_state: s_v, length of a step of the states' coordinates; 0.3 for budgets up to 15 dB above a thousandth,
            0.03 at 30 dB, by default.
        tolerance: relative change of the tracked rate below which an iteration counts as calm; ten in a row end it.
        max_iterations: limit of iterations.

    Returns:
        The solution; `trials` counts exchanges of amplitudes.

    Raises:
        ConfigError: if the problem is more general than the scheme, or an option unknown.
    """
    check_options(first_precoder, max_iterations)
    network = CellFreeNetwork.of(
        problem,
        "ssca",
        surrogate=surrogate,
        coordinate=coordinate,
        tune_states=tune_states,
        tracking=tracking,
        stepping=stepping,
        proximal=proximal,
        step_precoder=step_precoder,
        step_state=step_state,
    )
    rules, draws = network.rules, purpose_key(key, "scheme")
    guarded = safeguard and problem.csi is None

    def attempt(now: _Run, goals: Point, gamma: Array, channels: Array) -> _Run:
        """Return the best of the moves to the targets."""
        points = jax.vmap(network.move, in_axes=(None, 0, None))(now.points, goals, gamma)
        heard = jax.vmap(network.listen, in_axes=(0, None))(points, channels)
        z = heard.amplitudes.sum(1)
        rate = jax.vmap(partial(sum_rate, rules))(z)
        points, heard, z, rate = jax.tree.map(lambda a: a[jnp.argmax(rate)], (points, heard, z, rate))
        return _Run(points, now.tracks, heard, z, rate)

    def body(carry: tuple) -> tuple:
        now, best, progress, history, t, exchanges = carry
        progress = progress.after(now.rate, rules.rho(t), tolerance)
        tracks, goals = network.step(now.points, now.tracks, now.heard, now.z, t)
        now = eqx.tree_at(lambda run: run.tracks, now, tracks)
        channels = network.sample(draws, t + 1)

        def halve(search: tuple) -> tuple:
            gamma, _, _, n = search
            found = attempt(now, goals, gamma, channels)
            return gamma / 2, found, (found.rate >= now.rate) | (not guarded), n + 1

        def searching(search: tuple) -> Array:
            *_, accepted, n = search
            return ~accepted & (n < MOST_HALVINGS)

        first = (rules.gamma(t), now, jnp.asarray(False), jnp.asarray(0))
        _, found, accepted, tries = jax.lax.while_loop(searching, halve, first)
        after = jax.tree.map(lambda a, b: jnp.where(accepted, a, b), found, now)
        better = after.rate > best[1]
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), (after.points, after.rate), best)
        history = history.at[t + 1].set(after.rate)
        return after, best, progress, history, t + 1, exchanges + tries * goals.state.shape[0]

    def going(carry: tuple) -> Array:
        now, _, progress, _, t, _ = carry
        return ~progress.over & jnp.isfinite(now.rate) & (t < max_iterations)

    channels = network.sample(draws, 0)
    points = network.first(key, start, first_precoder, channels)
    heard = network.listen(points, channels)
    z = heard.amplitudes.sum(0)
    begin = _Run(points, jax.vmap(no_track)(points), heard, z, sum_rate(rules, z))
    history = jnp.full(max_iterations + 1, begin.rate)
    state = (begin, (points, begin.rate), Progress.start(), history, jnp.asarray(0), jnp.asarray(1))
    last, best, progress, history, iterations, exchanges = jax.lax.while_loop(going, body, state)
    history = jnp.where(jnp.arange(max_iterations + 1) > iterations, last.rate, history)
    status = jnp.where(progress.over, Status.CONVERGED, Status.ITERATION_LIMIT)
    status = jnp.where(jnp.isfinite(last.rate), status, Status.NOT_FINITE)
    kept = best[0] if problem.csi is None else last.points
    return scored(problem, network.design(kept), history, status, iterations, exchanges)
