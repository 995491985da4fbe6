"""Points to voxels: which voxel every point lies in, and the voxels in lexicographic order.

Arithmetic is float32 in the order of operations of the released codes, since a point on a border
belongs to the voxel that their arithmetic says. A mean over each voxel's points is
`segments.segment_mean(features, voxels.inverse_N, len(voxels))`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sensorfusion.compiled import compiled, inlined
from sensorfusion.errors import DataError
from sensorfusion.geometry.scratch import scratch
from sensorfusion.geometry.unique import Groups, unique_keys

Array = npt.NDArray[Any]
Triple = tuple[float, float, float]
Cell = tuple[int, int, int]
CHUNK = 1024  # points whose coordinates stay in the first-level cache
LARGEST = np.int32(2**30)  # cells from the origin along one axis
MOST_SAMPLES = 2**31 - 1  # their numbers are int32
FAR, NOWHERE = np.float32(LARGEST), np.float32(0.0)
OUTSIDE = np.int32(-(2**31))  # in place of the first cell of a point that is left out
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
        triples = len(self.steps) == len(self.low) == len(self.high) == 3
        fine = triples and all(math.isfinite(step) and step > 0 for step in self.steps)
        if not fine or not np.less(self.low, self.high).all():
            raise DataError(
                f"{self}",
                where="the description of a voxel grid",
                remedy="give three finite steps above zero, and three limits with low < high",
            )

    @cached_property
    def axes_33(self) -> npt.NDArray[np.float32]:
        """Steps, low and high limits, as the kernels take them."""
        return np.array((self.steps, self.low, self.high), np.float32)


@dataclass(frozen=True, eq=False)
class Voxels(Groups):
    """V voxels in lexicographic order of (batch, first, second, third axis).

    The first point of each and how many it has are `first_V` and `counts_V`.

    Args:
        coordinates_V4: int32, what `SparseTensor` takes.
        inverse_N: int64, the voxel of every point; -1 outside the limits.
    """

    coordinates_V4: npt.NDArray[np.int32]
    inverse_N: npt.NDArray[np.int64]

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
        DataError: for wrong shapes, non-finite points (naming the first), samples below 0 or
            beyond int32, or points so far apart that their voxels cannot be numbered.
    """
    points, item = _checked(points_NC, item_N)
    # Threads would take longer to wake than the work takes, but for the angles.
    cells = _cells if grid.cylindrical else _cells.serial
    cells_3N = scratch("cells", (3, len(points)), np.int32)
    fine, lowest, highest = cells(
        points, grid.axes_33, grid.cylindrical, grid.round_and_shift, cells_3N
    )
    if not fine:
        _refuse(points, grid)
    items = int(item.max()) + 1 if len(item) else 1
    extent = [max(high - low, 0) + 1 for low, high in zip(lowest, highest, strict=True)]
    x_bits, y_bits, z_bits = ((size - 1).bit_length() for size in extent)
    bits = (x_bits, y_bits, z_bits)
    limit = items << sum(bits)
    if limit > 2**62:
        raise DataError(
            f"{items} samples of {extent} voxels cannot be numbered",
            where="voxelise",
            remedy="choose larger voxels, or give limits",
        )
    keys_N = scratch("keys", (len(points),), np.int64)
    _keys(cells_3N, item, lowest, bits, limit, keys_N)
    unique = unique_keys(keys_N, limit)
    coordinates_V4 = np.empty((len(unique), 4), np.int32)
    chosen_V = scratch("chosen", (len(unique),), np.uint32)
    _rows(cells_3N, item, unique.inverse_N, chosen_V, coordinates_V4)
    if grid.round_and_shift:
        _shift(coordinates_V4)
    return Voxels(coordinates_V4, unique.inverse_N)


def voxelise_reference(
    points_NC: Array, grid: VoxelGrid, item_N: npt.NDArray[np.integer[Any]] | None = None
) -> Voxels:
    """What `voxelise` does, in NumPy."""
    points, item = _checked(points_NC, item_N)
    item = item if item_N is not None else np.zeros(len(points), dtype=np.int64)
    _, scaled_N3, inside_N = _scaled(points, grid)
    kept, scaled = np.nonzero(inside_N)[0], scaled_N3[inside_N]
    cells = (np.rint(scaled) if grid.round_and_shift else np.floor(scaled)).astype(np.int64)
    if grid.round_and_shift:
        for sample in np.unique(item[kept]):
            cells[item[kept] == sample] -= cells[item[kept] == sample].min(axis=0)
    rows = np.concatenate([item[kept, None], cells], axis=1).reshape(-1, 4)
    coordinates, inverse = np.unique(rows, axis=0, return_inverse=True)
    inverse_N = np.full(len(points), -1)
    inverse_N[kept] = inverse.reshape(-1)
    return Voxels(coordinates.astype(np.int32), inverse_N)


