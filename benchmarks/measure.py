"""Ratios from interleaved rounds of CPU time.

On a shared machine only neighbours in time can be compared, and a wall clock also counts other people's work. All
measured programs run on one thread, where both times agree on a quiet machine.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np
import pytest
from numpy.typing import NDArray

CPU_TIME = pytest.mark.benchmark(timer=time.process_time)
Seconds = NDArray[np.float64]

ZGEMM_SIZE = 512
REAL_FLOPS = 8
"""Real operations of a complex multiplication and addition."""


def seconds_of(function: Callable[[], Any]) -> float:
    """Return the CPU time of one call, all threads added up; a result on a device is waited for."""
    start = time.process_time()
    jax.block_until_ready(function())
    return time.process_time() - start


def interleave(
    benchmark: Any, target: Callable[[], Any], yardsticks: Mapping[str, Callable[[], Any]], rounds: int
) -> tuple[Seconds, dict[str, Seconds]]:
    """Time a function and its yardsticks in turn, after one call of each that compiles and warms up.

    Args:
        benchmark: fixture of pytest-benchmark; its table shows the target.
        target: what is judged.
        yardsticks: what it is compared with.
        rounds: calls of each.

    Returns:
        Seconds of every round, of the target and of each yardstick.
    """
    for function in (target, *yardsticks.values()):
        jax.block_until_ready(function())
    own: list[float] = []
    others: dict[str, list[float]] = {name: [] for name in yardsticks}

    def measure_yardsticks() -> None:
        for name, function in yardsticks.items():
            others[name].append(seconds_of(function))

    benchmark.pedantic(lambda: own.append(seconds_of(target)), setup=measure_yardsticks, rounds=rounds)
    return np.array(own), {name: np.array(values) for name, values in others.items()}


def zgemm() -> Callable[[], Any]:
    """Return the yardstick of a core's speed, a 512 x 512 complex product in NumPy."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((ZGEMM_SIZE, 2 * ZGEMM_SIZE)).view(complex) for _ in range(2))
    out = np.empty_like(a)
    return lambda: np.matmul(a, b, out=out)


def flops_of_zgemm() -> int:
    """Return the real operations of one call of `zgemm`."""
    return REAL_FLOPS * ZGEMM_SIZE**3


def report(
    benchmark: Any, name: str, ratios: Sequence[float] | NDArray, bound: float | None, sense: Literal[">=", "<="] = ">="
) -> float:
    """Print one line with the median ratio, its bound and whether it holds, and all rounds; return the median."""
    median = float(np.median(ratios))
    if bound is None:
        verdict = "no bound"
    else:
        holds = median >= bound if sense == ">=" else median <= bound
        verdict = f"bound {sense} {bound:g}: {'holds' if holds else 'MISSED'}"
    rounds = " ".join(f"{value:.3g}" for value in ratios)
    print(f"\nratio {name} = {median:.3g}, {verdict} (rounds: {rounds})")
    benchmark.extra_info[name] = median
    return median
