"""Run tasks on dask workers: processes of a local cluster, or any running scheduler."""

import contextlib
import functools
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metamimo.errors import ConfigError, MetamimoError
from metamimo.experiments.environment import DECIDE_BITS, environment
from metamimo.experiments.executors import Outcome, work
from metamimo.experiments.tasks import Task, describe, program_of

if TYPE_CHECKING:
    from metamimo.experiments.config import Experiment
    from metamimo.experiments.study import Compute, Study

_CONNECT_SECONDS = 30
_LOOK_SECONDS = 2
_MOST_DEATHS = 3


@dataclass(frozen=True)
class Dask:
    """Run tasks on the workers of a dask cluster.

    Args:
        workers: Number of worker processes of a local cluster; one a processor if left out.
        scheduler: Address of a running scheduler. Its workers must see the output folder under the same path and must
            have been
            started with the variables of `metamimo.experiments.environment.environment`.
    """

    workers: int | None = None
    scheduler: str | None = None

    def __post_init__(self) -> None:
        """Check that the two ways to say where workers are do not clash."""
        if self.workers is not None and self.scheduler is not None:
            raise ConfigError(f"workers: cannot be set for a running scheduler, it has its own (given: {self.workers})")

    def run(self, study: "Study", path: Path, tasks: Sequence[Task], tell: Callable[[str], None]) -> Iterator[Outcome]:
        """Run the tasks; see `metamimo.experiments.executors.Executor`."""
        with self.kept() as workers:
            yield from workers.run(study, path, tasks, tell)

    @contextlib.contextmanager
    def kept(self) -> Iterator["_Kept"]:
        """Start workers when there is work, and stop them when the block ends: programs that are loaded stay loaded."""
        with contextlib.ExitStack() as stack:
            yield _Kept(lambda: stack.enter_context(self._client(stack)))

    def _client(self, stack: contextlib.ExitStack) -> Any:
        import dask.config as dask_config
        from distributed import Client, LocalCluster

        if self.scheduler:
            try:
                return Client(self.scheduler, timeout=_CONNECT_SECONDS)
            except (OSError, ValueError) as error:
                raise ConfigError(f"scheduler: must be the address of a running dask scheduler ({error})") from error
        variables = environment()
        stack.enter_context(_restored_environment())
        # Nannies set these in the parent before they spawn, because NumPy may load while a worker unpickles.
        settings = {
            "distributed.nanny.pre-spawn-environ": variables,
            "distributed.scheduler.work-stealing": False,
            # A dead process closes its connection; a silent one may hold the interpreter in a long task.
            "distributed.scheduler.worker-ttl": None,
        }
        stack.enter_context(dask_config.set(settings))
        with _interrupts_ignored_by_children():
            cluster = LocalCluster(
                n_workers=self.workers or os.cpu_count() or 1,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                env=variables,
            )
        return Client(stack.enter_context(cluster))


