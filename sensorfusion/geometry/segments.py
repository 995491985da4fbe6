"""Sums, means and maxima of the rows that share an id: of voxels, superpixels, cells.

An id of -1 leaves its row out; an id without rows gets zeros. A row of the result is summed in
the order of the input by one thread, whatever their number, so results repeat exactly on the CPU.
"""

from __future__ import annotations

from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sensorfusion.compiled import compiled
from sensorfusion.errors import DataError

Array = npt.NDArray[Any]
COLUMNS = 16  # of one task: a line of cache of float32


def segment_sum(features_ND: Tensor, ids_N: Tensor, size: int) -> Tensor:
    """Sum of the rows of each id: [size, D], differentiable.

    Args:
        features_ND: floating point, on any device.
        ids_N: int64 in [-1, size), on the same device; -1 leaves a row out.

    Raises:
        DataError: for wrong shapes or dtypes, or an id out of range (naming it).
    """
    _check(features_ND, ids_N, size)
    if _on_cpu(features_ND):
        return cast(Tensor, _Sum.apply(features_ND, ids_N, size))  # type: ignore[no-untyped-call]
    # One row more than asked for takes what is left out.
    sums = features_ND.new_zeros(size + 1, features_ND.shape[1])
    return sums.index_add(0, ids_N.where(ids_N >= 0, size), features_ND)[:size]


def segment_counts(ids_N: Tensor, size: int) -> Tensor:
    """How many rows each id has: int64 [size]."""
    return torch.bincount(ids_N + 1, minlength=size + 1)[1:]


def segment_mean(features_ND: Tensor, ids_N: Tensor, size: int) -> Tensor:
    """Mean of the rows of each id: [size, D], zero without rows. Otherwise as `segment_sum`."""
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
    """Rows to ids by the kernel; its gradient gives every row that of its id."""

    @staticmethod
    def forward(ctx: Any, features_ND: Tensor, ids_N: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(ids_N)
        sums, features = _arrays(features_ND, size)
        _segment_sum(features, ids_N.numpy(), sums)
        return torch.from_numpy(sums).to(features_ND.dtype)

    @staticmethod
    def backward(ctx: Any, gradient_SD: Tensor) -> tuple[Tensor, None, None]:
        (ids_N,) = ctx.saved_tensors
        gathered = gradient_SD.index_select(0, ids_N.clamp(min=0))
        return gathered.masked_fill((ids_N < 0)[:, None], 0.0), None, None


class _Max(torch.autograd.Function):
    """Largest values by the kernel; each one's gradient goes to the row that it came from."""

    @staticmethod
    def forward(ctx: Any, features_ND: Tensor, ids_N: Tensor, size: int) -> Tensor:
        largest, features = _arrays(features_ND, size)
        winner = np.full(largest.shape, -1, dtype=np.int64)
        _segment_max(features, ids_N.numpy(), largest, winner)
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


def _arrays(features_ND: Tensor, size: int) -> tuple[Array, Array]:
    """Zeros for the result, and the features, in a dtype that the kernels know."""
    wide = features_ND.dtype if features_ND.dtype == torch.float64 else torch.float32
    features = features_ND.detach().to(wide).contiguous().numpy()
    return np.zeros((size, features.shape[1]), dtype=features.dtype), features


@compiled()
def _segment_sum(features: Array, ids: Array, sums: Array) -> None:
    columns = features.shape[1]
    for task in numba.prange((columns + COLUMNS - 1) // COLUMNS):
        start, stop = task * COLUMNS, min(columns, (task + 1) * COLUMNS)
        for i in range(ids.shape[0]):
            if ids[i] >= 0:
                row, total = features[i], sums[ids[i]]
                if stop - start == COLUMNS:  # a loop of known length becomes one instruction
                    for d in range(COLUMNS):
                        total[start + d] += row[start + d]
                else:
                    for d in range(start, stop):
                        total[d] += row[d]


@compiled()
def _segment_max(features: Array, ids: Array, largest: Array, winner: Array) -> None:
    columns = features.shape[1]
    for task in numba.prange((columns + COLUMNS - 1) // COLUMNS):
        for i in range(ids.shape[0]):
            s = ids[i]
            if s >= 0:
                for d in range(task * COLUMNS, min(columns, (task + 1) * COLUMNS)):
                    value = features[i, d]
                    beaten = value > largest[s, d] or (
                        value != value and largest[s, d] == largest[s, d]
                    )
                    if winner[s, d] < 0 or beaten:
                        largest[s, d] = value
                        winner[s, d] = i
