"""Skeleton: windows of body joints in three dimensions.

Shape letters: T time steps, J joints, 3 coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.sample import Array, Reading, require_array
from sensorfusion.sensors.imu import require_rows
from sensorfusion.sensors.transform import Preparation

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
        axes.set_xlabel(f"time ({self.clock.kind.value}); left side red, right side blue")
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
