"""Settings of the process that decide the last bits of the numbers, and the record of them in a store."""

import functools
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# These decide bits: another value can send a line search into another optimum.
DECIDE_BITS = ("JAX_ENABLE_X64", "XLA_FLAGS", "OPENBLAS_NUM_THREADS")
# One thread a process. Level 1 and the older emitters compile these programs in a third of the time that the defaults
# take, and they run faster (measured: SIM-LP 115 instead of 138 us an iteration, Hybrid-Joint 66 instead of 105). The
# order of operations for one thread keeps small ones from being spread over several: an iteration of WMMSE-MM takes
# 83 us of CPU time instead of 113.
_XLA_FLAGS = {
    "--xla_cpu_multi_thread_eigen": "false",
    "--xla_backend_optimization_level": "1",
    "--xla_cpu_use_fusion_emitters": "false",
    "--xla_cpu_enable_concurrency_optimized_scheduler": "false",
}
_PACKAGES = ("metamimo", "jax", "jaxlib", "numpy", "scipy", "zarr")


def environment() -> dict[str, str]:
    """Return the environment variables that must be set before JAX and NumPy load.

    One thread a process (LAPACK results depend on the thread count), double precision, one fixed setting of XLA's own
    threading and optimisation, and the persistent compilation cache. XLA_FLAGS given by the user are kept.

    >>> environment()["JAX_ENABLE_X64"]
    '1'
    """
    flags = os.environ.get("XLA_FLAGS", "")
    for name, value in _XLA_FLAGS.items():
        if name not in flags:
            flags = f"{flags} {name}={value}".strip()
    return {
        "JAX_ENABLE_X64": "1",
        "XLA_FLAGS": flags,
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "JAX_COMPILATION_CACHE_DIR": str(cache_folder()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def cache_folder() -> Path:
    """Return the folder of compiled programs: JAX_COMPILATION_CACHE_DIR, METAMIMO_CACHE, or ~/.cache/metamimo/jax."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "METAMIMO_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "metamimo" / "jax"


def provenance() -> dict[str, str]:
    """Return what a store remembers about its making: versions, source commit, platform, and the settings in force."""
    record = {f"version_{name}": _version(name) for name in _PACKAGES}
    record |= {name: os.environ.get(name, "") for name in DECIDE_BITS}
    record |= {"python": platform.python_version(), "platform": platform.platform(), "processor": _processor()}
    return record | {"commit": _commit()}


def differences(made: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return in words which recorded settings differ from those in force."""
    return [f"{key} was {made[key]!r}, is {now[key]!r}" for key in sorted(made.keys() & now) if made[key] != now[key]]


def own_citation() -> str:
    """Return the BibTeX entry of this software."""
    return (
        "@software{metamimo,\n  author = {{The metamimo developers}},\n"
        "  title = {{metamimo: metasurface transmitters in wireless communication}},\n"
        f"  version = {{{_version('metamimo')}}},\n}}"
    )


@functools.cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


@functools.cache
def _processor() -> str:
    """Return the processor's model name, because compiled code differs between models."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


@functools.cache
def _commit() -> str:
    """Return the commit of the checkout that this very file belongs to, or nothing for an installed package."""
    here = Path(__file__).resolve()

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)
        dirty = "-modified" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("rev-parse", "HEAD") + dirty
    except (OSError, subprocess.SubprocessError):
        return ""
