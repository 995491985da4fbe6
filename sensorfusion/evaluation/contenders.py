"""Who is evaluated: frozen encoders, and the three floors beside them."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import nn

from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.embed import Dataset, Embeddings, Transform, embed, embed_copies
from sensorfusion.evaluation.floors import (
    EncoderFactory,
    RawFeatures,
    random_encoders,
    supervised_labels,
    train_supervised,
)
from sensorfusion.evaluation.label_fractions import nested_subsets
from sensorfusion.evaluation.leave_one_out import Split
from sensorfusion.evaluation.probe import ProbeSettings
from sensorfusion.evaluation.protocols import (
    Parts,
    Score,
    Settings,
    classified,
    fraction_name,
    protocol,
)
from sensorfusion.evaluation.report import digest


class DataFactory(Protocol):
    """Makes the data set of some subjects, prepared as the encoders expect."""

    def __call__(self, subjects: Sequence[int], /) -> Dataset: ...


@dataclass
class Source:
    """Data of the subjects of a split, made once per set of subjects.

    Args:
        factory: makes it. augment: random transform for training inputs, or None.
    """

    factory: DataFactory
    augment: Transform | None = None
    _kept: dict[tuple[int, ...], Dataset] = field(default_factory=dict)

    def data(self, subjects: Sequence[int]) -> Dataset:
        """The clips of these subjects."""
        key = tuple(sorted(subjects))
        if key not in self._kept:
            self._kept.clear()
            self._kept[key] = self.factory(key)
        return self._kept[key]


@dataclass(frozen=True, kw_only=True)
class Contender(abc.ABC):
    """Something that is scored on splits.

    Args:
        name: in tables. floor: whether it is a floor.
        config_hash, checkpoint_hash, recipe_hash: see `Entry`.
        seen: subjects of its pretraining; None: unknown.
    """

    name: str
    config_hash: str
    checkpoint_hash: str
    floor: bool = False
    seen: tuple[int, ...] | None = None
    recipe_hash: str = ""

    @abc.abstractmethod
    def scores(
        self, name: str, split: Split, settings: Settings, source: Source, seed: int
    ) -> Iterator[tuple[Score, Embeddings]]:
        """Scores of a protocol, each with the test set that its rows count in."""

    @abc.abstractmethod
    def takes(self, name: str) -> bool:
        """Whether a protocol makes sense for it."""


@dataclass(frozen=True, kw_only=True)
class FrozenEncoders(Contender):
    """Pretrained (or random, or raw) features under the frozen protocols.

    Args:
        load: gives sensor -> encoder. load_heads: gives sensor -> projection head, for all or none.
    """

    load: EncoderFactory
    load_heads: EncoderFactory | None = None
    _kept: dict[tuple[object, ...], tuple[Embeddings, ...]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def takes(self, name: str) -> bool:
        return True

    def scores(
        self, name: str, split: Split, settings: Settings, source: Source, seed: int
    ) -> Iterator[tuple[Score, Embeddings]]:
        parts = self._parts(split, settings, source, projected=name == "retrieval")
        for score in protocol(name)(parts, settings, seed):
            yield score, parts.test

    def _parts(self, split: Split, settings: Settings, source: Source, *, projected: bool) -> Parts:
        subjects = (*split.train, *split.validation, *split.test)
        copies = self._embedded(subjects, settings.copies, source)
        plain, key = copies[0], settings.key
        heads = self._projected(subjects, source) if projected else None
        return Parts(
            train=tuple(copy.where(key, split.train) for copy in copies),
            validation=plain.where(key, split.validation) if split.validation else None,
            test=plain.where(key, split.test),
            projected=None if heads is None else heads.where(key, split.test),
        )

    def _embedded(
        self, subjects: Sequence[int], copies: int, source: Source
    ) -> tuple[Embeddings, ...]:
        def compute() -> tuple[Embeddings, ...]:
            if not copies:
                return (embed(self.load(), source.data(subjects)),)
            if source.augment is None:
                raise ConfigError(
                    f"{copies} augmented copies without an augmentation",
                    remedy="give the run's config random transforms, or copies=0",
                )
            return embed_copies(self.load(), source.data(subjects), source.augment, copies)

        return self._once(("tokens", copies, *sorted(subjects)), compute)

    def _projected(self, subjects: Sequence[int], source: Source) -> Embeddings | None:
        if self.load_heads is None:
            return None
        heads = self.load_heads()
        if not heads:
            return None

        def compute() -> tuple[Embeddings, ...]:
            return (embed(self.load(), source.data(subjects), heads=heads),)

        return self._once(("heads", *sorted(subjects)), compute)[0]

    def _once(
        self, key: tuple[object, ...], compute: Callable[[], tuple[Embeddings, ...]]
    ) -> tuple[Embeddings, ...]:
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]


@dataclass(frozen=True, kw_only=True)
class SupervisedFloor(Contender):
    """The same encoders trained on the labels from scratch, for the probe's budget.

    Under "fractions" it sees the same subsets as the probes; under "single-sensor" it is
    trained and tested on each sensor alone.
    """

    factory: EncoderFactory

    def takes(self, name: str) -> bool:
        return name in ("fusion", "fractions", "single-sensor")

    def scores(
        self, name: str, split: Split, settings: Settings, source: Source, seed: int
    ) -> Iterator[tuple[Score, Embeddings]]:
        data = source.data((*split.train, *split.validation, *split.test))
        table = _table(data)
        train = _rows(table, settings.key, split.train)
        test = _rows(table, settings.key, split.test)
        for title, chosen, sensor in self._runs(name, table, train, settings, seed):
            model = train_supervised(
                self._one(sensor),
                data,
                settings.supervised,
                label=settings.label,
                transform=source.augment,
                rows=chosen,
                seed=seed,
            )
            predictions = supervised_labels(model, data, test, label=settings.label)
            held = table.select(test)
            yield classified(title, held, predictions, settings.label), held

    def _runs(
        self, name: str, table: Embeddings, train: list[int], settings: Settings, seed: int
    ) -> Iterator[tuple[str, list[int], str | None]]:
        if name == "fractions":
            labels = table.select(train).label(settings.label)
            for fraction, few in nested_subsets(labels, settings.fractions, seed=seed).items():
                yield fraction_name(fraction), [train[i] for i in few.tolist()], None
        elif name == "single-sensor":
            for sensor in self.factory():
                yield f"alone {sensor}", train, sensor
        else:
            yield name, train, None

    def _one(self, sensor: str | None) -> EncoderFactory:
        if sensor is None:
            return self.factory
        return lambda: {sensor: self.factory()[sensor]}


def floors(
    factory: EncoderFactory, config_hash: str, supervised: ProbeSettings, seed: int
) -> tuple[Contender, ...]:
    """The floors of an architecture, for one seed.

    Args:
        factory: makes encoders with fresh weights: sensor -> module.
        config_hash: of the architecture and its data.
    """

    def raw() -> Mapping[str, nn.Module]:
        return {sensor: RawFeatures() for sensor in factory()}

    return (
        FrozenEncoders(
            name="random encoder",
            floor=True,
            seen=(),
            config_hash=config_hash,
            checkpoint_hash=f"random weights, seed {seed}",
            load=lambda: random_encoders(factory, seed),
        ),
        FrozenEncoders(
            name="raw features",
            floor=True,
            seen=(),
            config_hash=config_hash,
            checkpoint_hash="no weights",
            load=raw,
        ),
        SupervisedFloor(
            name="supervised from scratch",
            floor=True,
            seen=(),
            config_hash=config_hash,
            checkpoint_hash=f"trained here, {digest(vars(supervised))[:12]}, seed {seed}",
            factory=factory,
        ),
    )


def _table(data: Dataset) -> Embeddings:
    """Labels and keys of a data set without any feature."""
    samples = [data[i] for i in range(len(data))]
    labels = {n for s in samples for n, v in s.labels.items() if isinstance(v, int)}
    keys = {n for s in samples for n in s.keys}
    return Embeddings(
        features={},
        present={},
        labels={n: torch.tensor([s.labels.get(n, -1) for s in samples]) for n in labels},
        keys={n: torch.tensor([s.keys.get(n, -1) for s in samples]) for n in keys},
        ids=tuple(sample.id for sample in samples),
    )


def _rows(table: Embeddings, key: str, values: Sequence[int]) -> list[int]:
    rows: list[int] = torch.isin(table.key(key), torch.tensor(values)).nonzero()[:, 0].tolist()
    return rows
