"""Coordinate ascent over the levels of discrete phases: element by element, every level tried exactly."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact, Int

from metamimo.errors import ConfigError
from metamimo.linalg import cmatmul
from metamimo.metrics.effective import broadcast_forward
from metamimo.problem import Link, Status
from metamimo.surfaces.stacked import StackedSurface
from metamimo.tuners.fixed_precoder import Rate
from metamimo.tuners.tuned import Tuned

_GAIN = 1e-12
"""Relative gain below which a change counts as rounding; taking it could send the sweeps in circles."""


def tune_levels(
    link: Link, state: Complex[Array, "layer element"], value: Rate, *, levels: int, max_sweeps: int = 50
) -> Tuned:
    """Change one element at a time to its best level until no single change raises the value.

    Signal model: H = A_l Phi^l B_l with the rows A_l from the users to layer l and the columns B_l from the ports to
    it. Both stay as they are while the elements of layer l change, so a new level of element n adds the rank-one matrix
    (new - old) a_n b_n^T to H, and a sweep over all layers costs one pass down and one pass up the stack besides the
    evaluations of the value. Elements are visited in their order, layers from the ports outwards.

    Args:
        link: broadcast link over a stacked surface.
        state: first state; what is not on a level 2 pi m / levels is rounded to the nearest one.
        value: any real value of the effective channel over unit noise, such as the rate at a fixed precoder.
        levels: number of levels of a phase, at least 2.
        max_sweeps: limit of sweeps over all elements.

    Returns:
        The result; `iterations` and `history` count sweeps, `trials` evaluations of the value. Where the status is
        converged, the state is a maximum over all changes of one element.

    Raises:
        ConfigError: if the surface is not a stack or there are fewer than two levels.

    >>> jax.config.update("jax_enable_x64", True)
    >>> stack, channel = StackedSurface.example(), jnp.ones((1, 1, 9), complex)
    >>> link = Link.broadcast(stack, channel, noise_power=1.0, bandwidth=1.0, frequency=6e9)
    >>> start = stack.feasible.random(jax.random.key(0))
    >>> tuned = jax.jit(lambda s: tune_levels(link, s, lambda h: (abs(h) ** 2).sum(), levels=4))(start)
    >>> bool(tuned.history[-1] > 1.5 * tuned.history[0]), Status(int(tuned.status)).message
    (True, 'converged')
    """
    surface = link.surfaces[0]
    if not isinstance(surface, StackedSurface):
        raise ConfigError(f"surfaces: levels are tuned on a StackedSurface, got {type(surface).__name__}")
    _check_levels(levels)
    grid = _level(jnp.arange(levels), levels)
    unit_noise = 1 / jnp.sqrt(link.noise_power)
    layers, elements = state.shape

    def tune_layer(
        h: Complex[Array, "user rx port"],
        layer: Complex[Array, " element"],
        rows: Complex[Array, "user rx element"],
        columns: Complex[Array, "element port"],
    ) -> tuple[Array, Array, Array]:
        """Return the new layer, its value and the number of changes."""

        def tune_element(n: Int[Array, ""], carry: tuple) -> tuple:
            h, best_value, layer, changes = carry
            change = rows[..., n, None] * columns[n]
            candidates = h + (grid - layer[n])[:, None, None, None] * change
            values = jax.vmap(value)(candidates)
            best = jnp.nanargmax(values)
            better = values[best] > best_value + _GAIN * jnp.abs(best_value)
            h = jnp.where(better, candidates[best], h)
            layer = layer.at[n].set(jnp.where(better, grid[best], layer[n]))
            return h, jnp.where(better, values[best], best_value), layer, changes + better

        _, best_value, layer, changes = jax.lax.fori_loop(
            0, elements, tune_element, (h, value(h), layer, jnp.asarray(0))
        )
        return layer, best_value, changes

    def sweep(carry: tuple) -> tuple:
        state, history, i, _ = carry
        # The rows that meet a layer do not depend on it or on those below, which are tuned before it.
        _, kept = surface.rows_forward(state, link.channel[:, 0])
        rows = kept.reshape(layers, *link.channel.shape[2:4], elements) * unit_noise

        def step(l: Int[Array, ""], carry: tuple) -> tuple:
            state, columns, changes, _ = carry
            columns = jnp.where(l == 0, surface.first, surface.carry_columns(state, columns, l)) * link.ports[0]
            layer, last, changed = tune_layer(cmatmul(rows[l] * state[l], columns), state[l], rows[l], columns)
            return state.at[l].set(layer), columns, changes + changed, last

        first = (state, surface.first, jnp.asarray(0), history[0])
        state, _, changes, last = jax.lax.fori_loop(0, surface.n_layers, step, first)
        # Without a change the value differs from the last one by rounding only.
        history = history.at[i + 1].set(jnp.where(changes > 0, last, history[i]))
        return state, history, i + 1, changes > 0

    def going(carry: tuple) -> Array:
        _, history, i, changed = carry
        return changed & (i < max_sweeps) & jnp.isfinite(history[i])

    state = nearest_levels(state, levels)
    history = jnp.full(max_sweeps + 1, value(broadcast_forward(link, state)[0] * unit_noise))
    state, history, i, changed = jax.lax.while_loop(going, sweep, (state, history, jnp.asarray(0), jnp.asarray(True)))
    history = jnp.where(jnp.arange(max_sweeps + 1) > i, history[i], history)
    status = jnp.where(changed, Status.ITERATION_LIMIT, Status.CONVERGED)
    status = jnp.where(jnp.isfinite(history[-1]), status, Status.NOT_FINITE)
    return Tuned(state, history, status, i, 1 + i * surface.n_layers * elements * levels)


def nearest_levels(state: Inexact[Array, "*shape"], levels: int) -> Complex[Array, "*shape"]:
    """Round phases to the nearest level, by the rule of `QuantizedPhase` (ties: half to even).

    Args:
        state: phases exp(j theta).
        levels: number of levels, at least 2.

    Returns:
        The rounded state.

    Raises:
        ConfigError: if there are fewer than two levels.

    >>> nearest_levels(jnp.array([1j - 0.1]), 2).real.tolist()
    [-1.0]
    """
    _check_levels(levels)
    return _level(jnp.mod(jnp.round(jnp.angle(state) * levels / (2 * math.pi)), levels), levels)


def best_common_phase(state: Complex[Array, "layer element"], levels: int) -> Complex[Array, "layer element"]:
    """Turn every layer by the common phase after which rounding moves it least; no rate changes by the turn.

    Rounding x_n to q_n after the best turn for these q leaves sum |q - x|^2 = 2 N - 2 |sum conj(q_n) x_n|. While the
    turn runs through one step of the grid the elements change their q one by one, in the order of their remainders: N
    roundings are all there are, and the best of them is the best of all turns.

    Args:
        state: continuous phases exp(j theta).
        levels: number of levels, at least 2.

    Returns:
        The turned state, still continuous.

    Raises:
        ConfigError: if there are fewer than two levels.

    >>> jax.config.update("jax_enable_x64", True)
    >>> turn = jax.jit(lambda phase: best_common_phase(jnp.exp(1j * phase), 4))
    >>> turned = jnp.degrees(jnp.angle(turn(jnp.array([[0.7, 0.7 + math.pi / 2]]))))
    >>> (turned.round().astype(int) % 90).tolist()  # both on the grid, of whose four turns any is as good
    [[0, 0]]
    """
    _check_levels(levels)
    remainder = state * nearest_levels(state, levels).conj()
    order = jnp.argsort(-jnp.angle(remainder), axis=1)
    sorted_remainder = jnp.take_along_axis(remainder, order, 1)
    moved = jnp.cumsum(sorted_remainder * (_level(jnp.asarray(1), levels).conj() - 1), axis=1)
    sums = remainder.sum(1, keepdims=True) + jnp.pad(moved, ((0, 0), (1, 0)))
    best = jnp.take_along_axis(sums, jnp.argmax(jnp.abs(sums), 1)[:, None], 1)
    return state * jnp.exp(-1j * jnp.angle(best))


def rounding_alignment(state: Complex[Array, "*shape"], levels: int) -> Float[Array, "*shape"]:
    """Return cos(levels times phase): 1 on a level, -1 half-way between two."""
    return jnp.cos(levels * jnp.angle(state))


def _level(m: Inexact[Array, "*shape"] | Int[Array, "*shape"], levels: int) -> Complex[Array, "*shape"]:
    phase = m * (2 * math.pi / levels)
    return jax.lax.complex(jnp.cos(phase), jnp.sin(phase))


def _check_levels(levels: int) -> None:
    if levels < 2:
        raise ConfigError(f"levels: a discrete phase has at least 2 levels, got {levels}")
