"""Helpers of the store's tests."""

import functools
import sys
import tempfile
from pathlib import Path

from fake_study import study

from metamimo.experiments.layout import DONE
from metamimo.experiments.runner import run
from metamimo.experiments.store import read_store

HERE = Path(__file__).parent
RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import fake_study
from pathlib import Path
from fake_study import study
from metamimo.experiments.runner import run
from metamimo.experiments.tasks import Shard
study = fake_study.study(trials=int(sys.argv[3]))
import zarr
print("ready", flush=True)
run(study, Path(sys.argv[2]), shard=Shard.parse(sys.argv[4]))
"""


def command(folder, trials=10, shard="1/1"):
    """Return the command line of a process that runs the fake study."""
    return [sys.executable, "-c", RUN, str(HERE), str(folder), str(trials), shard]


def promised_bytes(folder):
    """Return the stored bytes of everything that a repeated run must give again."""
    store = read_store(folder / "store.zarr")
    return {name: store.array(name)[:].tobytes() for name in (*store.attributes["promised"], DONE)}


@functools.cache
def undisturbed(trials=10):
    """Run the fake study in one go and return its promised bytes."""
    with tempfile.TemporaryDirectory() as folder:
        assert run(study(trials=trials), Path(folder)).missing == 0
        return promised_bytes(Path(folder))
