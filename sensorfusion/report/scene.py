"""The scene that a page shows: one sample with a LiDAR scan and images, as the encoders see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from sensorfusion.compiled import one_thread
from sensorfusion.datasets.dataset import Cached, Dataset, uncached
from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.records import built
from sensorfusion.evaluation.run_folder import RunFolder
from sensorfusion.report.overlay import borders, panorama, projected
from sensorfusion.report.payload import Payload, jpeg, packed, png
from sensorfusion.sample import Array, Frame
from sensorfusion.sensors.camera import CameraImage
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
    def place(self) -> Array:
        """Of the points, in metres ahead, left and up: [N, 3]."""
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
    with one_thread():
        sample = data[number % len(data)]
    frame = sample.frames[0]
    names = tuple(data.class_names.get(f"{lidar}.label", ()))
    return Scene(sample.id, split, frame, lidar, panorama(frame, lidar), names)


def scene_payload(scene: Scene) -> Payload:
    """Points from above and images, with the points that each camera sees."""
    cloud, place_N3 = scene.cloud, scene.place
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
    point_E, uv_E2, depth_E = projected(scene.frame, scene.lidar, name)
    height, width = image.size
    return {
        "name": name,
        "size": [width, height],
        "image": jpeg(image.pixels[0]),
        "segments": None if image.segments is None else png(_white(borders(image.segments[0]))),
        "point": packed(point_E.astype(np.int32)),
        "uv": packed(np.rint(uv_E2 * SUBPIXELS).astype(np.int16)),
        "depth": packed(np.clip(np.rint(depth_E * 100), 0, 65535).astype(np.uint16)),
    }


def _white(mask_HW: Array) -> Array:
    """Colours and opacity uint8 [H, W, 4]."""
    return np.where(mask_HW[..., None], np.array([255, 255, 255, 190], np.uint8), np.uint8(0))


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
