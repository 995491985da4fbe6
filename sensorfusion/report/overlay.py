"""Points of a scan over the pixels of images."""

from __future__ import annotations

from typing import cast

import numpy as np

from sensorfusion.geometry.cameras import cameras
from sensorfusion.geometry.projection import project_pairs
from sensorfusion.sample import Array, Frame
from sensorfusion.sensors.camera import SRGB, CameraImage
from sensorfusion.sensors.lidar import PointCloud, direction_of


def projected(frame: Frame, lidar: str, camera: str) -> tuple[Array, Array, Array]:
    """Points in one image: rows [E], pixels [E, 2] and depths [E] in metres."""
    cloud = cast(PointCloud, frame.readings[lidar])
    height, width = cast(CameraImage, frame.readings[camera]).size
    rig = cameras(frame.calibration[camera]["intrinsics"][None], (width, height))
    T_camera_lidar = np.linalg.inv(frame.poses[camera]) @ frame.poses[lidar]
    # The map may mirror or stretch (augmentations do), which no rigid transform does.
    points_N3 = cloud.points.astype(np.float64) @ T_camera_lidar[:3, :3].T + T_camera_lidar[:3, 3]
    pairs = project_pairs(points_N3.astype(np.float32), rig, np.eye(4)[None])
    return pairs.point_E, pairs.uv_E2, pairs.depth_E


def borders(segments_HW: Array) -> Array:
    """Where a segment ends to the right or below, bool [H, W]."""
    edge_HW = np.zeros(segments_HW.shape, dtype=bool)
    edge_HW[:, :-1] |= segments_HW[:, 1:] != segments_HW[:, :-1]
    edge_HW[:-1] |= segments_HW[1:] != segments_HW[:-1]
    return edge_HW


def scan_of(frame: Frame) -> str | None:
    """The first point cloud's name."""
    clouds = (name for name, reading in frame.readings.items() if isinstance(reading, PointCloud))
    return next(clouds, None)


def registered(frame: Frame, lidar: str) -> tuple[str, ...]:
    """Cameras in colour whose place relative to a scan is known."""
    return tuple(
        name
        for name, reading in frame.readings.items()
        if isinstance(reading, CameraImage)
        and reading.unit == SRGB
        and name in frame.poses
        and lidar in frame.poses
        and "intrinsics" in frame.calibration.get(name, {})
    )


def panorama(frame: Frame, lidar: str) -> tuple[str, ...]:
    """The registered cameras from left to right: the row ahead, then the row behind."""
    found = registered(frame, lidar)
    yaw = {name: _yaw(frame, lidar, name) for name in found}  # degrees, 0 ahead, 90 left
    ahead = sorted((n for n in found if abs(yaw[n]) <= 90), key=lambda n: -yaw[n])
    behind = sorted((n for n in found if abs(yaw[n]) > 90), key=lambda n: yaw[n] % 360)
    return (*ahead, *behind)


def _yaw(frame: Frame, lidar: str, camera: str) -> float:
    cloud = cast(PointCloud, frame.readings[lidar])
    optical_3 = (np.linalg.inv(frame.poses[lidar]) @ frame.poses[camera])[:3, 2]
    ahead, left, _ = optical_3 @ direction_of(cloud.axes)
    return float(np.degrees(np.arctan2(left, ahead)))
