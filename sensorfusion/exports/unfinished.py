"""A folder that gets its name when all of it is there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from sensorfusion import __version__
from sensorfusion.errors import ConfigError
from sensorfusion.files import LOCK, alone_in, write_whole
from sensorfusion.simulation import WORLD_VERSION

RECIPE = "simulated.json"  # in the finished folder too: what made it
SUFFIX = ".unfinished"
PARTS = ".parts"  # what is known of parts that are done, until all are
_OWN = {LOCK, RECIPE, RECIPE + ".part"}


@contextlib.contextmanager
def unfinished(out: Path, settings: Mapping[str, object]) -> Iterator[Path]:
    """The folder `OUT.unfinished` to write in; it becomes OUT at the end, unless there is an error.

    What an earlier, interrupted job of the same settings left in it is there to be continued.

    Args:
        settings: what the files depend on.

    Raises:
        ConfigError: when OUT holds anything, OUT.unfinished is of other settings or in use, or
            something cannot be written.
    """
    _require_free(out)
    recipe = {"world": WORLD_VERSION, "sensorfusion": __version__, **settings}
    folder = out.with_name(out.name + SUFFIX)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone_in(folder, "writes a data set"):
            _require_same(folder, recipe)
            try:
                yield folder
            except BaseException:
                _remove_bare(folder)
                raise
            if (folder / PARTS).exists():
                shutil.rmtree(folder / PARTS)
            (folder / LOCK).unlink()
            _sync(folder)
            if out.exists():
                out.rmdir()  # which fails unless it is still empty
            folder.rename(out)
            _sync(out.parent)
    except OSError as error:
        raise ConfigError(
            f"cannot write: {error}",
            where=str(error.filename or folder),
            remedy=f"free disk space or choose another folder; what is there so far is in {folder}"
            ", and the same command continues it",
        ) from error


def _require_free(out: Path) -> None:
    try:
        free = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    except OSError as error:
        raise ConfigError(f"cannot read: {error}", where=str(out)) from error
    if not free or not out.name:
        raise ConfigError(
            "there already, and not an empty folder",
            where=str(out),
            remedy="choose a folder that is not there yet; nothing is overwritten",
        )


def _require_same(folder: Path, recipe: Mapping[str, object]) -> None:
    path = folder / RECIPE
    wanted = json.dumps(recipe, indent=1) + "\n"
    if not path.exists():
        if {entry.name for entry in folder.iterdir()} - _OWN:
            raise ConfigError(
                "holds something else than an unfinished data set",
                where=str(folder),
                remedy="move it away, or choose another folder",
            )
        write_whole(path, wanted.encode(), path.with_name(RECIPE + ".part"))
    elif path.read_text(encoding="utf-8", errors="replace") != wanted:
        raise ConfigError(
            "an unfinished data set of other settings",
            where=str(folder),
            remedy="finish it with its own settings (they are in simulated.json), or remove it",
        )


def _remove_bare(folder: Path) -> None:
    """Remove a folder in which nothing has been made yet."""
    with contextlib.suppress(OSError):
        if not {entry.name for entry in folder.iterdir()} - _OWN:
            shutil.rmtree(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
