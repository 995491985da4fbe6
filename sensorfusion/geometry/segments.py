"""Sums, means and maxima of the rows that share an id: of voxels, superpixels, cells.

An id of -1 leaves its row out; an id without rows gets zeros. How rows are divided into parts
depends only on shapes, and parts are put together in their order, so results repeat exactly on
the CPU, whatever the number of threads.
"""

from __future__ import annotations

from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sensorfusion.compiled import compiled, inlined
from sensorfusion.errors import DataError
from sensorfusion.geometry.scratch import scratch

Array = npt.NDArray[Any]
PARTS = 8  # of the rows, at most, for threads
SHARED = 16  # rows per segment and part that make adding up the parts cheap


def segment_sum(features_ND: Tensor, ids_N: Tensor, size: int) -> Tensor:
    """Sum of the rows of each id: [size, D], differentiable.

    Args:
        features_ND: floating point, on any device.
        ids_N: int64 in [-1, size), on the same device; -1 leaves a row out.

    Raises:
        DataError: for wrong shapes or dtypes, or an id out of range (naming it; on devices other
            than the CPU ids are not looked at, since that would wait for the device).
    """
    _check(features_ND, ids_N, size)
    if _on_cpu(features_ND):
        return _pooled(features_ND, ids_N, size, mean=False)
    # One row more than asked for takes what is left out.
    sums = features_ND.new_zeros(size + 1, features_ND.shape[1])
    return sums.index_add(0, ids_N.where(ids_N >= 0, size), features_ND)[:size]


def segment_counts(ids_N: Tensor, size: int) -> Tensor:
    """How many rows each id has: int64 [size].

    Raises:
        DataError: as `segment_sum`.
    """
    if ids_N.ndim != 1 or ids_N.dtype != torch.int64 or size < 0:
        raise DataError(
            f"ids {tuple(ids_N.shape)} {ids_N.dtype} for {size} segments",
            where="segments",
            remedy="give int64 ids [N] and the number of segments",
        )
    if _on_cpu(ids_N):
        _check_ids(ids_N, size)
    counts = ids_N.new_zeros(size + 1)
    return counts.index_add(0, ids_N.where(ids_N >= 0, size), torch.ones_like(ids_N))[:size]


def segment_mean(features_ND: Tensor, ids_N: Tensor, size: int) -> Tensor:
    """Mean of the rows of each id: [size, D], zero without rows. Otherwise as `segment_sum`."""
    if _on_cpu(features_ND):
        _check(features_ND, ids_N, size)
        return _pooled(features_ND, ids_N, size, mean=True)
    sums = segment_sum(features_ND, ids_N, size)
    return sums / segment_counts(ids_N, size).clamp(min=1).to(sums.dtype)[:, None]


def segment_max(features_ND: Tensor, ids_N: Tensor, size: int) -> Tensor:
    """Largest value per id and column: [size, D], zero without rows. Otherwise as `segment_sum`.

    The gradient goes to the first row that has the largest value (on devices other than the
    CPU it is shared among equal ones). NaN is larger than anything.
    """
    _check(features_ND, ids_N, size)
    if _on_cpu(features_ND):
        return cast(Tensor, _Max.apply(features_ND, ids_N, size))  # type: ignore[no-untyped-call]
    index_ND = ids_N.where(ids_N >= 0, size)[:, None].expand(-1, features_ND.shape[1])
    largest = features_ND.new_zeros(size + 1, features_ND.shape[1])
    return largest.scatter_reduce(0, index_ND, features_ND, "amax", include_self=False)[:size]


def segment_sum_reference(features_ND: Array, ids_N: Array, size: int) -> Array:
    """What `segment_sum` does, in NumPy."""
    sums = np.zeros((size, features_ND.shape[1]), dtype=features_ND.dtype)
    np.add.at(sums, ids_N[ids_N >= 0], features_ND[ids_N >= 0])
    return sums


def segment_max_reference(features_ND: Array, ids_N: Array, size: int) -> Array:
    """What `segment_max` does, in NumPy."""
    largest = np.zeros((size, features_ND.shape[1]), dtype=features_ND.dtype)
    for number in range(size):
        if (ids_N == number).any():
            largest[number] = features_ND[ids_N == number].max(axis=0)
    return largest


