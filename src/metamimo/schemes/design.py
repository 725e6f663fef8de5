"""The verb for a person: design a transmitter and hear what to doubt about it."""

import warnings
from typing import Any, get_args

import jax
from jaxtyping import Array, Key

from metamimo.bounds.bound import Effort
from metamimo.bounds.of_problem import upper_bound
from metamimo.conventions import require_x64
from metamimo.errors import ConfigError, PhysicsWarning
from metamimo.metrics.physics import physics_warnings
from metamimo.problem import Problem, Solution
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.registry import SCHEMES


def design(
    problem: Problem,
    scheme: str,
    *,
    key: Key[Array, ""],
    starts: int = 1,
    bound: str = "tight",
    target_gap: float | None = None,
    **options: Any,
) -> Solution:
    """Design surface state and precoder with a scheme of the registry.

    Args:
        problem: link, limits, consumption and objective.
        scheme: name in `metamimo.schemes.registry.SCHEMES`.
        key: JAX key of the trial.
        starts: random starts, of which the best is returned.
        bound: how much to spend on what no design exceeds: `none`, `cheap` or `tight`, see
            `metamimo.bounds.of_problem.upper_bound`.
        target_gap: spare the starts that are left once the best design is proven to be within this share of the bound,
            0.1 for 10 %.
        **options: options of the scheme.

    Returns:
        The solution; `print` shows it on one screen.

    Raises:
        ConfigError: if the scheme or an option is unknown, does not fit the problem, or double precision is off; if a
            target gap is asked of a problem without bound.

    Warns:
        PhysicsWarning: if the model of the surface creates energy, users are left without service, or a design exceeds
            its bound, which is a mistake in one of the two: please report it.
    """
    require_x64("design")
    if bound not in (efforts := ("none", *get_args(Effort))):
        raise ConfigError(f"bound: must be one of {', '.join(efforts)}, got {bound!r}")
    function = SCHEMES.get(scheme)
    # Trace once with the problem's values in sight, so that a scheme can refuse what it would ignore.
    jax.eval_shape(lambda k: function(problem, key=k, **options), key)

    def solve(problem: Problem, key: Key[Array, ""]) -> Solution:
        found = None if bound == "none" else upper_bound(problem, bound)
        return best_of_starts(function, problem, key=key, starts=starts, bound=found, target_gap=target_gap, **options)

    solution = jax.jit(solve)(problem, key)
    if float(solution.value) > float(solution.upper_bound) * (1 + 1e-9):
        excess = f"value {float(solution.value):.6g} exceeds the bound {float(solution.upper_bound):.6g}"
        warnings.warn(f"{scheme}: {excess} ({solution.bound_name})", PhysicsWarning, stacklevel=2)
    for finding in physics_warnings(problem, solution.design):
        warnings.warn(finding, PhysicsWarning, stacklevel=2)
    return solution
