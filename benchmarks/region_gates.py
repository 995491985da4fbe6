"""How far single pixels of simulated regions tell land cover and change: linear probes.

    python benchmarks/region_gates.py [--train 12] [--test 6]

Trains a multinomial logistic regression on the standardised bands of clear, valid pixels of some
scenes, and measures mean IoU over eight classes on others; likewise the IoU of change from the
bands of both dates. Beside it the floors: the most frequent class, and calling every pixel changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from sensorfusion.datasets.simulated_region import SimulatedRegion
from sensorfusion.sample import Sample
from sensorfusion.sensors.raster import Quality
from sensorfusion.simulation.above.materials import CLASSES, HARVEST, NONE

SIZE = 192
Rows = tuple[torch.Tensor, torch.Tensor]
SENSORS = {"optical": ("optical",), "radar": ("radar",), "both": ("optical", "radar")}


def pixels(samples: Sequence[Sample], sensors: tuple[str, ...], task: str, every: int) -> Rows:
    """Features [N, D] and labels [N] of clear pixels of single dates (cover) or pairs (change)."""
    features, labels = [], []
    for sample in samples:
        shown = [[frame.readings[name] for name in sensors] for frame in sample.frames]
        bands = [np.concatenate([r.values for r in date]).reshape(-1, SIZE**2) for date in shown]
        clear = [
            np.logical_and.reduce([r.valid[0] & (r.quality != Quality.CLOUD) for r in date]).ravel()
            for date in shown
        ]
        if task == "cover":
            rows = [(b, c, d[0].label.ravel()) for b, c, d in zip(bands, clear, shown, strict=True)]
        else:
            change = shown[1][0].change.ravel()
            both = np.concatenate([bands[0], bands[1], np.abs(bands[1] - bands[0])])
            changed = (change != NONE) & (change != HARVEST)
            rows = [(both, clear[0] & clear[1], changed.astype(np.uint8))]
        for band, kept, label in rows:
            features.append(band[:, kept].T[::every])
            labels.append(label[kept][::every])
    return torch.from_numpy(np.concatenate(features)), torch.from_numpy(
        np.concatenate(labels).astype(np.int64)
    )


def probe(train: Rows, test: Rows, classes: int) -> tuple[list[float], list[float]]:
    """IoU of each class by a linear probe with balanced classes halfway, and of the floor."""
    mean, deviation = train[0].mean(0), train[0].std(0)
    layer = torch.nn.Linear(train[0].shape[1], classes)
    count = torch.bincount(train[1], minlength=classes).clamp(min=1).float()
    weight = count.rsqrt() / count.rsqrt().mean()
    inputs = (train[0] - mean) / deviation
    best = torch.optim.LBFGS(layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        best.zero_grad()
        value = cross_entropy(layer(inputs), train[1], weight)
        value.backward()
        return value

    best.step(loss)
    with torch.no_grad():
        found = layer((test[0] - mean) / deviation).argmax(1)
    floor = torch.full_like(found, int(count.argmax()) if classes > 2 else 1)
    return iou(found, test[1], classes), iou(floor, test[1], classes)


def iou(found: torch.Tensor, label: torch.Tensor, classes: int) -> list[float]:
    """Intersection over union of every class."""
    pairs = torch.bincount(label * classes + found, minlength=classes**2).view(classes, classes)
    hits = pairs.diagonal().float()
    return (hits / (pairs.sum(0) + pairs.sum(1) - hits).clamp(min=1)).tolist()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=12)
    parser.add_argument("--test", type=int, default=6)
    options = parser.parse_args()
    torch.manual_seed(0)
    parts = []
    for scenes in (range(options.train), range(1000, 1000 + options.test)):
        regions = SimulatedRegion(scenes, size=SIZE, chip=SIZE, labels=True)
        parts.append([regions[index] for index in range(len(regions))])
    for task, names in (("cover", CLASSES), ("change", ("same", "changed"))):
        for title, sensors in SENSORS.items():
            train, test = (pixels(part, sensors, task, every=11) for part in parts)
            shares, floor = probe(train, test, len(names))
            if task == "cover":
                detail = ", ".join(f"{n} {100 * s:.0f}" for n, s in zip(names, shares, strict=True))
                total, floor_total = np.mean(shares), np.mean(floor)
            else:
                total, floor_total, detail = shares[1], floor[1], "of buildings, clear-cut, flood"
            print(
                f"{task:7s}{title:9s}{100 * total:5.1f}  floor {100 * floor_total:4.1f}  {detail}"
            )


if __name__ == "__main__":
    main()