class _Kept:
    """The workers of one cluster, for one study after the other."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = functools.cache(connect)

    def run(self, study: "Study", path: Path, tasks: Sequence[Task], tell: Callable[[str], None]) -> Iterator[Outcome]:
        """Run the tasks; see `metamimo.experiments.executors.Executor`."""
        if tasks:
            yield from _Dispatch(self._connect(), study, path, tasks, tell).outcomes()

    def kept(self) -> contextlib.AbstractContextManager["_Kept"]:
        """Return the same."""
        return contextlib.nullcontext(self)


class _Dispatch:
    """Hands out tasks so that a worker stays with one compiled program as long as balance permits.

    Tasks of one program form a group. A free worker takes the next task of its group, else an untouched group, else
    a task of the group with most left. One task at a time lies at each worker: the trip to this process costs some
    milliseconds, a second waiting task could cost a whole task's time at the end of the run.
    """

    def __init__(
        self, client: Any, study: "Study", path: Path, tasks: Sequence[Task], tell: Callable[[str], None]
    ) -> None:
        self._client, self._study, self._path, self._tell = client, study, path, tell
        self._groups: dict[Any, deque[Task]] = {}
        for task in tasks:
            self._groups.setdefault(program_of(study.experiment, task), deque()).append(task)
        self._untouched = deque(self._groups)
        self._group_of: dict[str, Any] = {}
        self._running: dict[Any, tuple[Task, str]] = {}
        self._deaths: dict[Task, int] = {}

    def outcomes(self) -> Iterator[Outcome]:
        """Run everything; yield tasks as they end."""
        from distributed import wait

        while self._waiting() or self._running:
            alive = self._workers()
            yield from self._take_back(alive)
            busy = {address for _, address in self._running.values()}
            for address in sorted(alive - busy):
                if self._waiting():
                    self._submit(address)
            if not self._running:
                continue
            try:
                ended: Any = wait(list(self._running), timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
            except TimeoutError:
                continue
            for future in ended.done:
                task, _ = self._running.pop(future)
                error = _error_of(future)
                # The numbers lie in the store; dask must not compute them again if the worker is lost later.
                future.release()
                yield Outcome(task, error)

    def _take_back(self, alive: set[str]) -> Iterator[Outcome]:
        """Put tasks of lost workers back into their groups; dask itself would wait for a worker that never returns."""
        for future, (task, address) in list(self._running.items()):
            if address in alive or future.status == "finished":
                continue
            del self._running[future]
            future.cancel()
            self._deaths[task] = self._deaths.get(task, 0) + 1
            if self._deaths[task] < _MOST_DEATHS:
                self._tell(f"worker {address} was lost; {describe(self._study.experiment, task)} is computed elsewhere")
                self._groups[program_of(self._study.experiment, task)].appendleft(task)
            else:
                yield Outcome(task, MetamimoError(f"{_MOST_DEATHS} workers died over it; memory may be short"))

    def _workers(self) -> set[str]:
        try:
            self._client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except TimeoutError as error:
            raise MetamimoError(f"dask: no worker is alive after {_CONNECT_SECONDS} s of waiting") from error
        return set(self._client.scheduler_info(n_workers=-1)["workers"])

    def _waiting(self) -> bool:
        return any(self._groups.values())

    def _submit(self, address: str) -> None:
        task, study = self._next_task(address), self._study
        future = self._client.submit(
            _work_checked,
            study.compute,
            study.experiment,
            self._path,
            task,
            environment(),
            workers=[address],
            pure=False,
        )
        self._running[future] = task, address

    def _next_task(self, address: str) -> Task:
        group = self._group_of.get(address)
        if group is None or not self._groups[group]:
            if self._untouched:
                group = self._untouched.popleft()
            else:
                group = max(self._groups, key=lambda key: len(self._groups[key]))
            self._group_of[address] = group
        return self._groups[group].popleft()


def _error_of(future: Any) -> BaseException | None:
    """Return why a future did not finish, or None if it did."""
    if future.status == "finished":
        return None
    return future.exception() if future.status == "error" else MetamimoError(f"dask gave the task up: {future.status}")


def _work_checked(
    compute: "Compute", experiment: "Experiment", path: Path, task: Task, expected: dict[str, str]
) -> None:
    """Run one task on a worker, after checking that the worker's settings give the same bits."""
    wrong = [f"{name}={expected[name]!r}" for name in DECIDE_BITS if os.environ.get(name, "") != expected[name]]
    if wrong:
        raise ConfigError(f"worker environment: must have {', '.join(wrong)}; start the dask workers with these")
    work(compute, experiment, path, task)


@contextlib.contextmanager
def _interrupts_ignored_by_children() -> Iterator[None]:
    """Let processes started here ignore Ctrl-C: this process stops them in order, without a traceback of each."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _restored_environment() -> Iterator[None]:
    """Undo what starting workers writes into this process' environment."""
    saved = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
