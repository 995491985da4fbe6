"""Time several things in turn, in one process, and keep the least disturbed runs."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

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
