"""The scene that a page shows: one sample with a LiDAR scan and images, as the encoders see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from sensorfusion.datasets.dataset import Cached, Dataset, uncached
from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.records import built
from sensorfusion.evaluation.run_folder import RunFolder
from sensorfusion.geometry.cameras import cameras
from sensorfusion.geometry.projection import project_pairs
from sensorfusion.report.payload import Payload, jpeg, packed, png
from sensorfusion.sample import Array, Frame
from sensorfusion.sensors.camera import SRGB, CameraImage
from sensorfusion.sensors.lidar import UNLABELLED, PointCloud, direction_of
from sensorfusion.simulation.classes import CLASSES, PALETTE

_CACHED = f"{Cached.__module__}:{Cached.__qualname__}"
SUBPIXELS = 16  # of projected points
GREY = (150, 150, 150)


@dataclass(frozen=True)
class Scene:
    """One frame with a point cloud.

    Args:
        id: of the sample. split: "test" or "training". frame: its readings, poses, calibration.
        lidar: name of the point cloud. cameras: of the images in colour, left to right and
            ahead before behind. names: of the classes, if points are labelled.
    """

    id: str
    split: str
    frame: Frame
    lidar: str
    cameras: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def cloud(self) -> PointCloud:
        """The scan."""
        return cast(PointCloud, self.frame.readings[self.lidar])

    def image(self, camera: str) -> CameraImage:
        """What a camera saw."""
        return cast(CameraImage, self.frame.readings[camera])

    @property
    def ahead_left_up_N3(self) -> Array:
        """The points, metres."""
        return self.cloud.points.astype(np.float64) @ direction_of(self.cloud.axes)


def scene_of(run: RunFolder, number: int = 0) -> Scene | None:
    """A sample of the test data with all sensors of the pretraining; None without point clouds.

    Args:
        number: of the sample in the data set, counted from the end if negative.

    Raises:
        ConfigError: when the run's data cannot be read, or have no such sample.
    """
    node, split = _node(run.config)
    data = cast(Dataset, built(node, "data"))
    lidar = next((n for n, kind in data.sensors.items() if issubclass(kind, PointCloud)), None)
    if lidar is None:
        return None
    if not -len(data) <= number < len(data):
        raise ConfigError(
            f"no sample {number}",
            where=f"the {split} data of {run.path}",
            remedy=f"give a number from 0 to {len(data) - 1}",
        )
    sample = data[number % len(data)]
    frame = sample.frames[0]
    names = tuple(data.class_names.get(f"{lidar}.label", ()))
    return Scene(sample.id, split, frame, lidar, _in_colour(frame, lidar), names)


def scene_payload(scene: Scene) -> Payload:
    """Points from above and images, with the points that each camera sees."""
    cloud, place_N3 = scene.cloud, scene.ahead_left_up_N3
    found: Payload = {
        "id": scene.id,
        "split": scene.split,
        "place": packed(np.clip(np.rint(place_N3 * 100), -32768, 32767).astype(np.int16)),
        "cameras": [_camera(scene, name) for name in scene.cameras],
    }
    if cloud.label is not None and scene.names:
        found["label"] = packed(cloud.label)
        found["names"] = list(scene.names)
        found["palette"] = palette(scene.names)
    return found


def palette(names: Sequence[str]) -> list[tuple[int, int, int]]:
    """Colours of classes: those of nuScenes where the names are, else grey."""
    known = dict(zip(CLASSES, PALETTE, strict=True))
    return [known.get(name, GREY) for name in names]


def classes_present(scene: Scene) -> Array:
    """Classes of the points that have one, the most frequent first."""
    label_N = scene.cloud.label
    if label_N is None:
        return np.zeros(0, dtype=np.int64)
    counts = np.bincount(label_N[label_N != UNLABELLED])
    order = np.argsort(-counts, kind="stable")
    return order[counts[order] > 0]


def _camera(scene: Scene, name: str) -> Payload:
    image = scene.image(name)
    point_E, uv_E2, depth_E = projected(scene, name)
    height, width = image.size
    return {
        "name": name,
        "size": [width, height],
        "image": jpeg(image.pixels[0]),
        "segments": None if image.segments is None else png(borders(image.segments[0])),
        "point": packed(point_E.astype(np.int32)),
        "uv": packed(np.rint(uv_E2 * SUBPIXELS).astype(np.int16)),
        "depth": packed(np.clip(np.rint(depth_E * 100), 0, 65535).astype(np.uint16)),
    }


def projected(scene: Scene, camera: str) -> tuple[Array, Array, Array]:
    """Points in one image: rows [E], pixels [E, 2] and depths [E] in metres."""
    poses, image = scene.frame.poses, scene.image(camera)
    height, width = image.size
    rig = cameras(scene.frame.calibration[camera]["intrinsics"][None], (width, height))
    T_camera_lidar = np.linalg.inv(poses[camera]) @ poses[scene.lidar]
    pairs = project_pairs(scene.cloud.points, rig, T_camera_lidar[None])
    return pairs.point_E, pairs.uv_E2, pairs.depth_E


def borders(segments_HW: Array) -> Array:
    """White where a segment ends to the right or below, uint8 [H, W, 4]; elsewhere nothing."""
    edge_HW = np.zeros(segments_HW.shape, dtype=bool)
    edge_HW[:, :-1] |= segments_HW[:, 1:] != segments_HW[:, :-1]
    edge_HW[:-1] |= segments_HW[1:] != segments_HW[:-1]
    return np.where(edge_HW[..., None], np.uint8([255, 255, 255, 190]), np.uint8(0))


def _in_colour(frame: Frame, lidar: str) -> tuple[str, ...]:
    """Calibrated cameras in the order of a panorama: the row ahead, then the row behind."""
    found = [
        name
        for name, reading in frame.readings.items()
        if isinstance(reading, CameraImage)
        and reading.unit == SRGB
        and name in frame.poses
        and lidar in frame.poses
        and "intrinsics" in frame.calibration.get(name, {})
    ]
    yaw = {name: _yaw(frame, lidar, name) for name in found}  # degrees, 0 ahead, 90 left
    ahead = sorted((n for n in found if abs(yaw[n]) <= 90), key=lambda n: -yaw[n])
    behind = sorted((n for n in found if abs(yaw[n]) > 90), key=lambda n: yaw[n] % 360)
    return (*ahead, *behind)


def _yaw(frame: Frame, lidar: str, camera: str) -> float:
    cloud = cast(PointCloud, frame.readings[lidar])
    optical_3 = (np.linalg.inv(frame.poses[lidar]) @ frame.poses[camera])[:3, 2]
    ahead, left, _ = optical_3 @ direction_of(cloud.axes)
    return float(np.degrees(np.arctan2(left, ahead)))


def _node(config: Mapping[str, Any]) -> tuple[Any, str]:
    """The recorded data set to show, and of which split it is.

    Test data for segmentation hold labelled points alone. Where they are of the type of the
    pretraining's data, they are read with the settings of those, cameras included.
    """
    train = config["data"]["train"]
    test = (config.get("evaluation") or {}).get("test") or config["data"].get("test")
    if not test:
        return uncached(train), "training"
    inner_train, inner_test = _inner(train), _inner(test)
    if inner_train["type"] != inner_test["type"]:
        return uncached(test), "test"
    seen = {key: inner_train[key] for key in ("sensors",) if key in inner_train}
    both = {**inner_train, **inner_test, **seen}
    return uncached({**train, "dataset": both} if train["type"] == _CACHED else both), "test"


def _inner(node: Any) -> Any:
    return node["dataset"] if node["type"] == _CACHED else node
