"""What a linear head on the frozen encoder says about every point of a scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch

from sensorfusion.datasets.dataset import Dataset, uncached
from sensorfusion.evaluation.records import built
from sensorfusion.evaluation.segmentation import LinearSettings, Segmented, train_linear
from sensorfusion.export import PretrainedEncoder
from sensorfusion.report.payload import Payload, packed
from sensorfusion.report.scene import Scene
from sensorfusion.sample import Sample
from sensorfusion.sensors.lidar import UNLABELLED

SCANS = 24
SETTINGS = LinearSettings(points=2048, iterations=60)


def predictions_payload(
    scene: Scene, encoder: PretrainedEncoder, evaluation: Mapping[str, Any]
) -> Payload | None:
    """The class of every point by a head that is trained here, on a few scans of the labelled data.

    Args:
        evaluation: section of a run's config, with labelled data `train`.

    Returns:
        None when points have no labels.
    """
    if scene.cloud.label is None or not scene.names or "train" not in evaluation:
        return None
    labelled = _Some(cast(Dataset, built(uncached(evaluation["train"]), "evaluation.train")))
    head = train_linear(encoder.encoder, labelled, scene.lidar, len(scene.names), settings=SETTINGS)
    with torch.no_grad():
        predicted_N = head(encoder(scene.cloud).tokens.float()).argmax(1)
    counted = _counted(torch.from_numpy(scene.cloud.label).long(), predicted_N, scene.names)
    return {
        "predicted": packed(predicted_N.numpy().astype(np.uint8)),
        "scans": len(labelled),
        "points": SETTINGS.points,
        "correct": 100.0 * float(counted.counts.diag().sum() / counted.counts.sum()),
        "miou": counted.miou,
        "encoder": type(encoder.encoder).__name__,
    }


def _counted(label_N: torch.Tensor, predicted_N: torch.Tensor, names: tuple[str, ...]) -> Segmented:
    known = label_N != UNLABELLED
    pair = label_N[known] * len(names) + predicted_N[known]
    counts = torch.bincount(pair, minlength=len(names) ** 2).view(len(names), len(names))
    return Segmented(counts, names)


class _Some:
    """Samples at equal distances in a data set."""

    def __init__(self, data: Dataset) -> None:
        self.data, self.sensors, self.class_names = data, data.sensors, data.class_names
        self.rows = np.unique(np.linspace(0, len(data) - 1, SCANS).round().astype(int))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return self.data[int(self.rows[index])]
