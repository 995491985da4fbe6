"""Cameras: intrinsics, image sizes and lenses of a rig, and what resizing does to them.

Pixels are (u, v), u to the right and v down; integer coordinates are pixel centres. A point
(x, y, z) of the camera frame (x right, y down, z forward) has the ideal coordinates x/z, y/z; the
lens moves them, and the intrinsics make pixels of them.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.errors import DataError
from sensorfusion.geometry.arrays import finite

Matrix = npt.NDArray[np.float64]
COEFFICIENTS = 8
LARGEST_COEFFICIENT = 1e9  # beyond it, what is computed from them overflows
LARGEST_SIDE = 2**24  # pixels; float32 holds all whole numbers up to it


class Lens(enum.Enum):
    """How a lens moves ideal coordinates; the values name its coefficients."""

    PINHOLE = ""
    BROWN_CONRADY = "k1, k2, p1, p2[, k3[, k4, k5, k6]]"
    FISHEYE = "k1, k2, k3, k4"  # Kannala and Brandt: the angle to the axis is what is distorted


@dataclass(frozen=True, eq=False)
class Cameras:
    """K cameras, whose arrays cannot be changed; make them with `cameras`, which checks.

    Args:
        linear_K33: float64, from ideal coordinates to pixels.
        offsets_K3: float64, where the camera's own frame starts in that of the pose (m): zero,
            or what KITTI writes into the fourth column of P.
        sizes_K2: int64, width and height in pixels.
        lenses: K lenses.
        distortion_K8: float64 coefficients in the order that `Lens` gives, then zeros.
        reach_K: float64, what a lens maps beyond this distance from the axis (of ideal
            coordinates, or radians for a fisheye) folds back into the image: never visible.
    """

    linear_K33: Matrix
    offsets_K3: Matrix
    sizes_K2: npt.NDArray[np.int64]
    lenses: tuple[Lens, ...]
    distortion_K8: Matrix
    reach_K: Matrix

    def __post_init__(self) -> None:
        for name in ("linear_K33", "offsets_K3", "sizes_K2", "distortion_K8", "reach_K"):
            getattr(self, name).setflags(write=False)

    def __len__(self) -> int:
        return len(self.lenses)


def cameras(
    intrinsics: npt.ArrayLike,
    sizes: npt.ArrayLike,
    lenses: Lens | Sequence[Lens] = Lens.PINHOLE,
    distortion: Sequence[npt.ArrayLike] | npt.NDArray[np.float64] = (),
) -> Cameras:
    """Describe K cameras.

    Args:
        intrinsics: [K, 3, 3], or [K, 3, 4] with a fourth column (KITTI's P).
        sizes: width and height, [2] for all or [K, 2].
        lenses: one for all or K.
        distortion: K sequences of coefficients in the order that `Lens` gives; empty for pinholes.

    Raises:
        DataError: for singular or non-finite intrinsics, wrong shapes, or coefficients that do not
            fit the lens.
    """
    matrices = np.asarray(intrinsics)
    shaped = matrices.ndim == 3 and matrices.shape[1:] in ((3, 3), (3, 4))
    if not shaped or matrices.dtype.kind not in "fiu":
        raise _wrong(
            f"intrinsics of shape {matrices.shape} and dtype {matrices.dtype}",
            "give real numbers [K, 3, 3] or [K, 3, 4]",
        )
    count = len(matrices)
    padded = np.zeros((count, 3, 4))
    padded[:, :, : matrices.shape[2]] = matrices
    _check_intrinsics(padded)
    shape = np.asarray(sizes)
    whole = shape.shape in ((2,), (count, 2)) and shape.dtype.kind in "iu"
    if not whole or (shape < 1).any() or (shape > LARGEST_SIDE).any():
        raise _wrong(
            f"image sizes {shape.tolist()} of shape {shape.shape} and dtype {shape.dtype}",
            "give whole (width, height) of one or all",
        )
    kinds = (lenses,) * count if isinstance(lenses, Lens) else tuple(lenses)
    given = list(distortion) if len(distortion) else [()] * count
    if len(kinds) != count or len(given) != count:
        raise _wrong(
            f"{count} intrinsics, {len(kinds)} lenses, {len(given)} lists of coefficients",
            "give one of each per camera",
        )
    coefficients = np.zeros((count, COEFFICIENTS))
    for row, (lens, values) in enumerate(zip(kinds, given, strict=True)):
        coefficients[row] = _coefficients(lens, np.asarray(values), row)
    reach = [_reach(lens, values) for lens, values in zip(kinds, coefficients, strict=True)]
    sizes_K2 = np.broadcast_to(shape, (count, 2)).astype(np.int64)
    linear, last = padded[:, :, :3].copy(), padded[:, :, 3:]
    offsets = np.linalg.solve(linear, last)[:, :, 0]
    return Cameras(
        linear, offsets, sizes_K2, kinds, coefficients, np.array(reach, dtype=np.float64)
    )


def resizing(size: tuple[float, float], new_size: tuple[float, float]) -> Matrix:
    """What resizing an image does to its pixels: u becomes (u + 0.5) s - 0.5. [3, 3].

    Multiply intrinsics from the left: `resizing((1600, 900), (800, 450)) @ intrinsics_34`.

    Raises:
        DataError: unless sizes are two finite numbers above 0 each.
    """
    old, new = (finite(pair, "the size of an image", (2,)) for pair in (size, new_size))
    if (old <= 0).any() or (new <= 0).any():
        raise _wrong(f"an image of {size} resized to {new_size}", "give (width, height) above 0")
    scale_u, scale_v = new / old
    return np.array(
        [
            [scale_u, 0.0, 0.5 * scale_u - 0.5],
            [0.0, scale_v, 0.5 * scale_v - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )


def cropping(left: float, top: float) -> Matrix:
    """What cutting off the columns and rows before (left, top) does to pixels: [3, 3].

    Raises:
        DataError: for numbers that are not finite.
    """
    left, top = finite((left, top), "the corner of a crop", (2,)).tolist()
    return np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])


def mirroring(width: int) -> Matrix:
    """What flipping left and right does to pixels, u to width - 1 - u: [3, 3].

    Raises:
        DataError: for a width below 1.
    """
    if not 1 <= width <= LARGEST_SIDE:
        raise _wrong(f"an image of width {width}", "give its width in pixels")
    return np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def distort_reference(
    lens: Lens, coefficients_8: Matrix, ideal_N2: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Where a lens moves ideal coordinates: float64 [N, 2].

    Brown and Conrady's radial and tangential terms, rational when k4 to k6 are given; Kannala and
    Brandt, "A generic camera model ...", PAMI 2006, equation 6, with angles up to 90 degrees.
    """
    if lens is Lens.PINHOLE:
        return ideal_N2
    x, y = ideal_N2.T
    square = x * x + y * y
    if lens is Lens.FISHEYE:
        radius = np.sqrt(square)
        angle = np.arctan(radius)
        powers = sum(k * angle ** (2 * n + 2) for n, k in enumerate(coefficients_8[:4]))
        scale = np.where(radius > 1e-9, angle / np.maximum(radius, 1e-9), 1.0) * (1.0 + powers)
        return np.multiply(ideal_N2, scale[:, None])
    k1, k2, p1, p2, k3, k4, k5, k6 = coefficients_8
    radial = 1 + k1 * square + k2 * square**2 + k3 * square**3
    radial = radial / (1 + k4 * square + k5 * square**2 + k6 * square**3)
    moved = np.empty_like(ideal_N2)
    moved[:, 0] = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
    moved[:, 1] = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y
    return moved


def _check_intrinsics(intrinsics_K34: Matrix) -> None:
    for row, matrix in enumerate(intrinsics_K34):
        if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :3])) < 1e-9:
            raise _wrong(f"singular or non-finite intrinsics of camera {row}: {matrix.tolist()}")
        if (matrix[2, :3] != (0.0, 0.0, 1.0)).any():
            raise _wrong(
                f"last row {matrix[2].tolist()} in the intrinsics of camera {row}",
                "give [[f, skew, c], [0, f, c], [0, 0, 1]] in pixels; put rotations into the pose",
            )


