"""The job: superpixels of many images by several processes, continued where it stopped.

What an image needs is decided by its file alone: one that is sound and has the right key stays,
every other one is made. So a job may be killed at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.files import alone_in
from sensorfusion.jobs import call_all
from sensorfusion.superpixels.folder import (
    MANIFEST,
    Entry,
    SuperpixelFolder,
    open_or_create,
    read_file,
)
from sensorfusion.superpixels.listing import Item
from sensorfusion.superpixels.methods import Method, key_of


@dataclass(frozen=True)
class Outcome:
    """What became of an image: its entry, or why it has none."""

    name: str
    entry: Entry | None = None
    made: bool = False
    problem: str = ""


@dataclass
class Summary:
    """What became of all images.

    Args:
        entries: of the images that are sound, by name. made: how many of them were made now.
        problems: names of the others, and why.
        complete: False when a stop was requested before the end.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    made: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    complete: bool = False

    def add(self, outcome: Outcome) -> None:
        """Count an image."""
        self.made += outcome.made
        if outcome.entry is not None:
            self.entries[outcome.name] = outcome.entry
        else:
            self.problems[outcome.name] = outcome.problem


def prepare(
    items: Sequence[Item],
    path: Path,
    method: Method,
    *,
    workers: int = 1,
    report: Callable[[Summary], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Summary:
    """Make the superpixels of all images that have none, and write the manifest.

    Images that cannot be read are counted and named, and the rest is made all the same.

    Args:
        workers: processes; the files are the same for any number.
        report: called after every image.
        stopping: asked between images; True ends the job early, after what is under way.

    Raises:
        ConfigError: when the folder has other settings, is in use, or cannot be written.
        DataError: when a worker dies.
    """
    folder = open_or_create(path, method)
    summary = Summary()
    with alone_in(path, "prepares superpixels"):
        before = folder.manifest()
        try:
            for outcome in _outcomes(folder, method, items, workers, stopping, make=True):
                summary.add(outcome)
                report(summary)
            summary.complete = len(summary.entries) + len(summary.problems) == len(items)
        finally:
            kept = {k: v for k, v in before.items() if k not in summary.problems}
            folder.write_manifest({**kept, **summary.entries})
    return summary


def check(
    items: Sequence[Item],
    path: Path,
    method: Method | None,
    *,
    workers: int = 1,
    report: Callable[[Summary], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Summary:
    """Find images whose superpixels are missing, damaged, outdated or not in the manifest.

    Args:
        method: what they must have been made with; None: whatever the folder says.

    Raises:
        DataError: when the folder is none, or a worker dies.
        ConfigError: when it was made with other settings.
    """
    folder = SuperpixelFolder(path, method)
    if (folder.recipe["method"] == "masks") != (len(items[0].files) > 1):
        raise ConfigError(
            f"made with the method {folder.recipe['method']}",
            where=str(path),
            remedy="give --masks for the method masks, and for it alone",
        )
    listed = folder.manifest()
    summary = Summary()
    for outcome in _outcomes(folder, method, items, workers, stopping, make=False):
        if outcome.entry is not None and listed.get(outcome.name) != outcome.entry:
            outcome = Outcome(outcome.name, problem=f"{MANIFEST} has no such entry")
        summary.add(outcome)
        report(summary)
    summary.complete = len(summary.entries) + len(summary.problems) == len(items)
    return summary


def examine(folder: SuperpixelFolder, method: Method | None, item: Item, make: bool) -> Outcome:
    """Keep what is sound, and make what is not, or say what is wrong with it."""
    try:
        files = tuple(read_file(path, "check the list of images") for path in item.files)
        key = key_of(folder.recipe, files)
        try:
            return Outcome(item.name, folder.entry(item.name, key))
        except DataError:
            if not make or method is None:
                raise
        labels_HW = method.labels(files, " with ".join(map(str, item.files)))
    except DataError as error:
        return Outcome(item.name, problem=str(error))
    return Outcome(item.name, folder.save(item.name, key, labels_HW), made=True)


def _outcomes(
    folder: SuperpixelFolder,
    method: Method | None,
    items: Sequence[Item],
    workers: int,
    stopping: Callable[[], bool],
    make: bool,
) -> Iterator[Outcome]:
    calls = ((folder, method, item, make) for item in items)
    where = str(folder.path)
    return call_all(examine, calls, workers=workers, stopping=stopping, where=where)
