"""What is done, judged by what lies on the disk and not by the mask alone."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metamimo.experiments.layout import DONE
from metamimo.experiments.store import Block, Store
from metamimo.experiments.tasks import Task


@dataclass(frozen=True)
class Damage:
    """A chunk that is marked done but cannot be read."""

    block: Block
    chunk: str
    reason: str


def inspect(store: Store, tasks: Sequence[Task]) -> tuple[list[Task], list[Damage]]:
    """Return the tasks that are not done, and the damaged chunks that make some of them so.

    A chunk file that was deleted reads silently as the fill value, and a truncated one fails its checksum; both make
    their task unfinished. Every chunk of every finished task is read and checked.

    Args:
        store: The store.
        tasks: The tasks to look at.

    Returns:
        Unfinished tasks in the given order, and damaged chunks.
    """
    _, mask, damage = read_verified(store, [task.block for task in tasks])
    hurt = {item.block for item in damage}
    return [task for task in tasks if task.block in hurt or not mask[task.region].all()], damage


def read_verified(
    store: Store, blocks: Sequence[Block] | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray, list[Damage]]:
    """Read the finished realisations of a store, checking every chunk.

    Args:
        store: The store.
        blocks: Which chunks to read; all of them if left out.

    Returns:
        Every variable, whole, meaningful where the mask says so; the done-mask of `blocks` without the damaged chunks;
        and those.
    """
    wanted = all_blocks(store) if blocks is None else blocks
    damage: list[Damage] = []
    # A missing mask is the mark of a task that never finished, so it is no damage.
    started = [block for block in wanted if store.chunk_file(DONE, block).is_file()]
    stored = _read(store, DONE, started, damage)
    mask = np.zeros_like(stored)
    for block in started:
        mask[store.region(block)] = stored[store.region(block)]
    finished = [block for block in started if mask[store.region(block)].any()]
    arrays = {name: _read(store, name, finished, damage) for name in store.variables}
    for item in damage:
        mask[store.region(item.block)] = False
    return arrays, mask, damage


def all_blocks(store: Store) -> list[Block]:
    """Return the positions of all chunks of a store."""
    *lead, trials = store.array(DONE).shape
    return list(itertools.product(*map(range, lead), range(-(-trials // store.chunk))))


def _read(store: Store, name: str, blocks: Sequence[Block], damage: list[Damage]) -> np.ndarray:
    """Read an array, and add to `damage` those of `blocks` that are lost or unreadable."""
    array = store.array(name)
    lost = [block for block in blocks if not store.chunk_file(name, block).is_file()]
    damage += [Damage(block, _label(store, name, block), "the file is missing") for block in lost]
    try:
        # One read of everything is ten times faster than one a chunk, and nearly always all is well.
        return np.asarray(array[:])
    except Exception:
        values = np.full(array.shape, array.fill_value)
        for block in blocks:
            try:
                values[store.region(block)] = array[store.region(block)]
            except Exception as error:
                # Damaged bytes fail in any codec and in many ways; each means the same: compute it again.
                damage.append(Damage(block, _label(store, name, block), f"the file is damaged ({error})"))
        return values


def _label(store: Store, name: str, block: Block) -> str:
    return str(store.chunk_file(name, block).relative_to(store.path))
