"""Rotation matrices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def rotation_about(axis_3: npt.ArrayLike, radians: float) -> npt.NDArray[np.float64]:
    """Right-handed rotation about an axis (Rodrigues' formula): float64 [3, 3]."""
    x, y, z = np.asarray(axis_3, dtype=np.float64) / np.linalg.norm(axis_3)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation = np.eye(3) + np.sin(radians) * cross + (1.0 - np.cos(radians)) * (cross @ cross)
    return np.asarray(rotation, dtype=np.float64)


def rotation_xyz(degrees_3: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Rx Ry Rz of three angles in degrees (z turns first): float64 [3, 3]."""
    angles = np.deg2rad(np.asarray(degrees_3, dtype=np.float64))
    about_x, about_y, about_z = (
        rotation_about(axis, float(angle)) for axis, angle in zip(np.eye(3), angles, strict=True)
    )
    return np.asarray(about_x @ about_y @ about_z, dtype=np.float64)
