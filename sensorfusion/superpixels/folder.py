"""A folder of superpixels: one PNG per image, what made them, and a manifest of them all.

    superpixels.json     method, version and settings, the same for every file
    manifest.jsonl       a line per image: name, key, height, width, number of segments
    labels/NAME.png      NAME is the image's path below its root, suffix included

Each PNG holds its own key (method, settings, and the bytes of the image), so reading one needs no
manifest, and a file that is missing, damaged, or of other settings is never used.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.files import write_whole
from sensorfusion.superpixels.encoding import decode, encode, read_note
from sensorfusion.superpixels.methods import Method, differences, recipe_key, recipe_of

if TYPE_CHECKING:
    from sensorfusion.sample import Array

HEADER, MANIFEST, LABELS = "superpixels.json", "manifest.jsonl", "labels"
FORMAT = 1
_AGAIN = "run tools/prepare.py superpixels again; it makes what is missing or damaged"


@dataclass(frozen=True)
class Entry:
    """What the manifest says of an image.

    Args:
        image: its name, a path below the root of the images. key: of `methods.key_of`.
        height, width: of the image. segments: how many ids occur in it.
    """

    image: str
    key: str
    height: int
    width: int
    segments: int


class SuperpixelFolder:
    """Superpixels of a data set, looked up by the names of its images.

    Args:
        path: the folder.
        method: what it must have been made with; None: whatever it says.

    Raises:
        DataError: when it is no such folder.
        ConfigError: when it was made with another method or other settings.
    """

    def __init__(self, path: str | Path, method: Method | None = None) -> None:
        self.path = Path(path)
        self.recipe = read_header(self.path)
        if method is not None:
            require_recipe(self.path, self.recipe, recipe_of(method))

    def file(self, image: str) -> Path:
        """Where the labels of an image are.

        Raises:
            DataError: when the name leaves the folder.
        """
        parts = PurePosixPath(image).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in image or "\0" in image:
            raise DataError(f"{image!r} is no path below a root", where=str(self.path))
        return self.path / LABELS / f"{image}.png"

    def load(
        self, image: str, size: tuple[int, int] | None = None, key: str | None = None
    ) -> Array:
        """Labels of an image, int32 [H, W], -1 = none.

        Args:
            image: its name, a path below the root of the images.
            size: (H, W) of the image, checked when given. key: likewise, of `methods.key_of`.

        Raises:
            DataError: when they are missing, damaged, made with other settings than the folder
                says or from another version of the image, or of another size.
        """
        labels_HW, note = decode(read_file(self.file(image), _AGAIN), str(self.file(image)))
        if key is not None:
            self._require_key(image, note.partition(" ")[0], key)
        if not note.startswith(f"{recipe_key(self.recipe)}-"):
            raise DataError(
                f"made with other settings than {HEADER} says",
                where=str(self.file(image)),
                remedy=_AGAIN,
            )
        if size is not None and labels_HW.shape != tuple(size):
            raise DataError(
                f"superpixels of {labels_HW.shape} for an image of {tuple(size)} pixels",
                where=str(self.file(image)),
                remedy="look them up before the image is resized, and resize both",
            )
        return labels_HW

    def entry(self, image: str, key: str) -> Entry:
        """The entry of an image whose file is sound and has this key, without decoding it.

        Raises:
            DataError: when it is missing, damaged or has another key.
        """
        file = self.file(image)
        height, width, note = read_note(read_file(file, _AGAIN), str(file))
        found, _, segments = note.partition(" ")
        self._require_key(image, found, key)
        if not segments.isdecimal():
            raise DataError(f"no number of segments: {note!r}", where=str(file), remedy=_AGAIN)
        return Entry(image, key, height, width, int(segments))

    def _require_key(self, image: str, found: str, key: str) -> None:
        if found != key:
            theirs, wanted = found.partition("-")[0], key.partition("-")[0]
            what = "the image has changed since" if theirs == wanted else "made with other settings"
            raise DataError(what, where=str(self.file(image)), remedy=_AGAIN)

    def save(self, image: str, key: str, labels_HW: Array) -> Entry:
        """Write the labels of an image, whole or not at all.

        Raises:
            DataError: when labels are out of range.
            ConfigError: when the file cannot be written.
        """
        segments = len(np.unique(labels_HW[labels_HW >= 0]))
        write_file(self.file(image), encode(labels_HW, f"{key} {segments}"))
        height, width = labels_HW.shape
        return Entry(image, key, height, width, segments)

    def manifest(self) -> dict[str, Entry]:
        """Entries by the names of their images; lines that cannot be read are left out."""
        path = self.path / MANIFEST
        entries = {}
        for line in path.read_bytes().splitlines() if path.exists() else ():
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError, RecursionError):
                continue
            if _is_sound(entry):
                entries[entry.image] = entry
        return entries

    def write_manifest(self, entries: Mapping[str, Entry]) -> None:
        """Replace the manifest; lines are in the order of names."""
        rows = [json.dumps(dataclasses.asdict(entries[name])) + "\n" for name in sorted(entries)]
        write_file(self.path / MANIFEST, "".join(rows).encode())

    def require(self, images: Iterable[str]) -> None:
        """Check that every image has a file, in a moment, before a training starts.

        Raises:
            DataError: naming the first ones that have none.
        """
        missing = [image for image in images if not os.path.isfile(self.file(image))]
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise DataError(
                f"{len(missing)} images have no superpixels: {', '.join(missing[:3])}{more}",
                where=str(self.path),
                remedy=_AGAIN,
            )


def _is_sound(entry: Entry) -> bool:
    texts, numbers = (entry.image, entry.key), (entry.height, entry.width, entry.segments)
    return all(isinstance(t, str) for t in texts) and all(isinstance(n, int) for n in numbers)


def open_or_create(path: Path, method: Method) -> SuperpixelFolder:
    """The folder to which a method's results go.

    Raises:
        ConfigError: when it holds those of other settings, or cannot be written.
    """
    if not os.path.exists(path / HEADER):
        header = {"format": FORMAT, **recipe_of(method)}
        write_file(path / HEADER, (json.dumps(header, indent=2) + "\n").encode())
    return SuperpixelFolder(path, method)


def read_header(path: Path) -> dict[str, Any]:
    """Method, version and settings of a folder.

    Raises:
        DataError: when there is no header, or it cannot be read.
    """
    where = path / HEADER
    try:
        header = json.loads(
            read_file(where, "name a folder that tools/prepare.py superpixels made")
        )
        if header.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        return dict(header)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise DataError(
            f"not the header of superpixels: {error}",
            where=str(where),
            remedy="name another folder",
        ) from error


def require_recipe(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise `ConfigError` that shows where two recipes differ, when they do."""
    lines = differences(found, wanted)
    if lines:
        raise ConfigError(
            f"superpixels of other settings: {'; '.join(lines)}",
            where=str(path),
            remedy="give the settings that it was made with, or another folder",
        )


def read_file(path: Path, remedy: str = "") -> bytes:
    """The bytes of a file.

    Raises:
        DataError: when it is not there or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError("no such file", where=str(path), remedy=remedy) from None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path), remedy=remedy) from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all: beside it, to disk, then under its name.

    Raises:
        ConfigError: when the disk is full or may not be written.
    """
    try:
        write_whole(path, data, path.with_name(f".{path.name}.partial"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot write: {error}",
            where=str(path),
            remedy="free disk space or choose another folder; the same command continues",
        ) from error
