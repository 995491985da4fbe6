"""Rigid transforms: float64 [4, 4], `T_world_lidar` maps lidar points to world."""

from __future__ import annotations

import math
from functools import partial, reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import inlined
from sensorfusion.errors import DataError
from sensorfusion.geometry.arrays import finite
from sensorfusion.geometry.rotation import (
    rotation_about,
    rotation_from_quaternion,
    rotation_vector,
)

Pose = npt.NDArray[np.float64]


def pose(rotation_33: npt.ArrayLike, translation_3: npt.ArrayLike = (0.0, 0.0, 0.0)) -> Pose:
    """The transform x -> R x + t: float64 [4, 4].

    Raises:
        DataError: for wrong shapes or dtypes, or numbers that are not finite.
    """
    transform = np.eye(4)
    transform[:3, :3] = finite(rotation_33, "the rotation of a pose", (3, 3))
    transform[:3, 3] = finite(translation_3, "the translation of a pose", (3,))
    return transform


def pose_from_quaternion(
    wxyz_4: npt.ArrayLike, translation_3: npt.ArrayLike = (0.0, 0.0, 0.0)
) -> Pose:
    """The transform of a quaternion (w, x, y, z) and a translation, as nuScenes stores poses."""
    return pose(rotation_from_quaternion(wxyz_4), translation_3)


def compose(*poses: npt.NDArray[Any]) -> Pose:
    """Product of transforms, T_a_b and T_b_c to T_a_c, in float64: [..., 4, 4].

    Raises:
        DataError: for transforms that are not finite [..., 4, 4], or stacks that do not fit.
    """
    if not poses:
        return np.eye(4)
    product = _product(poses)
    # What is not finite stays so in a product: only then each factor has to be looked at.
    if product is not None and product.size and np.isfinite(product).all():
        return product
    checked = [finite(transform, "compose", (4, 4), stacked=True) for transform in poses]
    try:
        return reduce(np.matmul, checked)
    except ValueError as error:
        shapes = ", ".join(str(transform.shape) for transform in checked)
        raise DataError(f"stacks of transforms {shapes}", where="compose") from error


def _product(poses: tuple[npt.NDArray[Any], ...]) -> Pose | None:
    """The product of real stacks [..., 4, 4] that fit; none of others, or of a single one."""
    stacks = [np.asarray(transform) for transform in poses]
    fits = all(stack.shape[-2:] == (4, 4) and stack.dtype.kind in "fiu" for stack in stacks)
    if len(stacks) == 1 or not fits:
        return None
    try:
        return reduce(partial(np.matmul, dtype=np.float64), stacks)
    except ValueError:
        return None


def invert(transform: npt.NDArray[Any]) -> Pose:
    """Inverse of rigid transforms, T_a_b to T_b_a: float64 [..., 4, 4].

    Raises:
        DataError: for a transform that is not rigid.
    """
    require_rigid(transform, "the transform to invert")
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
    problem = f"shape {transform.shape} of {transform.dtype}, expected real (..., 4, 4)"
    if transform.shape[-2:] == (4, 4) and transform.dtype.kind in "fiu":
        stack_K44 = np.ascontiguousarray(transform, dtype=np.float64).reshape(-1, 4, 4)
        error, determinant, complete = _rigidity(stack_K44)
        if error > tolerance:
            problem = f"not a rotation: R^T R differs from the identity by {error:.2g}"
        elif determinant < 0:
            problem = "a reflection: the rotation's determinant is -1"
        elif not complete:
            problem = f"a non-finite entry or a last row that is not 0, 0, 0, 1: {transform}"
        else:
            return
    raise DataError(
        problem,
        where=name,
        remedy="give T = [[R, t], [0, 0, 0, 1]] in metres, with an orthonormal R",
    )


def rigidity_reference(stack_K44: Pose) -> tuple[float, float, bool]:
    """What `require_rigid` asks of transforms, in NumPy.

    Returns:
        The largest difference between R^T R and the identity (infinite for NaN), the smallest
        determinant (at most 1), and whether all is finite with last rows of 0, 0, 0, 1.
    """
    rotation_K33 = stack_K44[:, :3, :3]
    scatter_K33 = rotation_K33.swapaxes(1, 2) @ rotation_K33
    error = np.nan_to_num(np.abs(scatter_K33 - np.eye(3)), nan=np.inf, posinf=np.inf)
    determinant = np.linalg.det(rotation_K33).min(initial=1.0)
    last_rows = (stack_K44[:, 3] == (0.0, 0.0, 0.0, 1.0)).all()
    return error.max(initial=0.0), determinant, bool(np.isfinite(stack_K44).all() and last_rows)


def interpolate(start: Pose, end: Pose, fraction: float) -> Pose:
    """The pose at a fraction of the way: steady turn about one axis, steady velocity.

    Args:
        fraction: 0 gives `start`, 1 gives `end`; values outside extrapolate.

    Raises:
        DataError: for poses that are not rigid [4, 4], or a fraction that is not finite.
    """
    for transform, name in ((start, "the first pose"), (end, "the last pose")):
        require_rigid(finite(transform, name, (4, 4)), name)
    finite(fraction, "the fraction of the way", ())
    start, end = start.astype(np.float64), end.astype(np.float64)
    turn = rotation_vector(start[:3, :3].T @ end[:3, :3])
    angle = float(np.linalg.norm(turn))
    rotation = start[:3, :3]
    if angle > 0:
        rotation = rotation @ rotation_about(turn, fraction * angle)
    return pose(rotation, (1.0 - fraction) * start[:3, 3] + fraction * end[:3, 3])


@inlined
def _rigidity(stack: Pose) -> tuple[float, float, bool]:
    """What `rigidity_reference` finds: many NumPy calls would cost more than the arithmetic."""
    error, determinant, complete = 0.0, 1.0, True
    for T in stack:
        for i in range(3):
            for j in range(3):
                dot = T[0, i] * T[0, j] + T[1, i] * T[1, j] + T[2, i] * T[2, j]
                off = abs(dot - (i == j))
                error = max(error, off if off < np.inf else np.inf)  # so that NaN is infinite
            complete &= math.isfinite(T[i, 3]) & (T[3, i] == 0.0)
        complete &= T[3, 3] == 1.0
        first = T[1, 1] * T[2, 2] - T[1, 2] * T[2, 1]
        second = T[1, 0] * T[2, 2] - T[1, 2] * T[2, 0]
        third = T[1, 0] * T[2, 1] - T[1, 1] * T[2, 0]
        determinant = min(determinant, T[0, 0] * first - T[0, 1] * second + T[0, 2] * third)
    return error, determinant, complete
