"""The results of a table: finished runs evaluated for their rows, and found again by their keys."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.command import FLOORS
from sensorfusion.evaluation.contenders import Contender, Source, floors
from sensorfusion.evaluation.evaluate import Method, evaluate
from sensorfusion.evaluation.floors import EncoderFactory
from sensorfusion.evaluation.leave_one_out import Split
from sensorfusion.evaluation.protocols import Settings
from sensorfusion.evaluation.records import settings_of
from sensorfusion.evaluation.report import Entry, Report, digest, entry_key, read_entry, rows
from sensorfusion.evaluation.run_folder import RunFolder
from sensorfusion.evaluation.table import CHOOSE, Job, Table, plan

RUNS, RESULTS = "runs", "results"


@dataclasses.dataclass(frozen=True)
class Scored:
    """What a run was measured to be.

    Args:
        job: the run's. run: its folder.
        own, floors: the entries of its row, and of the floors of its architecture and data.
    """

    job: Job
    run: RunFolder
    own: Sequence[Entry]
    floors: Sequence[Entry]


class Results:
    """Folder of a table: `runs/<row>/<run>/`, and `results/` with an entry per measurement.

    Args:
        table: what is made. folder: all output.
    """

    def __init__(self, table: Table, folder: str | Path) -> None:
        self.table, self.folder = table, Path(folder)
        self.report = Report(self.folder / RESULTS)
        self._sources: dict[str, Source] = {}
        self._opened: dict[str, RunFolder] = {}
        self._entries: dict[str, Entry] = {}

    def path(self, place: str) -> Path:
        """Folder of a run."""
        return self.folder / RUNS / place

    def evaluate(self, job: Job, command: str, log: Callable[[str], object]) -> int:
        """Measure a finished run and its floors, as far as this is missing; how much was added."""
        run = self._open(job)
        return evaluate(
            self._methods(job, run),
            [job.split],
            self._source(run),
            self.report,
            protocols=job.row.protocols,
            seeds=[job.seed],
            settings=self._settings(run),
            command=command,
            log=lambda line: log(line) if line.startswith("added") else None,
        )

    def scored(self, job: Job) -> Scored:
        """The entries of a finished run that are there."""
        run = self._open(job)
        settings = self._settings(run)
        contenders = [method(job.split, job.seed) for method in self._methods(job, run)]
        found = [
            [
                entry
                for name in job.row.protocols
                if (entry := self._entry(each, job, name, settings))
            ]
            for each in contenders
        ]
        return Scored(job, run, found[0], [entry for each in found[1:] for entry in each])

    def scores(self, group: str, finished: Callable[[Job], bool]) -> dict[str, float]:
        """Row -> score in `choose` with the coarse seeds, of the rows of a group that have all."""
        coarse = self.table.groups[group].coarse
        found: dict[str, float] = {}
        for row in self.table.members(group):
            jobs = [
                job
                for job in plan(self.table, CHOOSE, only=[row.name], seeds=coarse)
                if job.row.name == row.name
            ]
            if not all(finished(job) for job in jobs):
                continue
            first = [self.scored(job).own[:1] for job in jobs]
            if all(first):
                found[row.name] = _mean([entry for each in first for entry in each])
        return found

    def _open(self, job: Job) -> RunFolder:
        if job.place not in self._opened:
            self._opened[job.place] = RunFolder.open(self.path(job.place))
        return self._opened[job.place]

    def forget(self, job: Job) -> None:
        """Read a run anew: it was trained on."""
        self._opened.pop(job.place, None)

    def _settings(self, run: RunFolder) -> Settings:
        section = (run.config.get("evaluation") or {}).get("settings") or {}
        given = [f"{key}={json.dumps(value)}" for key, value in self.table.settings.items()]
        return settings_of(section, given)

    def _source(self, run: RunFolder) -> Source:
        """Data sets are read once for all runs that prepare them alike."""
        data = run.config.get("data") or {}
        key = digest([run.floor_hash, data.get("transforms"), run.config.get("evaluation")])
        if key not in self._sources:
            self._sources = {key: run.source()}  # one at a time: it may be large
        return self._sources[key]

    def _methods(self, job: Job, run: RunFolder) -> list[Method]:
        sensors = job.row.sensors
        made = run.contender(job.row.name)
        own: Contender = made
        fresh: EncoderFactory = run.fresh
        floor_hash = run.floor_hash
        if sensors is not None and set(sensors) != set(run.sensors()):
            _require_sensors(sensors, run)
            own = dataclasses.replace(
                made,
                config_hash=digest([made.config_hash, sorted(sensors)]),
                load=_only(made.load, sensors),
                load_heads=made.load_heads and _only(made.load_heads, sensors),
            )
            fresh, floor_hash = _only(run.fresh, sensors), digest([floor_hash, sorted(sensors)])
        supervised = self._settings(run).supervised

        def floor(place: int) -> Method:
            def method(split: Split, seed: int) -> Contender:
                return floors(fresh, floor_hash, supervised, seed)[place]

            return method

        names = self.table.floors_of(job.stage)
        return [lambda split, seed: own, *(floor(FLOORS.index(name)) for name in names)]

    def _entry(self, by: Contender, job: Job, protocol: str, settings: Settings) -> Entry | None:
        key = entry_key(
            by.config_hash,
            by.checkpoint_hash,
            protocol,
            job.split.name,
            job.seed,
            settings.record(),
        )
        if key not in self._entries:
            if key not in self.report:
                return None
            self._entries[key] = read_entry(self.report.file(key))
        return self._entries[key]


def grouped(entries: Sequence[Entry], identity: str) -> list[Any]:
    """Lines of entries that differ in subjects and seeds only, whose configs therefore differ."""
    return rows([dataclasses.replace(entry, recipe_hash=identity) for entry in entries])


def _mean(entries: Sequence[Entry]) -> float:
    row = grouped(entries, "")[0]
    values = next(iter(row.metrics.values()))
    return float(sum(values) / len(values))


def _only(load: EncoderFactory, sensors: Sequence[str]) -> EncoderFactory:
    def restricted() -> Mapping[str, nn.Module]:
        return {sensor: module for sensor, module in load().items() if sensor in sensors}

    return restricted


def _require_sensors(sensors: Sequence[str], run: RunFolder) -> None:
    unknown = sorted(set(sensors) - set(run.sensors()))
    if unknown or not sensors:
        raise ConfigError(
            f"sensors {unknown or 'none'} are to be evaluated",
            where=str(run.path),
            remedy=f"the run has {sorted(run.sensors())}",
        )
