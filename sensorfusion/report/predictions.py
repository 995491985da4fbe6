"""What a linear head on the frozen encoder says about every point of a scene."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import nn

from sensorfusion.datasets.dataset import Dataset, uncached
from sensorfusion.evaluation.records import built
from sensorfusion.evaluation.run_folder import RunFolder
from sensorfusion.evaluation.segmentation import LinearSettings, Segmented, train_linear
from sensorfusion.evaluation.segmentation_heads import linear_probe, load_head
from sensorfusion.evaluation.segmentation_results import RESULTS, read
from sensorfusion.export import PretrainedEncoder
from sensorfusion.report.payload import Payload, packed
from sensorfusion.report.scene import Scene
from sensorfusion.sample import Sample
from sensorfusion.sensors.lidar import UNLABELLED

Head = tuple[nn.Linear, int, int]  # trained on so many scans, and points of each

SCANS = 24
SETTINGS = LinearSettings(points=2048, iterations=60)


def predictions_payload(scene: Scene, encoder: PretrainedEncoder, run: RunFolder) -> Payload | None:
    """The class of every point by a linear head on the frozen encoder.

    The head is the one that was measured (`tools/segment.py`); where there is none, it is
    trained here, on a few scans of the labelled data that the run's config names.

    Returns:
        None when points have no labels, or there is nothing to train a head on.
    """
    if scene.cloud.label is None or not scene.names:
        return None
    measured = _measured(run)
    found = measured or _trained(scene, encoder, run)
    if found is None:
        return None
    head, scans, points = found
    with torch.no_grad():
        predicted_N = head(encoder(scene.cloud).tokens.float()).argmax(1)
    counted = _counted(torch.from_numpy(scene.cloud.label).long(), predicted_N, scene.names)
    return {
        "predicted": packed(predicted_N.numpy().astype(np.uint8)),
        "measured": measured is not None,
        "scans": scans,
        "points": points,
        "correct": 100.0 * float(counted.counts.diag().sum() / counted.counts.sum()),
        "miou": counted.miou,
        "encoder": type(encoder.encoder).__name__,
    }


def _measured(run: RunFolder) -> Head | None:
    folder = run.path / "segmentation"
    probe = linear_probe(read(folder / RESULTS), run.checkpoint_hash)
    head = probe and load_head(folder, probe.key)
    return (head, probe.scans, int(probe.settings["points"])) if probe and head else None


def _trained(scene: Scene, encoder: PretrainedEncoder, run: RunFolder) -> Head | None:
    evaluation = run.config.get("evaluation") or {}
    if "train" not in evaluation:
        return None
    labelled = _Some(cast(Dataset, built(uncached(evaluation["train"]), "evaluation.train")))
    head = train_linear(encoder.encoder, labelled, scene.lidar, len(scene.names), settings=SETTINGS)
    return head, len(labelled), SETTINGS.points


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
