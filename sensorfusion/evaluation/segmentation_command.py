"""The command line of `tools/segment.py`: linear probes and fine-tuning of a point encoder."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.ending import exit_code
from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.embed import Dataset
from sensorfusion.evaluation.evaluate import versions
from sensorfusion.evaluation.finetune import Augment, FinetuneSettings, finetune, subset
from sensorfusion.evaluation.records import built
from sensorfusion.evaluation.report import digest
from sensorfusion.evaluation.run_folder import RunFolder
from sensorfusion.evaluation.segmentation import (
    LinearSettings,
    Segmented,
    segment,
    train_linear,
)
from sensorfusion.evaluation.segmentation_heads import save_head
from sensorfusion.evaluation.segmentation_results import (
    PRETRAINED,
    RANDOM,
    RESULTS,
    Measurement,
    key_of,
    per_class,
    read,
    table,
    write,
)
from sensorfusion.sample import Sample
from sensorfusion.sensors.transform import apply_all, flat
from sensorfusion.spelling import literal, nearest

# Protocol -> the settings that it uses.
PROTOCOLS = {"linear": ("linear",), "finetune": ("finetune", "scratch")}
Changes = Mapping[str, Mapping[str, Any]]  # settings -> key -> value


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        description="Segment points with a run's encoder: a linear probe on frozen features, or "
        "fine-tuning on a few labels, beside the same from new weights. What --out already holds "
        "is skipped."
    )
    made.add_argument("run", help="a run's folder; its config names the labelled data")
    made.add_argument("--protocol", nargs="+", default=["linear"], choices=[*PROTOCOLS])
    made.add_argument("--fraction", type=float, default=0.01, help="of the labels, to fine-tune")
    made.add_argument(
        "--start", nargs="+", default=[PRETRAINED, RANDOM], choices=[PRETRAINED, RANDOM]
    )
    made.add_argument("--seeds", nargs="+", type=int, default=[0])
    made.add_argument(
        "--settings",
        nargs="+",
        default=[],
        metavar="NAME.KEY=VALUE",
        help="other settings than the config's: of linear, finetune (from pretrained weights) and "
        "scratch (from new ones), e.g. finetune.steps=200 scratch.steps=200",
    )
    made.add_argument("--out", help="folder of results; default RUN/segmentation")
    made.add_argument("--data-root", help="folder of data sets, in place of $SENSORFUSION_DATA")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    if options.data_root is not None:
        os.environ["SENSORFUSION_DATA"] = options.data_root
    command = shlex.join(["tools/segment.py", *given])

    def run() -> int:
        task = Task.of(RunFolder.open(options.run), _changes(options.settings, options.protocol))
        path = Path(options.out or Path(options.run) / "segmentation") / RESULTS
        measured = read(path)
        for wanted in wanted_of(options, task, command):
            if any(each.key == key_of(wanted) for each in measured):
                print(f"have  {wanted.title}", flush=True)
                continue
            began = time.monotonic()
            found, head = task.measure(wanted)
            if head is not None:
                save_head(path.parent, found.key, head)
            measured.append(found)
            write(path, measured)
            spent = time.monotonic() - began
            print(f"added {wanted.title}: {measured[-1].miou:.1f} mIoU ({spent:.0f} s)", flush=True)
        print(table(measured))
        return 0

    return exit_code(run)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A measurement to come; see `Measurement`."""

    start: str
    protocol: str
    fraction: float
    seed: int
    settings: Mapping[str, Any]
    config_hash: str
    checkpoint_hash: str
    command: str
    changes: tuple[str, ...]

    @property
    def title(self) -> str:
        """For a line of progress."""
        return f"{self.protocol}, {100 * self.fraction:g} %, {self.start}, seed {self.seed}"


def wanted_of(options: argparse.Namespace, task: Task, command: str) -> Iterator[Wanted]:
    """The measurements that the command line asks for, in order."""
    for seed in options.seeds:
        for protocol in options.protocol:
            for start in options.start:
                trained = start == PRETRAINED
                yield Wanted(
                    start=start,
                    protocol=protocol,
                    fraction=options.fraction if protocol == "finetune" else 1.0,
                    seed=seed,
                    settings=asdict(task.settings(protocol, start)),
                    config_hash=task.run.config_hash if trained else task.floor_hash,
                    checkpoint_hash=task.run.checkpoint_hash if trained else "",
                    command=command,
                    changes=task.changes(protocol),
                )


