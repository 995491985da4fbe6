"""Skeleton: windows of body joints in three dimensions.

Shape letters: T time steps, J joints, 3 coordinates.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.geometry.rotation import rotation_xyz
from sensorfusion.sample import Array, Reading, require_array
from sensorfusion.sensors.imu import require_rows
from sensorfusion.sensors.resampling import CropResample
from sensorfusion.sensors.transform import Augmentation, Preparation, Transform

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class JointTree:
    """The joints of a body model.

    Args:
        names: J names; "left_x" and "right_x" are each other's mirror image.
        parents: J indices into `names`; the root, and only it, is its own parent.

    Raises:
        ConfigError: on different numbers of both, or not exactly one root.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        roots = sum(j == p for j, p in enumerate(self.parents))
        if len(self.names) != len(self.parents) or roots != 1:
            raise ConfigError(
                f"{len(self.names)} joints with {len(self.parents)} parents and {roots} roots",
                where="JointTree",
                remedy="give every joint one parent, and the root itself",
            )

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Position of a joint by its name.

        Raises:
            ConfigError: when there is no such joint.
        """
        if name not in self.names:
            raise ConfigError(
                f"no joint {name!r}",
                where="JointTree",
                remedy=f"the joints are {', '.join(self.names)}",
            )
        return self.names.index(name)

    @property
    def root(self) -> int:
        """The joint that is its own parent."""
        return next(j for j, p in enumerate(self.parents) if j == p)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(joint, parent) for every joint but the root."""
        return tuple((j, p) for j, p in enumerate(self.parents) if j != p)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """For every joint the index of its mirror image; itself on the body's midline."""
        swap = {"left": "right", "right": "left"}
        return tuple(self.index(_swap_side(name, swap)) for name in self.names)


def _swap_side(name: str, swap: dict[str, str]) -> str:
    side, _, rest = name.partition("_")
    return f"{swap[side]}_{rest}" if side in swap else name


# The first Kinect's joints in the order of UTD-MHAD; the hip centre is the root.
KINECT_V1 = JointTree(
    names=(
        *("head", "shoulder_centre", "spine", "hip_centre"),
        *("left_shoulder", "left_elbow", "left_wrist", "left_hand"),
        *("right_shoulder", "right_elbow", "right_wrist", "right_hand"),
        *("left_hip", "left_knee", "left_ankle", "left_foot"),
        *("right_hip", "right_knee", "right_ankle", "right_foot"),
    ),
    parents=(1, 2, 3, 3, 1, 4, 5, 6, 1, 8, 9, 10, 3, 12, 13, 14, 3, 16, 17, 18),
)


