"""The occlusion test in the simulated world: the picture and the second table of occlusion.md.

    python docs/make_occlusion_image.py [--out docs/images/occlusion.png]

The truth is in the rendered depth: a pair is hidden when its point lies more than a metre behind
everything that the 3 x 3 pixels around it show.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sensorfusion.datasets.simulated import SimulatedWorld
from sensorfusion.geometry.cameras import cameras
from sensorfusion.geometry.occlusion import DepthBuffer, hidden
from sensorfusion.geometry.poses import compose, invert
from sensorfusion.geometry.projection import Pairs, project_pairs
from sensorfusion.sample import Frame
from sensorfusion.simulation.scan import LIDAR_32, LIDAR_64

PATTERNS = {"32 beams": LIDAR_32, "64 beams": LIDAR_64}
SETTINGS = {reach: DepthBuffer(reach=reach) for reach in (2, 4, 8)}
CAMERAS = ("camera.front", "camera.front_left")
MOMENTS = ((1, 5), (3, 20), (7, 9))  # scene and sample
DRAWN = ((7, 9), "64 beams", 0)  # the moment, the LiDAR and the camera of the picture
SIZE = (900, 1600)
BEHIND = 1.0  # metres


def paired(images: Frame, cloud: Frame) -> tuple[Pairs, np.ndarray, dict[int, np.ndarray]]:
    """Pairs of point and pixel, which are hidden in truth, and which every setting removes."""
    matrices = [images.calibration[name]["intrinsics"] for name in CAMERAS]
    rig = cameras(np.array(matrices), SIZE[::-1])
    T_world_camera = np.stack([images.poses[name] for name in CAMERAS])
    T_camera_lidar = compose(invert(T_world_camera), cloud.poses["lidar"])
    pairs = project_pairs(cloud.readings["lidar"].points, rig, T_camera_lidar)
    depth_KHW = np.concatenate([images.readings[name].depth for name in CAMERAS])
    depth_KHW = np.pad(depth_KHW, ((0, 0), (1, 1), (1, 1)), mode="edge")
    depth_KHW[depth_KHW == 0] = np.inf  # the sky
    u, v = pairs.pixels().T
    around = [depth_KHW[pairs.camera_E, v + y, u + x] for y in range(3) for x in range(3)]
    truth = pairs.depth_E > np.max(around, axis=0) + BEHIND
    return pairs, truth, {reach: hidden(pairs, rig, test) for reach, test in SETTINGS.items()}


def draw(pixels_HW3: np.ndarray, pairs: Pairs, removed: np.ndarray, out: Path) -> None:
    """Points over pixels coloured by depth: kept above, removed below."""
    figure = Figure(figsize=(11, 13.2), layout="constrained")
    grey = np.asarray(Image.fromarray(pixels_HW3).convert("L").resize((800, 450)))
    for axis, mask, what in zip(
        figure.subplots(2, 1), (~removed, removed), ("kept", "removed"), strict=True
    ):
        axis.imshow(grey, cmap="gray", vmin=-60, vmax=300, extent=(-0.5, 1599.5, 899.5, -0.5))
        uv, depth = pairs.uv_E2[mask], pairs.depth_E[mask]
        points = axis.scatter(
            *uv.T, c=depth, s=3 if what == "kept" else 8, cmap="turbo", norm="log", vmin=3, vmax=80
        )
        axis.set_title(f"{mask.sum()} pairs {what}")
        axis.set_axis_off()
    bar = figure.colorbar(points, ax=figure.axes, location="bottom", shrink=0.5, aspect=40)
    bar.set_label("depth (m)")
    bar.minorticks_off()
    bar.set_ticks([3, 5, 10, 20, 40, 80], labels=["3", "5", "10", "20", "40", "80"])
    data = io.BytesIO()
    figure.savefig(data, dpi=85)
    Image.open(data).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(out, optimize=True)


def main() -> None:
    """Print the table and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path(__file__).parent / "images"
    parser.add_argument("--out", type=Path, default=folder / "occlusion.png")
    options = parser.parse_args()
    counts = {(name, reach): np.zeros(4) for name in PATTERNS for reach in SETTINGS}
    for moment in MOMENTS:
        scene, sample = moment
        seen = SimulatedWorld((scene,), sensors=CAMERAS, image_size=SIZE, labels=True)
        images = seen[sample].frames[0]
        for name, pattern in PATTERNS.items():
            scanned = SimulatedWorld((scene,), sensors=("lidar",), pattern=pattern)
            pairs, truth, removed = paired(images, scanned[sample].frames[0])
            for reach, mask in removed.items():
                counts[name, reach] += [len(truth), truth.sum(), mask.sum(), (mask & truth).sum()]
            if (moment, name) == DRAWN[:2]:
                own = pairs.camera_E == DRAWN[2]
                pixels = images.readings[CAMERAS[DRAWN[2]]].pixels[0]
                draw(pixels, pairs.select(own), removed[DepthBuffer().reach][own], options.out)
    print("| LiDAR | reach | pairs | hidden in truth | removed | precision | recall |")
    print("|---" * 7 + "|")
    for (name, reach), (pairs_, true, found, both) in counts.items():
        print(
            f"| {name} | {reach} | {pairs_:.0f} | {true:.0f} ({true / pairs_:.1%}) | {found:.0f} "
            f"| {both / found:.0%} | {both / true:.0%} |"
        )


if __name__ == "__main__":
    main()
