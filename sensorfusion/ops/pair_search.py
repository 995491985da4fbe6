"""Search of the pairs of rows that a kernel connects."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorfusion.compiled import compiled
from sensorfusion.ops.kernel import Kernel
from sensorfusion.ops.packing import Grid, pack
from sensorfusion.ops.pairs import PairLists
from sensorfusion.ops.sites import Sites
from sensorfusion.ops.threads import torch_threads

Array = NDArray[Any]
# Pieces that the outputs are cut into, for threads.
CHUNKS = 4


def find_pairs(inputs: Sites, outputs: Sites, kernel: Kernel) -> PairLists:
    """For each offset of a kernel, the rows of inputs and outputs that it connects.

    On the CPU one cursor per row of the kernel goes through the sorted keys, and a kernel that
    is symmetric about its centre is searched only up to there: the other half are the same
    pairs with input and output exchanged. Elsewhere by `find_pairs_reference`.

    Raises:
        DataError: when the coordinates, and what windows at them can see, leave int64 keys.
    """
    if inputs.device.type != "cpu" or not len(inputs) or not len(outputs):
        return find_pairs_reference(inputs, outputs, kernel)
    identity = _identity(inputs, outputs, kernel)
    volume = kernel.volume
    searched = volume if identity is None else identity
    grid = common_grid(inputs, outputs, kernel)
    source_N = pack(inputs.sorted_coordinates, grid).numpy()
    query_M = source_N if identity is not None else _query(outputs, kernel, grid).numpy()
    steps = [grid.key_of_step(step) for step in kernel.steps()]
    firsts_R = np.array(steps[:: kernel.size[-1]], np.int64)
    found = np.empty((2, searched, len(query_M)), np.int32)
    counts_KC = np.zeros((searched, CHUNKS), np.int64)
    with torch_threads():
        _walk(source_N, query_M, firsts_R, kernel.size[-1], kernel.dilation[-1], found, counts_KC)
    counts_K = counts_KC.sum(axis=1)
    if identity is not None:
        counts_K = np.concatenate([counts_K, [len(inputs)], counts_K[::-1]])
    starts = np.concatenate([[0], np.cumsum(counts_K)])
    rows_2P = np.empty((2, starts[-1]), np.int32)
    with torch_threads():
        _collect(found, counts_KC, starts, rows_2P)
    in_rows_P, out_rows_P = torch.from_numpy(rows_2P).unbind()
    return _pair_lists(in_rows_P, out_rows_P, starts.tolist(), identity, inputs, outputs)


def find_pairs_reference(inputs: Sites, outputs: Sites, kernel: Kernel) -> PairLists:
    """Pairs by one binary search per offset and output site; any device."""
    grid = common_grid(inputs, outputs, kernel)
    source_N = pack(inputs.sorted_coordinates, grid)
    query_M = _query(outputs, kernel, grid)
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
    in_rows_P, out_rows_P = (torch.cat(rows).int() for rows in zip(*found, strict=True))
    identity = _identity(inputs, outputs, kernel)
    return _pair_lists(in_rows_P, out_rows_P, starts, identity, inputs, outputs)


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


def _identity(inputs: Sites, outputs: Sites, kernel: Kernel) -> int | None:
    return kernel.volume // 2 if inputs is outputs and kernel.is_symmetric else None


def _query(outputs: Sites, kernel: Kernel, grid: Grid) -> Tensor:
    """Keys of output * stride, ascending."""
    centres_MX = outputs.sorted_coordinates
    if set(kernel.stride) != {1}:
        # In int64: the cell of a site at the end of int32 may begin before it.
        centres_MX = centres_MX.long() * torch.tensor([1, *kernel.stride], device=outputs.device)
    return pack(centres_MX, grid)


def _pair_lists(
    in_ranks_P: Tensor,
    out_ranks_P: Tensor,
    starts: list[int],
    identity: int | None,
    inputs: Sites,
    outputs: Sites,
) -> PairLists:
    """Lists of rows from lists of places in the order of the coordinates."""
    in_rows_P = in_ranks_P if inputs.order is None else inputs.order.int()[in_ranks_P]
    out_rows_P = out_ranks_P if outputs.order is None else outputs.order.int()[out_ranks_P]
    sizes = (len(inputs), len(outputs))
    return PairLists(
        in_rows_P, out_rows_P, tuple(starts), identity, *sizes, inputs.order, outputs.order
    )


@compiled()
def _walk(
    source_N: Array,
    query_M: Array,
    firsts_R: Array,
    taps: int,
    spacing: int,
    found: Array,
    counts_KC: Array,
) -> None:
    """Write for offset r * taps + m the pairs with source = query + firsts[r] + m * spacing.

    found[:, k, ...] holds the input and output of pairs in the order of the queries; those of
    each piece of the queries begin where the piece begins.
    """
    searched, outputs = found.shape[1], query_M.shape[0]
    rows = (searched + taps - 1) // taps
    for task in numba.prange(rows * CHUNKS):
        chunk, r = task // rows, task % rows
        first, last = outputs * chunk // CHUNKS, outputs * (chunk + 1) // CHUNKS
        reach = (min(taps, searched - r * taps) - 1) * spacing
        writes = np.full(taps, first, np.int64)
        j = np.searchsorted(source_N, query_M[first] + firsts_R[r]) if first < last else 0
        for i in range(first, last):
            target = query_M[i] + firsts_R[r]
            while j < source_N.shape[0] and source_N[j] < target:
                j += 1
            seen = j
            while seen < source_N.shape[0] and source_N[seen] <= target + reach:
                distance = source_N[seen] - target
                if distance % spacing == 0:
                    m = distance // spacing
                    found[0, r * taps + m, writes[m]] = seen
                    found[1, r * taps + m, writes[m]] = i
                    writes[m] += 1
                seen += 1
        for m in range(min(taps, searched - r * taps)):
            counts_KC[r * taps + m, chunk] = writes[m] - first


@compiled()
def _collect(found: Array, counts_KC: Array, starts: Array, rows_2P: Array) -> None:
    """Join the pieces; where only half of the offsets was searched, mirror them."""
    searched, outputs = found.shape[1], found.shape[2]
    volume = starts.shape[0] - 1
    for k in numba.prange(searched):
        write = starts[k]
        mirror = starts[volume - 1 - k]
        for chunk in range(CHUNKS):
            begin = outputs * chunk // CHUNKS
            for p in range(begin, begin + counts_KC[k, chunk]):
                rows_2P[0, write] = found[0, k, p]
                rows_2P[1, write] = found[1, k, p]
                write += 1
                if searched < volume:
                    rows_2P[0, mirror] = found[1, k, p]
                    rows_2P[1, mirror] = found[0, k, p]
                    mirror += 1
    if searched < volume:
        for i in range(outputs):
            rows_2P[0, starts[searched] + i] = i
            rows_2P[1, starts[searched] + i] = i
