"""Process-wide settings of the test suite: they must stand before JAX, NumPy and metamimo are loaded."""

import os
import pkgutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Below the folder that `pytest --cache-clear` empties; one folder, so that xdist workers share compiled programs.
COMPILATION_CACHE = ROOT / ".pytest_cache" / "d" / "jax"

PACKAGE = ROOT / "src" / "metamimo"
# Their pydantic models check themselves, and beartype refuses `Self` in a method that is decorated without its class.
ROOMS_WITHOUT_ARRAYS = {"experiments", "figures", "interop", "cli"}

# First the folders whose tests name the cause of a failure most directly, then those that build on them.
FOLDER_ORDER = (
    "quality",
    "core",
    "precoders",
    "bounds",
    "reference",
    "conformance",
    "schemes",
    "experiments",
    "papers",
    "docs",
    "cli",
)


def _set_environment() -> None:
    if "jax" in sys.modules:
        raise pytest.UsageError("JAX was imported before tests/conftest.py could configure it")
    os.environ.update(
        JAX_ENABLE_X64="1",
        JAX_COMPILATION_CACHE_DIR=str(COMPILATION_CACHE),
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
        JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES="-1",
        OPENBLAS_NUM_THREADS="1",
        OMP_NUM_THREADS="1",
        MPLBACKEND="Agg",
    )
    # Toy programs run for milliseconds and compile for seconds: let the compiler hurry, and not split programs for
    # threads that another worker needs.
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
        "--xla_cpu_enable_concurrency_optimized_scheduler=false --xla_cpu_parallel_codegen_split_count=1",
    )


def _check_array_shapes() -> None:
    """Check the annotations of the rooms with arrays at run time; users never pay for this."""
    from jaxtyping import install_import_hook

    rooms = {module.name for module in pkgutil.iter_modules([str(PACKAGE)])} - ROOMS_WITHOUT_ARRAYS
    install_import_hook([f"metamimo.{room}" for room in sorted(rooms)], "beartype.beartype")


def _set_hypothesis_profile() -> None:
    from hypothesis import settings

    # Compilation makes the first example slow, so a deadline would measure XLA; CI must not fail by luck.
    settings.register_profile("metamimo", deadline=None, derandomize="CI" in os.environ, max_examples=50)
    settings.load_profile("metamimo")


_set_environment()
_check_array_shapes()
_set_hypothesis_profile()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order tests by folder; the order within a folder stays."""
    tests = ROOT / "tests"
    rank = {folder: position for position, folder in enumerate(FOLDER_ORDER)}

    def position(item: pytest.Item) -> int:
        parts = item.path.relative_to(tests).parts if item.path.is_relative_to(tests) else ("",)
        return rank.get(parts[0], len(rank))

    items.sort(key=position)