def _coefficients(lens: Lens, values: npt.NDArray[Any], row: int) -> Matrix:
    allowed = {Lens.PINHOLE: (0,), Lens.BROWN_CONRADY: (4, 5, 8), Lens.FISHEYE: (4,)}[lens]
    real = values.ndim == 1 and len(values) in allowed and values.dtype.kind in "fiu"
    if not real or not (np.abs(values) <= LARGEST_COEFFICIENT).all():  # so that NaN fails too
        raise _wrong(
            f"coefficients {values.tolist()} of shape {values.shape} and dtype {values.dtype} "
            f"for {lens.name} of camera {row}; they must be finite",
            f"give {lens.value or 'none'}",
        )
    return np.pad(values, (0, COEFFICIENTS - len(values)))


def _reach(lens: Lens, coefficients_8: Matrix) -> float:
    """Where the radial function stops growing."""
    if lens is Lens.PINHOLE:
        return np.inf
    k1, k2, p1, p2, k3, k4, k5, k6 = coefficients_8
    if lens is Lens.FISHEYE:  # of t (1 + k1 t^2 + k2 t^4 + ...), here with s = t^2
        slope = np.polynomial.Polynomial([1, 3 * k1, 5 * k2, 7 * p1, 9 * p2])
        return min(_first_root(slope), np.pi / 2)
    over = np.polynomial.Polynomial([1, k1, k2, k3])
    under = np.polynomial.Polynomial([1, k4, k5, k6])
    over_slope = np.polynomial.Polynomial([0, 2 * k1, 4 * k2, 6 * k3])  # 2 s times the derivative
    under_slope = np.polynomial.Polynomial([0, 2 * k4, 4 * k5, 6 * k6])
    slope = over * under + over_slope * under - over * under_slope
    return min(_first_root(slope), _first_root(under))


def _first_root(polynomial: np.polynomial.Polynomial) -> float:
    roots = np.roots(polynomial.coef[::-1])
    real = roots[np.abs(np.imag(roots)) < 1e-9 * np.maximum(1, np.abs(roots))].real
    return float(np.sqrt(real[real > 0].min(initial=np.inf)))


def _wrong(what: str, remedy: str = "check the calibration") -> DataError:
    return DataError(what, where="the description of cameras", remedy=remedy)
