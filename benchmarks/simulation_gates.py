"""How hard the simulated world is: what a linear probe sees in a point alone, or in a pixel alone.

The gates of the world's version: a multinomial logistic regression on a point's own x, y, z,
range and intensity stays below 30 mIoU over the sixteen classes, and so does one on the colour
of the point's pixel: neither place nor colour gives the class away. Trained on some scenes,
tested on others.

    python benchmarks/simulation_gates.py [--scenes 12] [--moments 4] [--seed 0]
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from sensorfusion.datasets.simulated import CAMERAS, SimulatedWorld
from sensorfusion.evaluation.segmentation import Segmented
from sensorfusion.sample import Sample
from sensorfusion.simulation import WORLD_VERSION
from sensorfusion.simulation.classes import CLASSES

GATE = 30.0


def rows_of(sample: Sample) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Features and labels of a sample's points, and of those that a camera sees."""
    (frame,) = sample.frames
    cloud = frame.readings["lidar"]
    distance = np.linalg.norm(cloud.points, axis=1)
    own = np.column_stack([cloud.points, distance, cloud.intensity])
    label = cloud.label.astype(np.int64)
    colours, seen = [], []
    for name in CAMERAS:
        T_camera_lidar = np.linalg.inv(frame.poses[name]) @ frame.poses["lidar"]
        points = cloud.points @ T_camera_lidar[:3, :3].T + T_camera_lidar[:3, 3]
        pixel = points @ frame.calibration[name]["intrinsics"].T
        u, v = np.rint(pixel[:, :2].T / np.maximum(pixel[:, 2], 1e-6)).astype(int)
        image = frame.readings[name].pixels[0]
        depth = frame.readings[name].depth[0]
        inside = (points[:, 2] > 1) & (u >= 0) & (v >= 0) & (u < image.shape[1]) & (v < len(image))
        rows = np.nonzero(inside)[0]
        visible = depth[v[rows], u[rows]] > 0.9 * points[rows, 2]
        rows = rows[visible]
        colours.append(image[v[rows], u[rows]] / 255.0)
        seen.append(label[rows])
    return {
        "x, y, z, range, intensity": (own, label),
        "the pixel's RGB": (np.concatenate(colours), np.concatenate(seen)),
    }


def gather(
    scenes: tuple[int, ...], seed: int, moments: int
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Rows of all samples of some scenes."""
    world = SimulatedWorld(
        scenes,
        seed=seed,
        every=18.0 / max(moments - 1, 1),
        labels=True,
        sensors=("lidar", *CAMERAS),
    )
    parts = [rows_of(world[index]) for index in range(len(world))]
    return {
        name: (
            torch.from_numpy(np.concatenate([part[name][0] for part in parts])).float(),
            torch.from_numpy(np.concatenate([part[name][1] for part in parts])),
        )
        for name in parts[0]
    }


def probe(
    train: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    balanced: bool,
) -> torch.Tensor:
    """IoU of each class, [16], of a logistic regression; NaN for a class that tests lack."""
    (x, y), (x_test, y_test) = train, test
    mean, deviation = x.mean(0), x.std(0)
    x, x_test = (x - mean) / deviation, (x_test - mean) / deviation
    weight = torch.ones(16)
    if balanced:
        count = torch.bincount(y, minlength=16).clamp(min=1)
        weight = (len(y) / 16 / count).sqrt()
    layer = torch.nn.Linear(x.shape[1], 16)
    torch.nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = cross_entropy(layer(x), y, weight=weight) + 1e-6 * layer.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        predicted = layer(x_test).argmax(1)
    counts = torch.bincount(16 * y_test + predicted, minlength=256).reshape(16, 16)
    return Segmented(counts, CLASSES).iou


def main() -> None:
    """Measure both gates and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=12, help="half to train on, half to test on")
    parser.add_argument("--moments", type=int, default=4, help="samples of each scene")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    half = options.scenes // 2
    train = gather(tuple(range(half)), options.seed, options.moments)
    test = gather(tuple(range(half, 2 * half)), options.seed, options.moments)
    share = torch.bincount(test["x, y, z, range, intensity"][1], minlength=16).double()
    print(f"world version {WORLD_VERSION}, seed {options.seed}, {half} + {half} scenes")
    for name, rows in train.items():
        for balanced in (False, True):
            iou = probe(rows, test[name], balanced)
            kind = "weighted by class" if balanced else "plain"
            mean = float(torch.nanmean(iou))
            verdict = "passed" if mean < GATE else "FAILED"
            print(f"{name}, {kind}: {mean:.1f} mIoU ({verdict}: below {GATE:.0f})")
            print("   " + ", ".join(f"{c} {v:.0f}" for c, v in zip(CLASSES, iou, strict=True)))
    print(
        "share of points, %: "
        + ", ".join(f"{c} {v:.2f}" for c, v in zip(CLASSES, 100 * share / share.sum(), strict=True))
    )


if __name__ == "__main__":
    main()
