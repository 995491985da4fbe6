"""Tables of recipes: their rows, and which runs the rows need in which order.

A table is made in two stages. `choose` compares everything by leave-one-subject-out and never
touches reserved subjects; `test` looks at them, with the choices made. A group is a grid of rows:
all of them are compared with few seeds, and only its best go on, to more seeds and to the test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sensorfusion.datasets.utd_mhad import TEST_SUBJECTS
from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.command import FLOORS
from sensorfusion.evaluation.leave_one_out import Split, parse_splits
from sensorfusion.evaluation.protocols import protocol

CHOOSE, TEST = "choose", "test"
STAGES = (CHOOSE, TEST)
_NAME = re.compile(r"\w[\w.+-]*", re.ASCII)  # a row's name is a folder's name


@dataclass(frozen=True, kw_only=True)
class Published:
    """A number of a paper: its value in percent, under which protocol, and where it stands."""

    value: float
    source: str
    protocol: str = "fusion"


@dataclass(frozen=True, kw_only=True)
class Reference(Published):
    """A published number without a row of ours beside it."""

    name: str
    sensors: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method.

    Args:
        name: in the table, and of the folder of its runs.
        config: config file of the pretraining.
        options: changes of the config, {key path: value}.
        teachers: {name of an encoder: row whose encoder of that name teaches it}. The teacher's
            run has the same subjects and seed; its folder is passed as `teacher_key`.
        group: the grid that the row belongs to, or None.
        protocols: what is measured; the first one ranks the rows of a group.
        sensors: which of the run's sensors are evaluated; None: all of them.
        published: the paper's number for it. note: for the reader.
    """

    name: str
    config: str
    options: Mapping[str, Any] = field(default_factory=dict)
    teachers: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    protocols: Sequence[str] = ("fusion",)
    sensors: Sequence[str] | None = None
    published: Published | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"a row is named {self.name!r}",
                remedy="use letters, digits and . _ + - only: folders get this name",
            )
        for name in self.protocols:
            protocol(name)
        if not self.protocols:
            raise ConfigError(f"row {self.name!r} has no protocol")


