"""Gather, multiply, scatter: one matrix product per offset, on any device that torch knows."""

from __future__ import annotations

import torch
from torch import Tensor

from sensorfusion.ops.kernel_map import KernelMap
from sensorfusion.ops.pairs import PairLists


class GatherScatter:
    """Plain torch; the gathered rows and the products of all offsets share one buffer each."""

    def forward(self, features_NI: Tensor, weight_KIO: Tensor, kernel_map: KernelMap) -> Tensor:
        """See `Backend.forward`."""
        pairs = kernel_map.pairs
        features_NI, weight_KIO, dtype = _working(features_NI, weight_KIO)
        out_MO = _scattered(features_NI, weight_KIO, pairs)
        return out_MO.to(dtype)

    def backward(
        self,
        gradient_MO: Tensor,
        features_NI: Tensor,
        weight_KIO: Tensor,
        kernel_map: KernelMap,
        wanted: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        """See `Backend.backward`."""
        pairs = kernel_map.pairs
        features_NI, gradient_MO, dtype = _working(features_NI, gradient_MO)
        weight_KIO = weight_KIO.to(features_NI.dtype)
        features = weight = None
        if wanted[0]:
            transposed_KOI = weight_KIO.transpose(1, 2)
            features = _scattered(gradient_MO, transposed_KOI, pairs.swapped).to(dtype)
        if wanted[1]:
            weight = _weight_gradient(features_NI, gradient_MO, pairs).to(dtype)
        return features, weight


def _working(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, torch.dtype]:
    """The operands as they are multiplied: the CPU has no fast products in half precision."""
    dtype = first.dtype
    if dtype.itemsize < 4 and first.device.type == "cpu":
        return first.float(), second.float(), dtype
    return first, second, dtype


def _accumulated(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype.itemsize < 4 else dtype


def _scattered(features_NI: Tensor, weight_KIO: Tensor, pairs: PairLists) -> Tensor:
    channels = weight_KIO.shape[2]
    total = _accumulated(features_NI.dtype)
    if pairs.identity is None:
        out_MO = features_NI.new_zeros(pairs.outputs, channels, dtype=total)
    else:
        out_MO = torch.mm(features_NI, weight_KIO[pairs.identity]).to(total)
    rows_PI = features_NI.new_empty(pairs.longest, features_NI.shape[1])
    products_PO = features_NI.new_empty(pairs.longest, channels)
    for offset in pairs.occupied:
        if offset == pairs.identity:
            continue
        in_rows, out_rows = pairs.of(offset)
        rows, products = rows_PI[: len(in_rows)], products_PO[: len(in_rows)]
        torch.index_select(features_NI, 0, in_rows, out=rows)
        torch.mm(rows, weight_KIO[offset], out=products)
        out_MO.index_add_(0, out_rows, products.to(total))
    return out_MO


def _weight_gradient(features_NI: Tensor, gradient_MO: Tensor, pairs: PairLists) -> Tensor:
    weight_KIO = features_NI.new_zeros(pairs.volume, features_NI.shape[1], gradient_MO.shape[1])
    if pairs.identity is not None:
        torch.mm(features_NI.T, gradient_MO, out=weight_KIO[pairs.identity])
    rows_PI = features_NI.new_empty(pairs.longest, features_NI.shape[1])
    gradients_PO = gradient_MO.new_empty(pairs.longest, gradient_MO.shape[1])
    for offset in pairs.occupied:
        if offset == pairs.identity:
            continue
        in_rows, out_rows = pairs.of(offset)
        rows, gradients = rows_PI[: len(in_rows)], gradients_PO[: len(in_rows)]
        torch.index_select(features_NI, 0, in_rows, out=rows)
        torch.index_select(gradient_MO, 0, out_rows, out=gradients)
        torch.mm(rows.T, gradients, out=weight_KIO[offset])
    return weight_KIO
