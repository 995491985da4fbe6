"""Draw the picture of the simulated world: six cameras in colour, depth and classes, and a sweep.

python docs/make_world_image.py [--scene 7] [--sample 9] [--out docs/images/simulated_world.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sensorfusion.datasets.simulated import SimulatedWorld
from sensorfusion.sample import Sample
from sensorfusion.simulation.classes import CLASSES, IGNORED, PALETTE

ORDER = ("front_left", "front", "front_right", "back_left", "back", "back_right")
FARTHEST = 60.0  # metres, of the colours of depth


def classes_in_colour(label_HW: np.ndarray) -> np.ndarray:
    """The palette's colours; the sky is white."""
    table = np.full((256, 3), 255, np.uint8)
    table[: len(PALETTE)] = PALETTE
    assert IGNORED == 255
    return table[label_HW]


def depth_in_colour(depth_HW: np.ndarray) -> np.ndarray:
    """Near is bright; the sky is white."""
    shades = mpl.colormaps["magma_r"](np.sqrt(depth_HW / FARTHEST))[..., :3]
    return np.where(depth_HW[..., None] > 0, 255 * shades, 255).astype(np.uint8)


def rows(sample: Sample) -> list[np.ndarray]:
    """Four strips: two of colour, one each of depth and of classes at half the size."""
    readings = sample.frames[0].readings
    colour = [readings[f"camera.{name}"].pixels[0] for name in ORDER]
    depth = [depth_in_colour(readings[f"camera.{name}"].depth[0]) for name in ORDER]
    classes = [classes_in_colour(readings[f"camera.{name}"].label[0]) for name in ORDER]
    strips = [np.concatenate(colour[k : k + 3], axis=1) for k in (0, 3)]
    halves = [[image[::2, ::2] for image in images] for images in (depth, classes)]
    return strips + [np.concatenate(images, axis=1) for images in halves]


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scene", type=int, default=7)
    parser.add_argument("--sample", type=int, default=9)
    folder = Path(__file__).parent / "images"
    parser.add_argument("--out", type=Path, default=folder / "simulated_world.png")
    options = parser.parse_args()
    sample = SimulatedWorld((options.scene,), labels=True)[options.sample]
    strips = rows(sample)
    heights = [strip.shape[0] for strip in strips]
    figure = Figure(figsize=(12.48, 11.5), dpi=92, layout="constrained")
    grid = figure.add_gridspec(len(strips) + 1, 1, height_ratios=[*heights, 440])
    for row, strip in enumerate(strips):
        axes = figure.add_subplot(grid[row])
        axes.imshow(strip)
        axes.set_axis_off()
    axes = figure.add_subplot(grid[len(strips)])
    cloud = sample.frames[0].readings["lidar"]
    points, label = cloud.points, cloud.label
    order = np.argsort(points[:, 2])
    shown = np.array(PALETTE)[label[order]] / 255.0
    axes.scatter(points[order, 1], -points[order, 0], c=shown, s=0.7, linewidths=0)
    axes.set_xlim(-45, 60)
    axes.set_ylim(-19, 19)
    axes.set_aspect("equal")
    axes.set_xlabel("ahead (m)")
    axes.set_ylabel("left (m)")
    present = np.unique(label)
    figure.legend(
        handles=[Patch(color=np.array(PALETTE[c]) / 255, label=CLASSES[c]) for c in present],
        ncols=8,
        loc="outside lower center",
        frameon=False,
        fontsize="small",
    )
    figure.savefig(options.out)


if __name__ == "__main__":
    main()
