"""Which images are meant, what they are called, and which files their segments are made from."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sensorfusion.errors import ConfigError, DataError

IMAGES = (".jpeg", ".jpg", ".png")
MASKS = (".png", ".npz", ".npy")


@dataclass(frozen=True)
class Item:
    """An image and what its segments are made from.

    Args:
        name: the image's path below its root, with "/".
        files: the image's file, then that of its masks where they are made elsewhere.
    """

    name: str
    files: tuple[Path, ...]


def list_items(
    source: str, *, root: Path | None = None, masks: Path | None = None, without: Path | None = None
) -> list[Item]:
    """The images of a folder, a glob pattern or a text file, in the order of their names.

    A text file has one image per line, and may name its masks behind a tab; relative paths are
    below the file's folder.

    Args:
        root: names are paths below it; by default the folder, the text file's folder, or the part
            of the pattern before its first wildcard.
        masks: a folder in which each image's masks have its name, with the suffix .png, .npz or
            .npy.
        without: a folder below which nothing is an image: the one that is written to.

    Raises:
        DataError: when there is no image, or one lies outside the root.
        ConfigError: when some images have masks and some have not.
    """
    pairs, base = _pairs(source)
    base = Path(os.path.abspath(root or base))
    items: dict[str, Item] = {}
    for image, mask in pairs:
        if without is not None and image.is_relative_to(os.path.abspath(without)):
            continue
        if not image.is_relative_to(base):
            raise DataError(f"{image} is not below {base}", where=source, remedy="give --root")
        name = image.relative_to(base).as_posix()
        mask = _mask_of(masks, name) if mask is None and masks is not None else mask
        items[name] = Item(name, (image,) if mask is None else (image, mask))
    if not items:
        raise DataError(
            "no image",
            where=source,
            remedy=f"give a folder, pattern or list of {', '.join(IMAGES)}",
        )
    if len({len(item.files) for item in items.values()}) > 1:
        raise ConfigError("some lines name masks and some do not", where=source)
    return [items[name] for name in sorted(items)]


def _pairs(source: str) -> tuple[list[tuple[Path, Path | None]], Path]:
    """Absolute paths of images, with their masks where a list names them; and the root."""
    path = Path(source)
    if os.path.isdir(path):
        found = (p for p in path.rglob("*") if p.suffix.lower() in IMAGES and p.is_file())
        return [(_absolute(p), None) for p in found], path
    if os.path.isfile(path) and path.suffix.lower() not in IMAGES:
        return list(_lines(path)), path.parent
    fixed = source[: source.find("*")] if "*" in source else source
    matched = (Path(p) for p in glob.glob(source, recursive=True))
    return [(_absolute(p), None) for p in matched if os.path.isfile(p)], Path(f"{fixed}_").parent


def _lines(path: Path) -> Iterator[tuple[Path, Path | None]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"no list of images: {error}", where=str(path)) from error
    for line in filter(None, map(str.strip, lines)):
        image, _, mask = line.partition("\t")
        yield _absolute(path.parent / image), _absolute(path.parent / mask) if mask else None


def _mask_of(masks: Path, name: str) -> Path:
    candidates = [_absolute(masks / name).with_suffix(suffix) for suffix in MASKS]
    found = [path for path in candidates if path.is_file()]
    if len(found) > 1:
        raise DataError(
            f"{len(found)} files of masks for {name}: {', '.join(path.name for path in found)}",
            where=str(masks),
            remedy="keep one",
        )
    return found[0] if found else candidates[0]


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # links stay links: names are what the user sees
