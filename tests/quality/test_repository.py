"""Files that must agree with each other do."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LONGEST_FILE = 400


def _lock(name: str) -> dict[str, Version]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = [re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line) for line in lines if line and not line.startswith("#")]
    assert all(pins), f"{name}: every line is NAME==VERSION, nothing local"
    return {canonicalize_name(pin[1]): Version(pin[2]) for pin in pins if pin}


def _requirements(*extras: str) -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize(("lock", "extras"), [("requirements.lock", ()), ("requirements-dev.lock", ("dev",))])
def test_lock_satisfies_the_declared_dependencies(lock: str, extras: tuple[str, ...]) -> None:
    pinned = _lock(lock)
    unmet = [
        str(requirement)
        for requirement in _requirements(*extras)
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), Version("0")))
    ]
    assert not unmet


def test_development_lock_extends_the_runtime_lock() -> None:
    assert _lock("requirements.lock").items() <= _lock("requirements-dev.lock").items()


def test_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert version("metamimo") == PROJECT["version"] == citation["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    commands = [
        line for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines() if line.startswith("exec ")
    ]
    assert commands == ["exec make test"]
    assert "$ make test" in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks"])
def test_files_stay_short(folder: str) -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / folder).rglob("*.py")
    }
    assert not {name: length for name, length in lengths.items() if length >= LONGEST_FILE}
