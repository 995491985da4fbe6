"""Random changes of skeleton windows.

For changes of time use also `CropResample` and `WarpTime`. T time steps, J joints.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np

from sensorfusion.geometry.rotation import rotation_xyz
from sensorfusion.sample import Array
from sensorfusion.sensors.resampling import CropResample
from sensorfusion.sensors.skeleton import SkeletonWindow
from sensorfusion.sensors.transform import Augmentation, Transform


@dataclass(frozen=True, kw_only=True)
class JitterSkeleton(Augmentation[SkeletonWindow, Array]):
    """Add normal noise to every coordinate.

    Args:
        sigma: deviation, in the reading's unit.
    """

    kind = SkeletonWindow
    sensors: tuple[str, ...] = ("skeleton",)
    sigma: float

    def draw(self, reading: SkeletonWindow, generator: np.random.Generator) -> Array:
        """Noise [T, J, 3]."""
        return generator.normal(0.0, self.sigma, reading.joints.shape)

    def apply(self, reading: SkeletonWindow, draw: Array) -> SkeletonWindow:
        return reading.replace(joints=(reading.joints + draw).astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class LinearMap(Augmentation[SkeletonWindow, Array]):
    """A random linear map of all joints about a fixed point.

    Args:
        anchor: the joint that stays where it is; None: the origin stays.
        every_frame: the anchor stays in every frame, so that its own motion is not mapped (the
            released code of CMC-CMKM: anchor 0); False: it stays in the first frame only, and
            the body's motion is mapped too.
    """

    kind = SkeletonWindow
    sensors: tuple[str, ...] = ("skeleton",)
    anchor: int | None = 3
    every_frame: bool = False

    @abc.abstractmethod
    def matrix(self, draw: Array) -> Array:
        """The map [3, 3] of a draw [3]."""

    def apply(self, reading: SkeletonWindow, draw: Array) -> SkeletonWindow:
        joints_TJ3 = reading.joints.astype(np.float64)
        fixed = np.zeros(3) if self.anchor is None else joints_TJ3[:, [self.anchor]]
        if self.anchor is not None and not self.every_frame:
            fixed = fixed[:1]
        # One product of all rows: NumPy multiplies a stack of small matrices one by one.
        rows_N3 = (joints_TJ3 - fixed).reshape(-1, 3) @ self.matrix(draw).T
        mapped = rows_N3.reshape(joints_TJ3.shape) + fixed
        return reading.replace(joints=mapped.astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class RotateSkeleton(LinearMap):
    """Rotate by Rx Ry Rz.

    Args:
        degrees: largest angle about each axis x, y, z.
        step: angles are multiples of this; 0: any angle.
    """

    degrees: tuple[float, float, float] = (10.0, 10.0, 10.0)
    step: float = 0.0

    def draw(self, reading: SkeletonWindow, generator: np.random.Generator) -> Array:
        """Three angles in degrees."""
        largest = np.asarray(self.degrees)
        if self.step:
            counts = np.floor(largest / self.step).astype(np.int64)
            return np.asarray(generator.integers(-counts, counts, endpoint=True) * self.step)
        return generator.uniform(-largest, largest)

    def matrix(self, draw: Array) -> Array:
        return rotation_xyz(draw)


@dataclass(frozen=True, kw_only=True)
class ScaleSkeleton(LinearMap):
    """Stretch each axis by a factor of its own between `low` and `high`."""

    low: float = 0.7
    high: float = 1.2

    def draw(self, reading: SkeletonWindow, generator: np.random.Generator) -> Array:
        """Three factors."""
        return generator.uniform(self.low, self.high, 3)

    def matrix(self, draw: Array) -> Array:
        return np.diag(draw)


@dataclass(frozen=True, kw_only=True)
class ShearSkeleton(LinearMap):
    """Add to each coordinate a normal factor times the sum of the two others.

    Args:
        sigma: deviation of the factors.
    """

    anchor: int | None = None
    sigma: float = 0.2

    def draw(self, reading: SkeletonWindow, generator: np.random.Generator) -> Array:
        """Three factors, for x, y, z."""
        return generator.normal(0.0, self.sigma, 3)

    def matrix(self, draw: Array) -> Array:
        return np.asarray(np.eye(3) + (1.0 - np.eye(3)) * draw[:, None])


@dataclass(frozen=True, kw_only=True)
class MaskJoints(Augmentation[SkeletonWindow, Array]):
    """Put some joints on the root, in the whole window: they tell nothing of their own.

    Args:
        share: probability of each joint but the root.
    """

    kind = SkeletonWindow
    sensors: tuple[str, ...] = ("skeleton",)
    share: float = 0.15

    def draw(self, reading: SkeletonWindow, generator: np.random.Generator) -> Array:
        """Bool [J], True = masked."""
        return generator.random(len(reading.tree)) < self.share

    def apply(self, reading: SkeletonWindow, draw: Array) -> SkeletonWindow:
        root_T13 = reading.joints[:, [reading.tree.root]]
        return reading.replace(joints=np.where(draw[None, :, None], root_T13, reading.joints))


@dataclass(frozen=True, kw_only=True)
class MirrorSkeleton(Augmentation[SkeletonWindow, None]):
    """Mirror the body in the plane x = 0 and swap its left with its right joints.

    Actions that differ by side (swipe left, swipe right) become each other.
    """

    kind = SkeletonWindow
    sensors: tuple[str, ...] = ("skeleton",)
    p: float = 0.5

    def draw(self, reading: SkeletonWindow, generator: np.random.Generator) -> None:
        """Nothing is drawn but whether."""

    def apply(self, reading: SkeletonWindow, draw: None = None) -> SkeletonWindow:
        flip_3 = np.array([-1.0, 1.0, 1.0], dtype=np.float32)
        return reading.replace(joints=reading.joints[:, list(reading.tree.mirrored)] * flip_3)


def cmkm_skeleton_augmentations(*, released: bool = False) -> tuple[Transform, ...]:
    """The published skeleton augmentations of CMC-CMKM.

    Args:
        released: rotate and scale about joint 0 of every frame, as the released code does.
    """
    anchor = 0 if released else 3
    return (
        JitterSkeleton(sigma=0.1),
        CropResample(sensors=("skeleton",), p=0.75, shortest=0.8, longest=0.9),
        ScaleSkeleton(p=0.75, anchor=anchor, every_frame=released),
        RotateSkeleton(p=0.75, step=2.0, anchor=anchor, every_frame=released),
        ShearSkeleton(p=0.75),
    )