def devoxelise(features_VD: Tensor, inverse_N: Tensor) -> Tensor:
    """Give every point the features of its voxel, [N, D]; zero where it has none.

    Args:
        inverse_N: int64 in [-1, V), as in `Voxels`, on the device of the features.

    Raises:
        DataError: for wrong shapes or dtypes, or a voxel that has no features (on devices other
            than the CPU this is not looked at, since that would wait for the device).
    """
    _check_inverse(features_VD, inverse_N)
    if not len(features_VD):  # every point is outside; keeps the gradient's way
        return features_VD.sum(dim=0, dtype=features_VD.dtype).expand(len(inverse_N), -1)
    gathered_ND = features_VD.index_select(0, inverse_N.clamp(min=0))
    return gathered_ND.masked_fill((inverse_N < 0)[:, None], 0.0)


def _checked(points_NC: Array, item_N: Array | None) -> tuple[Array, npt.NDArray[np.int64]]:
    """Float32 points, and their samples; none of these when all points are of one."""
    if points_NC.ndim != 2 or points_NC.shape[1] < 3 or points_NC.dtype.kind != "f":
        raise DataError(
            f"points of shape {points_NC.shape} and dtype {points_NC.dtype}",
            where="voxelise",
            remedy="give float32 or float64 [N, 3 or more]",
        )
    points = np.ascontiguousarray(points_NC, dtype=np.float32)
    if item_N is None:
        return points, np.empty(0, dtype=np.int64)
    if item_N.shape != (len(points),) or item_N.dtype.kind not in "iu":
        raise DataError(
            f"{len(points)} points, samples of shape {item_N.shape} and dtype {item_N.dtype}",
            where="voxelise",
            remedy="give one integer per point",
        )
    low, high = int(item_N.min(initial=0)), int(item_N.max(initial=0))
    if low < 0 or high >= MOST_SAMPLES:
        raise DataError(
            f"sample {low} is below 0" if low < 0 else f"sample {high} is beyond int32",
            where="voxelise",
            remedy="count samples from 0",
        )
    return points, np.ascontiguousarray(item_N, dtype=np.int64)


def _check_inverse(features_VD: Tensor, inverse_N: Tensor) -> None:
    found = f"features {tuple(features_VD.shape)}, voxels {tuple(inverse_N.shape)}"
    if features_VD.ndim != 2 or inverse_N.ndim != 1 or inverse_N.dtype != torch.int64:
        raise DataError(
            f"{found} {inverse_N.dtype}",
            where="devoxelise",
            remedy="give features [V, D] and the int64 voxel of each point [N]",
        )
    if inverse_N.device.type == "cpu" and len(inverse_N):
        low, high = (int(bound) for bound in torch.aminmax(inverse_N))
        if low < -1 or high >= len(features_VD):
            raise DataError(
                f"{found} from {low} to {high}",
                where="devoxelise",
                remedy="give the features of the voxels that the points were sorted into",
            )


def _scaled(points_NC: Array, grid: VoxelGrid) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Coordinates along the grid's axes, the same in voxels, and which are within the limits."""
    axes_N3 = points_NC[:, :3]
    with np.errstate(all="ignore"):
        if grid.cylindrical:
            x, y, z = axes_N3.T
            angle = np.arctan2(y.astype(np.float64), x.astype(np.float64)).astype(np.float32)
            axes_N3 = np.stack([np.sqrt(x * x + y * y), angle * FULL_TURN / PI, z], axis=1)
        low, high = np.array(grid.low, np.float32), np.array(grid.high, np.float32)
        inside_N = ((axes_N3 >= low) & (axes_N3 < high)).all(axis=1)
        return axes_N3, axes_N3 / np.array(grid.steps, np.float32), inside_N


def _refuse(points: Array, grid: VoxelGrid) -> None:
    """Name the first point that is not finite, or within the limits and too far."""
    axes_N3, scaled_N3, inside_N = _scaled(points, grid)
    far_N = (np.abs(np.rint(scaled_N3)) >= LARGEST).any(axis=1)
    bad = np.flatnonzero(~np.isfinite(axes_N3).all(axis=1) | (far_N & inside_N))[0]
    raise DataError(
        f"point {bad} at {points[bad, :3].tolist()} is not finite or too far for {grid.steps}",
        where="voxelise",
        remedy="remove such points, give limits, or choose larger voxels",
    )


def _shift(coordinates_V4: npt.NDArray[np.int32]) -> None:
    """Count from each sample's lowest voxel; rows are sorted by sample."""
    begins = np.flatnonzero(np.diff(coordinates_V4[:, 0], prepend=-1))
    voxels = np.diff(begins, append=len(coordinates_V4))
    lowest = np.minimum.reduceat(coordinates_V4[:, 1:], begins, axis=0)
    coordinates_V4[:, 1:] -= lowest.repeat(voxels, axis=0)


