"""Which input row meets which output row at each offset of a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorfusion.ops.kernel import Kernel
from sensorfusion.ops.packing import Grid, pack
from sensorfusion.ops.sites import Sites

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
        return max((b - a for a, b in zip(self.starts, self.starts[1:], strict=False)), default=0)

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
            for first, last in zip(self.starts, self.starts[1:], strict=False)
        ]
        return np.stack(columns, axis=1)


class KernelMap:
    """The connections of a convolution between two sets of sites; pairs are found when asked for.

    Args:
        inputs, outputs: sites of the input and of the output. kernel: the convolution's window.
        inverse_of: for an inverse convolution, the map of the convolution that it is paired with.
    """

    def __init__(
        self, inputs: Sites, outputs: Sites, kernel: Kernel, inverse_of: KernelMap | None = None
    ) -> None:
        self.inputs, self.outputs, self.kernel = inputs, outputs, kernel
        self.inverse_of = inverse_of

    @cached_property
    def pairs(self) -> PairLists:
        """Pairs of rows per offset."""
        if self.inverse_of is not None:
            return self.inverse_of.pairs.swapped
        return find_pairs_reference(self.inputs, self.outputs, self.kernel)

    def inverse(self) -> KernelMap:
        """The map of the inverse convolution: out[o * stride - padding + k] += W[k] in[o]."""
        return KernelMap(self.outputs, self.inputs, self.kernel, inverse_of=self)


def find_pairs_reference(inputs: Sites, outputs: Sites, kernel: Kernel) -> PairLists:
    """Pairs by one binary search per offset and output site; any device."""
    grid = common_grid(inputs, outputs, kernel)
    source_N = pack(inputs.sorted_coordinates, grid)
    centres_MX = outputs.sorted_coordinates.clone()
    centres_MX[:, 1:] *= torch.tensor(kernel.stride, dtype=torch.int32, device=inputs.device)
    query_M = pack(centres_MX, grid)
    identity = kernel.volume // 2 if inputs is outputs and kernel.is_symmetric else None
    found = []
    for step in kernel.steps():
        target_M = query_M + grid.key_of_step(step)
        row_M = torch.searchsorted(source_N, target_M).clamp_(max=max(len(source_N) - 1, 0))
        hit_M = (source_N[row_M] == target_M) if len(source_N) else torch.zeros_like(row_M).bool()
        hits = hit_M.nonzero()[:, 0]
        found.append((row_M[hits], hits))
    starts = [0]
    for rows, _ in found:
        starts.append(starts[-1] + len(rows))
    in_rows_P, out_rows_P = (torch.cat(rows) for rows in zip(*found, strict=True))
    if inputs.order is not None:
        in_rows_P = inputs.order[in_rows_P]
    if outputs.order is not None:
        out_rows_P = outputs.order[out_rows_P]
    return PairLists(
        in_rows_P.int(),
        out_rows_P.int(),
        tuple(starts),
        identity,
        len(inputs),
        len(outputs),
        inputs.order,
        outputs.order,
    )


def common_grid(inputs: Sites, outputs: Sites, kernel: Kernel) -> Grid:
    """A grid that holds the inputs and every cell that a window at an output can see."""
    (in_low, in_high), (out_low, out_high) = inputs.bounds, outputs.bounds
    lower, upper = [], []
    for axis, (size, stride, padding, dilation) in enumerate(
        zip(kernel.size, kernel.stride, kernel.padding, kernel.dilation, strict=True)
    ):
        lower.append(min(in_low[axis], out_low[axis] * stride - padding))
        last = out_high[axis] * stride - padding + (size - 1) * dilation
        upper.append(max(in_high[axis], out_high[axis] * stride, last))
    return Grid.around(inputs.batch_size, lower, upper, (0,) * len(lower))
