"""Rigid transforms: float64 [4, 4], `T_world_lidar` maps lidar points to world."""

from __future__ import annotations

import math
from functools import reduce
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
TOLERANCE = 1e-4  # of R^T R from the identity


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
    # What is not finite stays so in a product and its squares: only then is each factor looked at.
    if product is not None and product.size and math.isfinite(np.vdot(product, product)):
        return product
    checked = [finite(transform, "compose", (4, 4), stacked=True) for transform in poses]
    try:
        return reduce(np.matmul, checked)
    except ValueError as error:
        shapes = ", ".join(str(transform.shape) for transform in checked)
        raise DataError(f"stacks of transforms {shapes}", where="compose") from error


def _product(poses: tuple[npt.NDArray[Any], ...]) -> Pose | None:
    """The product of real stacks [..., 4, 4] that fit; none of others, or of a single one."""
    product: Any = None
    for transform in poses:
        stack = np.asarray(transform)
        if stack.shape[-2:] != (4, 4) or stack.dtype.kind not in "fiu":
            return None
        if stack.dtype != np.float64:
            stack = stack.astype(np.float64)
        try:
            product = stack if product is None else np.matmul(product, stack)
        except ValueError:
            return None
    return None if len(poses) == 1 else product


def invert(transform: npt.NDArray[Any]) -> Pose:
    """Inverse of rigid transforms, T_a_b to T_b_a: float64 [..., 4, 4].

    Raises:
        DataError: for a transform that is not rigid.
    """
    stack_K44, inverse_K44 = _stack(transform), np.empty((transform.size // 16, 4, 4))
    if stack_K44 is None or not _is_rigid(_turned_back(stack_K44, inverse_K44)):
        raise _not_rigid(transform, "the transform to invert")
    moved_K31 = np.matmul(inverse_K44[:, :3, :3], stack_K44[:, :3, 3:])
    np.negative(moved_K31, out=inverse_K44[:, :3, 3:])
    return inverse_K44.reshape(transform.shape)


def require_rigid(transform: npt.NDArray[Any], name: str, tolerance: float = TOLERANCE) -> None:
    """Check that transforms [..., 4, 4] rotate and move, but neither scale, shear nor mirror.

    Args:
        tolerance: how far R^T R may be from the identity; recordings store poses in float32.

    Raises:
        DataError: naming the transform and what is wrong with it.
    """
    stack_K44 = _stack(transform)
    if stack_K44 is None or not _is_rigid(_rigidity(stack_K44), tolerance):
        raise _not_rigid(transform, name, tolerance)


def _stack(transform: npt.NDArray[Any]) -> Pose | None:
    """Real transforms as contiguous float64 [K, 4, 4]; none of other arrays."""
    if transform.shape[-2:] != (4, 4) or transform.dtype.kind not in "fiu":
        return None
    return np.ascontiguousarray(transform, dtype=np.float64).reshape(-1, 4, 4)


def _is_rigid(rigidity: tuple[float, float, bool], tolerance: float = TOLERANCE) -> bool:
    error, determinant, complete = rigidity
    return error <= tolerance and determinant >= 0 and complete


def _not_rigid(transform: npt.NDArray[Any], name: str, tolerance: float = TOLERANCE) -> DataError:
    """Says what is wrong. Made only where it is needed: it takes longer than looking."""
    problem = f"shape {transform.shape} of {transform.dtype}, expected real (..., 4, 4)"
    stack_K44 = _stack(transform)
    if stack_K44 is not None:
        error, determinant, _ = _rigidity(stack_K44)
        if error > tolerance:
            problem = f"not a rotation: R^T R differs from the identity by {error:.2g}"
        elif determinant < 0:
            problem = "a reflection: the rotation's determinant is -1"
        else:
            problem = f"a non-finite entry or a last row that is not 0, 0, 0, 1: {transform}"
    return DataError(
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
def _turned_back(stack: Pose, inverse: Pose) -> tuple[float, float, bool]:
    """Write inverses but for their translations; says what `_rigidity` does."""
    for k in range(stack.shape[0]):
        for i in range(3):
            for j in range(3):
                inverse[k, i, j] = stack[k, j, i]
            inverse[k, 3, i] = 0.0
        inverse[k, 3, 3] = 1.0
    return _rigidity(stack)


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
