"""Small data sets with known truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.norms import PresentBatchNorm1d
from sensorfusion.evaluation.embed import Embeddings
from sensorfusion.geometry.clock import Clock
from sensorfusion.sample import Array, Features, Frame, Reading, Sample, SensorBatch


@dataclass(frozen=True, kw_only=True)
class Window(Reading):
    ARRAYS: ClassVar[tuple[str, ...]] = ("values",)
    values: Array


class Windows:
    """Clips whose values carry the class: every subject does every action `trials` times."""

    def __init__(
        self, subjects=(1, 3, 5, 7), actions=4, trials=2, missing=(), noise=0.3, unit="m/s^2"
    ):
        self.unit = unit
        self.rows = [(s, a, t) for s in subjects for a in range(actions) for t in range(trials)]
        self.missing = set(missing)  # (sensor, index)
        self.noise = noise

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        subject, action, trial = self.rows[index]
        readings = {}
        for sensor, name in enumerate(("imu", "skeleton")):
            if (name, index) in self.missing:
                continue
            template = np.random.default_rng([action, sensor]).normal(size=(8, 3))
            noise = np.random.default_rng([subject, action, trial, sensor]).normal(size=(8, 3))
            values = (template + self.noise * noise).astype(np.float32)
            readings[name] = Window(
                clock=Clock.fraction(8), axes="sensor", unit=self.unit, values=values
            )
        keys = {"subject": subject, "trial": trial}
        name = f"a{action}_s{subject}_t{trial}"
        return Sample(name, (Frame(readings),), {"action": action}, keys)


class BatchNormEncoder(Encoder):
    reading = Window
    units = ("m/s^2",)

    def __init__(self, width=16):
        super().__init__()
        self.width = width
        self.net = nn.Sequential(nn.Linear(24, width), PresentBatchNorm1d(width), nn.Dropout(0.5))

    def forward(self, batch: SensorBatch) -> Features:
        batch.require(Window, *self.units)
        return Features.one_per_reading(self.net(batch.values["values"].flatten(1)), batch)


def embeddings(
    features: Mapping[str, torch.Tensor], labels, subjects=None, present=None
) -> Embeddings:
    n = len(next(iter(features.values())))
    present = present or {}
    masks = {name: present.get(name, torch.ones(n, dtype=torch.bool)) for name in features}
    return Embeddings(
        features={name: value.float() * masks[name][:, None] for name, value in features.items()},
        present=masks,
        labels={"action": torch.as_tensor(labels).long()},
        keys={"subject": torch.as_tensor(subjects if subjects is not None else [1] * n).long()},
        ids=tuple(f"clip{i}" for i in range(n)),
    )


def separable(n=120, classes=4, width=6, sensors=("imu", "skeleton"), seed=0) -> Embeddings:
    """Features around one corner per class: any sensor alone tells the class."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    corners = 3 * torch.eye(classes, width)
    features = {
        name: corners[labels] + 0.1 * torch.randn(n, width, generator=draw) for name in sensors
    }
    return embeddings(features, labels, torch.arange(n) % 5)
