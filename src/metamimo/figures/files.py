"""Files that a reader never sees half-written."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from metamimo.experiments.layout import storage_errors


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and move it there when the block ends without an error.

    Raises:
        StoreError: The disk is full or the folder cannot be written; `path` is left as it was.
    """
    with storage_errors(path.parent):
        handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        aside = Path(name)
        try:
            yield aside
            os.chmod(aside, 0o644)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
