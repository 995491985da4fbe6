"""Semantic segmentation of points from an encoder's tokens: linear heads and mean IoU."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sensorfusion.collate import collate
from sensorfusion.encoders.encoder import Encoder
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.embed import Dataset, generator
from sensorfusion.sample import SensorBatch
from sensorfusion.sensors.lidar import UNLABELLED

Weighting = Literal["none", "root"]
ALL_POINTS = 2**31


@dataclass(frozen=True)
class Segmented:
    """Counts of (true, predicted) points.

    Args:
        counts: int64 [C, C], row = true class, column = predicted class.
        names: of the C classes.
    """

    counts: Tensor
    names: tuple[str, ...]

    @property
    def iou(self) -> Tensor:
        """Intersection over union of each class in per cent, [C]; NaN for one without points."""
        both = self.counts.diag().double()
        either = self.counts.sum(0) + self.counts.sum(1) - both
        return (100 * both / either).where(self.counts.sum(1) > 0, torch.nan)

    @property
    def miou(self) -> float:
        """Mean over the classes that have points."""
        return float(self.iou.nanmean())


@dataclass(frozen=True, kw_only=True)
class LinearSettings:
    """How a linear head is trained on frozen features.

    Args:
        points: drawn from each scan; all of a smaller one.
        weighting: of classes in the loss: "none", or "root": by the inverse square root of their
            share, since the mean IoU counts a rare class as much as a common one.
        decay: factor of the squared weights in the loss.
        iterations: of L-BFGS, at most.

    Raises:
        ConfigError: for numbers below what makes sense, or an unknown weighting.
    """

    points: int = 4096
    weighting: Weighting = "root"
    decay: float = 1e-5
    iterations: int = 100

    def __post_init__(self) -> None:
        require_at_least(self, 1, "points", "iterations")
        require_at_least(self, 0, "decay")
        require_weighting(self.weighting)


def require_at_least(settings: object, least: float, *names: str) -> None:
    """Raise `ConfigError` for settings below a bound, or not finite."""
    for name in names:
        value = getattr(settings, name)
        if not least <= value < math.inf:
            raise ConfigError(
                f"{name} = {value} of {type(settings).__name__}",
                remedy=f"give a number of at least {least}",
            )


def require_weighting(weighting: str) -> None:
    """Raise `ConfigError` for an unknown weighting of classes."""
    if weighting not in get_args(Weighting):
        raise ConfigError(
            f"unknown weighting {weighting!r}", remedy=f"choose from {list(get_args(Weighting))}"
        )


def train_linear(
    encoder: Encoder,
    data: Dataset,
    sensor: str,
    classes: int,
    *,
    settings: LinearSettings | None = None,
    seed: int = 0,
) -> nn.Linear:
    """A linear head [D] -> [C] on the frozen tokens of points: multinomial logistic regression.

    The encoder stays in evaluation mode, its batch norms included. Features are standardised for
    the fit; the head that is returned takes them as they are.

    Args:
        encoder: gives one token per point. data: samples whose clouds carry `label`.
        sensor: name of the point cloud. seed: of the points that are drawn.

    Raises:
        DataError: when no point has a label.
    """
    settings = settings or LinearSettings()
    parts = list(labelled_tokens(encoder, data, sensor, points=settings.points, seed=seed))
    tokens_ND = torch.cat([tokens for tokens, _ in parts]).float()
    label_N = torch.cat([label for _, label in parts])
    if not len(label_N):
        raise DataError("no point has a label", where=f"sensor {sensor!r}")
    centre_D, scale_D = tokens_ND.mean(0), tokens_ND.std(0).clamp(min=1e-6)
    fitted = _logistic((tokens_ND - centre_D) / scale_D, label_N, classes, settings)
    head = nn.Linear(tokens_ND.shape[1], classes)
    with torch.no_grad():
        head.weight.copy_(fitted.weight / scale_D)
        head.bias.copy_(fitted.bias - head.weight @ centre_D)
    return head.requires_grad_(False)


def segment(
    encoder: Encoder, head: nn.Module, data: Dataset, sensor: str, names: Sequence[str]
) -> Segmented:
    """Count what a head on an encoder predicts for every labelled point."""
    classes = len(names)
    counts = torch.zeros(classes * classes, dtype=torch.int64)
    for tokens_ND, label_N in labelled_tokens(encoder, data, sensor):
        with torch.no_grad():
            predicted_N = head(tokens_ND.float()).argmax(1)
        counts += torch.bincount(label_N * classes + predicted_N, minlength=classes * classes)
    return Segmented(counts.view(classes, classes), tuple(names))


def labelled_tokens(
    encoder: Encoder, data: Dataset, sensor: str, *, points: int | None = None, seed: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Tokens [n, D] and classes int64 [n] of the labelled points of each sample.

    Args:
        points: how many are drawn from a sample; None: all.

    Raises:
        ConfigError: when the encoder does not give one token per point.
        DataError: when a cloud carries no labels.
    """
    encoder.eval()
    for number in range(len(data)):
        batch = collate([data[number]])[sensor]
        if not len(batch):
            continue
        rows = _labelled(batch, sensor)
        if points is not None and len(rows) > points:
            drawn = generator(seed, number).choice(len(rows), points, replace=False)
            rows = rows[torch.from_numpy(np.sort(drawn))]
        with torch.no_grad():
            tokens_ND = encoder(batch).tokens
        if len(tokens_ND) != len(batch.values["label"]):
            raise ConfigError(
                f"{len(tokens_ND)} tokens for {len(batch.values['label'])} points",
                where=type(encoder).__name__,
                remedy="build the encoder with level='points'",
            )
        yield tokens_ND[rows], batch.values["label"][rows].long()


def class_weights(label_N: Tensor, classes: int, weighting: Weighting) -> Tensor:
    """Weights [C] of the classes in a loss; 1 on average over points."""
    if weighting == "none":
        return torch.ones(classes)
    share_C = torch.bincount(label_N, minlength=classes).double() / max(len(label_N), 1)
    weight_C = share_C.clamp(min=1e-12).rsqrt().where(share_C > 0, 0.0)
    return (weight_C / (weight_C * share_C).sum()).float()


def _labelled(batch: SensorBatch, sensor: str) -> Tensor:
    if "label" not in batch.values:
        raise DataError(
            "the clouds carry no labels",
            where=f"sensor {sensor!r}",
            remedy="read a data set with labels (SimulatedWorld: labels=True)",
        )
    return (batch.values["label"] != UNLABELLED).nonzero()[:, 0]


def _logistic(
    tokens_ND: Tensor, label_N: Tensor, classes: int, settings: LinearSettings
) -> nn.Linear:
    layer = nn.Linear(tokens_ND.shape[1], classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    weight_C = class_weights(label_N, classes, settings.weighting)
    optimizer = torch.optim.LBFGS(
        layer.parameters(), max_iter=settings.iterations, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(layer(tokens_ND), label_N, weight=weight_C)
        loss = loss + settings.decay * layer.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return layer
