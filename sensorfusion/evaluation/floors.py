"""What a pretrained encoder has to beat: random weights, raw values, supervision from scratch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sensorfusion.collate import collate
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.embed import Dataset, Transform, generator
from sensorfusion.evaluation.probe import (
    FUSION,
    FusionClassifier,
    ProbeSettings,
    adam,
    hide_sensors,
    learning_rates,
    require_known_classes,
)
from sensorfusion.sample import Batch, Features, Sample, SensorBatch, segment_mean

EncoderFactory = Callable[[], Mapping[str, nn.Module]]


def random_encoders(factory: EncoderFactory, seed: int) -> Mapping[str, nn.Module]:
    """Encoders with the initial weights that this seed gives; outer random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return factory()


class RawFeatures(nn.Module):
    """A reading's own values as its features: no weights, nothing learnt.

    The data set's transforms have resampled and normalised them; probes standardise them. All
    arrays of the reading are flattened and joined. An array of more than `limit` values (a
    video) is averaged over equal blocks, at most 16 along every axis.

    Raises:
        ConfigError: for ragged readings (point clouds), which are no vectors.
    """

    def __init__(self, limit: int = 4096) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, batch: SensorBatch) -> Features:
        """Features of P >= 1 readings, one token each."""
        if batch.lengths is not None or batch.kind is None:
            raise ConfigError(
                "ragged readings have no raw feature vector",
                where=getattr(batch.kind, "__name__", "no readings"),
                remedy="leave the raw floor out for this sensor",
            )
        arrays = [self._flat(batch.values[name].float()) for name in batch.kind.ARRAYS]
        return Features.one_per_reading(torch.cat(arrays, dim=1), batch)

    def _flat(self, values_P: Tensor) -> Tensor:
        if values_P[0].numel() > self.limit:
            for axis in range(1, values_P.ndim):
                values_P = _block_means(values_P, axis, 16)
        return values_P.flatten(1)


def _block_means(values: Tensor, axis: int, blocks: int) -> Tensor:
    if values.shape[axis] <= blocks:
        return values
    parts = torch.tensor_split(values, blocks, dim=axis)
    return torch.stack([part.mean(dim=axis) for part in parts], dim=axis)


@dataclass(frozen=True)
class Supervised:
    """Encoders and classifier trained together on labels from their initial weights."""

    network: _EndToEnd
    classes: Tensor
    batch_size: int

    @torch.no_grad()
    def predict(self, data: Dataset, rows: Sequence[int]) -> Tensor:
        """Predicted labels int64 [n] of n samples."""
        self.network.eval()
        parts = [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        logits = [self.network(collate([data[i] for i in part])) for part in parts]
        return self.classes[torch.cat(logits).argmax(dim=1)]


def train_supervised(
    factory: EncoderFactory,
    data: Dataset,
    settings: ProbeSettings = FUSION,
    *,
    label: str = "action",
    transform: Transform | None = None,
    rows: Sequence[int] | None = None,
    seed: int = 0,
) -> Supervised:
    """The supervised floor: the same encoders, probe and settings, nothing frozen.

    Args:
        factory: makes encoders with fresh weights: sensor -> module.
        settings: of the classifier, the optimiser and the budget. `standardise` and
            `selection` do not apply here.
        transform: augmentation, drawn from (seed, epoch, index). rows: a subset of the samples.

    Raises:
        DataError: no samples.
    """
    chosen = list(range(len(data)) if rows is None else rows)
    if not chosen:
        raise DataError("the training set is empty", remedy="check the split's subjects")
    samples = {i: data[i] for i in chosen}
    labels = torch.tensor([_label(samples[i], label) for i in chosen])
    classes, targets = torch.unique(labels, return_inverse=True)
    encoders = random_encoders(factory, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _EndToEnd(encoders, len(classes), settings)
        optimiser = adam([p for p in network.parameters() if p.requires_grad], settings)
        schedule = learning_rates(optimiser, settings)
        for epoch in range(settings.epochs):
            network.train()
            for part in torch.split(torch.randperm(len(chosen)), settings.batch_size):
                batch = collate(
                    [_drawn(samples, chosen[i], transform, seed, epoch) for i in part.tolist()]
                )
                loss = nn.functional.cross_entropy(
                    network(batch), targets[part], label_smoothing=settings.label_smoothing
                )
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            schedule.step()
    return Supervised(network.eval(), classes, settings.batch_size)


def supervised_labels(
    model: Supervised, data: Dataset, rows: Sequence[int], *, label: str = "action"
) -> Tensor:
    """Predicted labels int64 [n] of n >= 1 test samples, whose classes are checked to be known."""
    labels = torch.tensor([_label(data[i], label) for i in rows])
    require_known_classes(model.classes, labels, "the test set")
    return model.predict(data, rows)


class _EndToEnd(nn.Module):
    """Encoders, mean of valid tokens, and the classifier of the fusion probe."""

    def __init__(
        self, encoders: Mapping[str, nn.Module], classes: int, settings: ProbeSettings
    ) -> None:
        super().__init__()
        self.names = {sensor: f"encoder{i}" for i, sensor in enumerate(encoders)}
        self.encoders = nn.ModuleDict({self.names[s]: e for s, e in encoders.items()})
        self.widths = {sensor: int(encoder.width) for sensor, encoder in encoders.items()}  # type: ignore[arg-type]
        self.classifier = FusionClassifier(self.widths, classes, settings)
        self.sensor_dropout = settings.sensor_dropout

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, C]."""
        features = {sensor: self._vectors(sensor, batch) for sensor in self.names}
        present_BS = torch.stack([batch[s].present.any(dim=1) for s in self.names], dim=1)
        if self.training and self.sensor_dropout:
            present_BS = hide_sensors(present_BS, self.sensor_dropout)
        present = {sensor: present_BS[:, i] for i, sensor in enumerate(self.names)}
        logits: Tensor = self.classifier(features, present)
        return logits

    def _vectors(self, sensor: str, batch: Batch) -> Tensor:
        readings = batch[sensor]
        if not len(readings):
            return torch.zeros(len(batch), self.widths[sensor])
        found: Features = self.encoders[self.names[sensor]](readings)
        return segment_mean(found.tokens[found.valid], found.item[found.valid], len(batch))


def _drawn(
    samples: Mapping[int, Sample], index: int, transform: Transform | None, seed: int, epoch: int
) -> Sample:
    sample = samples[index]
    return sample if transform is None else transform(sample, generator(seed, epoch, index))


def _label(sample: Sample, name: str) -> int:
    value = sample.labels.get(name)
    if not isinstance(value, int):
        raise DataError(
            f"the sample has no integer label {name!r}",
            where=sample.id,
            remedy=f"its labels are {sorted(sample.labels)}",
        )
    return value
