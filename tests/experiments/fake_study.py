"""A study that needs NumPy only and a millisecond a task: what the engine's tests run."""

import errno
import os
import time

import numpy as np
from pydantic import Field

from metamimo.experiments.claims import Claim, is_above, is_within
from metamimo.experiments.config import Axis, Experiment, Scenario, SchemeChoice, rebuild, scenario_at
from metamimo.experiments.study import Panel, Study, Variable


class FakeScenario(Scenario):
    atoms: int = Field(default=4, gt=0)
    layers: int = Field(default=2, gt=0)
    users: int = Field(default=3, gt=0)
    power_dbm: float = Field(default=30.0, json_schema_extra={"unit": "dBm", "traced": True})
    noise: float = Field(default=1.0, gt=0, json_schema_extra={"unit": "W", "traced": True})


USERS = 3
VARIABLES = (
    Variable("ee", unit="Mbit/J", long_name="Energy efficiency"),
    Variable("rate", dims=("user",), unit="bit/s/Hz"),
    Variable("gain", dtype="complex128"),
    Variable("status", dtype="int32"),
    Variable("seconds", unit="s", promised=False),
)
CLAIMS = (
    Claim("f1", "good lies above poor", "> 0", is_above("ee", "good", "poor", [{"atoms": 4, "power_dbm": 30.0}])),
    Claim(
        "f2",
        "poor lies between 100 and 200",
        "100 to 200",
        is_within("ee", "poor", 100, 200, {"atoms": 4, "power_dbm": 30.0}),
    ),
    Claim("f3", "good at 99 atoms", "> 0", is_within("ee", "good", 0, 1, {"atoms": 99, "power_dbm": 30.0})),
)


def compute(experiment, task):
    """Return numbers that depend on the experiment's seed, the grid point and the trial only."""
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    if "FAKE_BROKEN" in os.environ and (task.scheme, task.index[0]) == (1, 0):
        raise ValueError("the fake solver broke")
    start = time.perf_counter()
    scenario = scenario_at(experiment, task.index)
    bonus = {"good": 2.0, "poor": 0.0}[experiment.schemes[task.scheme].label]
    ee, rate, gain, status = [], [], [], []
    for trial in range(task.first, task.first + task.count):
        draw = np.random.default_rng([experiment.seed, trial])
        channel = draw.standard_normal(scenario.users)
        ee.append(channel.sum() + scenario.atoms + scenario.power_dbm / 10 + bonus)
        padded = np.full(max(USERS, scenario.users), np.nan)
        padded[: scenario.users] = np.abs(channel) * scenario.atoms
        rate.append(padded)
        gain.append(complex(*draw.standard_normal(2)))
        status.append(1 if trial % 7 == 6 and bonus == 0 else 0)
    seconds = np.full(task.count, time.perf_counter() - start)
    return {
        "ee": np.array(ee), "rate": np.array(rate), "gain": np.array(gain),
        "status": np.array(status, dtype=np.int32), "seconds": seconds,
    }  # fmt: skip


def study(mode="quick", trials=10, chunk=4, **changes):
    experiment = Experiment(
        name="fake-paper/fig1",
        title="A figure for tests",
        scenario=FakeScenario(),
        axes=(
            Axis(name="atoms", values=(4, 9) if mode == "quick" else (4, 9, 16), label="Atoms"),
            Axis(name="power_dbm", values=(20.0, 30.0), unit="dBm", label="Power"),
        ),
        schemes=(
            SchemeChoice(label="good", scheme="good"),
            SchemeChoice(label="poor", scheme="poor", options={"x": 1}),
        ),
        trials=trials,
        chunk=chunk,
        seed=7,
        cites=("@article{fake, title={Fake}}",),
        **changes,
    )
    return Study(
        experiment=experiment, compute=compute, variables=VARIABLES, headline="ee", sizes={"user": "users"},
        claims=CLAIMS, panels=(Panel("ee", x="atoms", fixed={"power_dbm": 30.0}),),
    )  # fmt: skip


def study_of_users(mode="quick"):
    """Return another figure of the same paper, drawn without a panel of its own."""
    base = study(mode).experiment
    experiment = rebuild(base, name="fake-paper/fig2", axes=(Axis(name="users", values=(1, 2)),))
    return Study(experiment, compute, VARIABLES, headline="ee", sizes={"user": USERS})


def _full_disk(path, value, exclusive=False):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


if "FAKE_DISK_FULL" in os.environ:
    import zarr.storage._local

    zarr.storage._local._put = _full_disk
