"""Results of segmentation for a page: tasks beside their floors, gains, and single classes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from sensorfusion.evaluation.segmentation_results import (
    Budget,
    BySeed,
    Measurement,
    by_budget,
    gains_of,
    read,
)
from sensorfusion.report.payload import Payload


def results(path: Path) -> Payload | None:
    """Tasks of `segmentation.json` with the config's own settings; None when there are none.

    Raises:
        DataError: when the file cannot be read.
    """
    measured = read(path)
    usual = {b: starts for b, starts in by_budget(measured).items() if not b.changes}
    return {"tasks": [_task(*task) for task in usual.items()]} if usual else None


def _task(budget: Budget, by_start: Mapping[str, BySeed]) -> Payload:
    starts = {start: list(seeds.values()) for start, seeds in by_start.items()}
    found = [each for some in starts.values() for each in some]
    return {
        "title": budget.title,
        "starts": [
            {"start": start, "scans": some[-1].scans, **_spread([m.miou for m in some])}
            for start, some in starts.items()
            if some
        ],
        "gains": [{"seed": seed, "gain": gain} for seed, gain in gains_of(by_start).items()],
        "classes": [
            {"name": name, **{start: _mean(some, name) for start, some in starts.items()}}
            for name in found[0].iou
        ],
        "settings": dict(found[0].settings),
        "command": found[0].command,
    }


def _spread(values: Sequence[float]) -> Payload:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "deviation": deviation, "seeds": len(values)}


def _mean(measured: Sequence[Measurement], name: str) -> float | None:
    values = [v for m in measured if (v := m.iou.get(name)) is not None]
    return statistics.mean(values) if values else None