@dataclass(frozen=True, kw_only=True)
class SkeletonWindow(Reading):
    """A window of joint positions.

    Args:
        joints: float32 [T, J, 3], metres.
        tree: names and parents of the J joints.

    Raises:
        DataError: on a wrong shape, dtype, or a non-finite value.
        ClockError: when the clock has another number of times than the array has rows.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ("joints",)

    joints: Array
    tree: JointTree = KINECT_V1

    def validate(self) -> None:
        require_array(self, "joints", (None, len(self.tree), 3), np.float32)
        require_rows(self, len(self.joints))

    def draw(self, axes: Axes, moments: int = 12) -> None:
        """Bodies seen along z at some moments, side by side; the left side red, the right blue."""
        rows = np.unique(np.linspace(0, len(self.joints) - 1, moments).round().astype(int))
        shown_KJ3 = self.joints[rows]
        width = 1.2 * float(np.ptp(shown_KJ3[..., 0], axis=1).max())
        for place, body_J3 in enumerate(shown_KJ3):
            for joint, parent in self.tree.bones:
                ends_23 = body_J3[[joint, parent]]
                side = self.tree.names[joint].partition("_")[0]
                colour = {"left": "tab:red", "right": "tab:blue"}.get(side, "black")
                axes.plot(ends_23[:, 0] + place * width, ends_23[:, 1], color=colour, lw=1)
        times = [f"{time:.2f}" for time in self.clock.times_T[rows]]
        centres = shown_KJ3[..., 0].mean(axis=1) + np.arange(len(rows)) * width
        axes.set_xticks(centres, times, fontsize="small")
        axes.set_xlabel(f"time ({self.clock.kind.value})")
        axes.set_ylabel(f"y ({self.unit})")
        axes.set_aspect("equal", anchor="W")


@dataclass(frozen=True, kw_only=True)
class AnchorFirstFrame(Preparation[SkeletonWindow]):
    """Origin and length unit from the first frame, so that the body's motion is kept.

    With its defaults this is what CMC-CMKM does (before resampling): the spine joint of frame 0
    becomes the origin, its distance to the shoulder centre the unit of length.

    Args:
        anchor: joint whose position in the first frame becomes the origin.
        distance: two joints whose distance in the first frame becomes 1.
    """

    kind = SkeletonWindow
    sensors: tuple[str, ...] = ("skeleton",)
    anchor: int = 2
    distance: tuple[int, int] = (1, 2)

    def prepare(self, reading: SkeletonWindow) -> SkeletonWindow:
        joints, _ = anchor_first_frame(
            reading.joints, self.anchor, self.distance, where=reading.source
        )
        names = reading.tree.names
        first, second = self.distance
        return reading.replace(
            joints=joints.astype(np.float32), unit=f"distance {names[first]} to {names[second]}"
        )


def anchor_first_frame(
    joints_TJ3: Array, anchor: int, distance: tuple[int, int], *, where: str = ""
) -> tuple[Array, float]:
    """Joints relative to `anchor` in frame 0, over the distance of two joints in frame 0.

    Returns:
        The joints [T, J, 3], and the distance in the unit of the input.

    Raises:
        DataError: when the two joints coincide.
    """
    centred_TJ3 = joints_TJ3 - joints_TJ3[0, anchor]
    scale = float(np.linalg.norm(centred_TJ3[0, distance[0]] - centred_TJ3[0, distance[1]]))
    if scale == 0.0:
        raise DataError(
            f"joints {distance} coincide in the first frame",
            where=where,
            remedy="choose other joints for the unit of length, or remove the clip",
        )
    return centred_TJ3 / scale, scale


@dataclass(frozen=True, kw_only=True)
class BodyFrame(Preparation[SkeletonWindow]):
    """Joints in the body's own frame: where it stands, how tall it is and where it looks is gone.

    The axes become: x from the left to the right shoulder and hip in the first frame, projected
    to the ground; y up; z = x cross y.

    Args:
        every_frame: the root joint is the origin in every frame, not only in the first.
        scale: the torso (root to shoulder centre, median over the window) becomes 1.
        heading: turn about the vertical; False keeps the camera's directions.
    """

    kind = SkeletonWindow
    sensors: tuple[str, ...] = ("skeleton",)
    every_frame: bool = False
    scale: bool = True
    heading: bool = True

    def prepare(self, reading: SkeletonWindow) -> SkeletonWindow:
        joints_TJ3, tree = reading.joints.astype(np.float64), reading.tree
        root = joints_TJ3[:, tree.root]
        joints_TJ3 = joints_TJ3 - (root[:, None] if self.every_frame else root[0])
        if self.heading:
            joints_TJ3 = joints_TJ3 @ _heading(joints_TJ3[0], tree, reading.source).T
        if self.scale:
            joints_TJ3 = joints_TJ3 / _torso(joints_TJ3, tree, reading.source)
        return reading.replace(
            joints=joints_TJ3.astype(np.float32),
            axes="body: x to its right, y up" if self.heading else reading.axes,
            unit="torso lengths" if self.scale else reading.unit,
        )


def _torso(joints_TJ3: Array, tree: JointTree, source: str) -> float:
    torso_T3 = joints_TJ3[:, tree.index("shoulder_centre")] - joints_TJ3[:, tree.root]
    length = float(np.median(np.linalg.norm(torso_T3, axis=1)))
    if length == 0.0:
        raise DataError("the torso has no length", where=source, remedy="remove the clip")
    return length


def _heading(body_J3: Array, tree: JointTree, source: str) -> Array:
    """Rotation [3, 3] that brings the direction from left to right to +x."""
    across_3 = sum(
        body_J3[tree.index(f"right_{part}")] - body_J3[tree.index(f"left_{part}")]
        for part in ("shoulder", "hip")
    )
    x, _, z = across_3
    length = float(np.hypot(x, z))
    if length == 0.0:
        raise DataError("shoulders and hips coincide", where=source, remedy="remove the clip")
    cos, sin = x / length, z / length
    return np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])


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
