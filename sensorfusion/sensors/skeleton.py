"""Skeleton: windows of body joints in three dimensions.

Shape letters: T time steps, J joints, 3 coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sensorfusion.sample import Array, Reading, require_array
from sensorfusion.sensors.imu import require_rows


@dataclass(frozen=True)
class JointTree:
    """The joints of a body model.

    Args:
        names: J names; "left_x" and "right_x" are each other's mirror image.
        parents: J indices into `names`; the root is its own parent.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Position of a joint by its name."""
        return self.names.index(name)

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
