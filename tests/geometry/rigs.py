"""Random rigs and clouds for tests of projection."""

from __future__ import annotations

import numpy as np

from sensorfusion.geometry.cameras import Cameras, Lens, cameras
from sensorfusion.geometry.poses import pose
from sensorfusion.geometry.rotation import rotation_xyz

FORWARD = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])  # lidar FLU to camera
COEFFICIENTS = {
    Lens.PINHOLE: (),
    Lens.BROWN_CONRADY: (-0.12, 0.03, 0.001, -0.002, 0.004),
    Lens.FISHEYE: (0.05, -0.01, 0.003, -0.0005),
}


def rig_of(lenses, seed: int = 0) -> tuple[Cameras, np.ndarray]:
    """Cameras around a car, each with another focal length, and their poses."""
    rng = np.random.default_rng(seed)
    count = len(lenses)
    intrinsics = np.zeros((count, 3, 4))
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = rng.uniform(300, 1300, (2, count))
    intrinsics[:, :2, 2] = rng.uniform((700, 350), (900, 550), (count, 2))
    intrinsics[:, 2, 2] = 1
    intrinsics[:, :, 3] = rng.normal(0, (20, 1, 0.003), (count, 3))
    poses = np.empty((count, 4, 4))
    for k in range(count):
        turn = rotation_xyz([*rng.normal(0, 2, 2), 360 * k / count + rng.normal()])
        poses[k] = pose(FORWARD @ turn, rng.normal(0, 1, 3))
    distortion = [COEFFICIENTS[lens] for lens in lenses]
    return cameras(intrinsics, (1600, 900), lenses, distortion), poses


def cloud_of(count: int, seed: int = 0) -> np.ndarray:
    """float32 [N, 5]: points on all sides, 1 to 100 m away."""
    rng = np.random.default_rng(seed)
    azimuth, elevation = rng.uniform(-np.pi, np.pi, count), rng.uniform(-0.5, 0.2, count)
    distance = rng.uniform(1, 10, count) ** 2
    xyz = [np.cos(azimuth), np.sin(azimuth), np.tan(elevation)]
    rows = [*(distance * np.stack(xyz)), rng.uniform(0, 255, count), rng.integers(0, 32, count)]
    return np.stack(rows, axis=1).astype(np.float32)
