"""The command line of `tools/prepare.py simulate`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from sensorfusion.errors import ConfigError
from sensorfusion.exports.options import ExportOptions
from sensorfusion.exports.unfinished import unfinished
from sensorfusion.jobs import processors
from sensorfusion.progress_bar import ProgressBar

Writer = Callable[[ExportOptions, Path], None]


def _nuscenes(options: ExportOptions, folder: Path) -> None:
    from sensorfusion.exports.nuscenes import write_nuscenes

    write_nuscenes(options, folder)


def _semantickitti(options: ExportOptions, folder: Path) -> None:
    from sensorfusion.exports.semantickitti import write_semantickitti

    write_semantickitti(options, folder)


def _geotiff(options: ExportOptions, folder: Path) -> None:
    from sensorfusion.exports.geotiff import write_regions

    def report(done: int) -> None:
        options.report(done, len(options.scenes))

    write_regions(folder, options.scenes, options.seed, report)


# Each imports what it needs, so that --help does not.
FORMATS: dict[str, Writer] = {
    "nuscenes": _nuscenes,
    "semantickitti": _semantickitti,
    "geotiff": _geotiff,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    default = ExportOptions()
    parser.description = (
        "Write the simulated world as a data set of a known format. The folder gets its name when"
        " all is there; until then it is called OUT.unfinished, and the same command continues."
    )
    parser.add_argument("--format", required=True, choices=list(FORMATS))
    parser.add_argument(
        "--out", type=Path, required=True, help="folder that is not there yet, or empty"
    )
    parser.add_argument(
        "--scenes", nargs="+", default=["0"], metavar="N",
        help="numbers or ranges, e.g. 0-7 or 0 3 (default 0)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of everything (default 0)")
    parser.add_argument(
        "--frames", type=int, default=default.frames,
        help="keyframes or scans of each scene (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--image-size", type=int, nargs=2, metavar=("H", "W"), help="default: as the real ones"
    )
    parser.add_argument(
        "--quality", type=int, default=default.quality, help="of JPEGs (default %(default)s)"
    )
    parser.add_argument(
        "--sweeps", type=int, default=default.sweeps,
        help="nuScenes: LiDAR sweeps before every keyframe (default %(default)s: all)",
    )  # fmt: skip
    parser.add_argument(
        "--camera-sweeps", type=int, default=default.camera_sweeps,
        help="nuScenes: images of each camera before every keyframe (default %(default)s: all)",
    )  # fmt: skip
    parser.add_argument(
        "--distorted", action="store_true", help="leave points where the moving LiDAR saw them"
    )
    parser.add_argument("--workers", type=int, default=processors(), help="default %(default)s")


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    out, name = options.out, str(options.format)
    with ProgressBar(name) as bar:
        settings = ExportOptions(
            scenes=scene_numbers(options.scenes),
            seed=options.seed,
            frames=options.frames,
            image_size=tuple(options.image_size) if options.image_size else None,
            quality=options.quality,
            sweeps=options.sweeps,
            camera_sweeps=options.camera_sweeps,
            distorted=options.distorted,
            workers=options.workers,
            report=bar.advance,
        )
        export(name, settings, out)
    print(f"{out}: {len(settings.scenes)} scenes as {name}")
    return 0


def export(name: str, options: ExportOptions, out: Path) -> None:
    """Write a data set whole or not at all.

    Raises:
        ConfigError: for settings that cannot be, a folder that is in the way, or a disk that
            cannot be written or is full.
        DataError: when a worker dies.
    """
    with unfinished(out, {"format": name, **options.recipe()}) as folder:
        FORMATS[name](options, folder)


def scene_numbers(entries: Sequence[str]) -> tuple[int, ...]:
    """The numbers that entries such as "3" and "0-7" name, ascending.

    Raises:
        ConfigError: for an entry that is neither, or an empty range.
    """
    numbers: set[int] = set()
    for entry in entries:
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", entry, flags=re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first:
            raise ConfigError(
                f"{entry!r} names no scenes",
                where="--scenes",
                remedy="give numbers from 0, or ranges such as 0-7",
            )
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))
