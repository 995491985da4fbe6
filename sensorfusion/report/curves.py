"""Curves of a run, from its `metrics.jsonl`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from sensorfusion.errors import DataError
from sensorfusion.report.payload import Payload

POINTS = 600  # of a curve; more steps are averaged
PANELS = {
    "Loss": ("loss",),
    "Learning rate": ("rate",),
    "Norm of the gradient": ("gradient_norm",),
    "Samples per second": ("samples_per_second",),
}


def curves(path: Path) -> Payload | None:
    """Panels of named curves over steps; None when nothing was recorded.

    Args:
        path: `metrics.jsonl`, one JSON object a step; a last line that was cut short is left out.

    Raises:
        DataError: when it is something else.
    """
    rows = _rows(path)
    if not rows:
        return None
    parts = [name for name in rows[-1] if name.startswith("loss/")]
    panels = {title: list(names) for title, names in PANELS.items()}
    panels["Loss"] += parts if len(parts) > 1 else []
    groups = _groups(len(rows))
    return {
        "steps": [rows[group.stop - 1]["step"] for group in groups],
        "averaged": -(-len(rows) // len(groups)),
        "panels": [
            {
                "title": title,
                "curves": [
                    {"name": name.removeprefix("loss/"), "values": _means(rows, name, groups)}
                    for name in names
                ],
            }
            for title, names in panels.items()
            if all(name in rows[-1] for name in names)
        ],
        "epochs": rows[-1]["epoch"] + 1,
        "seconds": sum(_finite(row.get("seconds")) or 0.0 for row in rows),
        "memory_mib": _finite(rows[-1].get("memory_mib")),
        "skipped": _finite(rows[-1].get("skipped")),
    }


def _rows(path: Path) -> list[dict[str, float]]:
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    try:
        rows = [json.loads(line) for line in lines[:-1] if line]
        return [{**row, "step": int(row["step"]), "epoch": int(row["epoch"])} for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"no metrics of a run: {type(error).__name__}: {error}",
            where=str(path),
            remedy="remove the damaged lines, or the file; the page is then without curves",
        ) from error


def _groups(rows: int) -> list[range]:
    size = -(-rows // POINTS)
    return [range(start, min(start + size, rows)) for start in range(0, rows, size)]


def _means(
    rows: Sequence[dict[str, float]], name: str, groups: Sequence[range]
) -> list[float | None]:
    means: list[float | None] = []
    for group in groups:
        found = [v for i in group if (v := _finite(rows[i].get(name))) is not None]
        means.append(sum(found) / len(found) if found else None)
    return means


def _finite(value: float | None) -> float | None:
    return value if isinstance(value, int | float) and math.isfinite(value) else None
