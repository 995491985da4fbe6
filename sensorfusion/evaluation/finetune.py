"""Fine-tuning a point encoder on a few labelled scans, from pretrained or from new weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sensorfusion.collate import collate
from sensorfusion.encoders.encoder import Encoder
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.embed import Dataset, generator
from sensorfusion.evaluation.segmentation import (
    ALL_POINTS,
    LinearSettings,
    Weighting,
    class_weights,
    require_at_least,
    require_weighting,
    train_linear,
)
from sensorfusion.sample import Sample
from sensorfusion.sensors.lidar import UNLABELLED

Augment = Callable[[Sample, np.random.Generator], Sample]
Log = Callable[[int, float], object]


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """How encoder and head are trained together.

    Args:
        steps: of the optimiser (AdamW, the learning rate along a cosine to 0).
        batch_size: scans of a step; fewer where there are fewer.
        learning_rate: of the encoder. head_rate: of the new linear head.
        weight_decay: decoupled. warmup: share of the steps in which the rate grows.
        weighting: of classes in the cross-entropy, see `LinearSettings`.
        linear_first: the head starts as a linear probe of the encoder on the same scans, so that
            good features are not spoiled while it is learned (Kumar et al. 2022, "Fine-tuning
            can distort pretrained features and underperform out-of-distribution").

    Raises:
        ConfigError: for numbers below what makes sense, or an unknown weighting.
    """

    steps: int = 100
    batch_size: int = 2
    learning_rate: float = 2e-3
    head_rate: float = 1e-2
    weight_decay: float = 1e-2
    warmup: float = 0.1
    weighting: Weighting = "root"
    linear_first: bool = False

    def __post_init__(self) -> None:
        require_at_least(self, 1, "steps", "batch_size")
        require_at_least(self, 0, "learning_rate", "head_rate", "weight_decay", "warmup")
        require_weighting(self.weighting)


@dataclass(frozen=True)
class Finetuned:
    """A trained encoder and head, and the loss of every step."""

    encoder: Encoder
    head: nn.Linear
    losses: tuple[float, ...]


def subset(count: int, fraction: float, seed: int) -> list[int]:
    """Which of `count` samples have labels, drawn by the seed, ascending.

    Subsets of one seed are nested.

    Raises:
        ConfigError: for a fraction outside (0, 1], or one of less than half a sample.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"a label fraction of {fraction}", remedy="give a share, 1 % is 0.01")
    chosen = round(fraction * count)
    if not chosen:
        raise ConfigError(
            f"{100 * fraction:g} % of {count} samples is less than half a sample",
            remedy=f"give a fraction of at least {1 / count:.2g}, which is one",
        )
    return sorted(generator(seed, count).permutation(count)[:chosen].tolist())


def finetune(
    encoder: Encoder,
    data: Dataset,
    rows: Sequence[int],
    sensor: str,
    classes: int,
    *,
    settings: FinetuneSettings | None = None,
    augment: Augment | None = None,
    seed: int = 0,
    log: Log | None = None,
) -> Finetuned:
    """Train a copy of an encoder with a new linear head on labelled scans.

    Args:
        rows: which samples of the data have labels. sensor: name of the point cloud.
        augment: applied to every sample anew. seed: of the head, the order and augmentations.
        log: called with step and loss.

    Raises:
        DataError: when the scans have no labelled point.
    """
    settings = settings or FinetuneSettings()
    samples = [data[row] for row in rows]
    head = _head(encoder, samples, sensor, classes, settings.linear_first, seed)
    model = nn.ModuleDict({"encoder": copy.deepcopy(encoder), "head": head}).train()
    model.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model["encoder"].parameters()), "lr": settings.learning_rate},
            {"params": list(head.parameters()), "lr": settings.head_rate},
        ],
        weight_decay=settings.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _cosine(settings))
    weight_C = class_weights(_labels(samples, sensor), classes, settings.weighting)
    losses = []
    for step in range(settings.steps):
        batch = collate(_drawn(samples, settings.batch_size, augment, seed, step))[sensor]
        logits_NC = head(model["encoder"](batch).tokens)
        loss = cross_entropy(
            logits_NC, batch.values["label"].long(), weight=weight_C, ignore_index=UNLABELLED
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if log is not None:
            log(step, losses[-1])
    model.eval()
    return Finetuned(cast(Encoder, model["encoder"]), head, tuple(losses))


def _head(
    encoder: Encoder, samples: Sequence[Sample], sensor: str, classes: int, fitted: bool, seed: int
) -> nn.Linear:
    if fitted:
        every = LinearSettings(points=ALL_POINTS, decay=1e-3)
        return train_linear(encoder, samples, sensor, classes, settings=every, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(encoder.width, classes)


def _labels(samples: Sequence[Sample], sensor: str) -> torch.Tensor:
    readings = [frame.readings.get(sensor) for sample in samples for frame in sample.frames]
    labels = [getattr(reading, "label", None) for reading in readings]
    known = [np.asarray(each) for each in labels if each is not None]
    label_N = np.concatenate(known) if known else np.zeros(0, np.uint8)
    label_N = label_N[label_N != UNLABELLED]
    if not len(label_N):
        raise DataError("no point has a label", where=f"sensor {sensor!r}")
    return torch.from_numpy(label_N.astype(np.int64))


def _drawn(
    samples: Sequence[Sample], count: int, augment: Augment | None, seed: int, step: int
) -> list[Sample]:
    """The scans of a step: each as often as the others, in an order drawn for every round."""
    count = min(count, len(samples))
    chosen = []
    for place in range(step * count, (step + 1) * count):
        turn, within = divmod(place, len(samples))
        number = int(generator(seed, 1, turn).permutation(len(samples))[within])
        sample = samples[number]
        chosen.append(sample if augment is None else augment(sample, generator(seed, 2, place)))
    return chosen


def _cosine(settings: FinetuneSettings) -> Callable[[int], float]:
    warm = max(1, round(settings.warmup * settings.steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 + 0.5 * float(np.cos(np.pi * (step - warm) / max(settings.steps - warm, 1)))

    return factor
