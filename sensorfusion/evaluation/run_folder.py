"""A run of `tools/pretrain.py` as a contender: its encoders, its data, its floors.

run/
  config.json                 the resolved config
  encoders/<name>/            see `sensorfusion.export`; with projection heads, where it has them
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import nn

from sensorfusion.checkpoint import WEIGHTS
from sensorfusion.errors import CheckpointError, ConfigError
from sensorfusion.evaluation.contenders import FrozenEncoders, Source
from sensorfusion.evaluation.embed import Dataset
from sensorfusion.evaluation.records import built, goes_by_subjects, subjects_of, with_subjects
from sensorfusion.evaluation.report import digest
from sensorfusion.export import PretrainedEncoder, build, describe, load_encoder
from sensorfusion.sample import Sample
from sensorfusion.sensors.transform import flat


@dataclass(frozen=True)
class RunFolder:
    """One finished run.

    Args:
        path: the folder. config: its resolved config.
    """

    path: Path
    config: Mapping[str, Any]

    @staticmethod
    def open(path: str | Path) -> RunFolder:
        """Open a run's folder.

        Raises:
            CheckpointError: when it is not a finished run.
        """
        folder = Path(path)
        try:
            config = json.loads((folder / "config.json").read_text())
        except (OSError, ValueError) as error:
            absent = not (folder / "config.json").exists()
            raise CheckpointError(
                f"not a run: {'it has no config.json' if absent else error}",
                where=str(folder),
                remedy="give the work folder of tools/pretrain.py, which holds config.json",
            ) from error
        run = RunFolder(folder, config)
        run.sensors()
        missing = [name for name in run._names() if not (folder / "encoders" / name).is_dir()]
        if missing:
            raise CheckpointError(
                f"encoders {missing} are not there",
                where=str(folder / "encoders"),
                remedy="let the run finish: the same tools/pretrain.py command continues it",
            )
        return run

    def sensors(self) -> dict[str, str]:
        """Sensor -> name of its encoder; the views `imu.1` and `imu.2` are sensor `imu`.

        Raises:
            ConfigError: when two views of a sensor have different encoders.
        """
        found: dict[str, str] = {}
        for stream, name in _section(self.config, "model", "sensors").items():
            sensor = stream.partition(".")[0]
            if found.setdefault(sensor, name) != name:
                raise ConfigError(
                    f"views of sensor {sensor!r} have the encoders {found[sensor]!r} and {name!r}",
                    where=str(self.path),
                    remedy="evaluate encoders of your choice with FrozenEncoders from Python",
                )
        return found

    @functools.cached_property
    def config_hash(self) -> str:
        """Of the resolved config."""
        return digest(self.config)

    @functools.cached_property
    def recipe_hash(self) -> str:
        """Of the recipe: the resolved config without its seed, subjects and teachers' places.

        Runs of one recipe on several folds and seeds have one hash; their checkpoints differ.
        """
        recipe = {key: value for key, value in self.config.items() if key != "seed"}
        for section, key in (("data", "train"), ("evaluation", "data")):
            node = (recipe.get(section) or {}).get(key)
            if node is not None and goes_by_subjects(node):
                recipe[section] = {**recipe[section], key: with_subjects(node, ())}
        teachers = recipe.get("model", {}).get("teachers") or {}
        placeless = {
            name: {key: value for key, value in teacher.items() if key != "path"}
            for name, teacher in teachers.items()
        }
        return digest({**recipe, "model": {**recipe.get("model", {}), "teachers": placeless}})

    @functools.cached_property
    def checkpoint_hash(self) -> str:
        """Of the encoders' weight files, names and content."""
        total = hashlib.sha256()
        for name in self._names():
            total.update(name.encode())
            content = (self.path / "encoders" / name / WEIGHTS).read_bytes()
            total.update(hashlib.sha256(content).digest())
        return total.hexdigest()

    def contender(self, name: str | None = None) -> FrozenEncoders:
        """The run under its own name, or another."""
        return FrozenEncoders(
            name=name or self.path.name,
            config_hash=self.config_hash,
            recipe_hash=self.recipe_hash,
            checkpoint_hash=self.checkpoint_hash,
            seen=subjects_of(_section(self.config, "data", "train")),
            load=self.load,
            load_heads=self.load_heads,
        )

    def load(self) -> dict[str, nn.Module]:
        """Sensor -> trained encoder; sensors that share an encoder share the module."""
        loaded = self._loaded()
        return {sensor: loaded[name] for sensor, name in self.sensors().items()}

    def load_heads(self) -> dict[str, nn.Module]:
        """Sensor -> projection head; empty unless every sensor has one."""
        loaded = self._loaded()
        heads = {sensor: loaded[name].head for sensor, name in self.sensors().items()}
        given = {sensor: head for sensor, head in heads.items() if head is not None}
        return given if len(given) == len(heads) else {}

    def fresh(self) -> dict[str, nn.Module]:
        """Sensor -> encoder of the same architecture with new weights."""
        made = {name: build(document) for name, document in self._architectures.items()}
        return {sensor: made[name] for sensor, name in self.sensors().items()}

    @functools.cached_property
    def floor_hash(self) -> str:
        """Of what the floors depend on: architectures and data, not the objective."""
        data = self._data_node()
        if goes_by_subjects(data):
            data = with_subjects(data, ())  # floors do not care who pretrained
        return digest([self.sensors(), self._architectures, data])

    def architecture_hash(self, sensor: str) -> str:
        """Of the architecture of one sensor's encoder: what new weights of it depend on."""
        return digest(self._architectures[self.sensors()[sensor]])

    def source(self) -> Source:
        """The run's data set for any subjects, without its augmentations."""
        node = self._data_node()

        def make(subjects: Sequence[int]) -> Dataset:
            if goes_by_subjects(node):
                return cast(Dataset, built(with_subjects(node, subjects), "data"))
            return _OfSubjects(cast(Dataset, built(node, "data")), subjects)

        augment = _Chain(tuple(self._augmentations()))
        return Source(make, augment if augment.steps else None)

    def _data_node(self) -> Any:
        given = (self.config.get("evaluation") or {}).get("data")
        return given or _section(self.config, "data", "train")

    def _augmentations(self) -> list[Any]:
        section = self.config.get("evaluation") or {}
        if "augment" in section:
            return list(flat(built(section["augment"], "evaluation.augment")))
        steps: list[Any] = []
        for i, node in enumerate(_section(self.config, "data").get("transforms") or ()):
            step = built(node, f"data.transforms.{i}")
            views = getattr(step, "views", None)
            # Probes see one augmented copy of a sensor: the first view's.
            steps += [step] if views is None else list(next(iter(views.values())))
        return [step for step in flat(steps) if type(step).__name__ != "DropSensors"]

    def _loaded(self) -> dict[str, PretrainedEncoder]:
        return {name: load_encoder(self.path / "encoders" / name) for name in self._names()}

    @functools.cached_property
    def _architectures(self) -> dict[str, dict[str, Any]]:
        return {name: describe(loaded.encoder) for name, loaded in self._loaded().items()}

    def _names(self) -> list[str]:
        return sorted(set(self.sensors().values()))


class _OfSubjects:
    """The samples of some subjects, of a data set that does not go by subjects."""

    def __init__(self, data: Dataset, subjects: Sequence[int]) -> None:
        self.data = data
        self.rows = [i for i in range(len(data)) if data[i].keys.get("subject") in subjects]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> Sample:
        return self.data[self.rows[index]]


@dataclass(frozen=True)
class _Chain:
    """Transforms in a row, from one generator."""

    steps: tuple[Any, ...]

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        for step in self.steps:
            sample = step(sample, generator)
        return sample


def _section(config: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    node: Any = config
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping):
        raise ConfigError(
            f"the run's config has no section {'.'.join(keys)}",
            remedy="give the work folder of tools/pretrain.py",
        )
    return node
