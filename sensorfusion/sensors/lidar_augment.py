"""Random changes of point clouds.

Those that move the sensor's axes change its pose, so that the points stay where they were in the
world, and projections of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensorfusion.errors import UnitError
from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.sample import Array, Frame
from sensorfusion.sensors.lidar import PointCloud, moved_points
from sensorfusion.sensors.transform import Augmentation


@dataclass(frozen=True, kw_only=True)
class _Linear(Augmentation[PointCloud, Array]):
    """A linear map [3, 3] of all points; a subclass draws it."""

    kind = PointCloud
    sensors: tuple[str, ...] = ("lidar",)

    def apply(self, reading: PointCloud, draw: Array) -> PointCloud:
        return reading.mapped(draw)

    def applied(self, frame: Frame, sensor: str, draw: Array) -> Frame:
        return moved_points(frame, sensor, self.apply(self.reading(frame, sensor), draw), draw)


@dataclass(frozen=True, kw_only=True)
class RotateZ(_Linear):
    """Turn the cloud about the vertical.

    Args:
        low, high: range of the angle in degrees.
    """

    low: float = 0.0
    high: float = 360.0

    def draw(self, reading: PointCloud, generator: np.random.Generator) -> Array:
        _require_vertical(self, reading)
        return rotation_about((0, 0, 1), np.deg2rad(generator.uniform(self.low, self.high)))


@dataclass(frozen=True, kw_only=True)
class FlipXY(_Linear):
    """Mirror the cloud along either horizontal axis.

    Args:
        each: probability of each axis, on its own.
    """

    each: float = 0.5

    def draw(self, reading: PointCloud, generator: np.random.Generator) -> Array:
        _require_vertical(self, reading)
        signs_2 = np.where(generator.random(2) < self.each, -1.0, 1.0)
        return np.diag([*signs_2, 1.0])


@dataclass(frozen=True, kw_only=True)
class ScalePoints(_Linear):
    """Stretch the cloud by one factor.

    Args:
        low, high: range of the factor.
    """

    low: float = 0.95
    high: float = 1.05

    def draw(self, reading: PointCloud, generator: np.random.Generator) -> Array:
        return np.eye(3) * generator.uniform(self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class JitterPoints(Augmentation[PointCloud, Array]):
    """Add normal noise to every coordinate.

    Args:
        deviation: of the noise, metres. limit: where it is cut off, metres.
    """

    kind = PointCloud
    sensors: tuple[str, ...] = ("lidar",)
    deviation: float = 0.01
    limit: float = 0.05

    def draw(self, reading: PointCloud, generator: np.random.Generator) -> Array:
        """Noise, float32 [N, 3]."""
        noise_N3 = generator.standard_normal(reading.points.shape, np.float32)
        noise_N3 *= np.float32(self.deviation)
        return noise_N3.clip(-self.limit, self.limit)

    def apply(self, reading: PointCloud, draw: Array) -> PointCloud:
        return reading.replace(points=reading.points + draw)


@dataclass(frozen=True, kw_only=True)
class DropPoints(Augmentation[PointCloud, Array]):
    """Leave out a random share of the points.

    Args:
        largest: the share is drawn from 0 up to this.
    """

    kind = PointCloud
    sensors: tuple[str, ...] = ("lidar",)
    largest: float = 0.2

    def draw(self, reading: PointCloud, generator: np.random.Generator) -> Array:
        """Mask of the points that stay, bool [N]."""
        share = generator.uniform(0.0, self.largest)
        return generator.random(len(reading.points)) >= share

    def apply(self, reading: PointCloud, draw: Array) -> PointCloud:
        return reading.take(draw)


def _require_vertical(transform: object, reading: PointCloud) -> None:
    if reading.axes[2] not in "UD":
        raise UnitError(
            f"{type(transform).__name__} takes points whose third axis is vertical, "
            f"found {reading.axes!r}",
            where=reading.source,
            remedy="bring them to such axes first: ToAxes(axes='FLU')",
        )
