"""L-BFGS with history, status and trial count; runs inside jit on a real vector."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Number = float | Float[Array, ""]


class Minimum(eqx.Module):
    """Result of `minimise`.

    Attributes:
        x: best point.
        value: objective there.
        inner: inner variables there.
        history: objective after every iteration, the last value repeated.
        iterations: iterations done.
        trials: evaluations of value and gradient.
        flat: whether the window's gain fell below the tolerance.
        stalled: whether the line search found no decrease.
    """

    x: Float[Array, " n"]
    value: Float[Array, ""]
    inner: Any
    history: Float[Array, " iteration"]
    iterations: Int[Array, ""]
    trials: Int[Array, ""]
    flat: Bool[Array, ""]
    stalled: Bool[Array, ""]


class _Memory(eqx.Module):
    """The last pairs of steps s and gradient changes y in a ring; unused slots are zero."""

    s: Float[Array, "pair n"]
    y: Float[Array, "pair n"]
    sy: Float[Array, "pair pair"]  # s_i . y_j
    yy: Float[Array, "pair pair"]  # y_i . y_j
    count: Int[Array, ""]  # pairs pushed so far

    @classmethod
    def empty(cls, pairs: int, like: Float[Array, " n"]) -> "_Memory":
        rows, square = jnp.zeros((pairs, like.size), like.dtype), jnp.zeros((pairs, pairs), like.dtype)
        return cls(rows, rows, square, square, jnp.asarray(0))

    def push(self, s: Float[Array, " n"], y: Float[Array, " n"], keep: Bool[Array, ""]) -> "_Memory":
        """Overwrite the oldest pair in place; with `keep` false write back what stands there."""
        slot = self.count % self.s.shape[0]
        new_s = self.s.at[slot].set(jnp.where(keep, s, self.s[slot]))
        new_y = self.y.at[slot].set(jnp.where(keep, y, self.y[slot]))
        s, y = new_s[slot], new_y[slot]
        sy = self.sy.at[:, slot].set(new_s @ y).at[slot, :].set(new_y @ s)  # real product
        products = new_y @ y  # real product
        yy = self.yy.at[:, slot].set(products).at[slot, :].set(products)
        return _Memory(new_s, new_y, sy, yy, self.count + keep)

    def direction(self, gradient: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return -H g with the inverse Hessian in compact form."""
        products = self.s @ gradient, self.y @ gradient  # real product
        scale, by_s, by_y = direction_weights(self.sy, self.yy, *products, self.count)
        return -(scale * gradient + by_s @ self.s - scale * (by_y @ self.y))  # real product


def direction_weights(
    sy: Float[Array, "pair pair"],
    yy: Float[Array, "pair pair"],
    sg: Float[Array, " pair"],
    yg: Float[Array, " pair"],
    count: Int[Array, ""],
) -> tuple[Float[Array, ""], Float[Array, " pair"], Float[Array, " pair"]]:
    """Return scale, a and b of the direction -H g = -(scale g + a S - scale b Y) from inner products alone.

    Inverse Hessian in compact form (Byrd, Nocedal and Schnabel 1994, theorem 2.2). Nothing here is as long as a point,
    so points that are spread over many processes need to share no more than these products.

    Args:
        sy: s_i . y_j of the pairs in a ring, zero where none is yet.
        yy: y_i . y_j.
        sg: s_i . g, g the gradient.
        yg: y_i . g.
        count: pairs that the ring has taken so far.

    Returns:
        (scale, a, b).
    """
    size = len(sg)
    by_age = (count + jnp.arange(size)) % size  # oldest first
    back = (jnp.arange(size) - count) % size
    sy, yy = sy[by_age][:, by_age], yy[by_age][:, by_age]
    diagonal, curvature = jnp.diagonal(sy), yy[-1, -1]
    scale = jnp.where(curvature > 0, diagonal[-1] / jnp.where(curvature > 0, curvature, 1), 1.0)
    upper = jnp.triu(sy) + jnp.diag((diagonal <= 0).astype(sy.dtype))
    inner = jax.scipy.linalg.solve_triangular(upper, sg[by_age])
    middle = diagonal * inner + scale * (yy @ inner - yg[by_age])  # real product
    outer = jax.scipy.linalg.solve_triangular(upper, middle, trans=1)
    return scale, outer[back], inner[back]


def enough(t: Number, value: Number, new_value: Number, slope: Number) -> bool | Bool[Array, ""]:
    """Tell whether a step of length t along a descent of `slope` lowers the value enough (Armijo's rule).

    A new value that is not a number never does.
    """
    return new_value <= value + 1e-4 * t * slope


def shorter_step(t: Number, value: Number, new_value: Number, slope: Number) -> Float[Array, ""]:
    """Return the minimum of the parabola through what a refused step showed, a tenth to a half of its length."""
    shorter = -slope * t * t / (2 * (new_value - value - t * slope))
    return jnp.clip(jnp.where(jnp.isfinite(shorter), shorter, 0.5 * t), 0.1 * t, 0.5 * t)


