"""Random changes of IMU windows.

For changes of time use also `CropResample` and `WarpTime`. T time steps, 6 channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.sample import Array
from sensorfusion.sensors.imu import ImuWindow
from sensorfusion.sensors.transform import Augmentation, Transform


@dataclass(frozen=True, kw_only=True)
class JitterImu(Augmentation[ImuWindow, Array]):
    """Add normal noise to every value.

    Args:
        sigma: deviation of the noise on acceleration and on angular rate, in the reading's units.
    """

    kind = ImuWindow
    sensors: tuple[str, ...] = ("imu",)
    sigma: tuple[float, float]

    def draw(self, reading: ImuWindow, generator: np.random.Generator) -> Array:
        """Noise [T, 6]."""
        noise_T6 = generator.standard_normal(reading.channels.shape)
        return np.asarray(noise_T6 * np.repeat(self.sigma, 3))

    def apply(self, reading: ImuWindow, draw: Array) -> ImuWindow:
        return reading.with_channels(reading.channels + draw)


@dataclass(frozen=True, kw_only=True)
class ScaleImu(Augmentation[ImuWindow, Array]):
    """Multiply by normal factors of mean 1.

    Args:
        sigma: deviation of the factors.
        elementwise: a factor for every value, as CMC-CMKM's release, not for every channel.
    """

    kind = ImuWindow
    sensors: tuple[str, ...] = ("imu",)
    sigma: float = 0.1
    elementwise: bool = False

    def draw(self, reading: ImuWindow, generator: np.random.Generator) -> Array:
        """Factors [1, 6], or [T, 6] element-wise."""
        rows = len(reading.acceleration) if self.elementwise else 1
        return generator.normal(1.0, self.sigma, (rows, 6))

    def apply(self, reading: ImuWindow, draw: Array) -> ImuWindow:
        return reading.with_channels(reading.channels * draw)


@dataclass(frozen=True, kw_only=True)
class PermuteSegments(Augmentation[ImuWindow, Array]):
    """Cut the window into segments of equal length in time and put them in random order.

    Args:
        segments: the largest number of segments; from 2 to this many are drawn.
        released_axes: cut and reorder the six channels instead of time, as the released code of
            CMC-CMKM does (its windows are channel-first when they are augmented).
    """

    kind = ImuWindow
    sensors: tuple[str, ...] = ("imu",)
    segments: int = 2
    released_axes: bool = False

    def draw(self, reading: ImuWindow, generator: np.random.Generator) -> Array:
        """The order of the segments."""
        return generator.permutation(int(generator.integers(2, max(self.segments, 2) + 1)))

    def apply(self, reading: ImuWindow, draw: Array) -> ImuWindow:
        axis = 1 if self.released_axes else 0
        pieces = np.array_split(reading.channels, len(draw), axis=axis)
        return reading.with_channels(np.concatenate([pieces[i] for i in draw], axis=axis))


@dataclass(frozen=True, kw_only=True)
class ShuffleChannels(Augmentation[ImuWindow, Array]):
    """Put the six channels in random order.

    Args:
        released_axes: shuffle all time steps instead, as the released code of CMC-CMKM does.
    """

    kind = ImuWindow
    sensors: tuple[str, ...] = ("imu",)
    released_axes: bool = False

    def draw(self, reading: ImuWindow, generator: np.random.Generator) -> Array:
        """The order of the channels, or of the time steps."""
        return generator.permutation(len(reading.acceleration) if self.released_axes else 6)

    def apply(self, reading: ImuWindow, draw: Array) -> ImuWindow:
        return reading.with_channels(np.take(reading.channels, draw, axis=1 - self.released_axes))


@dataclass(frozen=True, kw_only=True)
class RotateImu(Augmentation[ImuWindow, Array]):
    """Turn the sensor on the body: one rotation of acceleration and angular rate together.

    Args:
        degrees: largest angle, about an axis in any direction.
    """

    kind = ImuWindow
    sensors: tuple[str, ...] = ("imu",)
    degrees: float = 15.0

    def draw(self, reading: ImuWindow, generator: np.random.Generator) -> Array:
        """Rotation matrix [3, 3]."""
        angle = np.deg2rad(generator.uniform(0.0, self.degrees))
        return rotation_about(generator.standard_normal(3), angle)

    def apply(self, reading: ImuWindow, draw: Array) -> ImuWindow:
        turn_33 = draw.T.astype(np.float32)
        return reading.replace(
            acceleration=reading.acceleration @ turn_33, angular_rate=reading.angular_rate @ turn_33
        )


def cmkm_imu_augmentations(*, released_axes: bool = False) -> tuple[Transform, ...]:
    """The published IMU augmentations of CMC-CMKM, for windows in g and deg/s.

    Args:
        released_axes: with the axes and element-wise factors of the released code.
    """
    return (
        JitterImu(p=0.75, sigma=(1.0, 1.0)),
        ScaleImu(p=0.75, sigma=1.0, elementwise=released_axes),
        PermuteSegments(p=0.75, segments=2, released_axes=released_axes),
        ShuffleChannels(p=0.75, released_axes=released_axes),
    )
