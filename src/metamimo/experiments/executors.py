"""Where tasks run: the contract, and the executor that runs them in this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from metamimo.experiments.store import read_store
from metamimo.experiments.tasks import Task

if TYPE_CHECKING:
    from metamimo.experiments.config import Experiment
    from metamimo.experiments.study import Compute, Study


@dataclass(frozen=True)
class Outcome:
    """A task that ended, with the error that ended it if there was one."""

    task: Task
    error: BaseException | None = None


class Executor(Protocol):
    """Runs tasks and yields each one when its data are stored, or when it failed."""

    def run(self, study: "Study", path: Path, tasks: Sequence[Task], tell: Callable[[str], None]) -> Iterator[Outcome]:
        """Run `tasks` of a study whose store lies at `path`; `tell` receives remarks for people."""
        ...

    def kept(self) -> AbstractContextManager["Executor"]:
        """Return the executor with what it starts kept for several studies, until the block ends."""
        ...


def work(compute: "Compute", experiment: "Experiment", path: Path, task: Task) -> None:
    """Compute one task and store it; the unit that runs on a worker."""
    read_store(path).write(task, compute(experiment, task))


@dataclass(frozen=True)
class Inline:
    """Run tasks one after another in this process."""

    def run(self, study: "Study", path: Path, tasks: Sequence[Task], tell: Callable[[str], None]) -> Iterator[Outcome]:
        """Run the tasks; see `Executor`."""
        store = read_store(path)
        for task in tasks:
            try:
                store.write(task, study.compute(study.experiment, task))
            except Exception as error:
                yield Outcome(task, error)
            else:
                yield Outcome(task)

    def kept(self) -> AbstractContextManager["Inline"]:
        """Return the executor itself; it starts nothing."""
        return nullcontext(self)
