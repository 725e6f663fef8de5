"""Cell-free schemes run for real: one process a base station, and nothing but sums of what they send between them."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from metamimo.errors import ConfigError
from metamimo.optimise.lbfgs import enough, shorter_step
from metamimo.problem import Design, Problem, Solution, Status
from metamimo.randomness import purpose_key
from metamimo.schemes.cell_free import Point, Rules, sum_rate
from metamimo.schemes.cell_free_joint import check_constant, loss
from metamimo.schemes.cell_free_network import CellFreeNetwork, check_choice, check_options, own_sampler
from metamimo.schemes.common import scored
from metamimo.schemes.messages import Traffic, check_bits
from metamimo.schemes.station_process import Amplitudes
from metamimo.schemes.stations import Failure, Lost, Stations, station_actors
from metamimo.schemes.stochastic_sca import MOST_HALVINGS, Progress

ExchangeForm = Literal["cpu", "ring"]
OnFailure = Literal["raise", "continue"]
_MOST_TRIALS, _WINDOW = 30, 10
"""Steps of one line search of L-BFGS, and iterations that its gain is taken over, as `minimise` has them."""


@dataclass(frozen=True)
class DistributedReport:
    """What a run over many processes gives.

    Attributes:
        solution: the design on the designer's link; stations that were lost are silent.
        sent: what every station has sent.
        returned: what the central processor has sent back (`cpu`).
        exchanges: sums of amplitudes over all stations.
        failures: stations that were lost.
    """

    solution: Solution
    sent: tuple[Traffic, ...]
    returned: Traffic
    exchanges: int
    failures: tuple[Failure, ...]

    @property
    def traffic(self) -> Traffic:
        """Return all that was sent; what lost stations had sent is unknown and not in it."""
        return sum(self.sent, self.returned)


def run_distributed(
    problem: Problem,
    *,
    key: Key[Array, ""],
    client: Any = None,
    start: Design | None = None,
    first_precoder: str = "own",
    form: str = "cpu",
    bits: int | None = None,
    on_failure: str = "raise",
    timeout: float = 120.0,
    safeguard: bool = True,
    tolerance: float = 1e-4,
    max_iterations: int = 200,
    joint_iterations: int = 0,
    joint_tolerance: float = 1e-5,
    **rules: Any,
) -> DistributedReport:
    """Run `ssca` with one process for every base station, which alone knows its channel, state and precoder.

    With `joint_iterations`, L-BFGS goes on from the best iterate: together they are
    `metamimo.schemes.cell_free_joint.cell_free_joint`.

    Signal model: that of `metamimo.schemes.stochastic_sca.ssca`. This process starts the others and keeps time. In the
    form `cpu` it is the central processor, too, which adds amplitudes in the order of the stations; in the form `ring`
    the stations add them among themselves, and it only reads the sum. Every exchange is one sum of all amplitudes,
    one for every step that is tried; the numbers sent are those of `metamimo.schemes.messages.exchange_numbers`. That a
    step is accepted is plain to every station from the sums, and counts for nothing. An iteration of L-BFGS also sums
    54 inner products, as 27 complex numbers with all their bits.

    Args:
        problem: see `ssca`.
        key: see `ssca`; the same key gives the same states and channel samples.
        client: a dask client with at least one worker for every station, "here" for stations in this process (`cpu`),
            or None for a cluster of local processes. Like every program that starts processes, a script needs its
            `if __name__ == "__main__":` then.
        start: a design to start from.
        first_precoder: see `ssca`; the `joint` one takes all channels together before the run.
        form: `cpu` or `ring`.
        bits: bits of every real of a message, which is rounded so; None for all 64.
        on_failure: what the loss of a station does: `raise`, or `continue` without it.
        timeout: how long a station may take for an answer [s].
        safeguard: see `ssca`.
        tolerance: see `ssca`.
        max_iterations: see `ssca`.
        joint_iterations: limit of iterations of L-BFGS after those.
        joint_tolerance: relative gain per iteration below which L-BFGS has converged.
        **rules: `surrogate`, `coordinate`, `tune_states`, `tracking`, `stepping`, `proximal`, `step_precoder` and
            `step_state` of `ssca`.

    Returns:
        The design, what it took, and which stations were lost.

    Raises:
        ConfigError: if the problem is more general than the scheme, an option unknown, or there are too few workers.
        MetamimoError: if a station is lost and `on_failure` is `raise`, or all are.
    """
    check_options(first_precoder, max_iterations)
    check_bits(bits)
    check_choice("form", form, ExchangeForm)
    check_choice("on_failure", on_failure, OnFailure)
    if client == "here" and form == "ring":
        raise ConfigError("form: stations in this process have no ring, take 'cpu'")
    if joint_iterations < 0:
        raise ConfigError(f"joint_iterations: must not be negative, got {joint_iterations}")
    if joint_iterations:
        check_constant(problem)
    network = CellFreeNetwork.of(problem, "run_distributed", **rules)
    draws = purpose_key(key, "scheme")
    points = network.first(key, start, first_precoder, network.sample(draws, 0))
    known = [_known(network, points, b) for b in range(network.rules.stations)]
    with station_actors(client, known, np.asarray(jax.random.key_data(draws)), bits) as actors:
        stations = Stations(actors, form=form, on_failure=on_failure, timeout=timeout, bits=bits)
        guarded = safeguard and problem.csi is None
        history, status = _drive(stations, network.rules, guarded, tolerance, max_iterations)
        if joint_iterations and status != Status.NOT_FINITE:
            more, status = _descend(stations, network.rules, joint_tolerance, joint_iterations)
            history += more[1:]
        results = stations.whoever("result", problem.csi is None)
        sent = stations.whoever("sent")
    parts = [results.get(b, (points.state[b], 0 * points.precoder[b])) for b in range(network.rules.stations)]
    states, precoders = (jnp.stack([jnp.asarray(part) for part in each]) for each in zip(*parts, strict=True))
    solution = scored(
        problem,
        network.design(Point(states, precoders)),
        jnp.asarray(history),
        jnp.asarray(status),
        jnp.asarray(len(history) - 1),
        jnp.asarray(stations.exchanges),
    )
    return DistributedReport(
        solution,
        tuple(sent.get(b, Traffic()) for b in range(network.rules.stations)),
        stations.returned,
        stations.exchanges,
        tuple(stations.failures),
    )


def _drive(
    stations: Stations, rules: Rules, guarded: bool, tolerance: float, max_iterations: int
) -> tuple[list[float], Status]:
    """Go through the iterations as `ssca` does; return the rates of all iterates and how it ended."""
    progress, history, best, fresh, t = Progress.start(), [], -math.inf, True, 0
    while not progress.over and t < max_iterations:
        stations.iteration = t
        try:
            if fresh:
                stations.connect()
                stations.all("look", t)
                best = _rate(rules, stations.exchange())
                history, fresh = [*history[:t], best], False
            if not math.isfinite(history[t]):
                return history, Status.NOT_FINITE
            chosen, rate = _step(stations, rules, t, history[t] if guarded else -math.inf)
        except Lost:
            fresh = True
            continue
        progress = progress.after(jnp.asarray(history[t]), rules.rho(t), tolerance)
        rate = history[t] if chosen is None else rate
        lost = len(stations.failures)
        stations.whoever("settle", t, chosen, rate > best)
        fresh = len(stations.failures) > lost
        best, history, t = max(best, rate), [*history, rate], t + 1
    return history, Status.CONVERGED if progress.over else Status.ITERATION_LIMIT


def _step(stations: Stations, rules: Rules, t: int, least: float) -> tuple[int | None, float]:
    """Return the target whose attempt is accepted, if any, and the rate there."""
    count, gamma = next(iter(stations.all("aim", t).values())), float(rules.gamma(t))
    for _ in range(MOST_HALVINGS):
        rates = []
        for target in range(count):
            stations.all("attempt", t, target, gamma)
            rates.append(_rate(rules, stations.exchange()))
        if max(rates) >= least or least == -math.inf:
            return int(np.argmax(rates)), max(rates)
        gamma /= 2
    return None, least


def _descend(stations: Stations, rules: Rules, tolerance: float, max_iterations: int) -> tuple[list[float], Status]:
    """Follow L-BFGS from the best iterate; return the rates of all iterates and how it ended."""
    before, values, since, fresh = stations.iteration + 1, [], 0, True
    while True:
        i = max(len(values) - 1, 0)
        stations.iteration = before + i
        try:
            if fresh:
                stations.connect()
                stations.all("begin")
                values, since, fresh = [*values[:i], _loss(rules, stations.exchange())], i, False
            if i - since >= _WINDOW and values[i - _WINDOW] - values[i] <= _WINDOW * tolerance:
                return _rates(values), Status.CONVERGED
            if i >= max_iterations:
                return _rates(values), Status.ITERATION_LIMIT
            stations.all("differentiate")
            stations.exchange_whole()
            slope = next(iter(stations.all("turn").values()))
            value = _search(stations, rules, values[i], slope)
            if value is None:
                return _rates(values), Status.STALLED
            stations.all("take")
            values.append(value)
        except Lost:
            fresh = True


def _search(stations: Stations, rules: Rules, value: float, slope: float) -> float | None:
    """Shorten the step until the loss falls enough; return the loss there, or None if it never does."""
    length = 1.0
    for _ in range(_MOST_TRIALS):
        stations.all("step", length)
        new = _loss(rules, stations.exchange())
        if enough(length, value, new, slope):
            return new
        length = float(shorter_step(length, value, new, slope))
    return None


def _loss(rules: Rules, z: Amplitudes) -> float:
    return float(_compiled_loss(rules, jnp.asarray(z)))


def _rates(losses: list[float]) -> list[float]:
    return [math.exp(-value) for value in losses]


def _rate(rules: Rules, z: Amplitudes) -> float:
    return float(_compiled_rate(rules, jnp.asarray(z)))


_compiled_rate, _compiled_loss = jax.jit(sum_rate), jax.jit(loss)


def _known(network: CellFreeNetwork, points: Point, b: int) -> tuple:
    """Return what station b knows, as NumPy arrays, which travel lightly."""
    own = jax.tree.map(lambda a: a[b], (network.stations, network.channels, points))
    sampler = None if network.csi is None else own_sampler(network.csi, b)
    channel = own[1] if sampler is None else None
    return jax.tree.map(np.asarray, (network.rules, network.surface, own[0], channel, sampler, own[2]))
