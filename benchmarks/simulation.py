"""What one moment of the simulated world costs: a 32-beam sweep and six views of 224 x 416.

Prints the median of each part, on the given number of threads, and how many rays that is; with
and without shadows, which are a second ray per lit pixel; and what comes before: the scene, once,
and the moment's tables. Times of the process's own processor seconds stand beside those of the
clock, for machines that are shared.

    python benchmarks/simulation.py [--threads 2] [--repeats 9] [--height 224] [--width 416]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numba

from sensorfusion.simulation import WORLD_VERSION
from sensorfusion.simulation.rig import photograph
from sensorfusion.simulation.scan import scan
from sensorfusion.simulation.scene import make_scene

WHOLES = {
    "sweep and views": ("sweep", "views"),
    "sweep and views without shadows": ("sweep", "views without shadows"),
    "tables, sweep and views": ("a moment's tables", "sweep", "views"),
}


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of the clock and of the processor."""
    before, start = sum(os.times()[:2]), time.perf_counter()
    function()
    return 1e3 * (time.perf_counter() - start), 1e3 * (sum(os.times()[:2]) - before)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--height", type=int, default=224)
    parser.add_argument("--width", type=int, default=416)
    options = parser.parse_args()
    numba.set_num_threads(min(options.threads, numba.config.NUMBA_NUM_THREADS))
    size = (options.height, options.width)
    scenes = [make_scene(0, number) for number in range(3)]
    worlds = [scene.at(6.0) for scene in scenes]

    def views(k: int, shadows: bool, truth: bool) -> Callable[[], object]:
        return lambda: photograph(
            scenes[k], worlds[k], 6.0, size=size, shadows=shadows, truth=truth
        )

    found: dict[str, list[tuple[float, float]]] = {}
    for repeat in range(options.repeats + 1):
        k = repeat % 3
        parts = {
            "a new scene": lambda k=k: make_scene(0, k),
            "a moment's tables": lambda k=k: scenes[k].at(6.0),
            "sweep": lambda k=k: scan(scenes[k], worlds[k], 6.0),
            "views": views(k, True, False),
            "views without shadows": views(k, False, False),
            "views with classes of pixels": views(k, True, True),
        }
        for name, function in parts.items():
            result = timed(function)
            if repeat:  # the first compiles
                found.setdefault(name, []).append(result)
    rays = 32 * 1085 + 6 * size[0] * size[1]
    print(f"world version {WORLD_VERSION}, {numba.get_num_threads()} threads, {rays} first rays")
    middle = {
        name: tuple(statistics.median(column) for column in zip(*runs, strict=True))
        for name, runs in found.items()
    }
    for name, (clock, processor) in middle.items():
        fastest = min(run[0] for run in found[name])
        print(f"{name}: median {clock:.0f} ms (least {fastest:.0f}), processor {processor:.0f} ms")
    for title, names in WHOLES.items():
        clock, processor = (sum(middle[name][i] for name in names) for i in (0, 1))
        least = sum(min(run[0] for run in found[name]) for name in names)
        print(
            f"{title}: median {clock:.0f} ms (least {least:.0f}), "
            f"processor {processor:.0f} ms = {processor / options.threads:.0f} ms a thread"
        )
    ratio = middle["views"][1] / middle["views without shadows"][1]
    print(f"shadows: {ratio:.2f} times the processor time of views without")


if __name__ == "__main__":
    main()
