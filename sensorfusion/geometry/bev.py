"""Cells of a bird's-eye view: which cell points and raster pixels lie in, and where cells are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import compiled
from sensorfusion.errors import DataError
from sensorfusion.geometry.arrays import finite

Array = npt.NDArray[Any]
Pair = tuple[float, float]


@dataclass(frozen=True)
class BevGrid:
    """Square cells over a rectangle of the ground.

    Cell (a, b) covers low + (a, b) * step up to, and without, the next one; its id is
    a * shape[1] + b.

    Args:
        low, high: corners (x, y) in metres; the extent must be a multiple of `step`.
        step: side of a cell (m).
    """

    low: Pair
    high: Pair
    step: float

    def __post_init__(self) -> None:
        pairs = len(self.low) == len(self.high) == 2
        extent = np.subtract(self.high, self.low) if pairs else np.zeros(2)
        fine = math.isfinite(self.step) and self.step > 0 and np.isfinite(extent).all()
        whole = fine and np.abs(extent / self.step - np.rint(extent / self.step)).max() < 1e-6
        if not whole or (extent <= 0).any() or math.prod(self.shape) >= 2**31:
            raise DataError(
                f"{self}",
                where="the description of a bird's-eye view",
                remedy="give finite corners, low < high, a whole number of steps apart",
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along x and along y."""
        (x, y), (end_x, end_y) = self.low, self.high
        return round((end_x - x) / self.step), round((end_y - y) / self.step)

    def __len__(self) -> int:
        return math.prod(self.shape)


def bev_ids(points_NC: Array, grid: BevGrid) -> npt.NDArray[np.int64]:
    """The cell of every point: int64 [N], -1 outside the grid and for non-finite points.

    Args:
        points_NC: float32 or float64 [N, >= 2], x and y in metres, in the grid's frame.

    Raises:
        DataError: for a wrong shape or dtype.
    """
    if points_NC.ndim != 2 or points_NC.shape[1] < 2 or points_NC.dtype.kind != "f":
        raise DataError(
            f"points of shape {points_NC.shape} and dtype {points_NC.dtype}",
            where="bev_ids",
            remedy="give float32 or float64 [N, 2 or more]",
        )
    kind = points_NC.dtype if points_NC.dtype == np.float64 else np.dtype(np.float32)
    ids_N = np.empty(len(points_NC), dtype=np.int64)
    _bev_ids(np.ascontiguousarray(points_NC, dtype=kind), *grid.low, grid.step, *grid.shape, ids_N)
    return ids_N


def bev_ids_reference(points_NC: Array, grid: BevGrid) -> npt.NDArray[np.int64]:
    """What `bev_ids` does, in NumPy."""
    cells_N2 = np.floor((points_NC[:, :2].astype(np.float64) - grid.low) / grid.step)
    inside_N = ((cells_N2 >= 0) & (cells_N2 < grid.shape)).all(axis=1)
    cells_N2 = np.where(inside_N[:, None], cells_N2, 0.0).astype(np.int64)
    return np.where(inside_N, cells_N2[:, 0] * grid.shape[1] + cells_N2[:, 1], -1)


def bev_centres(grid: BevGrid) -> npt.NDArray[np.float64]:
    """Centres (x, y) of all cells in the order of their ids: float64 [A * B, 2]."""
    a, b = np.divmod(np.arange(len(grid)), grid.shape[1])
    centres: npt.NDArray[np.float64] = np.stack([a, b], axis=1) + 0.5
    return centres * grid.step + grid.low


def bev_ids_of_raster(
    height: int, width: int, T_ground_raster_33: npt.ArrayLike, grid: BevGrid
) -> npt.NDArray[np.int64]:
    """The cell that each raster pixel's centre lies in: int64 [height, width], -1 outside.

    Args:
        T_ground_raster_33: affine from (column, row, 1), centres at integers, to (x, y, 1) in
            metres in the grid's frame. A geographic transform, whose integers are corners, must
            be moved by half a pixel first.

    Raises:
        DataError: for a transform that is not finite [3, 3] with a last row of 0, 0, 1, or a
            size below 0.
    """
    if height < 0 or width < 0:
        raise DataError(f"a raster of {height} x {width} pixels", where="bev_ids_of_raster")
    affine = finite(T_ground_raster_33, "the affine transform of a raster", (3, 3))
    if (affine[2] != (0.0, 0.0, 1.0)).any():
        raise DataError(
            f"affine transform {affine.tolist()}",
            where="bev_ids_of_raster",
            remedy="give a finite [3, 3] matrix whose last row is 0, 0, 1",
        )
    row, column = np.indices((height, width)).reshape(2, -1)
    centres_N2 = np.stack([column, row], axis=1) @ affine[:2, :2].T + affine[:2, 2]
    return bev_ids(centres_N2, grid).reshape(height, width)


@compiled()
def _bev_ids(
    points: Array, low_x: float, low_y: float, step: float, rows: int, columns: int, ids: Array
) -> None:
    for i in numba.prange(points.shape[0]):
        a = np.floor((np.float64(points[i, 0]) - low_x) / step)
        b = np.floor((np.float64(points[i, 1]) - low_y) / step)
        inside = (a >= 0) & (a < rows) & (b >= 0) & (b < columns)
        ids[i] = np.int64(a) * columns + np.int64(b) if inside else -1
