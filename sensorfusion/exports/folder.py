"""A folder that is there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sensorfusion.errors import DataError


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out`, which gets its name when the block ends without an error.

    An interrupted block removes it; what a killed process left is called `.NAME.partial-*`.

    Raises:
        DataError: when `out` holds something already, or cannot be written.
    """
    out = out.absolute()
    _require_free(out)
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        try:
            yield partial
            _require_free(out)
            partial.replace(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise _described(error, out) from error


def _require_free(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        found = "a file of this name exists"
    elif any(out.iterdir()):
        found = "the folder exists, and is not empty"
    else:
        return
    raise DataError(found, where=str(out), remedy="choose another name, or remove it yourself")


def _described(error: OSError, out: Path) -> DataError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return DataError(
        f"the data set cannot be written: {error.strerror or error}",
        where=str(error.filename or out),
        remedy="free disk space; nothing was left behind"
        if full
        else "choose a folder that you may write to; nothing was left behind",
    )
