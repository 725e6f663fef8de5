"""Powers of zero-forced streams under a limit for every port, by a convex program on the host."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metamimo.optimise.cone_programs import Cone, call_host, solve_cones


def zero_forcing_powers(
    columns: Float[Array, "port stream"], limits: Float[Array, " port"], weights: Float[Array, " stream"]
) -> Float[Array, " stream"]:
    """Maximise sum_i w_i ln(1 + p_i) over p >= 0 with sum_i columns[s, i] p_i <= limit_s.

    Args:
        columns: power that a unit of stream i's received power over noise takes from port s [W].
        limits: power of each port [W].
        weights: of each stream's rate.

    Returns:
        p; zero where a stream cannot be sent, and where the program has no solution.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> zero_forcing_powers(jnp.eye(2), jnp.array([3.0, 0.0]), jnp.ones(2)).round(5)
    Array([3., 0.], dtype=float64)
    """
    # Powers as shares of what a stream could have alone: in watts the solver fails at the scale of 1e-10.
    positive = columns > 0
    most = jnp.where(positive, limits[:, None] / jnp.where(positive, columns, 1), jnp.inf).min(0)
    able = jnp.isfinite(most) & (most > 0)
    alone = jnp.where(able, most, 0)
    shares = columns * alone / jnp.where(limits > 0, limits, 1)[:, None]
    expected = (jax.ShapeDtypeStruct(alone.shape, float),)
    (found,) = call_host(_solve, expected, shares, alone, jnp.where(able, weights, 0))
    # The solver meets the limits up to its tolerance; scaling makes them exact.
    return alone * found / jnp.maximum(1, (shares @ found).max())  # real product


def _solve(shares: np.ndarray, alone: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray]:
    """Maximise sum w e with exp(e_i) <= 1 + alone_i t_i, 0 <= t <= 1, shares t <= 1; unknowns t, e."""
    n = len(alone)
    cost = np.concatenate([np.zeros(n), -weights])
    none = np.zeros((n, n))
    cones = [
        Cone("Nonnegative", np.hstack([np.eye(n), none]), np.zeros(n)),
        Cone("Nonnegative", np.hstack([-shares, np.zeros_like(shares)]), np.ones(len(shares))),
    ]
    for i in range(n):
        g = np.zeros((3, 2 * n))
        g[0, n + i] = 1
        # Over the size of the right side, so that all cones have numbers of one size: e counts from its logarithm.
        g[2, i] = alone[i] / (1 + alone[i])
        cones.append(Cone("Exponential", g, np.array([0.0, 1.0, 1 / (1 + alone[i])])))
    found = solve_cones(cost, cones)
    return (np.zeros(n) if found is None else np.clip(found[:n], 0, 1),)
