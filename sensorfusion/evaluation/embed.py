"""Frozen encoders over a data set, once: per-sensor feature vectors kept in memory."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from sensorfusion.collate import collate
from sensorfusion.errors import ConfigError, DataError, NonFiniteError, UnitError
from sensorfusion.sample import Batch, Features, Sample, segment_mean

Transform = Callable[[Sample, np.random.Generator], Sample]


class Dataset(Protocol):
    """What the evaluation needs of a data set."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


@dataclass(frozen=True)
class Embeddings:
    """Feature vectors of n samples; a missing sensor is a mask.

    Args:
        features: sensor -> float32 [n, D], zero where the sensor is absent.
        present: sensor -> bool [n].
        labels: name -> int64 [n]. keys: name -> int64 [n], e.g. the subject.
        ids: names of the samples.
    """

    features: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    keys: Mapping[str, Tensor] = field(default_factory=dict)
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of the sensors, in the order in which probes join them."""
        return tuple(self.features)

    @staticmethod
    def concatenate(parts: Sequence[Embeddings]) -> Embeddings:
        """The samples of all parts, in order; they have the same sensors, labels and keys."""
        first = parts[0]
        return Embeddings(
            features=_stacked([part.features for part in parts], list(first.features)),
            present=_stacked([part.present for part in parts], list(first.present)),
            labels=_stacked([part.labels for part in parts], list(first.labels)),
            keys=_stacked([part.keys for part in parts], list(first.keys)),
            ids=tuple(name for part in parts for name in part.ids),
        )

    def label(self, name: str) -> Tensor:
        """Labels int64 [n]; raises `DataError` when samples have none of that name."""
        return _column(self.labels, name, "label")

    def key(self, name: str) -> Tensor:
        """Keys int64 [n]; raises `DataError` when samples have none of that name."""
        return _column(self.keys, name, "key")

    def select(self, rows: Tensor | Sequence[int]) -> Embeddings:
        """The samples with the given positions (or under a bool mask)."""
        index = torch.as_tensor(rows)
        index = index.nonzero()[:, 0] if index.dtype == torch.bool else index.long()
        return Embeddings(
            features={name: value[index] for name, value in self.features.items()},
            present={name: value[index] for name, value in self.present.items()},
            labels={name: value[index] for name, value in self.labels.items()},
            keys={name: value[index] for name, value in self.keys.items()},
            ids=tuple(self.ids[i] for i in index.tolist()),
        )

    def where(self, key: str, values: Sequence[int]) -> Embeddings:
        """The samples whose key is one of `values`."""
        return self.select(torch.isin(self.key(key), torch.tensor(list(values))))

    def only(self, *sensors: str) -> Embeddings:
        """The same samples as if only these sensors had been there; the others are masked."""
        unknown = set(sensors) - set(self.features)
        if unknown:
            raise ConfigError(
                f"no features of sensor {sorted(unknown)}",
                remedy=f"use sensors among {sorted(self.features)}, or load an encoder for it",
            )
        keep = {name: name in sensors for name in self.features}
        return dataclasses.replace(
            self,
            features={n: v if keep[n] else torch.zeros_like(v) for n, v in self.features.items()},
            present={n: v if keep[n] else torch.zeros_like(v) for n, v in self.present.items()},
        )

    def keep(self, *sensors: str) -> Embeddings:
        """The same samples without any other sensor's columns."""
        masked = self.only(*sensors)
        return dataclasses.replace(
            masked,
            features={name: masked.features[name] for name in sensors},
            present={name: masked.present[name] for name in sensors},
        )


def embed(
    encoders: Mapping[str, nn.Module],
    data: Dataset,
    *,
    heads: Mapping[str, nn.Module] | None = None,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
    transform: Transform | None = None,
    seed: int = 0,
    repetition: int = 0,
) -> Embeddings:
    """Run frozen encoders over a data set.

    A sample's vector is the mean of its valid tokens, over all its frames. Encoders run in
    evaluation mode, batch normalisation included, and are checked to leave unchanged.

    Args:
        encoders: sensor -> module, `SensorBatch` -> `Features`; several sensors may share one.
        data: n >= 1 samples. Sensors of the data without an encoder are ignored.
        heads: sensor -> module applied to the tokens before pooling, e.g. projection heads.
        transform: applied to every sample, with a generator made from
            (`seed`, `repetition`, index); None: the samples as they are.

    Raises:
        DataError: an empty data set, or a sensor that no sample has.
        UnitError: an encoder refuses its sensor's readings.
        NonFiniteError: an encoder returns NaN or infinity.
    """
    _require_samples(data)
    modules = [*encoders.values(), *(heads or {}).values()]
    batches: list[Batch] = []
    pooled: dict[str, list[Tensor]] = {name: [] for name in encoders}
    with frozen(modules), torch.no_grad():
        for start in range(0, len(data), batch_size):
            rows = range(start, min(start + batch_size, len(data)))
            samples = [_drawn(data, i, transform, seed, repetition) for i in rows]
            batch = collate(samples, rows)
            batches.append(batch)
            for sensor, encoder in encoders.items():
                head = (heads or {}).get(sensor)
                pooled[sensor].append(_encode(sensor, encoder, head, batch, device))
    present = {name: _presence(batches, name) for name in encoders}
    return Embeddings(
        features={name: _joined(name, parts) for name, parts in pooled.items()},
        present=present,
        labels=_integers([batch.labels for batch in batches]),
        keys=_integers([batch.keys for batch in batches]),
        ids=tuple(name for batch in batches for name in batch.ids),
    )


