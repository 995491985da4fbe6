"""Random coordinates and convolutions for the tests of sparse convolution."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from sensorfusion.ops import SparseTensor
from sensorfusion.ops.functional import (
    inverse_convolution,
    sparse_convolution,
    submanifold_convolution,
)


def cloud(count: int, axes: int = 3, *, extent: int = 12, items: int = 2, seed: int = 0) -> Tensor:
    """Distinct coordinates in random order, about zero, int32 [<= count, 1 + axes]."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(-(extent // 2), (extent + 1) // 2, (count, axes), generator=generator)
    item = torch.randint(items, (count, 1), generator=generator)
    distinct = torch.unique(torch.cat([item, drawn], dim=1).int(), dim=0)
    return distinct[torch.randperm(len(distinct), generator=generator)]


def ascending(coordinates: Tensor) -> Tensor:
    return torch.unique(coordinates, dim=0)


CHANNELS = [(1, 1), (3, 5), (7, 16), (16, 33), (33, 3), (96, 2), (2, 96), (64, 64), (96, 96)]


@dataclass(frozen=True)
class Setting:
    """One convolution over one random cloud."""

    kind: str
    axes: int
    count: int
    kernel: int
    stride: int
    dilation: int
    rule: str
    channels: tuple[int, int]
    is_sorted: bool
    is_bounded: bool
    seed: int

    def tensor(self, dtype: torch.dtype = torch.float64) -> SparseTensor:
        coordinates = cloud(self.count, self.axes, extent=7, seed=self.seed)
        if self.is_bounded:
            coordinates[:, 1:] += 3
        if self.is_sorted:
            coordinates = ascending(coordinates)
        features = torch.randn(len(coordinates), self.channels[0], dtype=dtype)
        # A third batch item is always empty.
        shape = (7,) * self.axes if self.is_bounded else None
        return SparseTensor(coordinates, features, batch_size=3, spatial_shape=shape)

    def weight(self, dtype: torch.dtype = torch.float64) -> Tensor:
        return torch.randn(self.kernel**self.axes, *self.channels, dtype=dtype) / self.kernel

    def run(self, tensor: SparseTensor, weight: Tensor, bias: Tensor | None, backend: str | None):
        window = {"kernel_size": self.kernel, "backend": backend}
        if self.kind == "submanifold":
            return submanifold_convolution(tensor, weight, bias, dilation=self.dilation, **window)
        strided = window | {"stride": self.stride}
        if self.kind == "down":
            return sparse_convolution(tensor, weight, bias, output_sites=self.rule, **strided)
        probe = torch.ones(len(weight), 1, 1, dtype=weight.dtype)
        ones = tensor.replace(tensor.features[:, :1].detach())
        coarse = sparse_convolution(ones, probe, output_sites=self.rule, **strided)
        # Features of the coarse sites that depend on the inputs, so that gradients reach them.
        rows = torch.arange(len(coarse)) % max(len(tensor), 1)
        return inverse_convolution(coarse.replace(tensor.features[rows]), weight, bias, **strided)


def settings_of_convolutions() -> st.SearchStrategy[Setting]:
    return st.builds(
        Setting,
        kind=st.sampled_from(["submanifold", "down", "inverse"]),
        axes=st.sampled_from([3, 3, 2, 1]),
        count=st.sampled_from([0, 1, 2, 30, 300]),
        kernel=st.integers(1, 5),
        stride=st.integers(1, 3),
        dilation=st.integers(1, 3),
        rule=st.sampled_from(["floor", "touched"]),
        channels=st.sampled_from(CHANNELS),
        is_sorted=st.booleans(),
        is_bounded=st.booleans(),
        seed=st.integers(0, 2**16),
    ).filter(_makes_sense)


def _makes_sense(setting: Setting) -> bool:
    small = setting.kernel * setting.dilation <= 9
    return small and (setting.kind != "inverse" or setting.stride > 1 or setting.rule == "touched")
