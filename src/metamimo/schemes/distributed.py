"""The scheme `ssca` run for real: one process a base station, and nothing but summed amplitudes between them."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from metamimo.errors import ConfigError, MetamimoError
from metamimo.problem import Design, Problem, Solution, Status
from metamimo.randomness import purpose_key
from metamimo.schemes.cell_free import Point, Rules, sum_rate
from metamimo.schemes.cell_free_network import CellFreeNetwork, check_choice, check_options, own_sampler
from metamimo.schemes.common import scored
from metamimo.schemes.messages import Traffic, check_bits, message, quantised
from metamimo.schemes.station_process import Amplitudes, ExchangeStopped, StationProcess
from metamimo.schemes.stochastic_sca import MOST_HALVINGS, Progress

ExchangeForm = Literal["cpu", "ring"]
OnFailure = Literal["raise", "continue"]
_CONNECT_SECONDS, _POLL_SECONDS = 60, 5e-4
_ENVIRONMENT = {"JAX_ENABLE_X64": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Failure:
    """A station that was lost.

    Attributes:
        station: its number.
        iteration: when.
        reason: what was heard of it last.
    """

    station: int
    iteration: int
    reason: str


@dataclass(frozen=True)
class DistributedReport:
    """What a run over many processes gives.

    Attributes:
        solution: the design on the designer's link; stations that were lost are silent.
        sent: what every station has sent.
        returned: what the central processor has sent back (`cpu`).
        exchanges: sums over all stations.
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


class _Lost(Exception):
    """Stations were lost; the iteration starts again without them."""


class _Here:
    """A station in this process, with the manners of an actor."""

    def __init__(self, station: StationProcess) -> None:
        self._station = station

    def __getattr__(self, call: str) -> Callable[..., "_Answer"]:
        return lambda *arguments: _Answer(getattr(self._station, call)(*arguments))


@dataclass(frozen=True)
class _Answer:
    value: Any

    def done(self) -> bool:
        return True

    def result(self) -> Any:
        return self.value


