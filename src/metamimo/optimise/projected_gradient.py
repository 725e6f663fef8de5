"""One step of projected gradient ascent with backtracking (Perović et al. 2024, eqs. 34, 41 and 54)."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Inexact, Int

from metamimo.errors import ConfigError
from metamimo.linalg import squared_norm

LineSearch = Literal["sufficient_increase", "quadratic_model"]


class StepRule(eqx.Module):
    """Backtracking rule: step mu_0 rho^m with the smallest m >= 0 that is accepted.

    Attributes:
        line_search: `sufficient_increase` accepts f(new) >= f + delta |new - x|^2; `quadratic_model` accepts
            f(new) >= f + 2 Re<grad, new - x> - |new - x|^2 / mu. Both are monotone.
        first: largest step mu_0.
        shrink: factor rho.
        increase: delta of `sufficient_increase`.
        reductions: after that many reductions the point is kept and the step counts as stalled.
        restart: whether every iteration tries mu_0 first, as the paper prints, or twice the last accepted step.
    """

    line_search: LineSearch = eqx.field(static=True, default="sufficient_increase")
    first: float = eqx.field(static=True, default=1000.0)
    shrink: float = eqx.field(static=True, default=0.5)
    increase: float = eqx.field(static=True, default=1e-5)
    reductions: int = eqx.field(static=True, default=60)
    restart: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        if self.line_search not in get_args(LineSearch):
            raise ConfigError(
                f"line_search: must be one of {', '.join(get_args(LineSearch))}, got {self.line_search!r}"
            )
        if not 0 < self.shrink < 1:
            raise ConfigError(f"shrink: must lie between 0 and 1, got {self.shrink}")
        if not self.first > 0:
            raise ConfigError(f"first: the first step must be positive, got {self.first}")


class Point(eqx.Module):
    """A point of the ascent with what its gradient needs.

    Attributes:
        x: the point.
        value: objective there.
        kept: intermediate results of the forward pass, used by the backward pass.
        step: last accepted step mu.
        trials: forward passes so far.
        moved: whether the last step was accepted.
    """

    x: Inexact[Array, "..."]
    value: Float[Array, ""]
    kept: Any
    step: Float[Array, ""]
    trials: Int[Array, ""]
    moved: Bool[Array, ""]


Forward = Callable[[Array], tuple[Array, Any]]
Backward = Callable[[Array, Any], Array]


def start_point(forward: Forward, x: Inexact[Array, "..."], rule: StepRule) -> Point:
    """Evaluate a start."""
    value, kept = forward(x)
    return Point(x, value, kept, jnp.asarray(rule.first, value.dtype), jnp.asarray(1), jnp.asarray(True))


def ascend(
    forward: Forward, backward: Backward, project: Callable[[Array], Array], point: Point, rule: StepRule
) -> Point:
    """Take one projected gradient step; the accepted trial's forward pass serves the next gradient.

    Args:
        forward: x -> (value, kept).
        backward: (x, kept) -> gradient with respect to the conjugate of x, df = 2 Re<gradient, dx>.
        project: nearest feasible point.
        point: where to start.
        rule: backtracking rule.

    Returns:
        The next point, or the same one with `moved` false.
    """
    gradient = backward(point.x, point.kept)
    first = rule.first if rule.restart else jnp.minimum(rule.first, 2 * point.step)

    def trial(carry: tuple[Array, Array, Array, Any, Array, Array]) -> tuple[Array, Array, Array, Any, Array, Array]:
        mu, _, _, _, _, m = carry
        x = project(point.x + mu * gradient)
        value, kept = forward(x)
        change = x - point.x
        distance = squared_norm(change)
        if rule.line_search == "sufficient_increase":
            accepted = value >= point.value + rule.increase * distance
        else:
            slope = 2 * (gradient.conj() * change).real.sum()
            accepted = value >= point.value + slope - distance / mu
        return jnp.where(accepted, mu, mu * rule.shrink), x, value, kept, accepted, m + 1

    def searching(carry: tuple[Array, Array, Array, Any, Array, Array]) -> Array:
        *_, accepted, m = carry
        return ~accepted & (m <= rule.reductions)

    start = (
        jnp.asarray(first, point.value.dtype),
        point.x,
        point.value,
        point.kept,
        jnp.asarray(False),
        jnp.asarray(0),
    )
    mu, x, value, kept, accepted, m = jax.lax.while_loop(searching, trial, start)
    taken = Point(x, value, kept, mu, point.trials + m, accepted)
    stayed = Point(point.x, point.value, point.kept, point.step, point.trials + m, accepted)
    return jax.lax.cond(accepted, lambda: taken, lambda: stayed)
