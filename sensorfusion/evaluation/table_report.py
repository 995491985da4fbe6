"""A table of recipes as JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sensorfusion.evaluation.report import Entry, Row, digest, scale_of, write
from sensorfusion.evaluation.statistics import summarise
from sensorfusion.evaluation.table import TEST, Job, Published, Reference, Table
from sensorfusion.evaluation.table_results import Scored, grouped

FORMAT = 1
_HEAD = (
    *("method", "sensors", "protocol", "mean", "standard deviation", "95 % interval"),
    *("seeds", "published", "minutes per run"),
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line: a method under one measurement; numbers as the tables show them (percent).

    Args:
        method, sensors, protocol: what. floor: whether it is a floor. metric: what `mean` is of.
        mean, deviation: over seeds. interval: by subject, (low, high). subjects, clips: how many
            it rests on. seeds: done and planned. complete: whether all planned runs are in it.
        published: the paper's. minutes: of a pretraining run.
        metrics: all of them, {name: value per seed}. settings: of the protocols.
        runs: where it comes from: run, config and checkpoint hash, per seed and fold.
        note: for the reader.
    """

    method: str
    floor: bool
    sensors: Sequence[str]
    protocol: str
    metric: str
    mean: float
    deviation: float | None
    interval: tuple[float, float] | None
    subjects: int
    clips: int
    seeds: tuple[int, int]
    complete: bool
    published: Published | None
    minutes: float | None
    metrics: Mapping[str, Sequence[float]]
    settings: Mapping[str, Any]
    runs: Sequence[Mapping[str, Any]]
    note: str


@dataclass(frozen=True)
class Failure:
    """A run that did not end well: its place, why, and where to read more."""

    place: str
    why: str
    log: str


