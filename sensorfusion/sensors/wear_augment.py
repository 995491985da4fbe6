"""Augmentations of IMU windows that keep their physics: how it is worn, how fast the motion is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.sample import Array
from sensorfusion.sensors.imu import ImuWindow
from sensorfusion.sensors.imu_augment import JitterImu, RotateImu
from sensorfusion.sensors.time_augment import CropWarp, ScaleFastMotion
from sensorfusion.sensors.transform import Augmentation, Transform


@dataclass(frozen=True, kw_only=True)
class TiltImu(RotateImu):
    """The sensor is strapped on a little differently: mostly small angles, few large ones.

    Args:
        degrees: deviation of the angle, about an axis of any direction.
    """

    degrees: float = 20.0

    def draw(self, reading: ImuWindow, generator: np.random.Generator) -> Array:
        """Rotation matrix [3, 3]."""
        angle = np.deg2rad(generator.normal(0.0, self.degrees))
        return rotation_about(generator.standard_normal(3), angle)


@dataclass(frozen=True, kw_only=True)
class ScaleSpeed(Augmentation[ImuWindow, float]):
    """The same motion at another speed s: rates grow by s, accelerations around their mean by s^2.

    Args:
        sigma: deviation of s from 1.
    """

    kind = ImuWindow
    sensors: tuple[str, ...] = ("imu",)
    sigma: float = 0.15

    def draw(self, reading: ImuWindow, generator: np.random.Generator) -> float:
        """The speed s."""
        return 1.0 + float(generator.normal(0.0, self.sigma))

    def apply(self, reading: ImuWindow, draw: float) -> ImuWindow:
        mean = reading.acceleration.mean(axis=0)  # mostly gravity, which no speed changes
        faster = mean + (reading.acceleration - mean) * np.float32(draw**2)
        return reading.replace(
            acceleration=faster, angular_rate=reading.angular_rate * np.float32(draw)
        )


@dataclass(frozen=True, kw_only=True)
class OffsetImu(Augmentation[ImuWindow, Array]):
    """A constant bias per channel.

    Args:
        sigma: deviation in the window's units: of acceleration, of angular rate.
    """

    kind = ImuWindow
    sensors: tuple[str, ...] = ("imu",)
    sigma: tuple[float, float]

    def draw(self, reading: ImuWindow, generator: np.random.Generator) -> Array:
        """Biases [6]."""
        return np.asarray(generator.standard_normal(6) * np.repeat(self.sigma, 3))

    def apply(self, reading: ImuWindow, draw: Array) -> ImuWindow:
        return reading.with_channels(reading.channels + draw)


def wear_augmentations(
    *, steps: int, noise: tuple[float, float] = (0.05, 7.5)
) -> tuple[Transform, ...]:
    """What wearing the sensor differently and another pace would change; for g and deg/s.

    Args:
        steps: rows of the result. noise: deviations of the offsets and of the noise of
            acceleration and angular rate.
    """
    return (
        CropWarp(sensors=("imu",), steps=steps),
        ScaleFastMotion(sensors=("imu",)),
        TiltImu(),
        ScaleSpeed(),
        OffsetImu(sigma=noise),
        JitterImu(sigma=noise),
    )
