"""LiDAR: clouds of points with intensity.

Shape letters: N points, 3 coordinates. Axes are named by three letters that say where each
coordinate grows: F(orward) or B(ack), L(eft) or R(ight), U(p) or D(own): "FLU" of KITTI and most
robots, "RFU" of the nuScenes LiDAR.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sensorfusion.errors import ClockError, DataError, UnitError
from sensorfusion.sample import Array, Frame, Reading, require_array
from sensorfusion.sensors.transform import Preparation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNIT = "m, intensity 0-1"
UNLABELLED = 255  # the class of a point or pixel that has none
_OPTIONAL: dict[str, npt.DTypeLike] = {
    "time": np.float32,
    "ring": np.int16,
    "label": np.uint8,
    "instance": np.int32,
    "flow": np.float32,
}
_DIRECTIONS = {"F": (1, 0, 0), "L": (0, 1, 0), "U": (0, 0, 1)}
_OPPOSITES = {"B": "F", "R": "L", "D": "U"}


@dataclass(frozen=True, kw_only=True)
class PointCloud(Reading):
    """The points of one scan, in the sensor's own axes; its clock has the one time of the scan.

    Args:
        points: float32 [N, 3], metres, along `axes`.
        intensity: float32 [N], 0 to 1: the source's value divided by `intensity_scale`.
        time: float32 [N], seconds of each point relative to the clock's time, where known.
        ring: int16 [N], the beam that measured each point, from 0, where known.
        label: uint8 [N], class of each point, `UNLABELLED` where it has none.
        instance: int32 [N], the object that each point belongs to, 0 where it is none.
        flow: float32 [N, 3], scene flow along `axes`: velocity (m/s) of the surface under each
            point in the world.
        intensity_scale: what the source calls an intensity of 1, e.g. 255 in nuScenes.

    Raises:
        DataError: on a wrong shape or dtype, a non-finite value, an intensity outside 0 to 1 (in
            the unit `UNIT`), or axes that are not three letters for three directions.
        ClockError: when the clock has more or less than one time.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ("points", "intensity")
    OPTIONAL: ClassVar[tuple[str, ...]] = ("time", "ring", "label", "instance", "flow")
    RAGGED: ClassVar[bool] = True
    IN_TIME: ClassVar[bool] = False

    points: Array
    intensity: Array
    time: Array | None = None
    ring: Array | None = None
    label: Array | None = None
    instance: Array | None = None
    flow: Array | None = None
    intensity_scale: float = 1.0

    def validate(self) -> None:
        require_array(self, "points", (None, 3), np.float32)
        rows = len(self.points)
        require_array(self, "intensity", (rows,), np.float32)
        for name in self.held[len(self.ARRAYS) :]:
            shape = (rows, 3) if name == "flow" else (rows,)
            require_array(self, name, shape, _OPTIONAL[name])
        direction_of(self.axes, self.source)
        where = f"PointCloud of {self.source or 'an unnamed source'}"
        if len(self.clock) != 1:
            raise ClockError(
                f"{len(self.clock)} times for one scan",
                where=where,
                remedy="give the clock the time of the scan, and `time` those of its points",
            )
        if not 0 < self.intensity_scale < np.inf:
            raise DataError(f"an intensity scale of {self.intensity_scale}", where=where)
        if (
            self.unit == UNIT
            and rows
            and not 0 <= self.intensity.min() <= self.intensity.max() <= 1
        ):
            raise DataError(
                f"intensities from {self.intensity.min():g} to {self.intensity.max():g}",
                where=where,
                remedy="divide by the largest value of the source, and say it in `intensity_scale`",
            )

    def take(self, rows: Array) -> PointCloud:
        """A copy with some of the points, by number or mask."""
        return self.replace(**{name: getattr(self, name)[rows] for name in self.held})

    def mapped(self, map_33: Array, axes: str | None = None) -> PointCloud:
        """A copy with all vectors mapped linearly. `axes`: those of the result, if others."""
        turned = {
            name: vectors_N3 @ map_33.T.astype(np.float32)
            for name in ("points", "flow")
            if (vectors_N3 := getattr(self, name)) is not None
        }
        return self.replace(axes=axes or self.axes, **turned)

    def draw(self, axes: Axes) -> None:
        """Seen from above: ahead to the right, left upwards, cut where few points lie."""
        ahead_left_up = self.points.astype(np.float64) @ direction_of(self.axes, self.source)
        order = np.argsort(ahead_left_up[:, 2], kind="stable")
        ahead, left = ahead_left_up[order, 0], ahead_left_up[order, 1]
        brightest, side = (
            float(np.percentile(values, 98)) if len(values) else 1.0
            for values in (self.intensity, np.abs(left))
        )
        style: dict[str, Any] = {"s": 1.0, "linewidths": 0, "cmap": "viridis"}
        shown = axes.scatter(ahead, left, c=self.intensity[order], vmin=0, vmax=brightest, **style)
        axes.plot(0, 0, "+", color="tab:red", markersize=10)
        axes.set(xlim=(-3 * side, 3 * side), ylim=(-side, side), aspect="equal")
        axes.set_xlabel("ahead (m)")
        axes.set_ylabel("left (m)")
        axes.figure.colorbar(shown, ax=axes, label=self.unit.removeprefix("m, "), extend="max")


