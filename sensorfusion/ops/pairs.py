"""Lists of the rows that the offsets of a kernel connect."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# Output rows per tile: their features and those of their neighbours fit a core's cache.
TILE = 512


@dataclass(frozen=True, eq=False)
class PairLists:
    """For each offset of a kernel, the pairs of rows that it connects.

    Args:
        in_rows, out_rows: int32 [P]: rows of the input and of the output, offset after offset;
            within an offset each side ascends in the order of its coordinates, no row twice.
        starts: where the pairs of each offset start, and their number P at the end.
        identity: the offset that connects every row with itself, if there is one.
        inputs, outputs: number of rows of the input and of the output.
        in_order, out_order: `Sites.order` of both.
    """

    in_rows: Tensor
    out_rows: Tensor
    starts: tuple[int, ...]
    identity: int | None
    inputs: int
    outputs: int
    in_order: Tensor | None = None
    out_order: Tensor | None = None

    def of(self, offset: int) -> tuple[Tensor, Tensor]:
        """Rows of input and output that an offset connects."""
        part = slice(self.starts[offset], self.starts[offset + 1])
        return self.in_rows[part], self.out_rows[part]

    @property
    def volume(self) -> int:
        """Number of offsets."""
        return len(self.starts) - 1

    @property
    def occupied(self) -> list[int]:
        """Offsets that have pairs in the lists."""
        return [k for k in range(self.volume) if self.starts[k] < self.starts[k + 1]]

    @property
    def longest(self) -> int:
        """Largest number of pairs of one offset."""
        return max((b - a for a, b in pairwise(self.starts)), default=0)

    @cached_property
    def swapped(self) -> PairLists:
        """Input and output exchanged: the pairs of the inverse convolution."""
        return PairLists(
            self.out_rows,
            self.in_rows,
            self.starts,
            self.identity,
            self.outputs,
            self.inputs,
            self.out_order,
            self.in_order,
        )

    @cached_property
    def tiles(self) -> NDArray[np.int64]:
        """[T + 1, K]: position in the lists of the first pair of output tile t at offset k.

        A tile is `TILE` output rows that follow each other in the order of their coordinates.
        """
        ranks_P = self.out_rows.numpy()
        if self.out_order is not None:
            rank_M = np.empty(self.outputs, np.int32)
            rank_M[self.out_order.numpy()] = np.arange(self.outputs, dtype=np.int32)
            ranks_P = rank_M[ranks_P]
        edges_T = np.arange(0, self.outputs + TILE, TILE, dtype=np.int32)
        columns = [
            first + np.searchsorted(ranks_P[first:last], edges_T)
            for first, last in pairwise(self.starts)
        ]
        return np.stack(columns, axis=1)
