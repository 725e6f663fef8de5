"""Importing metamimo is cheap and leaves the process as it was."""

import json
import os
import subprocess
import sys

HEAVY = (
    "jax",
    "numpy",
    "scipy",
    "matplotlib",
    "xarray",
    "zarr",
    "pydantic",
    "equinox",
    "dask",
    "pandas",
    "rich",
    "typer",
)

LOADED_BY_PACKAGE = f"""
import json, sys
import metamimo
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""

# Third-party packages are imported first, so that only what metamimo itself does is compared.
CHANGED_BY_ALL_MODULES = """
import importlib, json, os, pkgutil, random, sys, warnings
import dask, distributed, equinox, h5netcdf, jax, matplotlib.pyplot, numpy, rich, typer, xarray, zarr
import scipy.io, scipy.linalg, scipy.optimize, scipy.spatial, scipy.special, scipy.stats

def state():
    return {
        "environment": dict(os.environ),
        "jax": {name: repr(value) for name, value in jax.config.values.items()},
        "numpy errors": numpy.geterr(),
        "numpy printing": repr(numpy.get_printoptions()),
        "random": repr(random.getstate()),
        "numpy random": repr(numpy.random.get_state()),
        "matplotlib": repr(dict(matplotlib.rcParams)),
        "warnings": [repr(entry) for entry in warnings.filters],
        "folder": os.getcwd(),
        "recursion": sys.getrecursionlimit(),
    }

def refuse(event, arguments):
    if event in {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"}:
        raise RuntimeError(f"network use at import: {event} {arguments}")

before = state()
sys.addaudithook(refuse)
import metamimo
names = [module.name for module in pkgutil.walk_packages(metamimo.__path__, "metamimo.")]
for name in names:
    importlib.import_module(name)
after = state()
print(json.dumps({"modules": names, "changed": [key for key in before if before[key] != after[key]]}))
"""


def _fresh_interpreter(code: str) -> str:
    """Run code in a process whose environment holds none of the settings that the test suite makes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_package_alone_loads_nothing_heavy() -> None:
    assert json.loads(_fresh_interpreter(LOADED_BY_PACKAGE)) == []


def test_no_module_changes_global_state() -> None:
    answer = json.loads(_fresh_interpreter(CHANGED_BY_ALL_MODULES))
    assert "metamimo.errors" in answer["modules"]
    assert answer["changed"] == []
