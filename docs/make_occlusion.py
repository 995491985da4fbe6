"""Measure the occlusion test on real frames: the table of `docs/occlusion.md`, and pictures.

    python docs/make_occlusion.py --data ../shared/data --out FOLDER

Pictures show points over pixels coloured by depth, kept (left) and removed (right). The recordings'
licences do not allow to publish them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from sensorfusion.geometry.cameras import Cameras, cameras
from sensorfusion.geometry.occlusion import DepthBuffer, hidden
from sensorfusion.geometry.poses import invert
from sensorfusion.geometry.projection import Pairs, project_pairs

DEFAULT = "8 px, reach 4 (default)"
SETTINGS = {
    "8 px, reach 2": DepthBuffer(reach=2),
    DEFAULT: DepthBuffer(),
    "8 px, reach 8": DepthBuffer(reach=8),
}
SHRUNK, BEHIND, SEEN = 0.8, 1.0, 5  # of a box; metres behind it; points that a box must have


@dataclass(frozen=True)
class Frame:
    """A scan, its cameras and images; boxes [B, 7] (centre, l, w, h, yaw) in the lidar's frame."""

    name: str
    points: np.ndarray
    rig: Cameras
    T_camera_lidar: np.ndarray
    images: dict[str, Path]
    boxes: np.ndarray


def frames(data: Path) -> Iterator[Frame]:
    """The nuScenes frame, the two KITTI object frames and every fifth KITTI raw frame."""
    folder = data / "nuscenes-frame"
    info = json.loads((folder / "info.json").read_text())["data_list"][0]
    seen = info["images"]
    images = {name: folder / Path(image["img_path"]).name for name, image in seen.items()}
    scan = np.fromfile(next(folder.glob("*LIDAR_TOP*.bin")), dtype=np.float32).reshape(-1, 5)
    poses = np.array([image["lidar2cam"] for image in seen.values()])
    rig = cameras([image["cam2img"] for image in seen.values()], (1600, 900))
    boxes = [box["bbox_3d"] for box in info["instances"] if box["num_lidar_pts"] >= SEEN]
    yield Frame("nuScenes", scan, rig, poses, images, np.array(boxes))
    for calib in sorted((data / "kitti-object" / "training" / "calib").glob("*.txt")):
        rows = dict(line.split(":") for line in calib.read_text().splitlines() if ":" in line)
        split, name = calib.parents[1], calib.stem
        rotation, move = _matrix(rows["R0_rect"], 3), _matrix(rows["Tr_velo_to_cam"], 3)
        yield _kitti(
            f"KITTI object {name}",
            split / "velodyne" / f"{name}.bin",
            split / "image_2" / f"{name}.png",
            _square(rotation) @ _square(move),
            _matrix(rows["P2"], 3),
        )
    raw = next(data.glob("kitti-raw*"))
    rows = {}
    for calib in raw.glob("calib_*.txt"):
        rows |= dict(line.split(":", 1) for line in calib.read_text().splitlines() if ":" in line)
    move = np.concatenate([_matrix(rows["R"], 3), _matrix(rows["T"], 3)], axis=1)
    rectified = _square(_matrix(rows["R_rect_00"], 3)) @ _square(move)
    for scan_path in sorted((raw / "velodyne_points" / "data").glob("*.bin"))[::5]:
        image = raw / "image_02" / "data" / f"{scan_path.stem}.png"
        projection = _matrix(rows["P_rect_02"], 3)
        yield _kitti(f"KITTI raw {scan_path.stem}", scan_path, image, rectified, projection)


def _matrix(text: str, rows: int) -> np.ndarray:
    return np.array(text.split(), dtype=np.float64).reshape(rows, -1)


def _square(matrix: np.ndarray) -> np.ndarray:
    square = np.eye(4)
    square[: len(matrix), : matrix.shape[1]] = matrix
    return square


def _kitti(
    name: str, scan: Path, image: Path, T_camera_lidar: np.ndarray, projection: np.ndarray
) -> Frame:
    points = np.fromfile(scan, dtype=np.float32).reshape(-1, 4)
    rig = cameras(projection[None], Image.open(image).size)
    return Frame(name, points, rig, T_camera_lidar[None], {"image_2": image}, np.empty((0, 7)))


def behind_boxes(frame: Frame, pairs: Pairs) -> np.ndarray:
    """Pairs whose ray crosses an annotated box well before it ends: surely hidden. bool [E]."""
    centres = invert(frame.T_camera_lidar)[pairs.camera_E, :3, 3]
    ends = frame.points[pairs.point_E, :3].astype(np.float64)
    found = np.zeros(len(pairs), dtype=bool)
    for *centre, length, width, height, yaw in frame.boxes:
        turn = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        start, way = (centres - centre) @ turn.T, (ends - centres) @ turn.T
        half = SHRUNK * np.array([length, width, height]) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            planes = np.stack([(-half - start) / way, (half - start) / way])
        enters, leaves = planes.min(axis=0).max(axis=1), planes.max(axis=0).min(axis=1)
        beyond = (1 - leaves) * np.linalg.norm(way, axis=1)
        found |= (enters < leaves) & (enters > 0) & (leaves < 1) & (beyond > BEHIND)
    return found


def draw(frame: Frame, pairs: Pairs, removed: np.ndarray, out: Path) -> None:
    """One picture per camera."""
    for k, (name, path) in enumerate(frame.images.items()):
        image = Image.open(path).convert("L")
        figure, axes = plt.subplots(1, 2, figsize=(24, 12 * image.height / image.width + 0.6))
        for axis, mask, what in ((axes[0], ~removed, "kept"), (axes[1], removed, "removed")):
            mine = (pairs.camera_E == k) & mask
            axis.imshow(image, cmap="gray", vmin=-80, vmax=300)
            uv, depth = pairs.uv_E2[mine], pairs.depth_E[mine]
            axis.scatter(uv[:, 0], uv[:, 1], c=np.log(depth), s=3, cmap="turbo", vmin=1, vmax=4.4)
            axis.set_title(f"{frame.name} {name}: {mine.sum()} {what}; blue 3 m, red 80 m")
            axis.set_axis_off()
        figure.tight_layout()
        figure.savefig(out / f"{frame.name} {name}.png".replace(" ", "_"), dpi=60)
        plt.close(figure)


def main() -> None:
    """Print the table and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"| frame, camera | pairs | {' | '.join(SETTINGS)} | behind boxes | of these removed |")
    print("|---" * (len(SETTINGS) + 4) + "|")
    for frame in frames(options.data):
        pairs = project_pairs(frame.points, frame.rig, frame.T_camera_lidar)
        removed = {name: hidden(pairs, frame.rig, cells) for name, cells in SETTINGS.items()}
        behind = behind_boxes(frame, pairs)
        for k, camera in enumerate(frame.images):
            mine = pairs.camera_E == k
            shares = [f"{mask[mine].sum()} ({mask[mine].mean():.1%})" for mask in removed.values()]
            boxed = behind & mine
            found = " / ".join(f"{mask[boxed].mean():.0%}" for mask in removed.values())
            box = f"{boxed.sum()} | {found}" if boxed.any() else "- | -"
            print(f"| {frame.name} {camera} | {mine.sum()} | {' | '.join(shares)} | {box} |")
        draw(frame, pairs, removed[DEFAULT], options.out)


if __name__ == "__main__":
    main()
