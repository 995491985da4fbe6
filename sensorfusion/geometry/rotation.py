"""Rotation matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def rotation_about(axis_3: npt.ArrayLike, radians: float) -> npt.NDArray[np.float64]:
    """Right-handed rotation about an axis (Rodrigues' formula): float64 [3, 3]."""
    x, y, z = np.asarray(axis_3, dtype=np.float64) / np.linalg.norm(axis_3)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation = np.eye(3) + np.sin(radians) * cross + (1.0 - np.cos(radians)) * (cross @ cross)
    return np.asarray(rotation, dtype=np.float64)


def rotation_xyz(degrees_3: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rx Ry Rz of three angles in degrees (z turns first): float64 [3, 3]."""
    (cx, sx), (cy, sy), (cz, sz) = (
        (math.cos(angle), math.sin(angle)) for angle in (math.radians(d) for d in degrees_3)
    )
    return np.array(
        [
            [cy * cz, -cy * sz, sy],
            [cx * sz + sx * sy * cz, cx * cz - sx * sy * sz, -sx * cy],
            [sx * sz - cx * sy * cz, sx * cz + cx * sy * sz, cx * cy],
        ]
    )
