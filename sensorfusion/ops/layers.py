"""Sparse convolution layers."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import nn

from sensorfusion.errors import ConfigError
from sensorfusion.ops.downsample import Rule, require_rule
from sensorfusion.ops.functional import (
    Size,
    inverse_convolution,
    sparse_convolution,
    submanifold_convolution,
)
from sensorfusion.ops.kernel import Kernel, per_axis
from sensorfusion.ops.tensor import SparseTensor


class _Convolution(nn.Module):
    """Weight [K, C_in, C_out], offsets as in `Kernel`, and bias [C_out] of a sparse convolution.

    Args:
        in_channels, out_channels: channels. kernel_size: 1 to 5, one number or one per axis.
        bias: whether there is a bias, added at every output site. backend: name of the backend;
            chosen by the device when left out.

    Raises:
        ConfigError: for channels below 1, or a window that `Kernel.of` refuses.
    """

    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        *,
        bias: bool,
        backend: str | None,
    ) -> None:
        super().__init__()
        if min(in_channels, out_channels) < 1:
            raise ConfigError(
                f"{in_channels} channels to {out_channels}", where=type(self).__name__
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = Kernel.of(self.axes, kernel_size).size
        self.backend = backend
        volume = math.prod(self.kernel_size)
        self.weight = nn.Parameter(torch.empty(volume, in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform values with the bounds of torch's dense convolutions."""
        bound = 1 / math.sqrt(self.weight.shape[0] * self.weight.shape[1])
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"


class _SubMConv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 3,
        *,
        dilation: Size = 1,
        bias: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, bias=bias, backend=backend)
        self.dilation = Kernel.of(self.axes, kernel_size, dilation=dilation).dilation

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        return submanifold_convolution(
            tensor,
            self.weight,
            self.bias,
            kernel_size=self.kernel_size,
            dilation=self.dilation,
            backend=self.backend,
        )


class _Strided(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 2,
        stride: Size = 2,
        *,
        padding: Size | None = None,
        bias: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, bias=bias, backend=backend)
        self.stride = Kernel.of(self.axes, kernel_size, stride, padding).stride
        self.padding = None if padding is None else per_axis(padding, self.axes)


class _SparseConv(_Strided):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 2,
        stride: Size = 2,
        *,
        padding: Size | None = None,
        output_sites: Rule = "floor",
        bias: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=padding,
            bias=bias,
            backend=backend,
        )
        self.output_sites = require_rule(output_sites)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        return sparse_convolution(
            tensor,
            self.weight,
            self.bias,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            output_sites=self.output_sites,
            backend=self.backend,
        )


class _SparseInverseConv(_Strided):
    def forward(self, tensor: SparseTensor) -> SparseTensor:
        return inverse_convolution(
            tensor,
            self.weight,
            self.bias,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            backend=self.backend,
        )


class SubMConv3d(_SubMConv):
    """Submanifold convolution over three axes; see `functional.submanifold_convolution`."""

    axes = 3


class SubMConv2d(_SubMConv):
    """Submanifold convolution over two axes; see `functional.submanifold_convolution`."""

    axes = 2


class SparseConv3d(_SparseConv):
    """Strided convolution over three axes; see `functional.sparse_convolution`."""

    axes = 3


class SparseConv2d(_SparseConv):
    """Strided convolution over two axes; see `functional.sparse_convolution`."""

    axes = 2


class SparseInverseConv3d(_SparseInverseConv):
    """Inverse convolution over three axes; see `functional.inverse_convolution`."""

    axes = 3


class SparseInverseConv2d(_SparseInverseConv):
    """Inverse convolution over two axes; see `functional.inverse_convolution`."""

    axes = 2
