"""Pooling over windows of active sites, and over all sites of a batch item."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from sensorfusion.errors import ConfigError
from sensorfusion.ops.downsample import Rule
from sensorfusion.ops.functional import Size
from sensorfusion.ops.kernel import Kernel
from sensorfusion.ops.tensor import SparseTensor
from sensorfusion.sample import segment_mean

Reduction = Literal["max", "mean"]


def pool(
    tensor: SparseTensor,
    reduction: Reduction,
    *,
    kernel_size: Size,
    stride: Size,
    padding: Size | None = None,
    output_sites: Rule = "floor",
) -> SparseTensor:
    """Largest or mean feature of the active sites in each window, per channel.

    Sites that are not active do not count; a window without active sites gives zeros. Equal
    largest features share their gradient.

    Args:
        kernel_size, stride, padding, output_sites: as in `functional.sparse_convolution`.
    """
    kernel = Kernel.of(tensor.sites.axes, kernel_size, stride, padding)
    path, kernel_map = tensor.levels.down(tensor.path, kernel, output_sites)
    pairs = kernel_map.pairs
    rows_PC = tensor.features.index_select(0, pairs.in_rows)
    out_MC = _reduced(rows_PC, pairs.out_rows, pairs.outputs, reduction)
    return SparseTensor.at(tensor.levels, path, out_MC)


def global_pool(tensor: SparseTensor, reduction: Reduction) -> Tensor:
    """Largest or mean feature of each batch item, [batch, C]; zeros for items without sites."""
    items_N = tensor.coordinates[:, 0]
    return _reduced(tensor.features, items_N, tensor.batch_size, reduction)


def _reduced(rows_PC: Tensor, groups_P: Tensor, groups: int, reduction: Reduction) -> Tensor:
    if reduction not in get_args(Reduction):
        raise ConfigError(f"no reduction {reduction!r}", remedy="give max or mean")
    groups_P = groups_P.long()
    if reduction == "max":
        out_GC = rows_PC.new_zeros(groups, rows_PC.shape[1])
        index_PC = groups_P[:, None].expand_as(rows_PC)
        return out_GC.scatter_reduce(0, index_PC, rows_PC, "amax", include_self=False)
    wide = torch.promote_types(rows_PC.dtype, torch.float32)
    return segment_mean(rows_PC.to(wide), groups_P, groups).to(rows_PC.dtype)


class _Pool(nn.Module):
    """Two or three axes, as the tensor has; arguments as in `pool`."""

    reduction: Reduction

    def __init__(
        self,
        kernel_size: Size = 2,
        stride: Size = 2,
        *,
        padding: Size | None = None,
        output_sites: Rule = "floor",
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.output_sites: Rule = output_sites

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        return pool(
            tensor,
            self.reduction,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            output_sites=self.output_sites,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


class MaxPool(_Pool):
    """Largest feature of each window; see `pool`."""

    reduction = "max"


class MeanPool(_Pool):
    """Mean feature of each window; see `pool`."""

    reduction = "mean"
