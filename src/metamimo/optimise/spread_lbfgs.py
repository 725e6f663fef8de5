"""L-BFGS over a point whose parts live apart: processes share sums of inner products, never the parts themselves.

The steps are those of `metamimo.optimise.lbfgs.minimise`. A process holds its own entries of the point, of the gradient
and of all pairs; the tables of products, which decide the direction, are the same everywhere. So an iteration costs one
sum of `5 pairs + 4` real numbers, besides what the objective itself takes.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from metamimo.linalg import squared_norm
from metamimo.optimise.lbfgs import curves, direction_weights

PAIRS = 10
"""Steps and gradient changes that are remembered, as `minimise` does."""


class Part(eqx.Module):
    """What one process holds of a run.

    Attributes:
        x: its entries of the point.
        gradient: of the gradient there.
        step, change: of the last step, and of what it changed in the gradient; zero before the first.
        direction: of the direction that is searched.
        s, y: of the last steps and changes, in a ring.
        sy: s_i . y_j, over all processes.
        yy: y_i . y_j, over all processes.
        count: pairs that the ring has taken.
    """

    x: Float[Array, " n"]
    gradient: Float[Array, " n"]
    step: Float[Array, " n"]
    change: Float[Array, " n"]
    direction: Float[Array, " n"]
    s: Float[Array, "pair n"]
    y: Float[Array, "pair n"]
    sy: Float[Array, "pair pair"]
    yy: Float[Array, "pair pair"]
    count: Int[Array, ""]

    @classmethod
    def start(cls, x: Float[Array, " n"]) -> "Part":
        """Return a run's part before its first gradient."""
        none, rows, square = jnp.zeros_like(x), jnp.zeros((PAIRS, x.size), x.dtype), jnp.zeros((PAIRS, PAIRS), x.dtype)
        return cls(x, none, none, none, none, rows, rows, square, square, jnp.asarray(0))

    @property
    def slot(self) -> Int[Array, ""]:
        """Where in the ring the last step goes."""
        return self.count % PAIRS

    def after_step(self, x: Float[Array, " n"]) -> "Part":
        """Return the part once everybody went to the point."""
        return eqx.tree_at(lambda p: (p.x, p.step), self, (x, x - self.x))

    def with_gradient(self, gradient: Float[Array, " n"]) -> "Part":
        """Return the part with the gradient at its point."""
        return eqx.tree_at(lambda p: (p.gradient, p.change), self, (gradient, gradient - self.gradient))


def own_products(part: Part) -> Float[Array, " product"]:
    """Return this process's share of all inner products of an iteration; their sums go to `turned`."""
    s, y = part.s.at[part.slot].set(part.step), part.y.at[part.slot].set(part.change)
    g = part.gradient
    rows = (s @ part.change, y @ part.step, y @ part.change, s @ g, y @ g)  # real product
    # A step without curvature is not remembered, and the pair in its place counts on.
    kept = part.s[part.slot] @ g, part.y[part.slot] @ g  # real product
    return jnp.concatenate([*rows, jnp.stack([squared_norm(g), squared_norm(part.step), *kept])])


def turned(part: Part, sums: Float[Array, " product"]) -> tuple[Part, Float[Array, ""]]:
    """Return the part with its direction -H g, and the slope g . d of the objective along it.

    Args:
        part: what this process holds.
        sums: of `own_products`, over all processes.

    Returns:
        (part, slope), the slope the same for everybody.
    """
    slot = part.slot
    new_sy, new_ys, new_yy, sg, yg = sums[: 5 * PAIRS].reshape(5, PAIRS)
    gg, ss, old_sg, old_yg = sums[5 * PAIRS :]
    curved = curves(new_sy[slot], jnp.sqrt(ss), jnp.sqrt(new_yy[slot]))
    sg, yg = sg.at[slot].set(jnp.where(curved, sg[slot], old_sg)), yg.at[slot].set(jnp.where(curved, yg[slot], old_yg))
    remembered = (
        part.s.at[slot].set(part.step),
        part.y.at[slot].set(part.change),
        part.sy.at[:, slot].set(new_sy).at[slot, :].set(new_ys),
        part.yy.at[:, slot].set(new_yy).at[slot, :].set(new_yy),
    )
    before = part.s, part.y, part.sy, part.yy
    s, y, sy, yy = (jnp.where(curved, new, old) for new, old in zip(remembered, before, strict=True))
    count = part.count + curved
    scale, by_s, by_y = direction_weights(sy, yy, sg, yg, count)
    d = -(scale * part.gradient + by_s @ s - scale * (by_y @ y))  # real product
    slope = -(scale * gg + by_s @ sg - scale * (by_y @ yg))  # real product
    norm = jnp.maximum(jnp.sqrt(gg), jnp.finfo(d.dtype).tiny)
    # As in `minimise`: no scale before the first pair, and steepest descent where rounding makes d an ascent.
    length = jnp.where(count == 0, 1 / jnp.maximum(norm, 1.0), 1 / norm)
    plain = (count == 0) | ~(slope < 0)
    d, slope = jnp.where(plain, -length * part.gradient, d), jnp.where(plain, -length * gg, slope)
    return Part(part.x, part.gradient, part.step, part.change, d, s, y, sy, yy, count), slope