class Rendering:
    """Makes lines; keeps those whose entries stay the same, as intervals take their time."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Row]] = {}

    def lines(
        self,
        jobs: Sequence[Job],
        scored: Sequence[Scored],
        minutes: Mapping[str, float | None],
    ) -> list[Line]:
        """Rows in the order of the jobs, then the floors.

        Args:
            jobs: all that are planned. scored: those with results. minutes: by row.
        """
        found: list[Line] = []
        by_row: dict[str, list[Scored]] = {}
        for each in scored:
            if not each.own:
                continue
            by_row.setdefault(each.job.row.name, []).append(each)
        for name, several in by_row.items():
            row = several[0].job.row
            planned = [job for job in jobs if job.row.name == name and job.evaluated]
            for made in self._rows([e for each in several for e in each.own], name):
                shown = row.published if _matches(row.published, made.protocol) else None
                found.append(_line(made, several, planned, shown, minutes.get(name), row.note))
        return found + self._floors(jobs, scored)

    def _floors(self, jobs: Sequence[Job], scored: Sequence[Scored]) -> list[Line]:
        beside: dict[str, list[Scored]] = {}  # hash of architecture and data -> runs
        for each in scored:
            for kind in {entry.config_hash for entry in each.floors}:
                beside.setdefault(kind, []).append(each)
        found = []
        for kind, several in beside.items():
            entries = {e.key: e for each in several for e in each.floors}
            names = dict.fromkeys(each.job.row.name for each in several)
            planned = [job for job in jobs if job.row.name in names and job.evaluated]
            note = "floor of " + ", ".join(names)
            for made in self._rows(list(entries.values()), kind):
                found.append(_line(made, several, planned, None, None, note))
        return found

    def _rows(self, entries: Sequence[Entry], identity: str) -> list[Row]:
        key = digest([identity, sorted(entry.key for entry in entries)])
        if key not in self._kept:
            self._kept[key] = grouped(entries, identity)
        return self._kept[key]


def write_table(
    folder: Path,
    stage: str,
    table: Table,
    lines: Sequence[Line],
    failures: Sequence[Failure],
    left: int,
) -> str:
    """Write `<stage>.json` and `<stage>.md`; returns the latter.

    Args:
        left: how many planned runs have no results yet.
    """
    document = {
        "format": FORMAT,
        "stage": stage,
        "split": table.stage(stage).split,
        "touch_test": stage == TEST,
        "lines": [asdict(line) for line in lines],
        "references": [asdict(reference) for reference in table.references],
        "failed": [asdict(failure) for failure in failures],
        "runs left": left,
    }
    write(folder / f"{stage}.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    text = "\n".join(_markdown(stage, table, lines, failures, left)) + "\n"
    write(folder / f"{stage}.md", text)
    return text


def _line(
    made: Row,
    several: Sequence[Scored],
    planned: Sequence[Job],
    published: Published | None,
    minutes: float | None,
    note: str,
) -> Line:
    metric, values = next(iter(made.metrics.items()))
    found = summarise([scale_of(metric) * value for value in values])
    interval = made.interval
    own = [
        entry
        for each in several
        for entry in (each.floors if made.floor else each.own)
        if entry.method == made.method and made.protocol in {s.protocol for s in entry.scores}
    ]
    planned = [job for job in planned if own[0].protocol in job.row.protocols]
    return Line(
        method=made.method,
        floor=made.floor,
        sensors=several[0].job.row.sensors or sorted(several[0].run.sensors()),
        protocol=made.protocol,
        metric=metric,
        mean=found.mean,
        deviation=found.deviation,
        interval=None if interval is None else (100 * interval.low, 100 * interval.high),
        subjects=interval.clusters if interval else 0,
        clips=made.clips,
        seeds=(made.seeds, len({job.seed for job in planned})),
        complete=len({(e.seed, e.split["name"]) for e in own})
        == len({(job.seed, job.split.name) for job in planned}),
        published=published,
        minutes=minutes,
        metrics=made.metrics,
        settings=own[0].settings,
        runs=[] if made.floor else [_origin(each) for each in several],
        note=note,
    )


def _origin(each: Scored) -> dict[str, Any]:
    entry = each.own[0]
    return {
        "run": each.job.place,
        "split": entry.split["name"],
        "seed": entry.seed,
        "pretrained on": entry.seen,
        "config_hash": entry.config_hash,
        "checkpoint_hash": entry.checkpoint_hash,
        "versions": entry.versions,
    }


def _matches(published: Published | None, protocol: str) -> bool:
    return published is not None and published.protocol == protocol


def _markdown(
    stage: str, table: Table, lines: Sequence[Line], failures: Sequence[Failure], left: int
) -> Iterator[str]:
    touched = ", reserved subjects touched" if stage == TEST else ""
    yield f"# {stage.capitalize()}: split {table.stage(stage).split}{touched}"
    yield ""
    if left:
        yield f"**Unfinished:** {left} of the planned runs have no results yet."
        yield ""
    for protocol in dict.fromkeys(line.protocol for line in lines):
        own = [line for line in lines if line.protocol == protocol]
        yield f"## {protocol}: {own[0].metric}"
        yield ""
        yield f"| {' | '.join(_HEAD)} |"
        yield "|---" * len(_HEAD) + "|"
        for line in own:
            yield f"| {' | '.join(_cells(line))} |"
        for reference in table.references:
            if reference.protocol == protocol:
                yield f"| {' | '.join(_reference(reference))} |"
        yield ""
    yield from _remarks(table, lines, failures)


def _cells(line: Line) -> Iterator[str]:
    yield f"*{line.method}*" if line.floor else line.method
    yield ", ".join(line.sensors)
    yield line.protocol
    yield f"{line.mean:.2f}"
    yield "-" if line.deviation is None else f"{line.deviation:.2f}"
    if line.interval is None:
        yield "-"
    else:
        yield f"{line.interval[0]:.1f} to {line.interval[1]:.1f} ({line.subjects} subjects)"
    done, planned = line.seeds
    seeds = str(done) if done == planned else f"{done} of {planned}"
    yield seeds if line.complete else f"{seeds}, incomplete"
    yield "-" if line.published is None else f"{line.published.value:.2f}"
    yield "-" if line.minutes is None else f"{line.minutes:.1f}"


def _reference(reference: Reference) -> Iterator[str]:
    yield f"{reference.name} (published)"
    yield ", ".join(reference.sensors)
    yield reference.protocol
    yield from "-" * 4
    yield f"{reference.value:.2f}"
    yield "-"


def _remarks(table: Table, lines: Sequence[Line], failures: Sequence[Failure]) -> Iterator[str]:
    yield "Mean and standard deviation are over seeds, which draw the weights of the encoders and"
    yield "of the probe; folds of one seed are averaged by their test clips. Intervals: two-stage"
    yield "bootstrap over the test subjects and their clips. Floors in italics: the same encoders"
    yield "with random weights, the raw input, and the same encoders trained on the labels. The"
    yield "JSON beside this file has all metrics, settings and hashes."
    yield ""
    notes: dict[str, list[str]] = {}
    for line in lines:
        if line.note:
            notes.setdefault(line.note, []).append(line.method)
    for note, methods in notes.items():
        yield f"- {', '.join(dict.fromkeys(methods))}: {note}"
    given: list[tuple[str, Published]] = [(r.name, r) for r in table.references]
    given += [(row.name, row.published) for row in table.rows if row.published]
    for name, published in given:
        yield f"- published, {name}: {published.value:.2f}, {published.source}"
    for failure in failures:
        yield f"- **failed: {failure.place}**: {failure.why.splitlines()[0]}"
