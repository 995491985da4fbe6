"""The command line of `tools/prepare.py simulate`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sensorfusion.errors import ConfigError
from sensorfusion.exports.folder import whole_folder

# Writes (folder, scenes, seed, report) and returns one line that says what it wrote. The report
# is called with the number of scenes done.
Writer = Callable[[Path, Sequence[int], int, Callable[[int], None]], str]


def _geotiff(folder: Path, scenes: Sequence[int], seed: int, report: Callable[[int], None]) -> str:
    from sensorfusion.exports.geotiff import write_regions

    return write_regions(folder, scenes, seed, report)


# Each imports what it needs, so that --help does not.
FORMATS: dict[str, Writer] = {
    "geotiff": _geotiff,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.description = (
        "Write scenes of the simulated world as a data set. The folder appears when all of it is"
        " written; one that holds something already is refused."
    )
    parser.add_argument("--format", choices=list(FORMATS), required=True, help="of the data set")
    parser.add_argument("--out", type=Path, required=True, help="folder that is made")
    parser.add_argument(
        "--scenes", nargs="+", default=["0-3"], metavar="N", help="numbers or ranges, default 0-3"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the world, default %(default)s")


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    scenes = scene_numbers(options.scenes)
    if options.seed < 0:
        raise ConfigError(f"seed {options.seed}", where="--seed", remedy="give a number from 0")

    def report(done: int) -> None:
        print(f"{done}/{len(scenes)} scenes", file=sys.stderr, flush=True)

    with whole_folder(options.out) as folder:
        summary = FORMATS[options.format](folder, scenes, options.seed, report)
    print(f"{options.out}: {summary}")
    return 0


def scene_numbers(entries: Sequence[str]) -> tuple[int, ...]:
    """Numbers of scenes from entries such as "3" and "0-7", ascending.

    Raises:
        ConfigError: on an entry that is neither, or a range that is empty.
    """
    found: set[int] = set()
    for entry in entries:
        first, dash, last = entry.partition("-")
        ends = (first, last) if dash else (first, first)
        if not all(end.isdecimal() for end in ends) or int(ends[0]) > int(ends[1]):
            raise ConfigError(
                f"{entry!r} names no scenes",
                where="--scenes",
                remedy="give numbers from 0, or ranges such as 0-7",
            )
        found.update(range(int(ends[0]), int(ends[1]) + 1))
    return tuple(sorted(found))
