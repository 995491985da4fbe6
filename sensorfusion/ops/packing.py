"""Coordinates as one int64 number each, in the order of the coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sensorfusion.errors import DataError

INT32 = torch.iinfo(torch.int32)
INT64_MAX = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class Grid:
    """A box of cells of a batch, numbered row by row: batch item first, last axis fastest.

    The numbers (keys) are ordered as the coordinates are, and two keys differ by the same amount
    wherever their cells differ by the same step.

    Args:
        batch_size: number of batch items. lower: first cell of each axis; may be negative.
        extents: number of cells of each axis.

    Raises:
        DataError: when the cells cannot be numbered in int64.
    """

    batch_size: int
    lower: tuple[int, ...]
    extents: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.batch_size * math.prod(self.extents) > INT64_MAX:
            box = " x ".join(map(str, self.extents))
            raise DataError(
                f"a batch of {self.batch_size} with coordinates over {box} cells has more cells "
                "than int64 has numbers",
                remedy="remove outliers (crop the points to a range) or use larger voxels",
            )

    @property
    def steps(self) -> tuple[int, ...]:
        """Difference of keys for one step of the batch item and of each axis."""
        return tuple(math.prod(self.extents[axis:]) for axis in range(len(self.extents) + 1))

    def key_of_step(self, step: Sequence[int]) -> int:
        """Difference of keys for a step in the axes, one number per axis."""
        return sum(s * k for s, k in zip(step, self.steps[1:], strict=True))

    @classmethod
    def around(
        cls, batch_size: int, lower: Sequence[int], upper: Sequence[int], margin: Sequence[int]
    ) -> Grid:
        """The grid of all cells from lower to upper inclusive, and `margin` more at each end."""
        low = tuple(a - m for a, m in zip(lower, margin, strict=True))
        extents = (b + m - a + 1 for a, b, m in zip(low, upper, margin, strict=True))
        return cls(batch_size, low, tuple(extents))


def pack(coordinates_NX: Tensor, grid: Grid) -> Tensor:
    """Keys, int64 [N], of coordinates (batch item, then axes), which must lie in the grid."""
    keys_N = coordinates_NX[:, 0].to(torch.int64, copy=True)
    for axis, (low, extent) in enumerate(zip(grid.lower, grid.extents, strict=True), start=1):
        keys_N = keys_N.mul_(extent).add_(coordinates_NX[:, axis]).sub_(low)
    return keys_N


def unpack(keys_N: Tensor, grid: Grid) -> Tensor:
    """Coordinates, int32 [N, 1 + axes], of keys."""
    columns = []
    for low, extent in zip(reversed(grid.lower), reversed(grid.extents), strict=True):
        quotient_N = torch.div(keys_N, extent, rounding_mode="floor")
        columns.append(keys_N - quotient_N * extent + low)
        keys_N = quotient_N
    return torch.stack([keys_N, *reversed(columns)], dim=1).int()