def _pooled(features_ND: Tensor, ids_N: Tensor, size: int, mean: bool) -> Tensor:
    if torch.is_grad_enabled() and features_ND.requires_grad:
        return cast(Tensor, _Sum.apply(features_ND, ids_N, size, mean))  # type: ignore[no-untyped-call]
    return _sums(features_ND, ids_N, size, mean)[0]


def _sums(features_ND: Tensor, ids_N: Tensor, size: int, mean: bool) -> tuple[Tensor, Array]:
    """Sums or means by the kernel, and counts."""
    features, ids = _features(features_ND), ids_N.contiguous().numpy()
    parts = min(PARTS, max(1, len(ids) // (SHARED * size + 1)))
    shape = (size, features.shape[1])
    sums, counts = np.empty(shape, features.dtype), np.empty(size, np.int64)
    more_sums = scratch("segment_sums", (parts - 1, *shape), features.dtype)
    if _segment_sum(features, ids, mean, sums, counts, more_sums):
        _check_ids(ids_N, size)
    pooled_SD = torch.from_numpy(sums)
    same = pooled_SD.dtype == features_ND.dtype
    return pooled_SD if same else pooled_SD.to(features_ND.dtype), counts


class _Sum(torch.autograd.Function):
    """Sums or means by the kernel; the gradient gives every row that of its id, or its share."""

    @staticmethod
    def forward(ctx: Any, features_ND: Tensor, ids_N: Tensor, size: int, mean: bool) -> Tensor:
        pooled_SD, counts_S = _sums(features_ND, ids_N, size, mean)
        ctx.mean = mean
        ctx.save_for_backward(ids_N, torch.from_numpy(counts_S))
        return pooled_SD

    @staticmethod
    def backward(ctx: Any, gradient_SD: Tensor) -> tuple[Tensor, None, None, None]:
        ids_N, counts_S = ctx.saved_tensors
        if ctx.mean:
            gradient_SD = gradient_SD / counts_S.clamp(min=1).to(gradient_SD.dtype)[:, None]
        if len(gradient_SD) == 0:
            return gradient_SD.new_zeros(len(ids_N), gradient_SD.shape[1]), None, None, None
        rows_ND = gradient_SD.index_select(0, ids_N.clamp(min=0))
        if counts_S.sum() < len(ids_N):
            rows_ND = rows_ND.masked_fill_((ids_N < 0)[:, None], 0.0)
        return rows_ND, None, None, None


class _Max(torch.autograd.Function):
    """Largest values by the kernel; each one's gradient goes to the row that it came from."""

    @staticmethod
    def forward(ctx: Any, features_ND: Tensor, ids_N: Tensor, size: int) -> Tensor:
        _check_ids(ids_N, size)
        features = _features(features_ND)
        order = scratch("segment_rows", (len(features),), np.int64)
        largest = np.zeros((size, features.shape[1]), dtype=features.dtype)
        winner = np.full(largest.shape, -1, dtype=np.int64)
        _segment_max(features, ids_N.numpy(), order, largest, winner)
        ctx.save_for_backward(torch.from_numpy(winner))
        ctx.rows = len(features_ND)
        return torch.from_numpy(largest).to(features_ND.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_SD: Tensor) -> tuple[Tensor, None, None]:
        (winner_SD,) = ctx.saved_tensors
        # One row more than there are takes what no row has won.
        gradient = gradient_SD.new_zeros(ctx.rows + 1, gradient_SD.shape[1])
        gradient.scatter_(0, winner_SD.where(winner_SD >= 0, ctx.rows), gradient_SD)
        return gradient[: ctx.rows], None, None


def _on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _check(features_ND: Tensor, ids_N: Tensor, size: int) -> None:
    """Messages are made only where they are needed: they would take as long as small sums."""
    if features_ND.ndim != 2 or ids_N.shape != features_ND.shape[:1] or size < 0:
        raise DataError(
            f"{_found(features_ND, ids_N)} for {size} segments",
            where="segments",
            remedy="give features [N, D], ids [N] and the number of segments",
        )
    if not features_ND.is_floating_point() or ids_N.dtype != torch.int64:
        raise DataError(
            f"{_found(features_ND, ids_N)} {ids_N.dtype}",
            where="segments",
            remedy="give floating-point features and int64 ids",
        )


def _found(features_ND: Tensor, ids_N: Tensor) -> str:
    shapes = tuple(features_ND.shape), tuple(ids_N.shape)
    return f"features {shapes[0]} {features_ND.dtype}, ids {shapes[1]}"


def _check_ids(ids_N: Tensor, size: int) -> None:
    low, high = (int(bound) for bound in torch.aminmax(ids_N)) if len(ids_N) else (-1, -1)
    if low < -1 or high >= size:
        raise DataError(
            f"ids from {low} to {high} for {size} segments",
            where="segments",
            remedy="number segments from 0, and give -1 to rows that belong to none",
        )


def _features(features_ND: Tensor) -> Array:
    """Features in a dtype that the kernels know."""
    if features_ND.dtype not in (torch.float32, torch.float64):
        features_ND = features_ND.to(torch.float32)
    rows: Array = np.ascontiguousarray(features_ND.numpy(force=True))
    return rows


@compiled()
def _segment_sum(
    features: Array, ids: Array, mean: bool, sums: Array, counts: Array, more_sums: Array
) -> bool:
    """Write sums or means, and counts; says whether an id is wrong.

    Args:
        more_sums: room for the sums of the parts after the first.
    """
    parts, size = more_sums.shape[0] + 1, sums.shape[0]
    more_counts = np.empty((parts - 1, size), np.int64)
    rows = (ids.shape[0] + parts - 1) // parts
    wrong = np.zeros(parts, dtype=np.bool_)
    for p in numba.prange(parts):
        first, last = p * rows, min(ids.shape[0], (p + 1) * rows)
        part_sums, part_counts = sums, counts
        if p > 0:
            part_sums, part_counts = more_sums[p - 1], more_counts[p - 1]
        wrong[p] = _add_rows(features, ids, first, last, part_sums, part_counts)
    for s in numba.prange(size):
        for p in range(parts - 1):
            counts[s] += more_counts[p, s]
            _add(sums[s], more_sums[p, s])
        if mean:
            _divide(sums[s], counts[s])
    return bool(wrong.any())


@inlined
def _add_rows(
    features: Array, ids: Array, first: int, last: int, sums: Array, counts: Array
) -> bool:
    sums[:] = 0
    counts[:] = 0
    wrong = False
    for i in range(first, last):
        s = ids[i]
        if 0 <= s < sums.shape[0]:
            counts[s] += 1
            _add(sums[s], features[i])
        else:
            wrong |= s != -1
    return wrong


@inlined
def _add(total: Array, row: Array) -> None:
    for d in range(row.shape[0]):
        total[d] += row[d]


@inlined
def _divide(total: Array, count: int) -> None:
    divisor = total.dtype.type(max(1, count))
    for d in range(total.shape[0]):
        total[d] /= divisor


@compiled()
def _segment_max(features: Array, ids: Array, order: Array, largest: Array, winner: Array) -> None:
    starts = _rows_by_id(ids, order, largest.shape[0])
    for s in numba.prange(largest.shape[0]):
        for j in range(starts[s], starts[s + 1]):
            i = order[j]
            for d in range(features.shape[1]):
                value, best = features[i, d], largest[s, d]
                if winner[s, d] < 0 or value > best or (value != value and best == best):
                    largest[s, d] = value
                    winner[s, d] = i


@inlined
def _rows_by_id(ids: Array, order: Array, size: int) -> Array:
    """List rows by id, each id's in their order: where each id's begin in `order`."""
    starts = np.zeros(size + 2, dtype=np.int64)  # one further on, so that filling moves them back
    for i in range(ids.shape[0]):
        starts[ids[i] + 2] += ids[i] >= 0
    for s in range(size):
        starts[s + 2] += starts[s + 1]
    for i in range(ids.shape[0]):
        if ids[i] >= 0:
            order[starts[ids[i] + 1]] = i
            starts[ids[i] + 1] += 1
    return starts[: size + 1]
