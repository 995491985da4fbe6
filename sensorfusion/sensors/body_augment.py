"""Augmentations of skeletons that keep them bodies: amplitude, limbs, view and joint errors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.sample import Array
from sensorfusion.sensors.skeleton import JointTree, SkeletonWindow
from sensorfusion.sensors.skeleton_augment import JitterSkeleton
from sensorfusion.sensors.time_augment import CropWarp, ScaleFastMotion
from sensorfusion.sensors.transform import Augmentation, Transform


@dataclass(frozen=True, kw_only=True)
class ScaleAmplitude(Augmentation[SkeletonWindow, Array]):
    """Larger or smaller movements: joints' displacements from the first frame are scaled.

    Args:
        sigma: deviation of the logarithm of the common factor.
        sigma_axis: deviation of the logarithm of a further factor per axis.
    """

    kind = SkeletonWindow
    sensors: tuple[str, ...] = ("skeleton",)
    sigma: float = 0.08
    sigma_axis: float = 0.05

    def draw(self, reading: SkeletonWindow, generator: np.random.Generator) -> Array:
        """Factors [3]."""
        common, axes_3 = generator.normal(0, self.sigma), generator.normal(0, self.sigma_axis, 3)
        return np.asarray(np.exp(common + axes_3), dtype=np.float32)

    def apply(self, reading: SkeletonWindow, draw: Array) -> SkeletonWindow:
        start = reading.joints[:1]
        return reading.replace(joints=start + (reading.joints - start) * draw)


@dataclass(frozen=True, kw_only=True)
class ScaleLimbs(Augmentation[SkeletonWindow, Array]):
    """Another body: limb lengths change, alike on the left and the right, directions stay.

    Args:
        limb: deviation of each limb's factor. asymmetry: of a further factor per bone.
        size: deviation of the factor of the whole body.
    """

    kind = SkeletonWindow
    sensors: tuple[str, ...] = ("skeleton",)
    limb: float = 0.12
    asymmetry: float = 0.036
    size: float = 0.1

    def draw(self, reading: SkeletonWindow, generator: np.random.Generator) -> Array:
        """Factors [J] of the bones that end in each joint; of the position for the root."""
        count = len(reading.tree)
        limbs_J = generator.normal(0.0, self.limb, count)
        mirrored = np.minimum(np.arange(count), np.asarray(reading.tree.mirrored))
        bones_J = (1 + limbs_J[mirrored]) * (1 + generator.normal(0.0, self.asymmetry, count))
        size = 1 + generator.normal(0.0, self.size)
        return np.asarray(bones_J * size, dtype=np.float32)

    def apply(self, reading: SkeletonWindow, draw: Array) -> SkeletonWindow:
        to_joints_JJ = _bones_to_joints(reading.tree)
        change_JJ = to_joints_JJ @ np.diag(draw) @ np.linalg.inv(to_joints_JJ)
        return reading.replace(joints=change_JJ.astype(np.float32) @ reading.joints)


@dataclass(frozen=True, kw_only=True)
class TurnBody(Augmentation[SkeletonWindow, Array]):
    """Another view: turn about the vertical (y), and tilt about any axis, through the origin.

    Args:
        yaw: largest turn in degrees. tilt: deviation of the tilt in degrees.
    """

    kind = SkeletonWindow
    sensors: tuple[str, ...] = ("skeleton",)
    yaw: float = 20.0
    tilt: float = 8.0

    def draw(self, reading: SkeletonWindow, generator: np.random.Generator) -> Array:
        """Rotation matrix [3, 3]."""
        yaw = np.deg2rad(generator.uniform(-self.yaw, self.yaw))
        tilt = np.deg2rad(generator.normal(0.0, self.tilt))
        axis_3 = generator.standard_normal(3)
        turned: Array = rotation_about(np.array([0.0, 1.0, 0.0]), yaw) @ rotation_about(
            axis_3, tilt
        )
        return turned

    def apply(self, reading: SkeletonWindow, draw: Array) -> SkeletonWindow:
        return reading.replace(joints=reading.joints @ draw.T.astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class OffsetJoints(Augmentation[SkeletonWindow, Array]):
    """Each joint is seen at a constant wrong place through the window.

    Args:
        sigma: deviation in the window's unit of length.
    """

    kind = SkeletonWindow
    sensors: tuple[str, ...] = ("skeleton",)
    sigma: float = 0.03

    def draw(self, reading: SkeletonWindow, generator: np.random.Generator) -> Array:
        """Offsets [J, 3]."""
        offsets = generator.normal(0.0, self.sigma, reading.joints.shape[1:])
        return np.asarray(offsets, dtype=np.float32)

    def apply(self, reading: SkeletonWindow, draw: Array) -> SkeletonWindow:
        return reading.replace(joints=reading.joints + draw)


@cache
def _bones_to_joints(tree: JointTree) -> Array:
    """[J, J]: joint j is the sum of the bones on its way from the root."""
    matrix = np.zeros((len(tree), len(tree)))
    for joint in range(len(tree)):
        step = joint
        while True:
            matrix[joint, step] = 1.0
            if step == tree.root:
                break
            step = tree.parents[step]
    return matrix


def body_augmentations(*, steps: int, jitter: float = 0.009) -> tuple[Transform, ...]:
    """What another body, view and pace would change of the same action; for torso lengths.

    Args:
        steps: rows of the result. jitter: deviation of the coordinates' noise.
    """
    return (
        CropWarp(sensors=("skeleton",), steps=steps),
        ScaleFastMotion(sensors=("skeleton",)),
        ScaleAmplitude(),
        ScaleLimbs(),
        TurnBody(),
        OffsetJoints(),
        JitterSkeleton(sigma=jitter),
    )
