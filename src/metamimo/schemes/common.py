"""Steps that several recipes share: checks, starting states, and packing a result."""

from typing import Literal, get_args

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact, Int, Key

from metamimo.errors import ConfigError
from metamimo.metrics.evaluate import evaluate, objective_value
from metamimo.problem import Design, Problem, Solution
from metamimo.randomness import purpose_key
from metamimo.surfaces.base import Surface

PhaseStage = Literal["lbfgs", "projected_gradient"]


def check_phase_stage(phase_stage: str) -> None:
    """Refuse an unknown phase stage.

    Raises:
        ConfigError: if it is unknown.
    """
    if phase_stage not in get_args(PhaseStage):
        raise ConfigError(f"phase_stage: must be one of {', '.join(get_args(PhaseStage))}, got {phase_stage!r}")


def single_surface(problem: Problem, scheme: str) -> Surface:
    """Return the surface of a one-station problem whose states are smooth enough for gradients.

    Raises:
        ConfigError: if there is none.
    """
    surface = problem.link.surfaces[0]
    if not surface.feasible.smooth:
        raise ConfigError(
            f"feasible: {scheme} follows gradients, but {type(surface.feasible).__name__} is a discrete set: "
            "design on the continuous set and project the state"
        )
    return surface


def starting_state(problem: Problem, key: Key[Array, ""], start: Design | None) -> Inexact[Array, "..."]:
    """Return the state of the start, or a random one from the key's purpose "start"."""
    if start is not None:
        return start.state[0][0]
    return problem.link.surfaces[0].feasible.random(purpose_key(key, "start"))


def scored(
    problem: Problem,
    design: Design,
    history: Float[Array, " iteration"],
    status: Int[Array, ""],
    iterations: Int[Array, ""],
    trials: Int[Array, ""],
) -> Solution:
    """Score a design on the designer's own link and pack the result.

    Args:
        problem: the problem.
        design: states and precoders.
        history: the objective after every iteration, in its unit.
        status: a `Status`.
        iterations, trials: of the run.
    """
    metrics = evaluate(problem, design)
    value = objective_value(metrics, problem.objective)
    return Solution(
        design=design,
        value=value,
        history=history,
        status=jnp.asarray(status, int),
        iterations=jnp.asarray(iterations, int),
        trials=jnp.asarray(trials, int),
        ledger=metrics.ledger,
        rates=metrics.rates,
        start_values=value[None],
        objective=problem.objective,
    )


def solved(
    problem: Problem,
    state: Inexact[Array, "..."],
    precoder: Complex[Array, "user port stream"],
    history: Float[Array, " iteration"],
    status: Int[Array, ""],
    iterations: Int[Array, ""],
    trials: Int[Array, ""],
    order: Int[Array, " user"] | None = None,
) -> Solution:
    """Score a design of one station and pack the result.

    Args:
        problem: link, limits and consumption.
        state: state of the surface.
        precoder: F [sqrt(W)].
        history: energy efficiency after every iteration [bit/J].
        status: a `Status`.
        iterations: iterations done.
        trials: evaluations of the rate.
        order: encoding order of dirty paper coding.
    """
    design = Design(state=(state[None],), precoder=precoder[None, None], order=order)
    return scored(problem, design, history, status, iterations, trials)
