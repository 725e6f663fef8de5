"""States and precoders of a cell-free network by L-BFGS, on the messages that stations exchange anyway.

The source's stochastic steps end 15 to 36 % below what L-BFGS reaches. Its objective needs nothing but the summed
amplitudes, and every station can work out its own part of the gradient from them, so L-BFGS is as distributed as those
steps are: `metamimo.schemes.distributed` runs it with one process a station.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metamimo.errors import ConfigError
from metamimo.optimise.lbfgs import minimise, pure
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.cell_free import (
    Amplitudes,
    Channel,
    Point,
    Rules,
    Station,
    listen,
    slopes,
    state_of,
    sum_rate,
    to_coordinates,
    within_budget,
)
from metamimo.schemes.cell_free_network import CellFreeNetwork
from metamimo.schemes.common import scored
from metamimo.schemes.stochastic_sca import ssca
from metamimo.surfaces.base import Surface
from metamimo.tuners.tuned import lbfgs_status

_BEYOND = 1e-6


def cell_free_joint(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    first_precoder: str = "joint",
    first_steps: int = 100,
    tolerance: float = 1e-5,
    window: int = 10,
    max_iterations: int = 1000,
) -> Solution:
    """Maximise the weighted sum rate of a cell-free network by L-BFGS, after a few steps of `ssca`.

    Signal model: that of `ssca`. A precoder above its budget is scaled down to it, which is part of the function whose
    gradient is followed. In the history, L-BFGS follows the steps of `ssca` [bit/s/Hz].

    Args:
        problem: the weighted sum rate over a constant channel, one power limit for every station.
        key: key of the trial; sub-key "start" draws the states.
        start: a design to start from.
        first_precoder: see `ssca`.
        first_steps: iterations of `ssca`, without its safeguard, before the first of L-BFGS.
        tolerance: relative gain per iteration below which the run has converged.
        window: iterations that the gain is taken over.
        max_iterations: limit of iterations of L-BFGS.

    Returns:
        The solution; `trials` counts exchanges of amplitudes, `iterations` those of both parts.

    Raises:
        ConfigError: if the problem is more general than the scheme.
    """
    check_constant(problem)
    first = ssca(
        problem,
        key=key,
        start=start,
        first_precoder=first_precoder,
        safeguard=False,
        tolerance=0.0,
        max_iterations=first_steps,
    )
    network = CellFreeNetwork.of(problem, "cell-free-joint")
    rules, surface, stations = network.rules, network.surface, network.stations
    points = network.first(key, first.design, first_precoder, network.channels)
    begin = jax.vmap(partial(free_coordinates, rules, surface))(points)

    def objective(x: Float[Array, " n"]) -> Float[Array, ""]:
        # One station after another, as in `CellFreeNetwork.listen`.
        each = stations, network.channels, x.reshape(begin.shape)
        return loss(rules, jax.lax.map(lambda own: amplitudes(rules, surface, *own), each).sum(0))

    found = minimise(
        pure(objective), begin.ravel(), tolerance=window * tolerance, window=window, max_iterations=max_iterations
    )
    points = jax.vmap(partial(point_at, rules, surface))(stations, network.channels, found.x.reshape(begin.shape))
    history = jnp.concatenate([first.history, jnp.exp(-found.history[1:])])
    iterations, trials = first.iterations + found.iterations, first.trials + found.trials
    return scored(problem, network.design(points), history, lbfgs_status(found), iterations, trials)


def check_constant(problem: Problem) -> None:
    """Refuse channels that are sampled: L-BFGS follows one function.

    Raises:
        ConfigError: if the problem has a sampler.
    """
    if problem.csi is not None:
        raise ConfigError(
            f"csi: L-BFGS needs a constant channel, got samples of {type(problem.csi).__name__}; ssca takes them"
        )


def free_coordinates(rules: Rules, surface: Surface, point: Point) -> Float[Array, " n"]:
    """Return real coordinates without limits of a station's point, all of the size of one.

    Precoders that use their budget up come a little beyond it, which `point_at` takes back: on the border the gradient
    has two sides, and rounding would choose one for every station.
    """
    states = surface.feasible.to_real(state_of(rules, surface, point)).ravel()
    v = (1 + _BEYOND) * jnp.sqrt(point.precoder.size) * point.precoder.ravel()
    return jnp.concatenate([states, v.real, v.imag])


def point_at(rules: Rules, surface: Surface, station: Station, channel: Channel, x: Float[Array, " n"]) -> Point:
    """Return a station's point at coordinates; a precoder above the budget is scaled down to it."""
    feasible, shape = surface.feasible, (*channel.shape[:2], len(station.ports))
    size = math.prod(shape)
    states, real, imag = jnp.split(x, [x.size - 2 * size, x.size - size])
    v = jax.lax.complex(real, imag).reshape(shape) / math.sqrt(size)
    state = feasible.from_real(states.reshape(feasible.shape))
    return within_budget(rules, surface, station, Point(to_coordinates(rules, state), v))


def amplitudes(rules: Rules, surface: Surface, station: Station, channel: Channel, x: Float[Array, " n"]) -> Amplitudes:
    """Return what a station sends into the exchange at coordinates."""
    return listen(rules, surface, station, point_at(rules, surface, station, channel, x), channel).amplitudes


def loss(rules: Rules, z: Amplitudes) -> Float[Array, ""]:
    """Return -ln R from the summed amplitudes."""
    return -jnp.log(jnp.maximum(sum_rate(rules, z), jnp.finfo(float).tiny))


def own_gradient(
    rules: Rules, surface: Surface, station: Station, channel: Channel, x: Float[Array, " n"], z: Amplitudes
) -> Float[Array, " n"]:
    """Return a station's part of the gradient of -ln R, from its own data and the summed amplitudes.

    Args:
        rules: common knowledge.
        surface: its antenna.
        station: its budget and masks.
        channel: its channel.
        x: its coordinates.
        z: sum of the amplitudes of all stations.
    """
    _, pull = jax.vjp(lambda x: amplitudes(rules, surface, station, channel, x), x)
    # JAX's cotangent of z is twice the conjugate of Psi = dR/dz^*.
    psi, _ = slopes(rules, z)
    return pull(-2 * psi.conj() / jnp.maximum(sum_rate(rules, z), jnp.finfo(float).tiny))[0]
