"""Stations that answer calls, in processes or here: asking all of them at once, summing what they send, losing some."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex

from metamimo.errors import ConfigError, MetamimoError
from metamimo.schemes.messages import Traffic, message, quantised
from metamimo.schemes.station_descent import DescendingStation
from metamimo.schemes.station_messages import ExchangeStopped

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


class Lost(Exception):
    """Stations were lost; the iteration starts again without them."""


class _Here:
    """A station in this process, with the manners of an actor."""

    def __init__(self, station: DescendingStation) -> None:
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


class Stations:
    """Calls all stations at once and keeps account of those that no longer answer."""

    def __init__(self, actors: list[Any], *, form: str, on_failure: str, timeout: float, bits: int | None) -> None:
        self._actors, self._form, self._on_failure = dict(enumerate(actors)), form, on_failure
        self._timeout, self._bits = timeout, bits
        self.iteration, self.exchanges, self.returned, self._sums = 0, 0, Traffic(), 0
        self.failures: list[Failure] = []

    def all(self, call: str, *arguments: Any) -> dict[int, Any]:
        """Call every station.

        Returns:
            Answers by station, in their order.

        Raises:
            Lost: if one does not answer; the others have done what they were asked for.
        """
        return self._gather(lambda actor, _: getattr(actor, call)(*arguments))

    def connect(self) -> None:
        """Make a ring of the stations that are left."""
        if self._form == "ring":
            ring = list(self._actors.values())
            self._gather(lambda actor, place: actor.connect(ring[(place + 1) % len(ring)]))

    def exchange(self) -> Complex[np.ndarray, "..."]:
        """Return the sum of the amplitudes that wait in the stations, after all of them have it, too."""
        self.exchanges += 1
        return self._sum(self._bits)

    def exchange_whole(self) -> Complex[np.ndarray, "..."]:
        """Return the sum of what waits in the stations and is sent with all its bits; not counted as an exchange."""
        return self._sum(None)

    def whoever(self, call: str, *arguments: Any) -> dict[int, Any]:
        """Call all stations again until those that are left have answered."""
        while True:
            with contextlib.suppress(Lost):
                return self.all(call, *arguments)

    def _sum(self, bits: int | None) -> Complex[np.ndarray, "..."]:
        self._sums += 1
        if self._form == "ring":
            number, size, timeout = self._sums, len(self._actors), self._timeout
            return next(iter(self._gather(lambda actor, place: actor.ring(number, place, size, timeout)).values()))
        # In the order of the stations: the bits of the sum do not depend on who answers first.
        z = quantised(np.asarray(sum(self.all("outgoing").values())), bits)
        self.returned += Traffic(*(len(self._actors) * x for x in astuple(message(z.size, bits))))
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
            raise Lost
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


@contextlib.contextmanager
def station_actors(client: Any, known: list[tuple], key: np.ndarray, bits: int | None) -> Iterator[list[Any]]:
    """Start the stations, each on a worker of its own."""
    if client == "here":
        yield [_Here(DescendingStation(b, own, key, bits)) for b, own in enumerate(known)]
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
            client.submit(DescendingStation, b, own, key, bits, actor=True, workers=[workers[b]], pure=False)
            for b, own in enumerate(known)
        ]
        yield [future.result(_CONNECT_SECONDS) for future in futures]
