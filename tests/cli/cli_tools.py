"""The real command line in a process of its own, with the fake study registered as a figure."""

import os
import subprocess
import sys
from pathlib import Path

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
# A file and not `python -c`: worker processes of dask import the main module again.
LAUNCHER = """
import signal
import sys
# A shell that runs in the background hands on an ignored interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
from metamimo.papers.registry import register
register("fake-paper/fig1", "fake_study", "study", "A figure for tests")
register("fake-paper/fig2", "fake_study", "study_of_users", "Another one")
if __name__ == "__main__":
    from metamimo.cli import app
    app()
"""


def metamimo(folder, *arguments, **variables):
    """Run `metamimo ARGUMENTS` in a folder and return the finished process."""
    return subprocess.run(command(folder, *arguments), cwd=folder, env=_env(variables), capture_output=True, text=True)


def start(folder, *arguments, **variables):
    """Start `metamimo ARGUMENTS` in a folder, in a process group of its own."""
    return subprocess.Popen(
        command(folder, *arguments),
        cwd=folder,
        env=_env(variables),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def command(folder, *arguments):
    """Return the command line; the launcher lies beside the folder, not in it."""
    launcher = folder.parent / f"{folder.name}-launcher.py"
    if not launcher.exists():
        launcher.write_text(LAUNCHER)
    return [sys.executable, str(launcher), *map(str, arguments)]


def _env(variables):
    return {**os.environ, "PYTHONPATH": str(EXPERIMENTS), "COLUMNS": "120", **variables}