class _Stations:
    """Calls all stations at once and keeps account of those that no longer answer."""

    def __init__(self, actors: list[Any], *, form: str, on_failure: str, timeout: float, bits: int | None) -> None:
        self._actors, self._form, self._on_failure = dict(enumerate(actors)), form, on_failure
        self._timeout, self._bits = timeout, bits
        self.iteration, self.exchanges, self.returned = 0, 0, Traffic()
        self.failures: list[Failure] = []

    def all(self, call: str, *arguments: Any) -> dict[int, Any]:
        """Call every station.

        Returns:
            Answers by station, in their order.

        Raises:
            _Lost: if one does not answer; the others have done what they were asked for.
        """
        return self._gather(lambda actor, _: getattr(actor, call)(*arguments))

    def connect(self) -> None:
        """Make a ring of the stations that are left."""
        if self._form == "ring":
            ring = list(self._actors.values())
            self._gather(lambda actor, place: actor.connect(ring[(place + 1) % len(ring)]))

    def exchange(self) -> Amplitudes:
        """Return the sum of the amplitudes that wait in the stations, after all of them have it, too."""
        self.exchanges += 1
        if self._form == "ring":
            number, size, timeout = self.exchanges, len(self._actors), self._timeout
            return next(iter(self._gather(lambda actor, place: actor.ring(number, place, size, timeout)).values()))
        # In the order of the stations: the bits of the sum do not depend on who answers first.
        z = quantised(np.asarray(sum(self.all("outgoing").values())), self._bits)
        self.returned += Traffic(*(len(self._actors) * x for x in astuple(message(z.size, self._bits))))
        self.all("incoming", z)
        return z

    def _gather(self, ask: Callable[[Any, int], Any]) -> dict[int, Any]:
        """Ask every station by its place, and wait for all answers."""
        lost, pending, answers = {}, {}, {}
        for place, (b, actor) in enumerate(self._actors.items()):
            try:
                pending[b] = ask(actor, place)
            except RuntimeError as error:  # dask's, for an actor that it knows to be lost
                lost[b] = error
        deadline = time.monotonic() + self._timeout
        stopped = False
        while pending:
            if lost and not stopped and self._form == "ring":
                for b in pending:
                    self._actors[b].stop()
                stopped = True
            for b in [b for b, call in pending.items() if call.done()]:
                try:
                    answers[b] = pending.pop(b).result()
                except ExchangeStopped:
                    stopped = True
                except OSError as error:
                    lost[b] = error
            if pending and time.monotonic() > deadline:
                lost |= {b: TimeoutError(f"no answer within {self._timeout} s") for b in pending}
                break
            time.sleep(_POLL_SECONDS if pending else 0)
        if lost:
            self._bury(lost)
            raise _Lost
        if stopped:
            raise MetamimoError(f"the ring broke down in iteration {self.iteration}, though all stations answer")
        return dict(sorted(answers.items()))

    def _bury(self, lost: dict[int, Exception]) -> None:
        for b, error in lost.items():
            del self._actors[b]
            self.failures.append(Failure(b, self.iteration, f"{type(error).__name__}: {error}"))
        if self._on_failure == "raise" or not self._actors:
            named = ", ".join(f"station {b} ({type(error).__name__}: {error})" for b, error in lost.items())
            raise MetamimoError(
                f"lost in iteration {self.iteration}: {named}; on_failure='continue' lets the others go on"
            )


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
    **rules: Any,
) -> DistributedReport:
    """Run `ssca` with one process for every base station, which alone knows its channel, state and precoder.

    Signal model: that of `metamimo.schemes.stochastic_sca.ssca`. This process starts the others and keeps time. In the
    form `cpu` it is the central processor, too, which adds amplitudes in the order of the stations; in the form `ring`
    the stations add them among themselves, and it only reads the sum. Every exchange is one sum of all amplitudes,
    one for every step that is tried; the numbers sent are those of `metamimo.schemes.messages.exchange_numbers`. That a
    step is accepted is plain to every station from the sums, and counts for nothing.

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
    network = CellFreeNetwork.of(problem, "run_distributed", **rules)
    draws = purpose_key(key, "scheme")
    points = network.first(key, start, first_precoder, network.sample(draws, 0))
    known = [_known(network, points, b) for b in range(network.rules.stations)]
    with _actors(client, known, np.asarray(jax.random.key_data(draws)), bits) as actors:
        stations = _Stations(actors, form=form, on_failure=on_failure, timeout=timeout, bits=bits)
        guarded = safeguard and problem.csi is None
        history, status = _drive(stations, network.rules, guarded, tolerance, max_iterations)
        results = _whoever(stations, "result", problem.csi is None)
        sent = _whoever(stations, "sent")
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
    stations: _Stations, rules: Rules, guarded: bool, tolerance: float, max_iterations: int
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
        except _Lost:
            fresh = True
            continue
        progress = progress.after(jnp.asarray(history[t]), rules.rho(t), tolerance)
        rate = history[t] if chosen is None else rate
        lost = len(stations.failures)
        _whoever(stations, "settle", t, chosen, rate > best)
        fresh = len(stations.failures) > lost
        best, history, t = max(best, rate), [*history, rate], t + 1
    return history, Status.CONVERGED if progress.over else Status.ITERATION_LIMIT


def _step(stations: _Stations, rules: Rules, t: int, least: float) -> tuple[int | None, float]:
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


def _whoever(stations: _Stations, call: str, *arguments: Any) -> dict[int, Any]:
    """Call all stations again until those that are left have answered."""
    while True:
        with contextlib.suppress(_Lost):
            return stations.all(call, *arguments)


def _rate(rules: Rules, z: Amplitudes) -> float:
    return float(_compiled_rate(rules, jnp.asarray(z)))


_compiled_rate = jax.jit(sum_rate)


def _known(network: CellFreeNetwork, points: Point, b: int) -> tuple:
    """Return what station b knows, as NumPy arrays, which travel lightly."""
    own = jax.tree.map(lambda a: a[b], (network.stations, network.channels, points))
    sampler = None if network.csi is None else own_sampler(network.csi, b)
    channel = own[1] if sampler is None else None
    return jax.tree.map(np.asarray, (network.rules, network.surface, own[0], channel, sampler, own[2]))


@contextlib.contextmanager
def _actors(client: Any, known: list[tuple], key: np.ndarray, bits: int | None) -> Iterator[list[Any]]:
    """Start the stations, each on a worker of its own."""
    if client == "here":
        yield [_Here(StationProcess(b, own, key, bits)) for b, own in enumerate(known)]
        return
    from distributed import Client, LocalCluster

    with contextlib.ExitStack() as stack:
        if client is None:
            cluster = LocalCluster(
                n_workers=len(known),
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                env=_ENVIRONMENT,
            )
            client = stack.enter_context(Client(stack.enter_context(cluster)))
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        if len(workers) < len(known):
            raise ConfigError(f"client: needs a worker for each of {len(known)} stations, has {len(workers)}")
        futures = [
            client.submit(StationProcess, b, own, key, bits, actor=True, workers=[workers[b]], pure=False)
            for b, own in enumerate(known)
        ]
        yield [future.result(_CONNECT_SECONDS) for future in futures]
