"""Progress of a run: a live bar on a terminal, a plain line every few seconds otherwise."""

import contextlib
import sys
import time
from types import TracebackType
from typing import Self

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Counts finished tasks and shows done/total, rate and time left on stderr.

    Args:
        total: Tasks of this run.
        done: Tasks found finished at the start; they do not count for the rate.
        show: False for silence.
    """

    def __init__(self, total: int, done: int = 0, show: bool = True) -> None:
        self._total, self._done, self._found = total, done, done
        self._show = show
        self._live = contextlib.ExitStack()
        self._bar: tuple | None = None

    def __enter__(self) -> Self:
        """Start the clock."""
        self._start = self._last_line = time.monotonic()
        if self._show and self._total > self._done and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("tasks  {task.fields[pace]}"))
            bar = self._live.enter_context(Bar(*columns, console=Console(stderr=True)))
            self._bar = bar, bar.add_task("run", total=self._total, completed=self._done, pace="")
        return self

    def advance(self) -> None:
        """Count one finished task."""
        self._done += 1
        now = time.monotonic()
        if self._bar:
            bar, line = self._bar
            bar.update(line, completed=self._done, pace=self.pace(now - self._start))
        elif self._show and (now - self._last_line >= _SECONDS_BETWEEN_LINES or self._done == self._total):
            self._last_line = now
            sys.stderr.write(f"{self._done}/{self._total} tasks  {self.pace(now - self._start)}\n")
            sys.stderr.flush()

    def pace(self, seconds: float) -> str:
        """Return rate and time left after so many seconds.

        >>> p = Progress(total=10, done=2, show=False)
        >>> p._done = 6
        >>> p.pace(8.0)
        '0.50 tasks/s, 0:00:08 left'
        """
        rate = (self._done - self._found) / max(seconds, 1e-9)
        left = round((self._total - self._done) / rate) if rate else 0
        return f"{rate:.2f} tasks/s, {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bar."""
        self._live.close()
