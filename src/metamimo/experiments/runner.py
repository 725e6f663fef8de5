"""Run a study into a folder: open the store, find what is missing, compute it, say what happened."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from metamimo.errors import MetamimoError, StoreError
from metamimo.experiments.executors import Executor, Inline
from metamimo.experiments.integrity import inspect
from metamimo.experiments.progress import Progress
from metamimo.experiments.store import open_store
from metamimo.experiments.study import Study
from metamimo.experiments.tasks import Shard, Task, all_tasks, describe

Tell = Callable[[str], None]
_NAMED = 5


@dataclass(frozen=True)
class RunSummary:
    """What a run did and what is left."""

    total: int
    computed: int
    missing: int
    folder: Path


def run(
    study: Study,
    folder: Path,
    executor: Executor | None = None,
    shard: Shard | None = None,
    tell: Tell = lambda line: None,
    show_progress: bool = False,
    only: Callable[[Task], bool] = lambda task: True,
) -> RunSummary:
    """Compute all that is missing in a study's store.

    Args:
        study: What to compute.
        folder: An existing folder; the store is created in it.
        executor: Where tasks run; in this process if left out.
        shard: Which part of the full task list is ours.
        tell: Receives remarks for people, one line each.
        show_progress: Whether to report progress on stderr.
        only: Which tasks are wanted; the counts are over these.

    Returns:
        Counts over all wanted tasks; `missing` also counts those of other shards.

    Raises:
        StoreError: The store does not fit or cannot be written.
        MetamimoError: Some tasks failed; the others are stored.
    """
    executor, shard = executor or Inline(), shard or Shard()
    store, remarks = open_store(study, folder)
    for remark in remarks:
        tell(f"note: {remark}; results may differ in their last digits from those already stored")
    experiment = study.experiment
    tasks = [task for task in all_tasks(experiment, store.trials) if only(task)]
    mine = shard.part_of(tasks)
    todo, damage = inspect(store, mine)
    owner = {task.block: task for task in mine}
    for item in damage[:_NAMED]:
        where = describe(experiment, owner[item.block])
        tell(f"damaged: {item.chunk} ({where}): {item.reason}; it is computed again")
    if len(damage) > _NAMED:
        tell(f"damaged: {len(damage) - _NAMED} more chunks; they are computed again")
    for block in {item.block for item in damage}:
        store.discard(block)
    failures: list[str] = []
    with Progress(len(mine), len(mine) - len(todo), show_progress) as progress:
        for outcome in executor.run(study, store.path, todo, tell):
            if isinstance(outcome.error, StoreError):
                raise outcome.error
            if outcome.error is not None:
                failures.append(f"{describe(experiment, outcome.task)}: {_reason(outcome.error)}")
                tell(f"failed: {failures[-1]}")
            else:
                progress.advance()
    if failures:
        raise MetamimoError(
            f"{len(failures)} of {len(todo)} tasks failed, the first is {failures[0]}. "
            "The others are stored; run the same command again to retry"
        )
    # Every task of ours was either read and found whole above, or has just been stored.
    missing = 0 if shard.parts == 1 else len(inspect(store, tasks)[0])
    return RunSummary(len(tasks), len(todo), missing, folder)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