@dataclass(frozen=True)
class Task:
    """Segmentation with the encoder of one run, as the section `evaluation` of its config says.

    Args:
        sensor: name of the point cloud. train, test: labelled data.
        augment: of scans in fine-tuning. linear: settings of the probe.
        finetune, scratch: settings of fine-tuning, from pretrained and from new weights.
        changed: which of them are not the config's.
    """

    run: RunFolder
    sensor: str
    train: Dataset
    test: Dataset
    augment: Augment | None
    linear: LinearSettings
    finetune: FinetuneSettings
    scratch: FinetuneSettings
    changed: Changes

    @staticmethod
    def of(run: RunFolder, changed: Changes | None = None) -> Task:
        """The task of a run.

        Args:
            changed: settings in place of the config's.

        Raises:
            ConfigError: when its config describes none, or for settings that do not exist.
        """
        section = run.config.get("evaluation") or {}
        missing = [name for name in ("sensor", "train", "test") if name not in section]
        if missing:
            raise ConfigError(
                f"no {', '.join(missing)} in the section `evaluation` of the run's config",
                where=str(run.path),
                remedy="say evaluation=dict(sensor='lidar', train=dict(...), test=dict(...)) with "
                "labelled data sets, as configs/quickstart.py does",
            )
        changed = changed or {}
        # Before the data, which take time.
        linear = _settings(LinearSettings, section.get("linear"), changed.get("linear"))
        usual = section.get("finetune")
        finetune = _settings(FinetuneSettings, usual, changed.get("finetune"))
        scratch = _settings(FinetuneSettings, section.get("scratch", usual), changed.get("scratch"))
        steps = list(flat(built(section.get("augment", []), "evaluation.augment")))

        def augment(sample: Sample, generator: np.random.Generator) -> Sample:
            return apply_all(steps, sample, generator)

        return Task(
            run,
            section["sensor"],
            cast(Dataset, built(section["train"], "evaluation.train")),
            cast(Dataset, built(section["test"], "evaluation.test")),
            augment if steps else None,
            linear,
            finetune,
            scratch,
            changed,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        known: Mapping[str, Sequence[str]] = getattr(self.test, "class_names", {})
        if f"{self.sensor}.label" not in known:
            raise ConfigError(
                f"the test data do not name the classes of {self.sensor!r}",
                where="evaluation.test",
                remedy="read a data set with labels (SimulatedWorld: labels=True)",
            )
        return tuple(known[f"{self.sensor}.label"])

    @property
    def floor_hash(self) -> str:
        """What the results of new weights depend on, beside settings and seed."""
        data = {name: self.run.config["evaluation"][name] for name in ("train", "test")}
        return digest([self.run.architecture_hash(self.sensor), self.sensor, data])

    def settings(self, protocol: str, start: str) -> LinearSettings | FinetuneSettings:
        """Of a protocol from a start."""
        if protocol == "linear":
            return self.linear
        return self.finetune if start == PRETRAINED else self.scratch

    def changes(self, protocol: str) -> tuple[str, ...]:
        """Settings of a protocol that are not the config's, as "finetune.steps=200"."""
        return tuple(
            f"{name}.{key}={value!r}"
            for name in PROTOCOLS[protocol]
            for key, value in sorted(self.changed.get(name, {}).items())
        )

    def encoder(self, start: str, seed: int) -> Encoder:
        """The run's encoder, or one with new weights."""
        if start == PRETRAINED:
            return cast(Encoder, cast(Any, self.run.load()[self.sensor]).encoder)
        torch.manual_seed(seed)
        return cast(Encoder, self.run.fresh()[self.sensor])

    def measure(self, wanted: Wanted) -> tuple[Measurement, nn.Linear | None]:
        """Train a head, with or without its encoder, and count what it predicts.

        Returns:
            also the head, if it belongs to the run's encoder as it is.
        """
        rows = subset(len(self.train), wanted.fraction, wanted.seed)
        encoder = self.encoder(wanted.start, wanted.seed)
        head = None
        if wanted.protocol == "linear":
            found, head = self._linear(encoder, wanted.seed)
        else:
            settings = self.finetune if wanted.start == PRETRAINED else self.scratch
            found = self._finetune(encoder, rows, settings, wanted.seed)
        measured = Measurement(
            start=wanted.start,
            protocol=wanted.protocol,
            fraction=wanted.fraction,
            seed=wanted.seed,
            miou=found.miou,
            iou=per_class(found.names, found.iou.tolist()),
            scans=len(rows),
            settings=wanted.settings,
            config_hash=wanted.config_hash,
            checkpoint_hash=wanted.checkpoint_hash,
            versions=versions(),
            command=wanted.command,
            changes=wanted.changes,
        )
        return measured, head if wanted.start == PRETRAINED else None

    def _linear(self, encoder: Encoder, seed: int) -> tuple[Segmented, nn.Linear]:
        head = train_linear(
            encoder, self.train, self.sensor, len(self.names), settings=self.linear, seed=seed
        )
        return segment(encoder, head, self.test, self.sensor, self.names), head

    def _finetune(
        self, encoder: Encoder, rows: Sequence[int], settings: FinetuneSettings, seed: int
    ) -> Segmented:
        done = finetune(
            encoder,
            self.train,
            rows,
            self.sensor,
            len(self.names),
            settings=settings,
            augment=self.augment,
            seed=seed,
        )
        return segment(done.encoder, done.head, self.test, self.sensor, self.names)


def _changes(given: Sequence[str], protocols: Sequence[str]) -> Changes:
    """`finetune.steps=200` as {"finetune": {"steps": 200}}; refuses changes of what is unused."""
    known = [name for names in PROTOCOLS.values() for name in names]
    used = [name for protocol in protocols for name in PROTOCOLS[protocol]]
    changes: dict[str, dict[str, Any]] = {}
    for change in given:
        path, equals, text = change.partition("=")
        name, dot, key = path.partition(".")
        if not (equals and dot and key and name in known):
            raise ConfigError(
                f"--settings {change!r} is not NAME.KEY=VALUE",
                remedy=f"NAME is one of {', '.join(known)}, e.g. finetune.steps=200",
            )
        if name not in used:
            raise ConfigError(
                f"--settings {change} changes nothing that --protocol {' '.join(protocols)} uses",
                remedy=f"change settings of {', '.join(used)}, or name another protocol",
            )
        changes.setdefault(name, {})[key] = literal(text)
    return changes


def _settings(
    kind: Callable[..., Any], of_config: Mapping[str, Any] | None, changed: Mapping[str, Any] | None
) -> Any:
    given = {**(of_config or {}), **(changed or {})}
    usual = asdict(kind())
    for name, value in given.items():
        if name not in usual:
            raise ConfigError(
                f"{kind.__name__} has no setting {name!r}",
                where="evaluation",
                remedy=nearest(name, usual),
            )
        wanted = type(usual[name])
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ConfigError(
                f"{name} = {value!r} of {kind.__name__} is no {wanted.__name__}",
                where="evaluation",
                remedy=f"write it as the default, {usual[name]!r}",
            )
    return kind(**given)