def embed_copies(
    encoders: Mapping[str, nn.Module],
    data: Dataset,
    transform: Transform,
    copies: int,
    *,
    seed: int = 0,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
) -> tuple[Embeddings, ...]:
    """The plain data set, then `copies` augmented ones: repetition r draws (seed, r, index)."""
    plain = embed(encoders, data, batch_size=batch_size, device=device)
    augmented = (
        embed(
            encoders,
            data,
            batch_size=batch_size,
            device=device,
            transform=transform,
            seed=seed,
            repetition=r,
        )
        for r in range(1, copies + 1)
    )
    return (plain, *augmented)


@contextlib.contextmanager
def frozen(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Put modules into evaluation mode and check that nothing in them changes.

    Restores every submodule's mode afterwards.

    Raises:
        ConfigError: a batch norm that would use the statistics of the evaluated batch, or a
            parameter or buffer that changed.
    """
    modes = {part: part.training for module in modules for part in module.modules()}
    before = [(m, name, t.clone()) for m in modules for name, t in m.state_dict().items()]
    for module in modules:
        module.eval()
        _require_evaluation(module)
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
    for module, name, value in before:
        if not torch.equal(module.state_dict()[name], value):
            raise ConfigError(
                f"{type(module).__name__}.{name} changed while the encoder should be frozen",
                remedy="do not write to parameters or buffers in forward when not training",
            )


def generator(*numbers: int) -> np.random.Generator:
    """Randomness that depends on these numbers only."""
    return np.random.default_rng(np.random.SeedSequence(numbers))


def _require_evaluation(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if not isinstance(part, nn.modules.batchnorm._BatchNorm):
            continue
        if part.training or part.running_mean is None:
            raise ConfigError(
                "a batch norm would normalise by the statistics of the evaluated batch",
                where=f"{type(module).__name__}.{name}",
                remedy="keep running statistics and let eval() reach every submodule",
            )


def _drawn(
    data: Dataset, index: int, transform: Transform | None, seed: int, repetition: int
) -> Sample:
    sample = data[index]
    return sample if transform is None else transform(sample, generator(seed, repetition, index))


def _encode(
    sensor: str,
    encoder: nn.Module,
    head: nn.Module | None,
    batch: Batch,
    device: torch.device | str,
) -> Tensor:
    readings = batch[sensor]
    if not len(readings):
        return torch.zeros(len(batch), 0)
    try:
        features: Features = encoder(readings.to(device))
    except UnitError as error:
        raise UnitError(
            error.what,
            where=f"sensor {sensor!r}, samples {batch.ids[0]} .. {batch.ids[-1]}",
            remedy=error.remedy,
        ) from error
    tokens = features.tokens if head is None else head(features.tokens)
    vectors = segment_mean(tokens[features.valid], features.item[features.valid], len(batch))
    _require_finite(sensor, vectors, batch)
    return vectors.float().cpu()


def _require_finite(sensor: str, vectors_BD: Tensor, batch: Batch) -> None:
    bad = (~vectors_BD.isfinite().all(dim=1)).nonzero()[:, 0].tolist()
    if bad:
        raise NonFiniteError(
            "the encoder returned non-finite features",
            where=f"sensor {sensor!r}, samples {', '.join(batch.ids[i] for i in bad[:5])}",
            remedy="check the readings' scale and the encoder's weights",
        )


def _joined(sensor: str, parts: Sequence[Tensor]) -> Tensor:
    width = max(part.shape[1] for part in parts)
    if width == 0:
        raise DataError(
            "an encoder is given for a sensor that no sample has",
            where=f"sensor {sensor!r}",
            remedy="evaluate without it, or check the names of the data set's sensors",
        )
    return torch.cat(
        [part if part.shape[1] else part.new_zeros(len(part), width) for part in parts]
    )


def _presence(batches: Sequence[Batch], sensor: str) -> Tensor:
    return torch.cat([batch[sensor].present.any(dim=1) for batch in batches])


def _integers(tables: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    names = {name for table in tables for name, value in table.items() if value.ndim == 1}
    return {
        name: torch.cat([table[name] for table in tables]).long()
        for name in sorted(names)
        if all(name in table for table in tables)
    }


def _require_samples(data: Dataset) -> None:
    if not len(data):
        raise DataError(
            "the split is empty",
            where=type(data).__name__,
            remedy="check the subjects of the split against those of the data set",
        )


def _stacked(tables: Sequence[Mapping[str, Tensor]], names: Sequence[str]) -> dict[str, Tensor]:
    return {name: torch.cat([table[name] for table in tables]) for name in names}


def _column(table: Mapping[str, Tensor], name: str, what: str) -> Tensor:
    if name not in table:
        raise DataError(
            f"samples have no {what} {name!r}",
            remedy=f"use one of {sorted(table)}" if table else f"the data set gives no {what}s",
        )
    return table[name]
