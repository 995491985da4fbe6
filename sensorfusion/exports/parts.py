"""Parts of a data set, made by several processes and continued where a job stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from sensorfusion.exports.options import ExportOptions, silent
from sensorfusion.exports.unfinished import PARTS
from sensorfusion.files import write_whole
from sensorfusion.jobs import call_all
from sensorfusion.simulation.scene import Scene, make_scene

Make = Callable[[ExportOptions, Path, int, int], dict[str, Any]]


def make_parts(
    make: Make, options: ExportOptions, folder: Path, parts: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    """What is known of every part (scene, step), in their order.

    Args:
        make: writes the files of a part and returns what is known of it, for JSON. What it
            returned is kept in the folder, and such a part is not made again.
    """
    plain = dataclasses.replace(options, report=silent)
    left = [part for part in parts if not _note(folder, part).exists()]
    done = len(parts) - len(left)
    options.report(done, len(parts))
    calls = ((make, plain, folder, part) for part in left)
    for _ in call_all(_make_one, calls, workers=options.workers, where=str(folder)):
        done += 1
        options.report(done, len(parts))
    return [json.loads(_note(folder, part).read_text(encoding="utf-8")) for part in parts]


def write(path: Path, data: bytes) -> None:
    """Write a file of a data set, whole or not at all."""
    write_whole(path, data, path.with_name(path.name + ".part"))


@lru_cache(maxsize=2)
def scene_of(seed: int, number: int) -> Scene:
    """A scene; the last ones are kept."""
    return make_scene(seed, number)


def _make_one(make: Make, options: ExportOptions, folder: Path, part: tuple[int, int]) -> None:
    known = make(options, folder, *part)
    write(_note(folder, part), json.dumps(known).encode())


def _note(folder: Path, part: tuple[int, int]) -> Path:
    return folder / PARTS / f"{part[0]}-{part[1]}.json"