@compiled()
def _cells(
    points: Array, axes: Array, cylindrical: bool, nearest: bool, cells: Array
) -> tuple[bool, Cell, Cell]:
    """Cell of every point; whether all are fine, and the lowest and highest cells.

    Coordinates lie one after the other, so that loops over points can be vectorised.
    """
    count = points.shape[0]
    chunks = (count + CHUNK - 1) // CHUNK
    lowest = np.full((chunks + 1, 3), np.int64(LARGEST))
    highest = np.full((chunks + 1, 3), np.int64(-LARGEST))
    fine = np.ones(chunks, dtype=np.bool_)
    for chunk in numba.prange(chunks):
        start = chunk * CHUNK
        stop = min(count, start + CHUNK)
        xyz = np.empty((3, stop - start), dtype=np.float32)
        for i in range(start, stop):
            for axis in range(3):
                xyz[axis, i - start] = points[i, axis]
        if cylindrical:
            _to_cylindrical(xyz)
        a, b, c = cells[0], cells[1], cells[2]
        own = a[start:stop], b[start:stop], c[start:stop]
        fine[chunk] = _cut(xyz, axes, nearest, own, lowest[chunk], highest[chunk])
    low = lowest[:, 0].min(), lowest[:, 1].min(), lowest[:, 2].min()
    high = highest[:, 0].max(), highest[:, 1].max(), highest[:, 2].max()
    return bool(fine.all()), low, high


@inlined
def _to_cylindrical(xyz: Array) -> None:
    """Distance and angle in degrees, in float32; the angle is rounded once from float64."""
    for i in range(xyz.shape[1]):
        x, y = xyz[0, i], xyz[1, i]
        angle = np.float32(math.atan2(np.float64(y), np.float64(x)))
        xyz[0, i], xyz[1, i] = math.sqrt(x * x + y * y), angle * FULL_TURN / PI


@inlined
def _cut(
    xyz: Array,
    axes: Array,
    nearest: bool,
    cells: tuple[Array, ...],
    lowest: Array,
    highest: Array,
) -> bool:
    """Cells of some points. Written without branches, for the vectoriser."""
    x, y, z = xyz[0], xyz[1], xyz[2]
    step_x, step_y, step_z = axes[0]
    low_x, low_y, low_z = axes[1]
    high_x, high_y, high_z = axes[2]
    first, second, third = cells
    low_u = low_v = low_w = LARGEST
    high_u = high_v = high_w = -LARGEST
    bad = 0
    for i in range(x.shape[0]):
        inside = (x[i] >= low_x) & (y[i] >= low_y) & (z[i] >= low_z)
        inside &= (x[i] < high_x) & (y[i] < high_y) & (z[i] < high_z)
        u, near_u = _cell(x[i] / step_x, nearest)
        v, near_v = _cell(y[i] / step_y, nearest)
        w, near_w = _cell(z[i] / step_z, nearest)
        near = near_u & near_v & near_w
        finite = (abs(x[i]) < np.inf) & (abs(y[i]) < np.inf) & (abs(z[i]) < np.inf)
        bad += not (near | (finite & (not inside)))
        first[i], second[i], third[i] = u if inside else OUTSIDE, v, w
        low_u, high_u = _widened(low_u, high_u, u, inside)
        low_v, high_v = _widened(low_v, high_v, v, inside)
        low_w, high_w = _widened(low_w, high_w, w, inside)
    lowest[0], lowest[1], lowest[2] = low_u, low_v, low_w
    highest[0], highest[1], highest[2] = high_u, high_v, high_w
    return bad == 0


@inlined
def _cell(scaled: Any, nearest: bool) -> tuple[Any, Any]:
    """The cell, and whether it is near enough to have a number."""
    whole = np.rint(scaled) if nearest else np.floor(scaled)
    near = abs(whole) < FAR
    return np.int32(whole if near else NOWHERE), near


@inlined
def _widened(lowest: Any, highest: Any, cell: Any, inside: Any) -> tuple[Any, Any]:
    low, high = (cell, cell) if inside else (LARGEST, -LARGEST)
    return min(lowest, low), max(highest, high)


@inlined
def _keys(cells: Array, item: Array, lowest: Cell, bits: Cell, limit: int, keys: Array) -> None:
    """One number per voxel that sorts as (sample, cell); `limit` outside the limits.

    Args:
        bits: how many bits of the number each axis gets.
    """
    x, y, z = lowest
    x_bits, y_bits, z_bits = bits
    for i in range(keys.shape[0]):
        key = item[i] if item.shape[0] > 0 else 0
        key = (key << x_bits) + (cells[0, i] - x)
        key = (key << y_bits) + (cells[1, i] - y)
        key = (key << z_bits) + (cells[2, i] - z)
        keys[i] = key if cells[0, i] != OUTSIDE else limit


@inlined
def _rows(cells: Array, item: Array, inverse: Array, chosen: Array, rows: Array) -> None:
    """Sample and cell of every voxel, read from any of its points.

    Scattering short numbers and gathering rows misses the cache less than scattering rows.
    """
    for i in range(inverse.shape[0]):
        if inverse[i] >= 0:
            chosen[inverse[i]] = i
    for v in range(rows.shape[0]):
        i = chosen[v]
        rows[v, 0] = item[i] if item.shape[0] > 0 else 0
        rows[v, 1] = cells[0, i]
        rows[v, 2] = cells[1, i]
        rows[v, 3] = cells[2, i]
