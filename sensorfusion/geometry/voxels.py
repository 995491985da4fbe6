"""Points to voxels: which voxel every point lies in, and the voxels in lexicographic order.

Arithmetic is float32 in the order of operations of the released codes, since a point on a border
belongs to the voxel that their arithmetic says. A mean over each voxel's points is
`segments.segment_mean(features, voxels.inverse_N, len(voxels))`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from torch import Tensor

from sensorfusion.compiled import compiled, inlined
from sensorfusion.errors import DataError
from sensorfusion.geometry.scratch import scratch
from sensorfusion.geometry.unique import unique_keys

Array = npt.NDArray[Any]
Triple = tuple[float, float, float]
PARTS = 8  # of the points, for threads
LARGEST = 2**30  # cells from the origin along one axis
FULL_TURN = np.float32(180.0)
PI = np.float32(math.pi)


@dataclass(frozen=True)
class VoxelGrid:
    """How space is cut.

    Args:
        steps: the extent of a voxel along each axis: m, and degrees for the angle.
        cylindrical: axes are the distance from the z axis, the angle in degrees in (-180, 180]
            (without wrap-around), and z; else x, y and z.
        round_and_shift: round to the nearest (halves to the even one) and count from each
            sample's lowest voxel, as SuperFlow does; else round down and count from the origin,
            as SLidR does.
        low, high: limits in the units of the axes; a point is kept where low <= value < high.
    """

    steps: Triple
    cylindrical: bool = False
    round_and_shift: bool = False
    low: Triple = (-math.inf,) * 3
    high: Triple = (math.inf,) * 3

    def __post_init__(self) -> None:
        fine = all(math.isfinite(step) and step > 0 for step in self.steps)
        if not fine or len(self.steps) != 3 or not np.less(self.low, self.high).all():
            raise DataError(
                f"{self}",
                where="the description of a voxel grid",
                remedy="give three finite steps above zero, and limits with low < high",
            )


@dataclass(frozen=True, eq=False)
class Voxels:
    """V voxels in lexicographic order of (batch, first, second, third axis).

    Args:
        coordinates_V4: int32, what `SparseTensor` takes.
        inverse_N: int64, the voxel of every point; -1 outside the limits.
        first_V: int64, the first point of each voxel. counts_V: int64, how many it has.
    """

    coordinates_V4: npt.NDArray[np.int32]
    inverse_N: npt.NDArray[np.int64]
    first_V: npt.NDArray[np.int64]
    counts_V: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.coordinates_V4)


def voxelise(
    points_NC: Array, grid: VoxelGrid, item_N: npt.NDArray[np.integer[Any]] | None = None
) -> Voxels:
    """Sort points into voxels.

    Args:
        points_NC: [N, >= 3], x, y, z in metres in the sensor's frame, used in float32.
        item_N: the sample of each point, integers from 0; None when all are of one.

    Raises:
        DataError: for wrong shapes, non-finite points (naming the first), samples below 0, or
            points so far apart that their voxels cannot be numbered.
    """
    points, item = _checked(points_NC, item_N)
    items = int(item.max(initial=0)) + 1
    steps, limits = np.array(grid.steps, np.float32), np.array((grid.low, grid.high), np.float32)
    cells_N4 = scratch("cells", (len(points), 4), np.int32)
    lowest, highest, bad = _cells(
        points, item, items, steps, limits, grid.cylindrical, grid.round_and_shift, cells_N4
    )
    if bad >= 0:
        raise DataError(
            f"point {bad} at {points[bad, :3].tolist()} is not finite or too far for {grid.steps}",
            where="voxelise",
            remedy="remove such points, give limits, or choose larger voxels",
        )
    origin, top = lowest.astype(np.int64), highest.astype(np.int64)
    if not grid.round_and_shift:
        origin[:], top[:] = origin.min(axis=0), top.max(axis=0)
    extent = (top - origin).max(axis=0, initial=0) + 1
    limit = items * math.prod(extent.tolist())
    if limit > 2**62:
        raise DataError(
            f"{items} samples of {extent.tolist()} voxels cannot be numbered",
            where="voxelise",
            remedy="choose larger voxels, or give limits",
        )
    keys_N = scratch("keys", (len(points),), np.int64)
    _keys(cells_N4, origin, extent, limit, keys_N)
    unique = unique_keys(keys_N, limit)
    coordinates_V4 = cells_N4.take(unique.first_V, axis=0)
    if grid.round_and_shift:
        coordinates_V4[:, 1:] -= origin[coordinates_V4[:, 0]].astype(np.int32)
    return Voxels(coordinates_V4, unique.inverse_N, unique.first_V, unique.counts_V)


def voxelise_reference(
    points_NC: Array, grid: VoxelGrid, item_N: npt.NDArray[np.integer[Any]] | None = None
) -> Voxels:
    """What `voxelise` does, in NumPy."""
    points, item = _checked(points_NC, item_N)
    axes_N3 = points[:, :3]
    if grid.cylindrical:
        x, y, z = axes_N3.T
        angle = np.arctan2(y.astype(np.float64), x.astype(np.float64)).astype(np.float32)
        axes_N3 = np.stack([np.sqrt(x * x + y * y), angle * FULL_TURN / PI, z], axis=1)
    low, high = np.array(grid.low, np.float32), np.array(grid.high, np.float32)
    inside_N = ((axes_N3 >= low) & (axes_N3 < high)).all(axis=1)
    kept = np.nonzero(inside_N)[0]
    scaled = axes_N3[kept] / np.array(grid.steps, np.float32)
    cells = (np.rint(scaled) if grid.round_and_shift else np.floor(scaled)).astype(np.int64)
    if grid.round_and_shift:
        for sample in np.unique(item[kept]):
            cells[item[kept] == sample] -= cells[item[kept] == sample].min(axis=0)
    rows = np.concatenate([item[kept, None], cells], axis=1).reshape(-1, 4)
    coordinates, first, inverse, counts = np.unique(
        rows, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    inverse_N = np.full(len(points), -1)
    inverse_N[kept] = inverse.reshape(-1)
    return Voxels(coordinates.astype(np.int32), inverse_N, kept[first], counts)


def devoxelise(features_VD: Tensor, inverse_N: Tensor) -> Tensor:
    """Give every point the features of its voxel, [N, D]; zero where it has none."""
    gathered_ND = features_VD.index_select(0, inverse_N.clamp(min=0))
    return gathered_ND.masked_fill((inverse_N < 0)[:, None], 0.0)


def _checked(points_NC: Array, item_N: Array | None) -> tuple[Array, npt.NDArray[np.int64]]:
    if points_NC.ndim != 2 or points_NC.shape[1] < 3 or points_NC.dtype.kind != "f":
        raise DataError(
            f"points of shape {points_NC.shape} and dtype {points_NC.dtype}",
            where="voxelise",
            remedy="give float32 or float64 [N, 3 or more]",
        )
    points = np.ascontiguousarray(points_NC, dtype=np.float32)
    if item_N is None:
        return points, np.zeros(len(points), dtype=np.int64)
    if item_N.shape != (len(points),) or item_N.dtype.kind not in "iu":
        raise DataError(
            f"{len(points)} points, samples of shape {item_N.shape} and dtype {item_N.dtype}",
            where="voxelise",
            remedy="give one integer per point",
        )
    if (item_N < 0).any():
        raise DataError("a sample below 0", where="voxelise", remedy="count samples from 0")
    return points, np.ascontiguousarray(item_N, dtype=np.int64)


@compiled()
def _cells(
    points: Array,
    item: Array,
    items: int,
    steps: Array,
    limits: Array,
    cylindrical: bool,
    nearest: bool,
    cells: Array,
) -> tuple[Array, Array, int]:
    """(Sample, cell) of every point; lowest and highest cell by sample, and the first bad point."""
    rows = points.shape[0]
    part = (rows + PARTS - 1) // PARTS
    lowest = np.full((PARTS, items, 3), LARGEST, dtype=np.int32)
    highest = np.full((PARTS, items, 3), -LARGEST, dtype=np.int32)
    bad = np.full(PARTS, rows)
    for p in numba.prange(PARTS):
        for i in range(p * part, min(rows, (p + 1) * part)):
            x, y, z = points[i, 0], points[i, 1], points[i, 2]
            finite = abs(x + y + z) < np.inf
            if cylindrical:
                x, y = _cylindrical(x, y)
                finite &= x < np.inf  # squares may overflow
            inside = (x >= limits[0, 0]) & (y >= limits[0, 1]) & (z >= limits[0, 2])
            inside &= (x < limits[1, 0]) & (y < limits[1, 1]) & (z < limits[1, 2])
            u = _whole(x / steps[0], nearest)
            v = _whole(y / steps[1], nearest)
            w = _whole(z / steps[2], nearest)
            near = (abs(u) < LARGEST) & (abs(v) < LARGEST) & (abs(w) < LARGEST)
            if not finite or (inside and not near):
                bad[p] = min(bad[p], i)
                continue
            cells[i, 0] = item[i] if inside else -1
            if inside:
                low, high = lowest[p, item[i]], highest[p, item[i]]
                for axis, cell in enumerate((np.int32(u), np.int32(v), np.int32(w))):
                    cells[i, 1 + axis] = cell
                    low[axis] = min(low[axis], cell)
                    high[axis] = max(high[axis], cell)
    for p in range(1, PARTS):
        lowest[0] = np.minimum(lowest[0], lowest[p])
        highest[0] = np.maximum(highest[0], highest[p])
    first_bad = bad.min()
    return lowest[0], highest[0], first_bad if first_bad < rows else -1


@inlined
def _whole(value: Any, nearest: bool) -> Any:
    return np.rint(value) if nearest else np.floor(value)


@inlined
def _cylindrical(x: float, y: float) -> tuple[np.float32, np.float32]:
    """Distance and angle in degrees, in float32; the angle is rounded once from float64."""
    distance = np.float32(math.sqrt(x * x + y * y))
    angle = np.float32(math.atan2(np.float64(y), np.float64(x)))
    return distance, angle * FULL_TURN / PI


@compiled()
def _keys(cells: Array, origin: Array, extent: Array, limit: int, keys: Array) -> None:
    """One number per voxel that sorts as (sample, cell); `limit` outside the limits."""
    for i in numba.prange(cells.shape[0]):
        item = cells[i, 0]
        key = np.int64(limit)
        if item >= 0:
            key = np.int64(item)  # the product needs 64 bits
            for axis in range(3):
                key = key * extent[axis] + (cells[i, 1 + axis] - origin[item, axis])
        keys[i] = key
