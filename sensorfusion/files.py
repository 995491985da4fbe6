"""Files that are there whole or not at all, and folders that one process at a time writes in."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from sensorfusion.errors import ConfigError

LOCK = ".lock"


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


@contextlib.contextmanager
def alone_in(folder: Path, does: str) -> Iterator[None]:
    """Hold a folder's lock, which the system gives back however the process ends.

    Args:
        does: what processes do in this folder, for the words of the error.

    Raises:
        ConfigError: when another process holds it, or the folder cannot be written.
    """
    try:
        file = (folder / LOCK).open("w")
    except OSError as error:
        raise ConfigError(f"cannot write: {error}", where=str(folder)) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"another process {does} in this folder",
                where=str(folder),
                remedy="wait for it to end, or choose another folder",
            ) from error
        yield
