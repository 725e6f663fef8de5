"""Is this machine ready? Each finding says what was found and, for a problem, what to do."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from metamimo.experiments.environment import cache_folder

_PACKAGES = ("metamimo", "jax", "jaxlib", "equinox", "numpy", "scipy", "xarray", "zarr", "pydantic", "dask")
_LEAST_BYTES = 2 * 2**30
# In a process of its own: a broken accelerator driver must not take the doctor down.
_ASK_JAX = (
    "import json, jax; "
    "print(json.dumps([str(jax.numpy.ones(1).dtype), [f'{d.platform} {d.device_kind}' for d in jax.devices()]]))"
)


@dataclass(frozen=True)
class Finding:
    """One checked thing; `advice` is None where all is well."""

    subject: str
    found: str
    advice: str | None = None


def examine(folder: Path) -> list[Finding]:
    """Check versions, devices, precision, compilation cache, processors, BLAS threads and disk space.

    Args:
        folder: Where results would go.
    """
    return [_python(), _versions(), *_jax(), _cache(), _processors(), _blas(), _disk(folder)]


def _python() -> Finding:
    advice = None if sys.version_info >= (3, 11) else "install Python 3.11 or later"
    return Finding("python", f"{platform.python_version()} on {platform.platform()}", advice)


def _versions() -> Finding:
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    advice = f"not installed: {', '.join(missing)}; run `pip install metamimo` again" if missing else None
    return Finding("packages", ", ".join(found), advice)


def _jax() -> list[Finding]:
    try:
        answer = subprocess.run([sys.executable, "-c", _ASK_JAX], capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        advice = "set JAX_PLATFORMS=cpu, or repair the accelerator's driver"
        return [Finding("devices", "JAX did not start within 120 s", advice)]
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        advice = "set JAX_PLATFORMS=cpu, or install a JAX that fits this machine"
        return [Finding("devices", f"JAX does not start: {last}", advice)]
    dtype, devices = json.loads(answer.stdout.splitlines()[-1])
    exact = None if dtype == "float64" else "set JAX_ENABLE_X64=1 (the command line does it by itself)"
    return [Finding("devices", ", ".join(devices)), Finding("precision", f"JAX computes in {dtype}", exact)]


def _cache() -> Finding:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        advice = "set METAMIMO_CACHE to a folder you can write to; without it every start compiles anew"
        return Finding("compilation cache", f"{folder} cannot be written ({error.strerror})", advice)
    return Finding("compilation cache", str(folder))


def _processors() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding("processors", f"{cores}; use them with --executor dask --workers {cores}")


def _blas() -> Finding:
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "")
    advice = None if threads == "1" else "set OPENBLAS_NUM_THREADS=1: results depend on it in their last digits"
    return Finding("BLAS threads", threads or "not set", advice)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    advice = None if free >= _LEAST_BYTES else "free some space: a full disk stops a run (finished tasks are kept)"
    return Finding("disk space", f"{free / 2**30:.1f} GiB free in {folder}", advice)
