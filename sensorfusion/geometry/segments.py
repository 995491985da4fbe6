"""Sums, means and maxima of the rows that share an id: of voxels, superpixels, cells.

An id of -1 leaves its row out; an id without rows gets zeros. Rows are first listed by id; then
one thread adds up those of an id in their order, so results repeat exactly on the CPU, whatever the
number of threads.
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
        return cast(Tensor, _Sum.apply(features_ND, ids_N, size, False))  # type: ignore[no-untyped-call]
    # One row more than asked for takes what is left out.
    sums = features_ND.new_zeros(size + 1, features_ND.shape[1])
    return sums.index_add(0, ids_N.where(ids_N >= 0, size), features_ND)[:size]


def segment_counts(ids_N: Tensor, size: int) -> Tensor:
    """How many rows each id has: int64 [size]."""
    return torch.bincount(ids_N + 1, minlength=size + 1)[1:]


def segment_mean(features_ND: Tensor, ids_N: Tensor, size: int) -> Tensor:
    """Mean of the rows of each id: [size, D], zero without rows. Otherwise as `segment_sum`."""
    if _on_cpu(features_ND):
        _check(features_ND, ids_N, size)
        return cast(Tensor, _Sum.apply(features_ND, ids_N, size, True))  # type: ignore[no-untyped-call]
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


class _Sum(torch.autograd.Function):
    """Sums or means by the kernel; the gradient gives every row that of its id, or its share."""

    @staticmethod
    def forward(ctx: Any, features_ND: Tensor, ids_N: Tensor, size: int, mean: bool) -> Tensor:
        sums, features, order = _arrays(features_ND, size)
        starts = _segment_sum(features, ids_N.numpy(), order, mean, sums)
        ctx.mean = mean
        ctx.save_for_backward(ids_N, torch.from_numpy(starts))
        return torch.from_numpy(sums).to(features_ND.dtype)

    @staticmethod
    def backward(ctx: Any, gradient_SD: Tensor) -> tuple[Tensor, None, None, None]:
        ids_N, starts = ctx.saved_tensors
        if ctx.mean:
            gradient_SD = gradient_SD / starts.diff().clamp(min=1).to(gradient_SD.dtype)[:, None]
        if len(gradient_SD) == 0:
            return gradient_SD.new_zeros(len(ids_N), gradient_SD.shape[1]), None, None, None
        rows_ND = gradient_SD.index_select(0, ids_N.clamp(min=0))
        return rows_ND.masked_fill_((ids_N < 0)[:, None], 0.0), None, None, None


class _Max(torch.autograd.Function):
    """Largest values by the kernel; each one's gradient goes to the row that it came from."""

    @staticmethod
    def forward(ctx: Any, features_ND: Tensor, ids_N: Tensor, size: int) -> Tensor:
        largest, features, order = _arrays(features_ND, size)
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
    found = f"features {tuple(features_ND.shape)} {features_ND.dtype}, ids {tuple(ids_N.shape)} "
    if features_ND.ndim != 2 or ids_N.shape != features_ND.shape[:1] or size < 0:
        raise DataError(
            f"{found}for {size} segments",
            where="segments",
            remedy="give features [N, D], ids [N] and the number of segments",
        )
    if not features_ND.is_floating_point() or ids_N.dtype != torch.int64:
        raise DataError(
            f"{found}{ids_N.dtype}",
            where="segments",
            remedy="give floating-point features and int64 ids",
        )
    if _on_cpu(ids_N) and len(ids_N):  # elsewhere the check would wait for the device
        low, high = (int(bound) for bound in torch.aminmax(ids_N))
        if low < -1 or high >= size:
            raise DataError(
                f"ids from {low} to {high} for {size} segments",
                where="segments",
                remedy="number segments from 0, and give -1 to rows that belong to none",
            )


def _arrays(features_ND: Tensor, size: int) -> tuple[Array, Array, Array]:
    """Zeros for the result, features in a dtype that the kernels know, and room for the rows."""
    wide = features_ND.dtype if features_ND.dtype == torch.float64 else torch.float32
    features = features_ND.detach().to(wide).contiguous().numpy()
    order = scratch("segment_rows", (len(features),), np.int64)
    return np.zeros((size, features.shape[1]), dtype=features.dtype), features, order


@compiled()
def _segment_sum(features: Array, ids: Array, order: Array, mean: bool, sums: Array) -> Array:
    starts = _rows_by_id(ids, order, sums.shape[0])
    width = features.shape[1]
    flat, flat_sums = features.reshape(-1), sums.reshape(-1)
    for s in numba.prange(sums.shape[0]):
        total = flat_sums[s * width : (s + 1) * width]
        for j in range(starts[s], starts[s + 1]):
            row = flat[order[j] * width : (order[j] + 1) * width]
            for d in range(width):
                total[d] += row[d]
        if mean:
            count = max(1, starts[s + 1] - starts[s])
            for d in range(width):
                total[d] /= count
    return starts


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