def curves(sy: Float[Array, ""], s: Float[Array, ""], y: Float[Array, ""]) -> Bool[Array, ""]:
    """Tell whether a pair with inner product and norms as given has curvature enough to be remembered."""
    return sy > 1e-10 * s * y


Evaluate = Callable[[Float[Array, " n"], Any], tuple[Float[Array, ""], Float[Array, " n"], Any]]


def minimise(
    evaluate: Evaluate,
    start: Float[Array, " n"],
    inner: Any = None,
    *,
    tolerance: float = 1e-6,
    window: int = 10,
    max_iterations: int = 1000,
    memory: int = 10,
    max_trials: int = 30,
) -> Minimum:
    """Minimise a smooth function of a real vector, possibly over inner variables that each evaluation improves.

    Stops when the ABSOLUTE gain over a window of iterations falls below the tolerance: objectives here are logarithms,
    which pass through zero. The line search is Armijo with quadratic interpolation, so the history never rises.

    Args:
        evaluate: (x, inner) -> (value, gradient in x, inner). The inner variables that come back must not be worse than
            those that went in; at their optimum the gradient is that of the reduced function (envelope theorem).
            `pure` makes one from a plain objective.
        start: first point.
        inner: first inner variables.
        tolerance: least gain over the window.
        window: number of iterations the gain is taken over.
        max_iterations: limit of iterations.
        memory: number of pairs kept.
        max_trials: evaluations a line search may take.

    Returns:
        The minimum found.

    >>> import jax.numpy as jnp
    >>> found = minimise(pure(lambda x: ((x - 3) ** 2).sum()), jnp.zeros(2), tolerance=1e-12)
    >>> bool(abs(found.x - 3).max() < 1e-6)
    True
    """
    tiny = jnp.finfo(start.dtype).tiny

    def iterate(carry: tuple) -> tuple:
        x, value, gradient, inner, pairs, i, history, trials, _, _ = carry
        # The first pass evaluates the start, as a step of length zero down from infinity: `evaluate` compiles once.
        norm = jnp.maximum(jnp.linalg.norm(gradient), tiny)
        d = pairs.direction(gradient)
        # Before the first pair there is no scale: step the length of one radian or one unit at most.
        d = jnp.where(pairs.count == 0, -gradient / jnp.maximum(norm, 1.0), d)
        slope = gradient @ d  # real product
        d, slope = jnp.where(slope < 0, d, -gradient / norm), jnp.where(slope < 0, slope, -norm)
        slope = jnp.where(i < 0, 0, slope)

        def trial(search: tuple) -> tuple:
            t, *_, n = search
            candidate = x + t * d
            new_value, new_gradient, new_inner = evaluate(candidate, inner)
            accepted = enough(t, value, new_value, slope) | (i < 0)
            shorter = shorter_step(t, value, new_value, slope)
            return jnp.where(accepted, t, shorter), candidate, new_value, new_gradient, new_inner, accepted, n + 1

        def searching(search: tuple) -> Array:
            *_, accepted, n = search
            return ~accepted & (n < max_trials)

        first = (jnp.ones((), x.dtype), x, value, gradient, inner, jnp.asarray(False), jnp.asarray(0))
        _, *new, accepted, n = jax.lax.while_loop(searching, trial, first)
        new_x, new_value, new_gradient, inner = jax.tree.map(
            lambda a, b: jnp.where(accepted, a, b), tuple(new), (x, value, gradient, inner)
        )
        s, y = new_x - x, new_gradient - gradient
        curved = accepted & curves(s @ y, jnp.linalg.norm(s), jnp.linalg.norm(y))  # real product
        pairs = pairs.push(s, y, curved)
        i = i + 1
        history = history.at[i].set(new_value)
        flat = (i >= window) & (history[jnp.maximum(i - window, 0)] - new_value <= tolerance)
        return new_x, new_value, new_gradient, inner, pairs, i, history, trials + n, flat, ~accepted

    def going(carry: tuple) -> Array:
        _, value, _, _, _, i, _, _, flat, stalled = carry
        return ~flat & ~stalled & ((i < 0) | jnp.isfinite(value)) & (i < max_iterations)

    infinity, no = jnp.asarray(jnp.inf, start.dtype), jnp.asarray(False)
    history = jnp.full(max_iterations + 1, infinity)
    pairs, before = _Memory.empty(memory, start), jnp.asarray(-1)
    begin = (start, infinity, jnp.zeros_like(start), inner, pairs, before, history, jnp.asarray(0), no, no)
    x, value, _, inner, _, i, history, trials, flat, stalled = jax.lax.while_loop(going, iterate, begin)
    history = jnp.where(jnp.arange(max_iterations + 1) > i, value, history)
    return Minimum(x, value, inner, history, i, trials, flat, stalled)


def pure(objective: Callable[[Float[Array, " n"]], Float[Array, ""]]) -> Evaluate:
    """Make `evaluate` of `minimise` from a plain objective, by reverse-mode differentiation."""
    value_and_grad = jax.value_and_grad(objective)

    def evaluate(x: Float[Array, " n"], inner: Any) -> tuple[Array, Array, Any]:
        return *value_and_grad(x), inner

    return evaluate
