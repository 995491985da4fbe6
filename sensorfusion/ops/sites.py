"""The active sites of one level of a sparse network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from sensorfusion.errors import DataError
from sensorfusion.ops.packing import INT32, Grid, pack

AXES = (1, 2, 3)


@dataclass(frozen=True, eq=False)
class Sites:
    """Where a sparse tensor has features: distinct coordinates, in the rows' order.

    Args:
        coordinates: int32 [N, 1 + axes]: batch item, then 1 to 3 axes, in units of this
            level's cells. batch_size: number of batch items, empty ones included.
        stride: cells of the first level that one cell spans, per axis.
        spatial_shape: number of cells per axis, from 0, where the field is bounded.
    """

    coordinates: Tensor
    batch_size: int
    stride: tuple[int, ...]
    spatial_shape: tuple[int, ...] | None = None
    order: Tensor | None = field(default=None, repr=False)
    """int64 [N]: the rows in the order of their coordinates; None where they are in order."""

    def __len__(self) -> int:
        return len(self.coordinates)

    @property
    def axes(self) -> int:
        """Number of spatial axes."""
        return self.coordinates.shape[1] - 1

    @property
    def device(self) -> torch.device:
        return self.coordinates.device

    @cached_property
    def bounds(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Smallest and largest coordinate of each axis; zeros without sites."""
        return coordinate_bounds(self.coordinates)

    @cached_property
    def sorted_coordinates(self) -> Tensor:
        """The coordinates in ascending order."""
        if self.order is None:
            return self.coordinates
        return self.coordinates[self.order]

    def to(self, device: torch.device) -> Sites:
        """The same sites on a device."""
        order_N = None if self.order is None else self.order.to(device)
        coordinates_NX = self.coordinates.to(device)
        return Sites(coordinates_NX, self.batch_size, self.stride, self.spatial_shape, order_N)


def checked_sites(
    coordinates_NX: Tensor,
    *,
    batch_size: int | None = None,
    stride: int | Sequence[int] = 1,
    spatial_shape: Sequence[int] | None = None,
) -> Sites:
    """Sites from coordinates of any integer dtype, in any order.

    Raises:
        DataError: for another shape or dtype, a batch item outside the batch, coordinates
            outside int32 or the spatial shape, or two equal rows.
    """
    where = "coordinates of a sparse tensor"
    if coordinates_NX.ndim != 2 or coordinates_NX.shape[1] - 1 not in AXES:
        raise DataError(
            f"shape {tuple(coordinates_NX.shape)}, expected [N, 4] (batch item and 3 axes), "
            "[N, 3] or [N, 2]",
            where=where,
        )
    dtype = coordinates_NX.dtype
    if dtype.is_floating_point or dtype.is_complex or dtype in (torch.bool, torch.uint64):
        raise DataError(
            f"dtype {dtype}, expected int32",
            where=where,
            remedy="voxelise metres first: floor(points / voxel_size), then convert to int32",
        )
    axes = coordinates_NX.shape[1] - 1
    strides = (stride,) * axes if isinstance(stride, int) else tuple(stride)
    lower, upper = coordinate_bounds(coordinates_NX)
    if min(lower) < INT32.min or max(upper) > INT32.max:
        raise DataError(f"values from {min(lower)} to {max(upper)} leave int32", where=where)
    batch_size = _checked_batch_size(coordinates_NX[:, 0], batch_size, where)
    shape = None if spatial_shape is None else tuple(spatial_shape)
    sized = shape is None or (len(shape) == axes and min(shape) >= 0)
    if len(strides) != axes or min(strides) < 1 or not sized:
        raise DataError(f"stride {strides}, shape {shape} for {axes} axes", where=where)
    if shape and len(coordinates_NX) and (min(lower) < 0 or any(map(int.__ge__, upper, shape))):
        raise DataError(f"coordinates from {lower} to {upper} leave {shape}", where=where)
    order_N = _order(coordinates_NX, Grid.around(batch_size, lower, upper, (0,) * axes), where)
    return Sites(coordinates_NX.int().contiguous(), batch_size, strides, shape, order_N)


def coordinate_bounds(coordinates_NX: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Smallest and largest coordinate of each axis, batch items left out; zeros without rows."""
    axes = coordinates_NX.shape[1] - 1
    if not len(coordinates_NX):
        return (0,) * axes, (0,) * axes
    both = torch.stack(torch.aminmax(coordinates_NX[:, 1:], dim=0)).tolist()
    return tuple(both[0]), tuple(both[1])


def _checked_batch_size(items_N: Tensor, batch_size: int | None, where: str) -> int:
    first, last = (int(items_N.min()), int(items_N.max())) if len(items_N) else (0, -1)
    size = last + 1 if batch_size is None else batch_size
    if first < 0 or last >= size:
        raise DataError(
            f"batch items from {first} to {last} in a batch of {size}",
            where=where,
            remedy="the first column is the batch item (SuperFlow and torchsparse put it last)",
        )
    return size


def _order(coordinates_NX: Tensor, grid: Grid, where: str) -> Tensor | None:
    """None for ascending rows, else the rows in ascending order; refuses equal rows."""
    keys_N = pack(coordinates_NX, grid)
    if bool((keys_N[1:] > keys_N[:-1]).all()):
        return None
    sorted_N, order_N = torch.sort(keys_N)
    equal = (sorted_N[1:] == sorted_N[:-1]).nonzero()[:, 0]
    if len(equal):
        first, second = sorted(order_N[equal[0] : equal[0] + 2].tolist())
        raise DataError(
            f"{len(equal)} duplicate coordinates; rows {first} and {second} are both "
            f"{coordinates_NX[first].tolist()}",
            where=where,
            remedy="voxelise first: one row per voxel",
        )
    return order_N
