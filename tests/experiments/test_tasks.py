"""The work list: complete, ordered by program, and split without overlap."""

import itertools

import pytest
from fake_study import study

from metamimo.errors import ConfigError
from metamimo.experiments.tasks import Shard, all_tasks, describe, program_of

EXPERIMENT = study(trials=10, chunk=4).experiment


def test_every_realisation_is_in_one_task():
    tasks = all_tasks(EXPERIMENT)
    covered = [(t.scheme, t.index, trial) for t in tasks for trial in range(t.first, t.first + t.count)]
    assert len(covered) == len(set(covered)) == 2 * 2 * 2 * 10
    assert {t.chunk for t in tasks} == {4}


def test_tasks_of_one_program_are_neighbours():
    """`atoms` changes shapes, `power_dbm` is traced: 2 x 2 programs, each met in one run of the list."""
    programs = [program_of(EXPERIMENT, task) for task in all_tasks(EXPERIMENT)]
    changes = sum(a != b for a, b in itertools.pairwise(programs))
    assert changes == len(set(programs)) - 1 == 3
    assert all_tasks(EXPERIMENT)[0].index[0] == all_tasks(EXPERIMENT)[11].index[0] == 0


def test_last_chunk_is_whole_where_the_store_is_longer():
    assert [t.count for t in all_tasks(EXPERIMENT)[:3]] == [4, 4, 2]
    assert [t.count for t in all_tasks(EXPERIMENT, stored_trials=11)[:3]] == [4, 4, 3]


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 100])
def test_shards_split_the_list(parts):
    tasks = all_tasks(EXPERIMENT)
    shares = [Shard(i, parts).part_of(tasks) for i in range(1, parts + 1)]
    assert sorted((t for share in shares for t in share), key=tasks.index) == tasks


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3", ""])
def test_bad_shards(text):
    with pytest.raises(ConfigError, match="shard: must be i/n") as error:
        Shard.parse(text)
    assert repr(text) in str(error.value)


def test_description_names_scheme_point_and_trials():
    assert describe(EXPERIMENT, all_tasks(EXPERIMENT)[2]) == "good, atoms=4, power_dbm=20.0, trials 8 to 9"
