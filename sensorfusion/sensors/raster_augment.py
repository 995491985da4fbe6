"""Random changes of rasters in space: the same for all sensors and dates of a sample.

A draw is made once and applied to every named sensor in every frame, so that pixels that showed
one place still do; transforms follow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensorfusion.changed import changed
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.geometry.rasters import mirror_map, quarter_turn_map, window_map
from sensorfusion.sample import Sample
from sensorfusion.sensors.raster import Raster
from sensorfusion.sensors.transform import Augmentation, DrawT


@dataclass(frozen=True, kw_only=True)
class Registered(Augmentation[Raster, DrawT]):
    """A random change of all rasters on one grid.

    Raises:
        DataError: when the named sensors lie on different grids.
    """

    kind = Raster

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        present = [
            self.reading(frame, sensor)
            for frame in sample.frames
            for sensor in self.sensors
            if sensor in frame.readings
        ]
        if not present or generator.random() >= self.p:
            return sample
        for other in present[1:]:
            _require_one_grid(type(self).__name__, present[0], other)
        draw = self.draw(present[0], generator)
        frames = []
        for frame in sample.frames:
            for sensor in self.sensors:
                if sensor in frame.readings:
                    frame = self.applied(frame, sensor, draw)
            frames.append(frame)
        return changed(sample, frames=tuple(frames))


@dataclass(frozen=True, kw_only=True)
class CropRaster(Registered[tuple[int, int]]):
    """A random window.

    Args:
        size: (H, W) of the window.

    Raises:
        ConfigError: when the raster is smaller.
    """

    size: tuple[int, int]

    def draw(self, reading: Raster, generator: np.random.Generator) -> tuple[int, int]:
        """First row and column."""
        spare = [have - want for have, want in zip(reading.size, self.size, strict=True)]
        if min(*spare, *(n - 1 for n in self.size)) < 0:
            raise ConfigError(
                f"a window of {self.size} out of a raster of {reading.size}",
                where=reading.source,
                remedy="choose a smaller window, at least a pixel",
            )
        return int(generator.integers(spare[0] + 1)), int(generator.integers(spare[1] + 1))

    def apply(self, reading: Raster, draw: tuple[int, int]) -> Raster:
        (top, left), (height, width) = draw, self.size
        planes = {
            name: getattr(reading, name)[..., top : top + height, left : left + width]
            for name in reading.planes
        }
        return reading.moved(planes, window_map(top, left))


@dataclass(frozen=True, kw_only=True)
class FlipRaster(Registered[None]):
    """Reverse the columns, with probability `p`."""

    p: float = 0.5

    def draw(self, reading: Raster, generator: np.random.Generator) -> None:
        """Nothing is drawn but whether."""

    def apply(self, reading: Raster, draw: None = None) -> Raster:
        planes = {name: getattr(reading, name)[..., ::-1] for name in reading.planes}
        return reading.moved(planes, mirror_map(reading.size[1]))


@dataclass(frozen=True, kw_only=True)
class TurnRaster(Registered[int]):
    """Turn by 0 to 3 quarters, counter-clockwise.

    The sun and the radar then look from elsewhere, which shadows and layover tell: leave it out
    where these matter.
    """

    def draw(self, reading: Raster, generator: np.random.Generator) -> int:
        """Number of quarter turns."""
        return int(generator.integers(4))

    def apply(self, reading: Raster, draw: int) -> Raster:
        for _ in range(draw % 4):
            planes = {
                name: np.rot90(getattr(reading, name), axes=(-2, -1)) for name in reading.planes
            }
            reading = reading.moved(planes, quarter_turn_map(reading.size[1]))
        return reading


def _require_one_grid(name: str, first: Raster, other: Raster) -> None:
    if first.size != other.size or first.axes != other.axes:
        problem = f"{first.size} in {first.axes} and {other.size} in {other.axes}"
    elif not np.array_equal(first.transform, other.transform):
        problem = f"{first.transform.tolist()} and {other.transform.tolist()}"
    else:
        return
    raise DataError(
        f"{name} needs rasters of one grid, found {problem}",
        where=f"{first.source}, {other.source}",
        remedy="resample them to one grid, or list sensors of one grid in its `sensors`",
    )
