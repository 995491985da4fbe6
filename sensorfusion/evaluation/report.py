"""Results on disk: one JSON file per entry, so that a killed or divided run goes on; and tables."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.confusion import Confusion
from sensorfusion.evaluation.statistics import Interval, clustered_bootstrap, summarise
from sensorfusion.files import write_whole

FORMAT = 1
ENTRIES, RESULTS, TABLE, CONFUSION = "entries", "results.json", "results.md", "confusion"
_UNIT = {"median rank": 1.0, "candidates": 1.0, "rank variance": 1.0, "rank deviation": 1.0}


def digest(document: Any) -> str:
    """SHA-256 of a JSON document, whatever the order of its keys."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One score as it is stored.

    Args:
        protocol: name of the measurement. metrics: by name.
        clips: per test clip `id`, `subject` and `value` (what it contributes to the first
            metric), and for classification `label` and `prediction`; lists of equal length.
    """

    protocol: str
    metrics: Mapping[str, float]
    clips: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The scores of one method under one protocol on one split with one seed.

    Args:
        method: name in the table. floor: whether it is one of the floors.
        protocol: as asked for. scores: what it measured.
        split: see `Split.record`. counts: clips of each part.
        seed: of the probe, and of the weights where they are made here.
        settings: of the protocols. config_hash: of the run's resolved config.
        recipe_hash: of the config without what differs between folds and seeds: entries of one
            recipe are one line of the table; empty: the config_hash.
        checkpoint_hash: of the weights. seen: subjects of the pretraining; None: unknown.
        class_names: of label 0, 1, ...; empty: they have none.
        versions: of what computed it. command: how to compute it again.
    """

    method: str
    floor: bool
    protocol: str
    split: Mapping[str, Any]
    counts: Mapping[str, int]
    seed: int
    settings: Mapping[str, Any]
    config_hash: str
    checkpoint_hash: str
    seen: Sequence[int] | None
    versions: Mapping[str, str]
    command: str
    scores: Sequence[Measured]
    recipe_hash: str = ""
    class_names: Sequence[str] = ()
    format: int = field(default=FORMAT)

    @property
    def key(self) -> str:
        """Hash of what decides the result."""
        return entry_key(
            self.config_hash,
            self.checkpoint_hash,
            self.protocol,
            self.split["name"],
            self.seed,
            self.settings,
        )


def entry_key(
    config_hash: str,
    checkpoint_hash: str,
    protocol: str,
    split: str,
    seed: int,
    settings: Mapping[str, Any],
) -> str:
    """The key under which an entry is stored and, when it exists, skipped."""
    return digest([config_hash, checkpoint_hash, protocol, split, seed, settings])[:24]


