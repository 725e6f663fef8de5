"""What recipes with limits of ports and least rates share: channel, starts, limits, and packing a result."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact, Int

from metamimo.bounds.rate_targets import targets_are_impossible
from metamimo.bounds.station import channel_and_gains
from metamimo.conventions import NAT_TO_BIT
from metamimo.errors import ConfigError
from metamimo.linalg import squared_norm
from metamimo.metrics.consumed import bits_per_joule
from metamimo.metrics.effective import effective_channel
from metamimo.precoders.zero_forcing import regularised_zero_forcing
from metamimo.problem import Problem, Solution, Status
from metamimo.schemes.common import solved

State = Inexact[Array, "..."]
Channel = Complex[Array, "user rx port"]
Precoder = Complex[Array, "user port stream"]
Limits = tuple[Float[Array, ""], Float[Array, " port"]]
"""Sum limit and limits of the ports [W]."""

SLACK = 1e-6 / NAT_TO_BIT
"""A rate counts as reached from that much below its constraint: a millionth of a bit [nat]."""

_LEAST_POWER = 1e-30
"""Power that no rate notices [W]."""

_START_SHARE = 0.3
"""Share of the sum limit that a start uses: above the best power in most scenes, where no user is switched off."""


def active_channel(problem: Problem, state: State, active: Bool[Array, " port"]) -> Channel:
    """Return the effective channel over unit noise; ports that are off have zero columns."""
    h = effective_channel(problem.link, (state[None],))[0, 0]
    return h * active / jnp.sqrt(problem.link.noise_power)


def single_antenna_limits(problem: Problem, scheme: str) -> Limits:
    """Return the limits of a problem whose users have one antenna, equal weights and an undistorted transmitter.

    Raises:
        ConfigError: if the problem is more general.
    """
    rx = problem.link.channel.shape[3]
    if rx != 1:
        raise ConfigError(f"channel: {scheme} serves users with one antenna, got {rx}")
    problem.expect(scheme, "weights", problem.link.weights, 1)
    problem.expect(scheme, "evm", problem.link.evm, 0)
    return problem.accepted_limits(scheme)


def conic_limits(limits: Limits) -> Limits:
    """Return limits that cone programs take: they need power to share out, so a limit of zero becomes next to none."""
    return jnp.maximum(limits[0], _LEAST_POWER), jnp.maximum(limits[1], _LEAST_POWER)


def chains_matter(problem: Problem) -> bool:
    """Tell whether switching RF chains off can raise the objective."""
    return problem.objective == "energy_efficiency" and not problem.consumption.idle_chains


def within_limits(f: Precoder, limits: Limits) -> Precoder:
    """Scale the ports that exceed their limit down to it, then all if the sum does; changes no feasible precoder."""
    total, ports = limits
    # One over the root of max(1, used / limit): finite slopes for infinite limits, and for limits of zero.
    tiny = jnp.finfo(total.dtype).tiny
    excess = squared_norm(f, (0, 2)) / jnp.maximum(ports, tiny)
    f = f / jnp.sqrt(jnp.maximum(1, excess))[:, None]
    return f / jnp.sqrt(jnp.maximum(1, squared_norm(f) / jnp.maximum(total, tiny)))


def regularised_start(h: Channel, limits: Limits) -> Precoder:
    """Return regularised zero-forcing within the limits, for a run that starts above the best power in most scenes."""
    return within_limits(regularised_zero_forcing(h, _START_SHARE * limits[0]), limits)


def equal_streams(h: Channel, limits: Limits, share: float) -> Precoder:
    """Return regularised zero-forcing with streams of equal power that use a share of the tighter limit (spec 4)."""
    total, ports = limits
    f = regularised_zero_forcing(h, total)
    norm = squared_norm(f, 1)
    f = f / jnp.sqrt(jnp.where(norm > 0, norm, 1))[:, None]
    tiny = jnp.finfo(total.dtype).tiny
    used = jnp.maximum((squared_norm(f, (0, 2)) / jnp.maximum(ports, tiny)).max(), squared_norm(f) / total)
    return f * jnp.sqrt(share / jnp.maximum(used, tiny))


def concluded(
    problem: Problem,
    state: State,
    precoder: Precoder,
    history: Float[Array, " step"],
    status: Int[Array, ""],
    iterations: Int[Array, ""],
    trials: Int[Array, ""],
) -> Solution:
    """Score and pack a design; tell rates that no design reaches from those that this one missed.

    Args:
        problem: the problem.
        state: state of the surface.
        precoder: F [sqrt(W)].
        history: objective over the run [nat per channel use and watt of (fixed + |F|^2), or nat per channel use]; the
            value of the design itself is appended.
        status: how the run ended.
        iterations, trials: of the run.
    """
    bits = bits_per_joule(problem, history) if problem.objective == "energy_efficiency" else history * NAT_TO_BIT
    solution = solved(problem, state, precoder, bits, status, iterations, trials)
    missed = (solution.rates < (problem.min_rate - SLACK) * NAT_TO_BIT).any()
    known = channel_and_gains(problem)
    impossible = jnp.asarray(False)
    if known is not None:
        total = problem.accepted_limits("concluded")[0]
        impossible = targets_are_impossible(known[0], known[1][0], problem.min_rate, total)
    verdict = jnp.where(impossible, Status.IMPOSSIBLE, Status.INFEASIBLE)
    finite = solution.status != Status.NOT_FINITE
    status = jnp.where(missed & finite, verdict, solution.status)
    history = jnp.append(solution.history, solution.value)
    return eqx.tree_at(lambda s: (s.history, s.status), solution, (history, status))
