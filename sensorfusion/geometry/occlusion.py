"""Which projected points another surface hides from the camera: a depth buffer per camera.

A lidar sits elsewhere than a camera, often higher, and sees over what the camera sees: such a
point would be paired with a pixel that shows something nearer. Points are sparse in the image,
so the buffer has cells of several pixels. A point counts as hidden when something nearer, by more
than a tolerance that grows with range, lies on all four sides of it: above, below, left and right.
A nearer point on some sides only is what a road or a wall seen at a low angle has everywhere. For
the same reason left and right are looked at on its own level and above, since the road below is
always nearer, and above and below only within a cell of its own column.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import compiled
from sensorfusion.errors import DataError
from sensorfusion.geometry.cameras import Cameras
from sensorfusion.geometry.projection import Pairs

Array = npt.NDArray[Any]
MOST_CELLS = 2**26  # of one camera


@dataclass(frozen=True)
class DepthBuffer:
    """How points are compared.

    Args:
        cell: side of a cell in pixels.
        reach: how many cells around its own a point is compared with; reach * cell should exceed
            the distance of two scan lines in the image.
        absolute: metres by which a point may lie behind what is around it.
        relative: the same as a share of the depth of what is around it, added to `absolute`.
    """

    cell: float = 8.0
    reach: int = 4
    absolute: float = 0.5
    relative: float = 0.05

    def __post_init__(self) -> None:
        numbers = (self.cell, self.absolute, self.relative)
        fine = all(math.isfinite(number) and number >= 0 for number in numbers)
        if not fine or self.cell <= 0 or self.reach < 1:
            raise DataError(
                f"{self}",
                where="the depth buffer of an occlusion test",
                remedy="give a cell above zero, a reach of at least 1, tolerances of at least 0",
            )


def hidden(pairs: Pairs, rig: Cameras, buffer: DepthBuffer) -> npt.NDArray[np.bool_]:
    """Which pairs something nearer hides: bool [E]; keep the others by `pairs.select(~hidden)`.

    Args:
        pairs: of `project_pairs`, with every point that can hide another.
        rig: the cameras that they were projected into.

    Raises:
        DataError: for pairs of wrong shapes or dtypes, with a pixel or depth that is not finite,
            or not sorted by the cameras of the rig; for more cells than memory should hold.
    """
    _check(pairs)
    first_K = np.searchsorted(pairs.camera_E, np.arange(len(rig) + 1))
    if first_K[0] != 0 or first_K[-1] != len(pairs) or (np.diff(pairs.camera_E) < 0).any():
        raise DataError(
            f"{len(pairs)} pairs that are not sorted by {len(rig)} cameras: some are out of range, "
            f"cameras from {pairs.camera_E.min()} to {pairs.camera_E.max()}",
            where="hidden",
            remedy="give the pairs as `project_pairs` returns them, with the same cameras",
        )
    cells_K2 = np.ceil(rig.sizes_K2 / buffer.cell).astype(np.int64) + 1
    if cells_K2.prod(axis=1).max(initial=0) > MOST_CELLS:
        raise DataError(
            f"{cells_K2.max(axis=0).tolist()} cells of {buffer.cell} pixels",
            where="hidden",
            remedy="choose larger cells",
        )
    hidden_E = np.empty(len(pairs), dtype=np.bool_)
    uv_E2, depth_E = pairs.uv_E2.astype(np.float32), pairs.depth_E.astype(np.float32)
    settings = (buffer.cell, buffer.reach, buffer.absolute, buffer.relative)
    _hidden(uv_E2, depth_E, first_K, cells_K2, *settings, hidden_E)
    return hidden_E


def hidden_reference(pairs: Pairs, rig: Cameras, buffer: DepthBuffer) -> npt.NDArray[np.bool_]:
    """What `hidden` does, in NumPy."""
    hidden_E = np.zeros(len(pairs), dtype=bool)
    for k, size in enumerate(rig.sizes_K2):
        mine = pairs.camera_E == k
        depth = pairs.depth_E[mine].astype(np.float64)
        cell = np.floor((pairs.uv_E2[mine].astype(np.float64) + 0.5) / buffer.cell)
        counts = np.ceil(size / buffer.cell).astype(int) + 1
        cell = np.clip(cell, 0, counts - 1).astype(int) + buffer.reach
        nearest = np.full(counts + 2 * buffer.reach, np.inf)
        np.minimum.at(nearest, (cell[:, 0], cell[:, 1]), depth)
        around = range(-buffer.reach, buffer.reach + 1)
        cells = [(a, b) for a in around for b in around]
        sides = (
            [(a, b) for a, b in cells if a < 0 and b <= 0],
            [(a, b) for a, b in cells if a > 0 and b <= 0],
            [(a, b) for a, b in cells if b < 0 and abs(a) <= 1],
            [(a, b) for a, b in cells if b > 0 and abs(a) <= 1],
        )
        front = np.full(len(depth), -np.inf)
        for side in sides:
            nearest_of_side = np.minimum.reduce(
                [nearest[cell[:, 0] + a, cell[:, 1] + b] for a, b in side]
            )
            front = np.maximum(front, nearest_of_side)
        hidden_E[mine] = depth > front + buffer.absolute + buffer.relative * front
    return hidden_E


def _check(pairs: Pairs) -> None:
    arrays = (pairs.camera_E, pairs.uv_E2, pairs.depth_E)
    count = pairs.point_E.shape
    shaped = [array.shape for array in arrays] == [count, (*count, 2), count]
    if not shaped or len(count) != 1 or "".join(a.dtype.kind for a in arrays) != "iff":
        found = ", ".join(f"{array.shape} {array.dtype}" for array in arrays)
        raise DataError(
            f"cameras, pixels and depths {found} of {count} pairs",
            where="hidden",
            remedy="give the pairs as `project_pairs` returns them",
        )
    if not (np.isfinite(pairs.uv_E2).all() and np.isfinite(pairs.depth_E).all()):
        raise DataError("a pixel or depth that is not finite", where="hidden")


@compiled()
def _hidden(
    uv: Array,
    depth: Array,
    first: Array,
    cells: Array,
    cell: float,
    reach: int,
    absolute: float,
    relative: float,
    hidden: Array,
) -> None:
    for k in numba.prange(cells.shape[0]):
        columns, rows = cells[k, 0], cells[k, 1]
        nearest = np.full((columns, rows), np.inf)
        column = np.empty(first[k + 1] - first[k], dtype=np.int64)
        row = np.empty(first[k + 1] - first[k], dtype=np.int64)
        for i in range(column.shape[0]):
            e = first[k] + i
            column[i] = min(max(np.floor((uv[e, 0] + 0.5) / cell), 0), columns - 1)
            row[i] = min(max(np.floor((uv[e, 1] + 0.5) / cell), 0), rows - 1)
            nearest[column[i], row[i]] = min(nearest[column[i], row[i]], float(depth[e]))
        for i in range(column.shape[0]):
            left = right = above = below = np.inf
            for a in range(max(0, column[i] - reach), min(columns, column[i] + reach + 1)):
                for b in range(max(0, row[i] - reach), min(rows, row[i] + reach + 1)):
                    here = nearest[a, b]
                    left = min(left, here) if a < column[i] and b <= row[i] else left
                    right = min(right, here) if a > column[i] and b <= row[i] else right
                    if abs(a - column[i]) <= 1:
                        above = min(above, here) if b < row[i] else above
                        below = min(below, here) if b > row[i] else below
            front = max(left, right, above, below)
            hidden[first[k] + i] = depth[first[k] + i] > front + absolute + relative * front