class Report:
    """A folder of results: `entries/<key>.json`, and `results.json` and `results.md` from them.

    Several processes may add to one folder; folders are merged by copying their entries.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def __contains__(self, key: str) -> bool:
        return self.file(key).is_file()

    def add(self, entry: Entry) -> None:
        """Write an entry, whole or not at all."""
        write(self.file(entry.key), json.dumps(asdict(entry), allow_nan=False))

    def entries(self) -> list[Entry]:
        """All entries, ordered by split, protocol, method and seed.

        Raises:
            DataError: naming a file that is damaged or of another format.
        """
        files = sorted((self.folder / ENTRIES).glob("*.json"))
        found = [read_entry(file) for file in files]
        return sorted(
            found, key=lambda e: (e.split["family"], e.protocol, e.floor, e.method, e.seed, e.key)
        )

    def merge(self, others: Sequence[str | Path]) -> None:
        """Take over the entries of other folders; those that exist here are kept."""
        for other in others:
            for entry in Report(other).entries():
                if entry.key not in self:
                    self.add(entry)

    def render(self) -> str:
        """Write `results.json` and `results.md`; returns the latter."""
        entries = self.entries()
        document = {"format": FORMAT, "entries": [asdict(entry) for entry in entries]}
        write(self.folder / RESULTS, json.dumps(document, indent=1, allow_nan=False) + "\n")
        table = render_markdown(entries)
        write(self.folder / TABLE, table)
        return table

    def confusions(self) -> dict[tuple[str, str, str], Confusion]:
        """(split family, protocol, method) -> confusion over all seeds and folds.

        A method with several recipes or settings, as floors of a table have, is one key each:
        the method's name then ends with the beginning of their hash.
        """
        pairs: dict[tuple[str, str, str, str], list[tuple[int, int]]] = {}
        names: dict[tuple[str, str, str, str], Sequence[str]] = {}
        for entry in self.entries():
            recipe = digest([entry.recipe_hash or entry.config_hash, entry.settings])[:8]
            for score in entry.scores:
                key = (entry.split["family"], score.protocol, entry.method, recipe)
                clips = score.clips
                pairs.setdefault(key, []).extend(
                    zip(clips.get("label", ()), clips.get("prediction", ()), strict=True)
                )
                names[key] = entry.class_names
        recipes = Counter(key[:3] for key, found in pairs.items() if found)
        return {
            (family, protocol, method if recipes[key[:3]] == 1 else f"{method} {recipe}"): (
                Confusion.of(true, predicted, names[key] or None)
            )
            for key, found in pairs.items()
            if found
            for family, protocol, method, recipe in [key]
            for true, predicted in [torch.tensor(found).T.contiguous()]
        }

    def draw_confusions(self) -> list[Path]:
        """Write every confusion matrix to `confusion/`: an image, and per-class scores."""
        written = []
        for key, confusion in self.confusions().items():
            stem = re.sub(r"[^\w.,-]+", "_", "-".join(key))
            path = self.folder / CONFUSION / f"{stem}.png"
            worst = [f"- {count} times {t} taken for {p}" for t, p, count in confusion.worst()]
            text = "\n".join([f"# {', '.join(key)}", "", confusion.table(), "", *worst]) + "\n"
            write(path.with_suffix(".md"), text)
            confusion.draw(path, ", ".join(key))
            written.append(path)
        return written

    def file(self, key: str) -> Path:
        """Where an entry is, or would be."""
        return self.folder / ENTRIES / f"{key}.json"


def read_entry(file: Path) -> Entry:
    """One entry from its file."""
    try:
        document = json.loads(file.read_text())
        if document["format"] != FORMAT:
            raise DataError(
                f"results of format {document['format']}, this version reads {FORMAT}",
                where=str(file),
                remedy="render them with the version that wrote them",
            )
        scores = [Measured(**score) for score in document.pop("scores")]
        entry = Entry(scores=scores, **document)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"not a result: {type(error).__name__}: {error}",
            where=str(file),
            remedy="delete the file and run the same command again; it computes what is missing",
        ) from error
    if entry.key != file.stem:
        raise DataError(
            "the entry's content does not belong to its name",
            where=str(file),
            remedy="delete the file and run the same command again",
        )
    return entry


@dataclass(frozen=True)
class Row:
    """One line of a table: a method's scores over seeds and folds.

    Args:
        method, floor, protocol, family: as in `Entry`.
        metrics: name -> value per seed; folds of a seed are averaged by their test clips.
        interval: of the first metric, by subject; None without clips.
        seeds, checkpoints: how many there are. counts: (train, validation, test) clips over
            the folds.
        complete: whether every seed has the same folds.
    """

    method: str
    floor: bool
    protocol: str
    family: str
    metrics: Mapping[str, Sequence[float]]
    interval: Interval | None
    seeds: int
    checkpoints: int
    folds: int
    clips: int
    touch_test: bool
    complete: bool


def rows(entries: Sequence[Entry]) -> list[Row]:
    """Gather entries of the same method, config, settings, protocol and split family."""
    groups: dict[tuple[Any, ...], list[tuple[Entry, Measured]]] = {}
    for entry in entries:
        for score in entry.scores:
            key = (
                entry.split["family"],
                score.protocol,
                entry.floor,
                entry.method,
                entry.recipe_hash or entry.config_hash,
                digest(entry.settings),
            )
            groups.setdefault(key, []).append((entry, score))
    return [_row(key, members) for key, members in groups.items()]


def render_markdown(entries: Sequence[Entry]) -> str:
    """One table per split and measurement; floors in italics, below the methods."""
    lines = ["# Results", ""]
    tables: dict[tuple[str, str], list[Row]] = {}
    for row in rows(entries):
        tables.setdefault((row.family, row.protocol), []).append(row)
    for (family, protocol), members in tables.items():
        looked = " (reserved subjects touched)" if any(r.touch_test for r in members) else ""
        lines += [f"## {protocol}, split {family}{looked}", "", *_table(members), ""]
    lines += _footnotes(entries)
    return "\n".join(lines) + "\n"


def _table(members: Sequence[Row]) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in members for name in row.metrics))
    yield "| method | " + " | ".join(names) + " | 95 % interval | seeds | test clips |"
    yield "|---" * (len(names) + 4) + "|"
    for row in sorted(members, key=lambda r: (r.floor, r.method)):
        title = f"*{row.method}*" if row.floor else row.method
        cells = [_spread(name, row.metrics.get(name)) for name in names]
        varied = "weights and probe" if row.checkpoints > row.folds else "probe"
        seeds = f"{row.seeds} ({varied})" + ("" if row.complete else ", incomplete")
        yield f"| {title} | {' | '.join(cells)} | {_interval(row)} | {seeds} | {row.clips} |"


def _footnotes(entries: Sequence[Entry]) -> list[str]:
    if not entries:
        return ["No results yet."]
    subjects = {f"- split {e.split['family']}: " + _parts(e) for e in entries}
    hashes = {
        f"- {e.method}: recipe {(e.recipe_hash or e.config_hash)[:12]}, pretrained on "
        + ("nothing" if e.floor else "unknown subjects" if e.seen is None else f"{list(e.seen)}")
        for e in entries
    }
    return [
        "Mean ± standard deviation over seeds. Folds of one seed are averaged by their test",
        "clips. Intervals: of the first metric, two-stage bootstrap over the test subjects and",
        "their clips. Floors in italics.",
        "",
        *sorted(subjects),
        *sorted(hashes),
    ]


def _parts(entry: Entry) -> str:
    parts = [
        f"{part} {list(entry.split[part])} ({entry.counts[part]} clips)"
        for part in ("train", "validation", "test")
        if entry.split[part]
    ]
    return ", ".join(parts)


def _row(key: tuple[Any, ...], members: Sequence[tuple[Entry, Measured]]) -> Row:
    family, protocol, floor, method, *_ = key
    seeds = sorted({entry.seed for entry, _ in members})
    folds = {entry.split["name"] for entry, _ in members}
    by_seed = [[(e, s) for e, s in members if e.seed == seed] for seed in seeds]
    names = list(members[0][1].metrics)
    return Row(
        method=method,
        floor=floor,
        protocol=protocol,
        family=family,
        metrics={name: [_pooled(name, each) for each in by_seed] for name in names},
        interval=_clustered(members),
        seeds=len(seeds),
        checkpoints=len({entry.checkpoint_hash for entry, _ in members}),
        folds=len(folds),
        clips=max(sum(entry.counts["test"] for entry, _ in each) for each in by_seed),
        touch_test=any(entry.split["touch_test"] for entry, _ in members),
        complete=all(len(each) == len(folds) for each in by_seed),
    )


def _pooled(name: str, folds: Sequence[tuple[Entry, Measured]]) -> float:
    weights = [entry.counts["test"] for entry, _ in folds]
    return float(np.average([score.metrics[name] for _, score in folds], weights=weights))


def _clustered(members: Sequence[tuple[Entry, Measured]]) -> Interval | None:
    values: dict[tuple[int, str], list[float]] = {}
    for _, score in members:
        clips = score.clips
        for who, name, value in zip(clips["subject"], clips["id"], clips["value"], strict=True):
            values.setdefault((who, name), []).append(value)
    if not values:
        return None
    subjects = [who for who, _ in values]
    return clustered_bootstrap([float(np.mean(v)) for v in values.values()], subjects)


def scale_of(metric: str) -> float:
    """Factor of a metric in tables: shares are shown in percent."""
    return _UNIT.get(metric, 100.0)


def _spread(name: str, values: Sequence[float] | None) -> str:
    if not values:
        return "-"
    scale = scale_of(name)
    found = summarise([scale * value for value in values])
    spread = "" if found.deviation is None else f" ± {found.deviation:.2f}"
    return f"{found.mean:.2f}{spread}"


def _interval(row: Row) -> str:
    if row.interval is None:
        return "-"
    clusters = row.interval.clusters
    subjects = f"{clusters} subject" + ("s" if clusters > 1 else "")
    return f"{100 * row.interval.low:.1f} to {100 * row.interval.high:.1f} ({subjects})"


def write(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    try:
        write_whole(path, text.encode(), path.with_name(f".partial-{os.getpid()}-{path.name}"))
    except OSError as error:
        raise ConfigError(
            f"cannot write results: {error}",
            where=str(path),
            remedy="choose another --out, or free disk space; finished entries are kept",
        ) from error