@dataclass(frozen=True, kw_only=True)
class Group:
    """A grid: all rows with the seeds `coarse`; the `best` of them also with the stage's seeds."""

    best: int
    coarse: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Subjects and seeds of a stage; `split` as `parse_splits` reads it.

    Args:
        floors: which are measured beside its rows; None: those of the table.
    """

    split: str
    seeds: Sequence[int]
    floors: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of recipes.

    Args:
        rows: the methods. groups: see `Group`.
        choose, test: the two stages.
        subjects: key path of a config at which the subjects of the pretraining stand.
        teacher_key: key path at which the folder of a teacher's encoder stands; `{encoder}` is
            its name.
        floors: which floors are measured beside the rows.
        settings: of the protocols, {key path: value}, as `--set` of tools/evaluate.py.
        references: published numbers without a row.
        reserved: subjects that only `test` may touch.

    Raises:
        ConfigError: rows of one name, teachers or groups that are not there, reserved subjects
            in `choose`.
    """

    rows: Sequence[Row]
    groups: Mapping[str, Group] = field(default_factory=dict)
    choose: Stage = Stage(split="loso:1,3,5,7", seeds=(0,))
    test: Stage = Stage(split="1,3,5/2,4,6,8", seeds=(0, 1, 2, 3, 4))
    subjects: str = "data.train.dataset.subjects"
    teacher_key: str = "model.teachers.{encoder}.path"
    floors: Sequence[str] = FLOORS
    settings: Mapping[str, Any] = field(default_factory=dict)
    references: Sequence[Reference] = ()
    reserved: Sequence[int] = TEST_SUBJECTS

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names or set(names) & set(self.groups):
            raise ConfigError(f"rows and groups need names of their own, found {twice or names}")
        for row in self.rows:
            if row.group is not None and row.group not in self.groups:
                raise ConfigError(f"row {row.name!r} is of the unknown group {row.group!r}")
        floors = {*self.floors, *(f for s in STAGES for f in self.floors_of(s))}
        unknown = sorted(name for name in floors if name not in FLOORS)
        if unknown:
            raise ConfigError(f"unknown floors {unknown}", remedy=f"use some of {FLOORS}")
        self.ordered(names)
        self.splits(CHOOSE)

    def __getitem__(self, name: str) -> Row:
        """The row of this name."""
        found = next((row for row in self.rows if row.name == name), None)
        if found is None:
            known = ", ".join([*(row.name for row in self.rows), *self.groups])
            raise ConfigError(f"the table has no row {name!r}", remedy=f"it has {known}")
        return found

    def stage(self, name: str) -> Stage:
        """The stage of this name."""
        return self.test if name == TEST else self.choose

    def floors_of(self, stage: str) -> Sequence[str]:
        """The floors that are measured in a stage."""
        own = self.stage(stage).floors
        return self.floors if own is None else own

    def splits(self, stage: str) -> tuple[Split, ...]:
        """Splits of a stage; only those of `test` may hold reserved subjects, and say so."""
        return parse_splits(
            self.stage(stage).split, touch_test=stage == TEST, reserved=self.reserved
        )

    def members(self, group: str) -> list[Row]:
        """The rows of a group."""
        return [row for row in self.rows if row.group == group]

    def selected(self, only: Sequence[str]) -> list[str]:
        """Names of the rows that `only` names, directly or by their group; all, if it is empty."""
        if not only:
            return [row.name for row in self.rows]
        wanted = {
            row.name
            for name in only
            for row in (self.members(name) if name in self.groups else [self[name]])
        }
        return [row.name for row in self.rows if row.name in wanted]

    def ordered(self, names: Sequence[str]) -> list[Row]:
        """These rows and their teachers' teachers, every teacher before its students.

        Raises:
            ConfigError: an unknown row, or rows that teach each other in a circle.
        """
        found: dict[str, Row] = {}

        def visit(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                raise ConfigError(f"rows teach each other: {' -> '.join([*above, name])}")
            row = self[name]
            for teacher in row.teachers.values():
                visit(teacher, (*above, name))
            found.setdefault(name, row)

        for name in names:
            visit(name, ())
        return list(found.values())


@dataclass(frozen=True)
class Job:
    """One run of a row, and its evaluation.

    Args:
        row: whose. stage, split, seed: of the pretraining and the evaluation.
        evaluated: False where the run is needed for its students only.
    """

    row: Row
    stage: str
    split: Split
    seed: int
    evaluated: bool = True

    @property
    def run(self) -> str:
        """Name of the run's folder, `stage-held out-seed`."""
        return f"{self.stage}-{','.join(map(str, self.split.test))}-{self.seed}"

    @property
    def place(self) -> str:
        """Folder of the run below that of all runs."""
        return f"{self.row.name}/{self.run}"

    def options(self, table: Table, teachers: Mapping[str, str]) -> list[str]:
        """Options of `tools/pretrain.py`; `teachers`: encoder -> folder of the teacher."""
        changes = dict(self.row.options)
        for encoder, folder in teachers.items():
            changes[table.teacher_key.format(encoder=encoder)] = folder
        changes |= {table.subjects: self.split.train, "seed": self.seed}
        return [f"{key}={value!r}" for key, value in changes.items()]

    def teachers(self) -> Iterator[tuple[str, str]]:
        """Of each taught encoder: its name, and the folder of its teacher's run."""
        for encoder, name in self.row.teachers.items():
            yield encoder, f"{name}/{self.run}"


def plan(
    table: Table,
    stage: str,
    *,
    only: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    best: Mapping[str, Sequence[str]] | None = None,
) -> list[Job]:
    """The runs of a stage, row by row, every teacher before its students.

    Args:
        only: rows or groups; empty: all. seeds: in place of those of the table.
        best: group -> its best rows, as far as known. In `test` other rows of a group have none.
    """
    wanted = table.selected(only)
    own = {name: _seeds(table, table[name], stage, seeds, best or {}) for name in wanted}
    wanted = [name for name in wanted if own[name]]
    rows = table.ordered(wanted)
    needed = {row.name: list(own.get(row.name, ())) for row in rows}
    for row in reversed(rows):  # students before teachers
        for teacher in row.teachers.values():
            needed[teacher] = list(dict.fromkeys([*needed[teacher], *needed[row.name]]))
    return [
        Job(row, stage, split, seed, evaluated=seed in own.get(row.name, ()))
        for row in rows
        for seed in needed[row.name]
        for split in table.splits(stage)
    ]


def finalists(table: Table, group: str, scores: Mapping[str, float]) -> list[str] | None:
    """The best rows of a group by their scores; None while any of them has none."""
    members = [row.name for row in table.members(group)]
    if not all(name in scores for name in members):
        return None
    ranked = sorted(members, key=lambda name: -scores[name])  # stable: ties in the table's order
    return ranked[: table.groups[group].best]


def _seeds(
    table: Table,
    row: Row,
    stage: str,
    given: Sequence[int] | None,
    best: Mapping[str, Sequence[str]],
) -> list[int]:
    final = list(given if given is not None else table.stage(stage).seeds)
    if row.group is None:
        return final
    is_best = row.name in best.get(row.group, ())
    if stage == TEST:
        return final if is_best else []
    coarse = list(given if given is not None else table.groups[row.group].coarse)
    return list(dict.fromkeys([*coarse, *(final if is_best else ())]))
