"""Rigid transforms: float64 [4, 4], `T_world_lidar` maps lidar points to world."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.errors import DataError
from sensorfusion.geometry.rotation import (
    rotation_about,
    rotation_from_quaternion,
    rotation_vector,
)

Pose = npt.NDArray[np.float64]
IDENTITY = np.eye(3)
LAST_ROW = np.array([0.0, 0.0, 0.0, 1.0])


def pose(rotation_33: npt.ArrayLike, translation_3: npt.ArrayLike = (0.0, 0.0, 0.0)) -> Pose:
    """The transform x -> R x + t: float64 [4, 4]."""
    transform = np.eye(4)
    transform[:3, :3] = rotation_33
    transform[:3, 3] = translation_3
    return transform


def pose_from_quaternion(
    wxyz_4: npt.ArrayLike, translation_3: npt.ArrayLike = (0.0, 0.0, 0.0)
) -> Pose:
    """The transform of a quaternion (w, x, y, z) and a translation, as nuScenes stores poses."""
    return pose(rotation_from_quaternion(wxyz_4), translation_3)


def compose(*poses: npt.NDArray[Any]) -> Pose:
    """Product of transforms, T_a_b and T_b_c to T_a_c, in float64: [..., 4, 4]."""
    return reduce(np.matmul, [np.asarray(transform, dtype=np.float64) for transform in poses])


def invert(transform: npt.NDArray[Any]) -> Pose:
    """Inverse of rigid transforms, T_a_b to T_b_a: float64 [..., 4, 4]."""
    inverse = np.zeros(transform.shape)
    inverse[..., :3, :3] = np.swapaxes(transform[..., :3, :3], -1, -2)
    moved = inverse[..., :3, :3] @ transform[..., :3, 3:].astype(np.float64)
    inverse[..., :3, 3:] = -moved
    inverse[..., 3, 3] = 1.0
    return inverse


def require_rigid(transform: npt.NDArray[Any], name: str, tolerance: float = 1e-4) -> None:
    """Check that transforms [..., 4, 4] rotate and move, but neither scale, shear nor mirror.

    Args:
        tolerance: how far R^T R may be from the identity; recordings store poses in float32.

    Raises:
        DataError: naming the transform and what is wrong with it.
    """
    problem = f"shape {transform.shape}, expected (..., 4, 4)"
    if transform.shape[-2:] == (4, 4):
        rotation = transform[..., :3, :3]
        scatter = np.matmul(np.swapaxes(rotation, -1, -2), rotation)
        error = np.abs(scatter - IDENTITY).max(initial=0.0)
        if not error <= tolerance:  # so that NaN fails too
            problem = f"not a rotation: R^T R differs from the identity by {error:.2g}"
        elif (np.linalg.det(rotation) < 0).any():
            problem = "a reflection: the rotation's determinant is -1"
        elif not np.isfinite(transform).all() or (transform[..., 3, :] != LAST_ROW).any():
            problem = f"a non-finite entry or a last row that is not 0, 0, 0, 1: {transform}"
        else:
            return
    raise DataError(
        problem,
        where=name,
        remedy="give T = [[R, t], [0, 0, 0, 1]] in metres, with an orthonormal R",
    )


def interpolate(start: Pose, end: Pose, fraction: float) -> Pose:
    """The pose at a fraction of the way: steady turn about one axis, steady velocity.

    Args:
        fraction: 0 gives `start`, 1 gives `end`; values outside extrapolate.
    """
    turn = rotation_vector(start[:3, :3].T @ end[:3, :3])
    angle = float(np.linalg.norm(turn))
    rotation = start[:3, :3]
    if angle > 0:
        rotation = rotation @ rotation_about(turn, fraction * angle)
    return pose(rotation, (1.0 - fraction) * start[:3, 3] + fraction * end[:3, 3])
