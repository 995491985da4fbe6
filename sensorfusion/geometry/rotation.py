"""Rotation matrices, from and to axes, angles and quaternions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sensorfusion.errors import DataError
from sensorfusion.geometry.arrays import finite


def rotation_about(axis_3: npt.ArrayLike, radians: float) -> npt.NDArray[np.float64]:
    """Right-handed rotation about an axis (Rodrigues' formula): float64 [3, 3].

    Raises:
        DataError: for an axis without length, or numbers that are not finite.
    """
    axis, radians = finite(axis_3, "an axis", (3,)), float(finite(radians, "an angle", ()))
    largest = np.abs(axis).max()
    if largest == 0:
        raise DataError("an axis of length 0", where="rotation_about")
    axis = axis / largest  # so that no square overflows
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation = np.eye(3) + np.sin(radians) * cross + (1.0 - np.cos(radians)) * (cross @ cross)
    return np.asarray(rotation, dtype=np.float64)


def rotation_xyz(degrees_3: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rx Ry Rz of three angles in degrees (z turns first): float64 [3, 3].

    Raises:
        DataError: unless there are three finite numbers.
    """
    angles = finite(degrees_3, "rotation_xyz", (3,))
    (cx, sx), (cy, sy), (cz, sz) = (
        (math.cos(angle), math.sin(angle)) for angle in (math.radians(d) for d in angles)
    )
    return np.array(
        [
            [cy * cz, -cy * sz, sy],
            [cx * sz + sx * sy * cz, cx * cz - sx * sy * sz, -sx * cy],
            [sx * sz - cx * sy * cz, sx * cz + cx * sy * sz, cx * cy],
        ]
    )


def rotation_from_quaternion(wxyz_4: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Rotation of a quaternion (w, x, y, z), brought to unit length first: float64 [..., 3, 3].

    Raises:
        DataError: for a quaternion that is not finite or has no length.
    """
    wxyz = finite(wxyz_4, "a quaternion", (4,), stacked=True)
    length = np.linalg.norm(wxyz, axis=-1, keepdims=True)
    if not np.isfinite(length).all() or (length < 1e-9).any():
        raise DataError(
            f"{wxyz.tolist()} is no rotation",
            where="a quaternion",
            remedy="give four finite numbers in the order w, x, y, z",
        )
    w, x, y, z = np.moveaxis(wxyz / length, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def rotation_vector(rotation_33: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Axis times angle (radians, at most pi) of a rotation: float64 [3], zero for no rotation.

    Raises:
        DataError: for a matrix that is no rotation.
    """
    rotation_33 = finite(rotation_33, "a rotation", (3, 3))
    error = np.abs(rotation_33.T @ rotation_33 - np.eye(3)).max()
    if error > 1e-3:
        raise DataError(
            f"no rotation: R^T R differs from the identity by {error:.2g}: {rotation_33.tolist()}",
            where="rotation_vector",
        )
    skew = rotation_33 - rotation_33.T
    doubled_sine = np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
    angle = math.atan2(float(np.linalg.norm(doubled_sine)), float(np.trace(rotation_33)) - 1.0)
    if angle < 3.0:
        return doubled_sine * (0.5 if angle < 1e-8 else angle / (2.0 * math.sin(angle)))
    # Near a half turn the sines vanish, but the symmetric part still shows the axis.
    symmetric = (rotation_33 + rotation_33.T) / 2 - math.cos(angle) * np.eye(3)
    axis = symmetric[:, int(np.argmax(np.diag(symmetric)))]
    sign = -1.0 if float(axis @ doubled_sine) < 0 else 1.0
    return np.asarray(sign * angle * axis / np.linalg.norm(axis), dtype=np.float64)


def quaternion_from_rotation(rotation_33: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The unit quaternion (w, x, y, z) of a rotation, with w >= 0: float64 [4]."""
    turn = rotation_vector(rotation_33)
    angle = float(np.linalg.norm(turn))
    # sinc keeps the limit at no rotation: sin(angle / 2) / angle goes to 1 / 2.
    return np.array([max(math.cos(angle / 2), 0.0), *(0.5 * np.sinc(angle / (2 * np.pi)) * turn)])
