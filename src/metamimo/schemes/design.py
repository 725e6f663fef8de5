"""The verb for a person: design a transmitter and hear what to doubt about it."""

import warnings
from typing import Any

import jax
from jaxtyping import Array, Key

from metamimo.conventions import require_x64
from metamimo.errors import PhysicsWarning
from metamimo.metrics.physics import physics_warnings
from metamimo.problem import Problem, Solution
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.registry import SCHEMES


def design(problem: Problem, scheme: str, *, key: Key[Array, ""], starts: int = 1, **options: Any) -> Solution:
    """Design surface state and precoder with a scheme of the registry.

    Args:
        problem: link, limits, consumption and objective.
        scheme: name in `metamimo.schemes.registry.SCHEMES`.
        key: JAX key of the trial.
        starts: random starts, of which the best is returned.
        **options: options of the scheme.

    Returns:
        The solution; `print` shows it on one screen.

    Raises:
        ConfigError: if the scheme or an option is unknown, does not fit the problem, or double precision is off.

    Warns:
        PhysicsWarning: if the model of the surface creates energy, or users are left without service.
    """
    require_x64("design")
    function = SCHEMES.get(scheme)
    # Trace once with the problem's values in sight, so that a scheme can refuse what it would ignore.
    jax.eval_shape(lambda k: function(problem, key=k, **options), key)
    solution = jax.jit(lambda p, k: best_of_starts(function, p, key=k, starts=starts, **options))(problem, key)
    for finding in physics_warnings(problem, solution.design):
        warnings.warn(finding, PhysicsWarning, stacklevel=2)
    return solution
