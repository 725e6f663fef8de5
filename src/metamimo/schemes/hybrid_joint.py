"""Hybrid-Joint: phases and precoder in one L-BFGS run, with rate constraints, port limits and RF-chain selection."""

from collections.abc import Callable
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Inexact, Int, Key

from metamimo.errors import ConfigError
from metamimo.linalg import squared_norm
from metamimo.metrics.consumed import fixed_power
from metamimo.precoders.coordinates import Coordinates, FreeEntries, OptimalForm
from metamimo.precoders.dirty_paper import DirtyPaperCoding
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.common import single_surface, starting_state
from metamimo.schemes.constrained import active_channel, chains_matter, concluded, regularised_start
from metamimo.schemes.direct import Reached, run
from metamimo.schemes.joint import Joint, reduced, unit_noise_channel

Form = Literal["optimal", "free"]
Selection = Literal["backward", "none"]


def hybrid_joint(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    form: Form | None = None,
    selection: Selection | None = None,
    dpc_iterations: int = 30,
    tolerance: float = 1e-7,
    window: int = 10,
    max_iterations: int = 5_000,
) -> Solution:
    """Maximise bits per joule (or the weighted sum rate) over phases and precoder at once, under every constraint.

    Signal model: R_k = ln(1 + |h_k A F_k|^2 / (sum_i |h_k A F_i|^2 + noise)), R_k >= min_rate, |F|^2 and the power of
    every port limited (problem 16 of arXiv 2504.15737). A random state is first improved for dirty paper coding,
    which is concave in the covariances and switches no user off; regularised zero-forcing on that channel starts the
    joint run. Where idle RF chains cost nothing, the port with the least power is then switched off and the run
    repeated from where it stands, down to as many chains as users; the best design is kept.

    Args:
        problem: one station, one subcarrier, limits on accepted power.
        key: key of the trial; sub-key "start" draws the state.
        start: a design to start from; replaces the random state and the dirty paper stage.
        form: coordinates of the precoder: `optimal` for the form that all optimal precoders have (one antenna a
            user), `free` for its entries; by default `optimal` where users have one antenna.
        selection: `backward` or `none`; by default `backward` where idle chains cost nothing.
        dpc_iterations: iterations of the dirty paper stage; 0 leaves it out.
        tolerance: relative gain per iteration below which a run has converged.
        window: iterations that the gain is taken over.
        max_iterations: limit of iterations of a run.

    Returns:
        The solution; `history` holds the value of the best design after every run.

    Raises:
        ConfigError: if the problem is more general than the scheme or an option unknown.
    """
    single_surface(problem, "hybrid-joint")
    limits = problem.accepted_limits("hybrid-joint")
    users, rx, _ = problem.link.channel.shape[2:]
    form = form or ("optimal" if rx == 1 else "free")
    selection = selection or ("backward" if chains_matter(problem) else "none")
    _check(form, selection, rx)
    active = problem.link.ports[0]

    if start is None:
        state = dirty_paper_phases(problem, starting_state(problem, key, None), dpc_iterations)
        h = active_channel(problem, state, active)
        f = regularised_start(h, limits)
    else:
        state, f = start.state[0][0], start.precoder[0, 0]
        h = active_channel(problem, state, active)
    unit = jnp.sqrt(jnp.maximum(limits[0] / active.size, jnp.finfo(float).tiny))
    coordinates: Coordinates = OptimalForm() if form == "optimal" else FreeEntries(unit)

    def one(state: Inexact[Array, "..."], x: Float[Array, " n"], active: Bool[Array, " port"]) -> Reached:
        return run(
            problem,
            coordinates,
            state,
            x,
            active,
            limits,
            tolerance=tolerance,
            window=window,
            max_iterations=max_iterations,
        )

    runs = 1 + (max(0, active.size - users) if selection == "backward" else 0)
    first = (state, coordinates.begin(h, f))
    best, merits, iterations, trials = eliminate(one, first, active, runs, users)
    return concluded(problem, best.state, best.precoder, jnp.exp(merits), best.status, iterations, trials)


def dirty_paper_phases(problem: Problem, state: Inexact[Array, "..."], iterations: int) -> Inexact[Array, "..."]:
    """Improve a state for dirty paper coding under the sum limit, every port on."""
    if iterations == 0:
        return state
    digital = DirtyPaperCoding(fixed_power(problem), problem.accepted_limits("hybrid-joint")[0])
    start = digital.begin(unit_noise_channel(problem.link, state))
    return reduced(problem.link, digital, state, start, Joint.of(max_iterations=iterations)).state


Run = Callable[[Array, Array, Array], Reached]


def eliminate(
    one: Run, first: tuple[Array, Array], active: Bool[Array, " port"], runs: int, users: int
) -> tuple[Reached, Float[Array, " run"], Int[Array, ""], Int[Array, ""]]:
    """Run, switch off the port with the least power, run again from there, and keep the best end.

    Args:
        one: a run from (state, coordinates) with the given ports on.
        first: state and coordinates of the first run.
        active: ports that are on in the first run.
        runs: number of runs.
        users: as many ports stay on.

    Returns:
        (best end, merit of the best end after every run, all iterations, all trials).
    """

    def better(new: Reached, old: Reached) -> Bool[Array, ""]:
        closer = new.shortfall < old.shortfall
        return jnp.where(old.feasible, new.feasible & (new.merit > old.merit), new.feasible | closer)

    def step(carry: tuple, number: Int[Array, ""]) -> tuple[tuple, Array]:
        (state, x), active, best, iterations, trials = carry

        def again() -> tuple:
            end = one(state, x, active)
            kept = jax.tree.map(lambda a, b: jnp.where((number == 0) | better(end, best), a, b), end, best)
            power = jnp.where(active, squared_norm(end.precoder, (0, 2)), jnp.inf)
            fewer = active & (jnp.arange(active.size) != jnp.argmin(power))
            return (end.state, end.x), fewer, kept, iterations + end.iterations, trials + end.trials

        going = (number == 0) | (active.sum() >= users)
        carry = jax.lax.cond(going, again, lambda: carry)
        return carry, carry[2].merit

    nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(one, *first, active))
    begin = (first, active, nothing, jnp.asarray(0), jnp.asarray(0))
    (_, _, best, iterations, trials), merits = jax.lax.scan(step, begin, jnp.arange(runs))
    return best, merits, iterations, trials


def _check(form: str, selection: str, rx: int) -> None:
    if form not in get_args(Form):
        raise ConfigError(f"form: must be one of {', '.join(get_args(Form))}, got {form!r}")
    if selection not in get_args(Selection):
        raise ConfigError(f"selection: must be one of {', '.join(get_args(Selection))}, got {selection!r}")
    if form == "optimal" and rx > 1:
        raise ConfigError(f"form: 'optimal' is for one antenna a user, got {rx}; 'free' takes any number")
