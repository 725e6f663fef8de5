"""Cold start: `metamimo --help`, and the first stored result of a real figure without and with a compilation cache."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import report

FIGURE = "sim-broadcast-ee/fig3"
COMMAND = [sys.executable, "-c", "from metamimo.cli import app; app(prog_name='metamimo')"]
HELP_CPU_SECONDS = 0.3
MEMORY_BYTES = 2 * 2**30


def test_help(benchmark, rounds):
    """The bound is on the CPU time of the process, user and system."""
    spent = []

    def show_help():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*COMMAND, "--help"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    benchmark.pedantic(show_help, rounds=rounds, warmup_rounds=1)
    cpu = np.array(spent[1:])
    print(f"\nmetamimo --help: {cpu.min():.3f} s of CPU at best, {np.median(cpu):.3f} s in the median")
    report(benchmark, "CPU of metamimo --help over 0.3 s", cpu / HELP_CPU_SECONDS, 1, "<=")
    assert cpu.min() < HELP_CPU_SECONDS


def test_first_result(benchmark):
    """Wall time from the command to the first finished chunk, and the peak memory of the process up to there."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        cold, _ = _first_result(Path(folder) / "cold", cache)
        warm, memory = benchmark.pedantic(_first_result, args=(Path(folder) / "warm", cache), rounds=1)
    print(f"\nfirst result: {cold:.1f} s with an empty compilation cache, {warm:.1f} s with a warm one")
    report(benchmark, "first result, warm over cold", [warm / cold], None)
    report(benchmark, "peak memory at the first result over 2 GiB", [memory / MEMORY_BYTES], 1, "<=")


def _first_result(out: Path, cache: Path) -> tuple[float, int]:
    """Start the figure, wait for its first finished chunk, stop it; return seconds and peak memory in bytes."""
    out.mkdir()
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)}
    command = [*COMMAND, "reproduce", FIGURE, "--quick", "--out", str(out)]
    start = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        mask = out / FIGURE / "store.zarr" / "done" / "c"
        while not any(file.is_file() for file in mask.rglob("*")):
            assert process.poll() is None, "the run ended without a result"
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        process.kill()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return seconds, used.ru_maxrss * 1024
