"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, data: bytes, partial: Path) -> None:
    """Write a file under another name beside it, to disk, then give it its own; makes the folder.

    Args:
        partial: the other name, in the same folder. Where several processes may write the file, it
            needs a different one in each; else what a killed one left is overwritten.

    Raises:
        OSError: when it cannot be written; what was there before stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):  # what stopped writing may keep it from being removed
            partial.unlink(missing_ok=True)
        raise