def direction_of(axes: str, source: str = "") -> npt.NDArray[np.float64]:
    """Matrix [3, 3] whose rows are the directions of named axes in forward, left, up.

    Raises:
        DataError: when the letters do not name three directions.
    """
    names = [_OPPOSITES.get(letter, letter) for letter in axes]
    if sorted(names) != sorted(_DIRECTIONS):
        raise DataError(
            f"axes {axes!r}",
            where=f"PointCloud of {source or 'an unnamed source'}",
            remedy="name where x, y and z grow: one of F/B, one of L/R, one of U/D, e.g. 'FLU'",
        )
    signs = [-1.0 if letter in _OPPOSITES else 1.0 for letter in axes]
    return np.array(
        [np.multiply(sign, _DIRECTIONS[name]) for sign, name in zip(signs, names, strict=True)]
    )


def moved_points(frame: Frame, sensor: str, reading: PointCloud, map_33: Array) -> Frame:
    """The frame with points that a linear map moved; the sensor's pose undoes the map.

    So `T_world_sensor` still takes the points to where they were measured.

    Args:
        reading: the moved points. map_33: what moved them, invertible.
    """
    poses = dict(frame.poses)
    if sensor in poses:
        back_44 = np.eye(4)
        back_44[:3, :3] = np.linalg.inv(map_33)
        poses[sensor] = poses[sensor] @ back_44
    readings = {**frame.readings, sensor: reading}
    return dataclasses.replace(frame, readings=readings, poses=poses)


@dataclass(frozen=True, kw_only=True)
class ToAxes(Preparation[PointCloud]):
    """Points in other axes, e.g. those of another data set; the sensor's pose follows.

    Args:
        axes: the axes of the result, as `PointCloud` names them.
    """

    kind = PointCloud
    sensors: tuple[str, ...] = ("lidar",)
    axes: str = "FLU"

    def prepare(self, reading: PointCloud) -> PointCloud:
        return reading.mapped(self._map(reading), self.axes)

    def change(self, frame: Frame, sensor: str, generator: np.random.Generator) -> Frame:
        reading = self.reading(frame, sensor)
        return moved_points(frame, sensor, self.prepare(reading), self._map(reading))

    def _map(self, reading: PointCloud) -> npt.NDArray[np.float64]:
        return direction_of(self.axes) @ direction_of(reading.axes, reading.source).T


@dataclass(frozen=True, kw_only=True)
class SourceIntensity(Preparation[PointCloud]):
    """Intensity as the source has it, e.g. 0-255 of nuScenes: what SLidR feeds its network."""

    kind = PointCloud
    sensors: tuple[str, ...] = ("lidar",)

    def prepare(self, reading: PointCloud) -> PointCloud:
        if reading.unit != UNIT:
            raise UnitError(
                f"SourceIntensity takes {UNIT!r}, found {reading.unit!r}",
                where=reading.source,
                remedy="apply one normaliser of intensity",
            )
        scale = np.float32(reading.intensity_scale)
        return reading.replace(
            intensity=reading.intensity * scale, unit=f"m, intensity 0-{scale:g}"
        )
