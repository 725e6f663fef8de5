"""ZF-HC: zero-forcing inside every cell with powers by a convex program, elements by hidden convexity (benchmark)."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Key

from metamimo.linalg import cmatmul, hermitian, squared_norm
from metamimo.metrics.mean_square_error import error_of_received
from metamimo.precoders.zero_forcing_power import zero_forcing_powers
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.block_descent import Descent, Digital, block_descent
from metamimo.schemes.network import Network, shared_surface
from metamimo.tuners.element_block import by_hidden_convexity

_WORST = 1e10
"""Condition number of a cell's channel from which it keeps its precoder."""


def zf_hc(problem: Problem, *, key: Key[Array, ""], start: Design | None = None, **options: Any) -> Solution:
    """Zero-force inside every cell and choose elements on or off by hidden convexity (section 12).

    Neither step is one of descent for the other, so the rate may fall; `returned` says whether the best iterate or the
    last one is the result. Interference between cells stays.

    Args:
        problem: one subcarrier, a limit for every port, one surface shared by all stations, elements on or off; every
            user served by one station, with no more streams than chains in a cell.
        key: key of the trial; sub-key "start" draws states and precoders.
        start: a design to start from.
        **options: options of `metamimo.schemes.block_descent.block_descent`.

    Returns:
        The solution.

    Raises:
        ConfigError: if the problem is more general than the scheme or an option out of its range.
    """
    solver = by_hidden_convexity(shared_surface(problem, "zf-hc").feasible)
    return block_descent(problem, solver, "zf-hc", key=key, start=start, digital=zero_forcing, **options)


def zero_forcing(network: Network, now: Descent) -> Digital:
    """Return zero-forcing precoders of all stations, with receivers and weights that suit them."""
    bs, ports = network.ports.shape
    users, _, streams = now.precoder.shape
    h = network.effective(now.states).reshape(users, -1, bs, ports).transpose(2, 0, 1, 3)
    old = now.precoder.reshape(users, bs, ports, streams).transpose(1, 0, 2, 3)

    def station(item: tuple) -> Complex[Array, "user port stream"]:
        h, serves, reach, before = item
        strongest = jnp.linalg.svd(h, full_matrices=False)[0][..., :streams]
        g = cmatmul(hermitian(strongest), h) * serves[:, None, None]
        mine = jnp.repeat(serves, streams)
        left, values, right = jnp.linalg.svd(g.reshape(users * streams, ports), full_matrices=False)
        kept = values * _WORST > values[0]
        usable = kept.sum() == mine.sum()
        inverse = jnp.where(kept, 1 / jnp.where(kept, values, 1), 0)
        inverse = cmatmul(hermitian(right) * inverse, hermitian(left)) * mine
        weights = jnp.repeat(network.weights, streams) * mine
        powers = zero_forcing_powers(squared_norm(inverse[..., None], -1), reach**2, weights)
        f = (inverse * jnp.sqrt(powers)).reshape(ports, users, streams).transpose(1, 0, 2)
        return jnp.where(usable, f, before)

    each = jax.lax.map(station, (h, network.serves, network.reach, old))
    f = each.transpose(1, 0, 2, 3).reshape(users, bs * ports, streams)
    z = network.sent(now.states, network.excitation(f)).sum(0)
    return f, error_of_received(z, network.weights)
