"""Scenes as SemanticKITTI stores them.

    sequences/NN/velodyne/NNNNNN.bin   float32 [N, 4]: x ahead, y left, z up (m), reflectance 0-1
    sequences/NN/labels/NNNNNN.label   uint32 [N]: the semantic id below, the instance above bit 16
    sequences/NN/image_2/NNNNNN.png    the left colour camera
    sequences/NN/calib.txt             P0 to P3 and Tr, from the LiDAR to camera 0
    sequences/NN/poses.txt             camera 0 of each scan in camera 0 of the first
    sequences/NN/times.txt             seconds since the first

Scans are 0.1 s apart, with 64 beams. As in the real data, clouds show one moment, the one at which
the camera opens, unless they are asked for as the moving sensor measures them.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensorfusion.exports.options import START, ExportOptions, require_frames, within
from sensorfusion.exports.parts import make_parts, scene_of, write
from sensorfusion.exports.semantickitti_labels import point_labels
from sensorfusion.geometry.cameras import resizing
from sensorfusion.geometry.poses import Pose, invert, pose
from sensorfusion.simulation.rendering import Picture, render
from sensorfusion.simulation.rig import LOOKING_AHEAD
from sensorfusion.simulation.scan import LIDAR_64, scan
from sensorfusion.simulation.scene import Scene

EVERY = LIDAR_64.sweep  # seconds between scans
FULL_SIZE = (376, 1241)  # (H, W)
FOCAL, CENTRE = 719.0, (607.0, 185.0)  # pixels of the full size
BASELINES = (0.0, 0.54, -0.06, 0.47)  # metres of cameras 0 to 3 to the right of camera 0
COLOUR = 2  # the camera whose images are written
CAMERA_0 = pose(LOOKING_AHEAD, (1.07, 0.0, 1.65))  # T_ego_camera
T_CAMERA_LIDAR = invert(CAMERA_0) @ LIDAR_64.pose


def write_semantickitti(options: ExportOptions, folder: Path) -> None:
    """Write scenes into a folder; what an earlier job finished there is kept.

    Raises:
        ConfigError: for settings that cannot be. OSError: when a file cannot be written.
    """
    require_frames(options.frames, EVERY)
    within("the greatest number of a scene", max(options.scenes), 0, 99)
    parts = [(number, step) for number in options.scenes for step in range(options.frames)]
    make_parts(make_scan, options, folder, parts)
    size = options.image_size or FULL_SIZE
    seconds = [START + step * EVERY for step in range(options.frames)]
    for number in options.scenes:
        sequence = _sequence(folder, number)
        cameras = {f"P{k}": projection(k, size) for k in range(len(BASELINES))}
        lines = [f"{name}: {_numbers(m)}" for name, m in {**cameras, "Tr": T_CAMERA_LIDAR}.items()]
        write(sequence / "calib.txt", _text(lines))
        poses = camera_poses(scene_of(options.seed, number), seconds)
        write(sequence / "poses.txt", _text([_numbers(transform) for transform in poses]))
        write(sequence / "times.txt", _text([f"{t - START:.6e}" for t in seconds]))


def make_scan(options: ExportOptions, folder: Path, number: int, step: int) -> dict[str, Any]:
    """Write a scan, its labels and its image."""
    scene, seconds = scene_of(options.seed, number), START + step * EVERY
    # A turn starts behind: the LiDAR looks ahead, as the camera opens, in its middle.
    end = seconds + EVERY / 2 if options.distorted else seconds
    measured = scan(scene, scene.at(end), end, LIDAR_64, distorted=options.distorted)
    cloud = np.column_stack([measured.points_N3, measured.intensity_N]).astype("<f4")
    labels = point_labels(scene, measured)
    sequence, name = _sequence(folder, number), f"{step:06d}"
    write(sequence / "velodyne" / f"{name}.bin", cloud.tobytes())
    write(sequence / "labels" / f"{name}.label", labels.astype("<u4").tobytes())
    size = options.image_size or FULL_SIZE
    write(sequence / f"image_{COLOUR}" / f"{name}.png", _encoded(photograph(scene, seconds, size)))
    return {}


def projection(camera: int, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """P of a camera: from camera 0's frame to pixels of images of (H, W). [3, 4]."""
    full = np.array([[FOCAL, 0.0, CENTRE[0]], [0.0, FOCAL, CENTRE[1]], [0.0, 0.0, 1.0]])
    intrinsics = resizing(FULL_SIZE[::-1], size[::-1]) @ full
    offset = np.array([[-BASELINES[camera]], [0.0], [0.0]])
    return np.asarray(intrinsics @ np.hstack([np.eye(3), offset]))


def camera_poses(scene: Scene, seconds: list[float]) -> list[Pose]:
    """Camera 0 at each time, in camera 0 at the first: float64 [4, 4]."""
    poses = [scene.ego_pose(t) @ CAMERA_0 for t in seconds]
    return [invert(poses[0]) @ transform for transform in poses]


def photograph(scene: Scene, seconds: float, size: tuple[int, int]) -> Picture:
    """What the left colour camera sees."""
    intrinsics = projection(COLOUR, size)[:, :3]
    place = pose(np.eye(3), (BASELINES[COLOUR], 0.0, 0.0))
    T_block_camera = scene.ego_pose(seconds) @ CAMERA_0 @ place
    moment = (scene.seed * 1009 + scene.number) * 100_003 + round(seconds * 1000)
    return render(
        scene.at(seconds),
        T_block_camera[None],
        intrinsics[None],
        np.zeros(1),
        size,
        seeds_K=[8 * moment + 6],  # numbers 0 to 5 are those of the rig's cameras
    )


def _sequence(folder: Path, number: int) -> Path:
    return folder / "sequences" / f"{number:02d}"


def _numbers(transform: npt.NDArray[np.float64]) -> str:
    """The first three rows, in one line."""
    return " ".join(f"{value:.12e}" for value in transform[:3].reshape(-1))


def _text(lines: list[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def _encoded(picture: Picture) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture.colour_KHW3[0]).save(file, "PNG")
    return file.getvalue()
