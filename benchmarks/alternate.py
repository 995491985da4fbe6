"""Time several things in turn, in one process, and keep the least disturbed runs."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

TICKS = os.sysconf("SC_CLK_TCK")
STAT = Path("/proc/stat")


def alternate(
    tasks: Mapping[str, Callable[[], object]],
    repeats: int,
    warm_up: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median milliseconds of each task over the half of the rounds that others disturbed least.

    A round runs every task once, in order. How much other processes ran during it is read from
    the system's accounts, where they exist; elsewhere every round counts. On one thread
    `time.process_time` as the clock leaves out the time that others ran instead.
    """
    rounds: list[tuple[float, list[float]]] = []
    for index in range(warm_up + repeats):
        busy, own = _busy_seconds(), sum(os.times()[:2])
        taken = [_milliseconds(task, clock) for task in tasks.values()]
        disturbance = (_busy_seconds() - busy) - (sum(os.times()[:2]) - own)
        if index >= warm_up:
            rounds.append((disturbance, taken))
    rounds.sort(key=lambda entry: entry[0])
    kept = [taken for _, taken in rounds[: -(-repeats // 2)]]
    medians = map(statistics.median, zip(*kept, strict=True))
    return dict(zip(tasks, medians, strict=True))


def parsed(doc: str, repeats: int) -> argparse.Namespace:
    """Options that all such scripts have; also sets the threads of torch and Numba."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=repeats)
    options = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = str(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    return options


def compare(title: str, ways: Mapping[str, Callable[[], object]], repeats: int) -> None:
    """Print the milliseconds of each way, and how many times those of the first they are."""
    medians = alternate(ways, repeats)
    print(f"{title} (numpy {np.__version__}, {platform.machine()}, {repeats} rounds)")
    first = next(iter(medians.values()))
    for name, taken in medians.items():
        print(f"  {name:34s} {taken:9.3f} ms   x {taken / first:.1f}")


def _milliseconds(task: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    task()
    return (clock() - start) * 1e3


def _busy_seconds() -> float:
    """Processor time of the whole machine since it started, idle and waiting left out."""
    if not STAT.exists():
        return 0.0
    fields = [int(field) for field in STAT.read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS
