"""The work list: one task a chunk of realisations, ordered so that a program is compiled once."""

import re
from dataclasses import dataclass

from metamimo.errors import ConfigError
from metamimo.experiments.config import Experiment


@dataclass(frozen=True)
class Task:
    """One chunk of realisations of one scheme at one grid point.

    Attributes:
        scheme: Index into the experiment's schemes.
        index: One index for each axis.
        first, count: Realisations ``first`` to ``first + count - 1`` are wanted.
        chunk: Padded size: a compute function works on ``chunk`` realisations and returns ``count``, so that the last,
            shorter chunk runs the same program.
    """

    scheme: int
    index: tuple[int, ...]
    first: int
    count: int
    chunk: int

    @property
    def number(self) -> int:
        """Position of the chunk along the trial axis."""
        return self.first // self.chunk

    @property
    def region(self) -> tuple[int | slice, ...]:
        """Where the task's numbers lie in an array of the store, without extra dimensions."""
        return (self.scheme, *self.index, slice(self.first, self.first + self.count))

    @property
    def block(self) -> tuple[int, ...]:
        """Which chunk of an array of the store belongs to the task, without extra dimensions."""
        return (self.scheme, *self.index, self.number)


def all_tasks(experiment: Experiment, stored_trials: int | None = None) -> list[Task]:
    """Return every task, shape-changing axes outermost, then schemes, then traced axes, then chunks.

    Args:
        experiment: The experiment; its `trials` decide how many chunks there are.
        stored_trials: Length of the store's trial axis where it is longer, so that the last chunk is always computed
            whole.

    Returns:
        The same list in every process, whatever is already done.
    """
    limit = max(experiment.trials, stored_trials or 0)
    tasks = [
        Task(scheme, index, first, min(experiment.chunk, limit - first), experiment.chunk)
        for scheme in range(len(experiment.schemes))
        for index in experiment.grid()
        for first in range(0, experiment.trials, experiment.chunk)
    ]
    return sorted(tasks, key=lambda task: (program_of(experiment, task), task.index, task.first))


def program_of(experiment: Experiment, task: Task) -> tuple[tuple[int, ...], int]:
    """Return a key that is equal for tasks which run one compiled program: shape-changing indices and scheme."""
    scenario = type(experiment.scenario)
    shapes = tuple(
        position
        for axis, position in zip(experiment.axes, task.index, strict=True)
        if not all(scenario.is_traced(field) for field in axis.fields)
    )
    return shapes, task.scheme


def describe(experiment: Experiment, task: Task) -> str:
    """Return a task in words: scheme, grid point, realisations."""
    settings = [
        f"{field}={value}"
        for axis, position in zip(experiment.axes, task.index, strict=True)
        for field, value in axis.settings(position).items()
    ]
    trials = f"trials {task.first} to {task.first + task.count - 1}"
    return ", ".join([experiment.schemes[task.scheme].label, *settings, trials])


@dataclass(frozen=True)
class Shard:
    """Part `number` of `parts` equal parts of the full task list, counted from 1."""

    number: int = 1
    parts: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``i/n``.

        Raises:
            ConfigError: The text is not of that form, or i is not between 1 and n.

        >>> Shard.parse("2/4")
        Shard(number=2, parts=4)
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise ConfigError(f"shard: must be i/n with 1 <= i <= n, for example 2/4 (given: {text!r})")
        return cls(int(match[1]), int(match[2]))

    def part_of(self, tasks: list[Task]) -> list[Task]:
        """Return this shard's tasks; a split of the full list, so that resumed shards never overlap."""
        return tasks[self.number - 1 :: self.parts]
