"""The command line of `tools/table.py`: a whole table of recipes, pretrained and evaluated."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sensorfusion.ending import EXIT_ERROR, exit_code
from sensorfusion.engine.config import call, read_config
from sensorfusion.engine.launch import Launch, stoppable
from sensorfusion.errors import ConfigError, SensorFusionError
from sensorfusion.evaluation.table import (
    CHOOSE,
    STAGES,
    TEST,
    Group,
    Job,
    Published,
    Reference,
    Row,
    Stage,
    Table,
    finalists,
    plan,
)
from sensorfusion.evaluation.table_report import Failure, Rendering, write_table
from sensorfusion.evaluation.table_results import Results


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        description="Pretrain and evaluate all recipes of a table, and write it as Markdown and "
        "JSON. What is done is skipped: the same command continues a table that was interrupted. "
        "Exit codes: 0 all done, 1 some runs failed, 130 or 143 interrupted."
    )
    made.add_argument("table", help="a table file, e.g. configs/utd_mhad/table.py")
    made.add_argument(
        "--stage",
        choices=STAGES,
        default=CHOOSE,
        help="choose: leave-one-subject-out, for all choices; test: the final look at the "
        "reserved subjects; default %(default)s",
    )
    made.add_argument("--only", nargs="+", default=[], metavar="ROW", help="rows or groups")
    made.add_argument("--seeds", nargs="+", type=int, help="in place of the table's")
    made.add_argument("--out", help="all output; default work_dirs/<name of the table's folder>")
    made.add_argument("--dry-run", action="store_true", help="only say what would be done")
    made.add_argument("--data-root", help="folder of data sets, in place of $SENSORFUSION_DATA")
    return made


def main(script: str | Path, arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. `script`: `tools/pretrain.py`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    if options.data_root is not None:
        os.environ["SENSORFUSION_DATA"] = options.data_root
    file = Path(options.table)
    out = options.out or Path("work_dirs") / f"{file.resolve().parent.name}_{file.stem}"
    command = shlex.join(["tools/table.py", *given])

    def run() -> int:
        maker = Maker(read_table(file), out, options.stage, script, command)
        if options.dry_run:
            return maker.show(options.only, options.seeds)
        with stoppable():
            return maker.make(options.only, options.seeds)

    return exit_code(run)


def read_table(path: str | Path) -> Table:
    """Read a table file: a config whose top-level names are the arguments of `Table`.

    Config files of rows are named as seen from the table's folder.

    Raises:
        ConfigError: naming the key path of what is wrong.
    """
    tree = read_config(path)
    folder = Path(path).parent
    rows = []
    for i, entry in enumerate(tree.get("rows", ())):
        where = f"rows.{i}"
        changed = {**entry, "published": _made(Published, entry.get("published"), where)}
        row = call(Row, changed, where)
        rows.append(dataclasses.replace(row, config=str(folder / row.config)))
    parts: dict[str, Any] = {**tree, "rows": rows}
    groups = tree.get("groups", {})
    parts["groups"] = {name: call(Group, g, f"groups.{name}") for name, g in groups.items()}
    parts |= {name: call(Stage, tree[name], name) for name in STAGES if name in tree}
    references = enumerate(tree.get("references", ()))
    parts["references"] = [call(Reference, entry, f"references.{i}") for i, entry in references]
    made: Table = call(Table, parts, str(path))
    return made


def _made(kind: type[Any], section: Mapping[str, Any] | None, where: str) -> Any:
    return None if section is None else call(kind, section, f"{where}.published")


class Maker:
    """Makes a stage of a table.

    Args:
        table: what is made. out: all output. stage: "choose" or "test".
        script: `tools/pretrain.py`. command: as results keep it.
    """

    def __init__(
        self, table: Table, out: str | Path, stage: str, script: str | Path, command: str
    ) -> None:
        self.table, self.stage, self.script, self.command = table, stage, script, command
        self.results = Results(table, out)
        self.rendering = Rendering()
        self.failures: dict[str, Failure] = {}
        self._launches: dict[str, Launch] = {}
        self._finished: set[str] = set()
        self._seconds: dict[str, list[float]] = {}  # of jobs, by row

    def make(self, only: Sequence[str], seeds: Sequence[int] | None) -> int:
        """Make what is missing and write the table; returns the exit code."""
        done: set[str] = set()
        while left := [j for j in self._plan(only, seeds) if j.place not in done]:
            # The best rows of a group are known, and planned further, when the group is done.
            jobs = self._plan(only, seeds)
            for i, job in enumerate(left):
                self._say_progress(job, jobs, left[i:])
                self._attempt(job)
                done.add(job.place)
                if i + 1 < len(left) and left[i + 1].row is not job.row:
                    self._write()
        self._require_choices(only)
        print(self._write())
        for failure in self.failures.values():
            print(f"failed: {failure.place}: {failure.why}\n  log: {failure.log}", file=sys.stderr)
        return EXIT_ERROR if self.failures else 0

    def show(self, only: Sequence[str], seeds: Sequence[int] | None) -> int:
        """Print what would be done."""
        jobs = self._plan(only, seeds)
        for job in jobs:
            launch = self._launch(job)
            state = "finished" if self._is_finished(job) else "to do"
            if state == "to do" and launch.work_dir.exists():
                state = "begun"
            measured = ", ".join(job.row.protocols) if job.evaluated else "for its students only"
            print(f"{state:9}{job.place}: {measured}; {job.row.config} {' '.join(launch.options)}")
        finished = sum(self._is_finished(job) for job in jobs)
        print(f"{len(jobs)} runs, {finished} finished")
        return 0

    def _plan(self, only: Sequence[str], seeds: Sequence[int] | None) -> list[Job]:
        return plan(self.table, self.stage, only=only, seeds=seeds, best=self._best())

    def _best(self) -> dict[str, Sequence[str]]:
        """The best rows of the groups that are done."""
        found: dict[str, Sequence[str]] = {}
        for group in self.table.groups:
            best = finalists(self.table, group, self.results.scores(group, self._is_finished))
            if best is not None:
                found[group] = best
        return found

    def _require_choices(self, only: Sequence[str]) -> None:
        groups = {self.table[name].group for name in self.table.selected(only)} - {None}
        for group in sorted(map(str, groups - set(self._best()))) if self.stage == TEST else ():
            why = f"its best rows are not known yet: --stage {CHOOSE} --only {group} finds them"
            self.failures[group] = Failure(group, why, "none")

    def _attempt(self, job: Job) -> None:
        began = time.monotonic()
        log = str(self.results.path(job.place)) + ".log"
        try:
            self._do(job)
            self.failures.pop(job.place, None)
            self._seconds.setdefault(job.row.name, []).append(time.monotonic() - began)
        except SensorFusionError as error:
            self._fail(job, str(error), log)
        except Exception as error:  # of one row: the others go on
            with Path(log).open("a") as file:
                traceback.print_exc(file=file)
            self._fail(job, f"{type(error).__name__}: {error}", log)

    def _fail(self, job: Job, why: str, log: str) -> None:
        self.failures[job.place] = Failure(job.place, why, log)
        print(f"  failed: {why}\n  log: {log}", flush=True)

    def _do(self, job: Job) -> None:
        missing = [place for _, place in job.teachers() if place not in self._finished]
        if missing:
            raise SensorFusionError(f"its teacher {missing[0]} failed")
        launch = self._launch(job)
        if not self._is_finished(job):
            launch.require_subjects(job.split.train)
            code = launch.run(self.script, lambda text: print(f"  {text}", flush=True))
            self.results.forget(job)
            if code or not self._is_finished(job):
                raise SensorFusionError(
                    f"pretraining ended with code {code}: {launch.last_words()}",
                    where=str(launch.work_dir),
                    remedy="see its log; after a change of its config delete the run's folder",
                )
        if job.evaluated:
            self.results.evaluate(job, self.command, lambda text: print(f"  {text}", flush=True))

    def _launch(self, job: Job) -> Launch:
        if job.place not in self._launches:
            teachers = {
                encoder: str(self.results.path(place) / "encoders" / encoder)
                for encoder, place in job.teachers()
            }
            options = tuple(job.options(self.table, teachers))
            path = self.results.path(job.place)
            self._launches[job.place] = Launch(job.row.config, options, path)
        return self._launches[job.place]

    def _is_finished(self, job: Job) -> bool:
        launch = self._launch(job)
        if job.place not in self._finished and launch.work_dir.is_dir():
            try:
                if launch.finished():
                    self._finished.add(job.place)
            except ConfigError:  # told when the job is attempted
                return False
        return job.place in self._finished

    def _say_progress(self, job: Job, jobs: Sequence[Job], left: Sequence[Job]) -> None:
        rows = list(dict.fromkeys(j.row.name for j in jobs))
        place = f"run {jobs.index(job) + 1} of {len(jobs)}, row {rows.index(job.row.name) + 1}"
        what = "evaluating" if self._is_finished(job) else "pretraining"
        remaining = self._remaining(left)
        about = "" if remaining is None else f", about {_duration(remaining)} left"
        print(f"[{place} of {len(rows)}{about}] {what} {job.place}", flush=True)

    def _remaining(self, left: Sequence[Job]) -> float | None:
        """Seconds that the unfinished jobs will take, from those of the same row, or of any."""
        everything = [s for each in self._seconds.values() for s in each]
        total = 0.0
        for job in left:
            if self._is_finished(job):
                continue
            known = self._seconds.get(job.row.name) or everything
            if not known:
                return None
            total += sum(known) / len(known)
        return total

    def _write(self) -> str:
        jobs = plan(self.table, self.stage, best=self._best())
        planned = [job for job in jobs if job.evaluated]
        ready = [j for j in planned if j.place not in self.failures and self._is_finished(j)]
        scored = [self.results.scored(job) for job in ready]
        full = [each for each in scored if each.own]
        lines = self.rendering.lines(planned, full, self._minutes(ready))
        failures = list(self.failures.values())
        left = len(planned) - len(full)
        return write_table(self.results.folder, self.stage, self.table, lines, failures, left)

    def _minutes(self, jobs: Sequence[Job]) -> dict[str, float | None]:
        found: dict[str, list[float]] = {}
        for job in jobs:
            minutes = self._launch(job).minutes()
            if minutes is not None:
                found.setdefault(job.row.name, []).append(minutes)
        return {name: sum(each) / len(each) for name, each in found.items()}


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
