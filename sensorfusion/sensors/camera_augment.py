"""Random changes of camera images and clips; every frame of a clip is changed alike.

For random parts of a clip in time use `CropResample(sensors=("camera",), method="nearest")`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensorfusion.sample import Array, Frame
from sensorfusion.sensors.camera import Box, CameraImage, crop_map, moved_pixels
from sensorfusion.sensors.transform import Augmentation


@dataclass(frozen=True, kw_only=True)
class CropImage(Augmentation[CameraImage, Box]):
    """A random box of the image, resized to the image's size; intrinsics follow.

    Args:
        smallest: the least share of height and width that is kept.
        stretch: height and width draw their shares separately.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    smallest: float = 0.8
    stretch: bool = False

    def draw(self, reading: CameraImage, generator: np.random.Generator) -> Box:
        share_2 = generator.uniform(self.smallest, 1.0, 2)
        if not self.stretch:
            share_2[1] = share_2[0]
        height, width = (max(1, round(n * s)) for n, s in zip(reading.size, share_2, strict=True))
        top = int(generator.integers(reading.size[0] - height + 1))
        left = int(generator.integers(reading.size[1] - width + 1))
        return Box(top, left, top + height, left + width)

    def apply(self, reading: CameraImage, draw: Box) -> CameraImage:
        return reading.cropped(draw, *reading.size)

    def applied(self, frame: Frame, sensor: str, draw: Box) -> Frame:
        reading = self.reading(frame, sensor)
        map_33 = crop_map(draw, *reading.size)
        return moved_pixels(frame, sensor, self.apply(reading, draw), map_33)


@dataclass(frozen=True, kw_only=True)
class FlipImage(Augmentation[CameraImage, None]):
    """Mirror left and right; intrinsics follow. Off unless `p` is given.

    Actions that differ by side become each other, so other sensors no longer agree.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    p: float = 0.0

    def draw(self, reading: CameraImage, generator: np.random.Generator) -> None:
        """Nothing is drawn but whether."""

    def apply(self, reading: CameraImage, draw: None = None) -> CameraImage:
        return reading.mirrored()

    def applied(self, frame: Frame, sensor: str, draw: None = None) -> Frame:
        reading = self.reading(frame, sensor)
        map_33 = np.array([[-1.0, 0.0, reading.size[1] - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        return moved_pixels(frame, sensor, self.apply(reading), map_33)


@dataclass(frozen=True, kw_only=True)
class ScaleDepth(Augmentation[CameraImage, float]):
    """Multiply all values by one factor: depth as if everything stood nearer or farther.

    Args:
        low, high: range of the factor.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    low: float = 0.9
    high: float = 1.1

    def draw(self, reading: CameraImage, generator: np.random.Generator) -> float:
        return float(generator.uniform(self.low, self.high))

    def apply(self, reading: CameraImage, draw: float) -> CameraImage:
        return _with_values(reading, reading.pixels * np.float32(draw))


@dataclass(frozen=True, kw_only=True)
class NoiseImage(Augmentation[CameraImage, Array]):
    """Add normal noise to every pixel that is not 0 (0 is "no return" in depth).

    Args:
        sigma: deviation, in the reading's unit.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    sigma: float

    def draw(self, reading: CameraImage, generator: np.random.Generator) -> Array:
        """Noise, float32 [T, H, W, C]."""
        return generator.standard_normal(reading.pixels.shape, np.float32) * np.float32(self.sigma)

    def apply(self, reading: CameraImage, draw: Array) -> CameraImage:
        return _with_values(reading, np.where(reading.pixels == 0, 0.0, reading.pixels + draw))


@dataclass(frozen=True, kw_only=True)
class Cutout(Augmentation[CameraImage, Box]):
    """Set one box to 0 in every frame.

    Args:
        share: height and width of the box, as a share of the image.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    share: float = 0.3

    def draw(self, reading: CameraImage, generator: np.random.Generator) -> Box:
        height, width = (max(1, round(n * self.share)) for n in reading.size)
        top = int(generator.integers(reading.size[0] - height + 1))
        left = int(generator.integers(reading.size[1] - width + 1))
        return Box(top, left, top + height, left + width)

    def apply(self, reading: CameraImage, draw: Box) -> CameraImage:
        pixels = reading.pixels.copy()
        pixels[:, draw.top : draw.bottom, draw.left : draw.right] = 0
        return reading.replace(pixels=pixels)


def _with_values(reading: CameraImage, values: Array) -> CameraImage:
    """New values in the dtype of the reading, rounded and limited to what integers can hold."""
    dtype = reading.pixels.dtype
    if dtype.kind == "u":
        values = np.rint(values).clip(0, np.iinfo(dtype).max)
    return reading.replace(pixels=values.astype(dtype))
