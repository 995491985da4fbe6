"""Results of segmentation for a page: tasks beside their floors, gains, and single classes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from sensorfusion.evaluation.segmentation_results import (
    PRETRAINED,
    RANDOM,
    Measurement,
    gains_of,
    read,
    title_of,
)
from sensorfusion.report.payload import Payload

STARTS = (PRETRAINED, RANDOM)


def results(path: Path) -> Payload | None:
    """Tasks of `segmentation.json`; None when nothing was measured.

    Raises:
        DataError: when the file cannot be read.
    """
    measured = read(path)
    if not measured:
        return None
    tasks = dict.fromkeys((m.protocol, m.fraction) for m in measured)
    return {"tasks": [_task(measured, *task) for task in tasks]}


def _task(measured: Sequence[Measurement], protocol: str, fraction: float) -> Payload:
    found = [m for m in measured if (m.protocol, m.fraction) == (protocol, fraction)]
    starts = {start: [m for m in found if m.start == start] for start in STARTS}
    return {
        "title": title_of(protocol, fraction),
        "starts": [
            {"start": start, "scans": some[-1].scans, **_spread([m.miou for m in some])}
            for start, some in starts.items()
            if some
        ],
        "gains": [
            {"seed": seed, "gain": gain}
            for seed, gain in gains_of(measured, protocol, fraction).items()
        ],
        "classes": [
            {"name": name, **{start: _mean(some, name) for start, some in starts.items()}}
            for name in found[0].iou
        ],
        "settings": dict(found[-1].settings),
        "command": found[-1].command,
    }


def _spread(values: Sequence[float]) -> Payload:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "deviation": deviation, "seeds": len(values)}


def _mean(measured: Sequence[Measurement], name: str) -> float | None:
    values = [v for m in measured if (v := m.iou.get(name)) is not None]
    return statistics.mean(values) if values else None
