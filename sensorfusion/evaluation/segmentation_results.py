"""Results of segmentation on disk, and their table: pretrained beside new weights."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sensorfusion.errors import DataError
from sensorfusion.evaluation.report import digest
from sensorfusion.evaluation.report import write as write_text

FORMAT = 1
RESULTS = "segmentation.json"
PRETRAINED, RANDOM = "pretrained", "random"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one head, with its encoder, reached.

    Args:
        start: of the encoder: "pretrained", or "random", which is the floor.
        protocol: "linear", or "finetune" of the encoder too. fraction: of the labels.
        seed: of heads, drawn points and scans, and of new weights.
        miou: per cent. iou: class -> per cent, None for a class without test points.
        scans: labelled scans that it was trained on. settings: of the protocol.
        config_hash, checkpoint_hash: of the run and its weights ("" of new ones).
        versions: of what computed it. command: how to compute it again.
        changes: of the config's settings that were asked for, as "finetune.steps=200".
    """

    start: str
    protocol: str
    fraction: float
    seed: int
    miou: float
    iou: Mapping[str, float | None]
    scans: int
    settings: Mapping[str, Any]
    config_hash: str
    checkpoint_hash: str
    versions: Mapping[str, str]
    command: str
    changes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Hash of what decides the result."""
        return key_of(self)


class Budget(NamedTuple):
    """What a head could use: measurements of one budget are compared.

    Args:
        protocol, fraction, changes: see `Measurement`.
        steps: of fine-tuning; None of a linear probe.
    """

    protocol: str
    fraction: float
    steps: int | None
    changes: tuple[str, ...] = ()

    @staticmethod
    def of(measured: Measurement) -> Budget:
        """The budget of a measurement."""
        steps = measured.settings.get("steps")
        return Budget(measured.protocol, measured.fraction, steps, measured.changes)

    @property
    def title(self) -> str:
        """How it is called."""
        name = "linear probe" if self.protocol == "linear" else "fine-tuning"
        length = "" if self.steps is None else f", {self.steps} step{'s' * (self.steps != 1)}"
        changed = f" ({' '.join(self.changes)})" if self.changes else ""
        return f"{name}, {100 * self.fraction:g} % of the labels{length}{changed}"


BySeed = dict[int, Measurement]


def by_budget(measurements: Sequence[Measurement]) -> dict[Budget, dict[str, BySeed]]:
    """Budget -> start -> seed -> measurement; of pretrained encoders, those of the newest weights.

    A run that was continued has other weights than it had: what was measured before is left out.
    """
    hashes = [m.checkpoint_hash for m in measurements if m.start == PRETRAINED]
    found: dict[Budget, dict[str, BySeed]] = {}
    for each in measurements:
        if each.start == RANDOM or each.checkpoint_hash == hashes[-1]:
            starts = found.setdefault(Budget.of(each), {PRETRAINED: {}, RANDOM: {}})
            starts[each.start][each.seed] = each
    return found


def gains_of(starts: Mapping[str, BySeed]) -> dict[int, float]:
    """Seed -> mIoU from pretrained minus that from new weights."""
    pretrained, new = starts[PRETRAINED], starts[RANDOM]
    return {seed: pretrained[seed].miou - new[seed].miou for seed in sorted({*pretrained} & {*new})}


def key_of(measured: Any) -> str:
    """Hash of what decides a result, of a `Measurement` or of one to come."""
    names = ("start", "protocol", "fraction", "seed", "settings", "config_hash", "checkpoint_hash")
    return digest([getattr(measured, name) for name in names])[:24]


def read(path: Path) -> list[Measurement]:
    """The measurements of a file; none when there is no such file.

    Raises:
        DataError: when it cannot be read.
    """
    if not path.exists():
        return []
    try:
        document = json.loads(path.read_text())
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}, this version reads {FORMAT}")
        return [
            Measurement(**{**entry, "changes": tuple(entry.get("changes", ()))})
            for entry in document["measurements"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"no results of segmentation: {type(error).__name__}: {error}",
            where=str(path),
            remedy="delete the file; the same command measures again",
        ) from error


def write(path: Path, measurements: Sequence[Measurement]) -> None:
    """Write JSON and, beside it, the table as Markdown; each whole or not at all."""
    document = {"format": FORMAT, "measurements": [asdict(each) for each in measurements]}
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")
    write_text(path.with_suffix(".md"), table(measurements))


def table(measurements: Sequence[Measurement]) -> str:
    """Mean IoU over the seeds, the floor in italics, and what pretraining adds seed by seed."""
    lines = ["# Segmentation of points", ""]
    found = by_budget(measurements)
    lines += ["| task | start | mIoU | seeds | labelled scans |", "|---|---|---|---|---|"]
    for budget, starts in found.items():
        for start, seeds in starts.items():
            if seeds:
                title = f"*{start}*" if start == RANDOM else start
                scans = " to ".join(sorted({str(m.scans) for m in seeds.values()}))
                values = _spread([m.miou for m in seeds.values()])
                lines.append(f"| {budget.title} | {title} | {values} | {len(seeds)} | {scans} |")
    lines += ["", "Gain of pretraining, seed by seed:", ""]
    for budget, starts in found.items():
        gains = gains_of(starts)
        if gains:
            each = ", ".join(f"{gain:+.1f}" for gain in gains.values())
            lines.append(f"- {budget.title}: {each}")
    return "\n".join([*lines, "", *_classes(found)]) + "\n"


def _classes(found: Mapping[Budget, Mapping[str, BySeed]]) -> list[str]:
    columns = {
        f"{budget.title}, {start}": list(seeds.values())
        for budget, starts in found.items()
        for start, seeds in starts.items()
        if seeds
    }
    if not columns:
        return []
    lines = ["| class | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in next(iter(columns.values()))[0].iou:
        cells = []
        for measured in columns.values():
            values = [v for m in measured if (v := m.iou[name]) is not None]
            cells.append(f"{statistics.mean(values):.1f}" if values else "-")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _spread(values: Sequence[float]) -> str:
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.1f}"
    return f"{mean:.1f} ± {statistics.stdev(values):.1f}"


def per_class(names: Sequence[str], iou: Sequence[float]) -> dict[str, float | None]:
    """Class -> per cent, None where there is none."""
    return {
        name: None if math.isnan(value) else value for name, value in zip(names, iou, strict=True)
    }
