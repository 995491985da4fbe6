"""The sparse U-Net of MinkowskiNet: features of voxels from features of voxels."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.nn import functional as F

from sensorfusion.encoders.sparse_residual import EXPANSION, ConvNormReLU, Residual
from sensorfusion.errors import ConfigError
from sensorfusion.ops import (
    SparseConv3d,
    SparseInverseConv3d,
    SparseTensor,
    SubMConv3d,
    cat,
)

LEVELS = 4  # times that the cells are doubled


class SparseUNet(nn.Module):
    """Four halvings of resolution and back, residual blocks after each, skips between.

    Choy et al. 2019, "4D Spatio-Temporal ConvNets: Minkowski Convolutional Neural Networks",
    figure 11, without the fourth axis. The skip stands behind the upsampled channels.

    Args:
        in_channels: features of a voxel. blocks, planes: residual blocks and their channels, four
            numbers on the way down, four on the way up. bottleneck: what kind of blocks.
        stem: channels of the first level. stem_convs: how many convolutions make it.
        stem_kernel: their size.
        head: channels of a last 1^3 convolution with bias; None: there is none.
        normalise: divide each voxel's output by its length.
        momentum: of the norms outside the blocks and on their shortcuts. block_momentum: inside.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        blocks: Sequence[int],
        planes: Sequence[int],
        bottleneck: bool = False,
        stem: int = 32,
        stem_convs: int = 1,
        stem_kernel: int = 3,
        head: int | None = None,
        normalise: bool = False,
        momentum: float = 0.1,
        block_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        _require_levels(blocks, planes, stem_convs)
        self.in_channels, self.normalise = in_channels, normalise
        widths = [n * (EXPANSION if bottleneck else 1) for n in planes]

        def stage(index: int, channels: int) -> nn.Sequential:
            return nn.Sequential(
                *[
                    Residual(n, planes[index], bottleneck, block_momentum, momentum)
                    for n in (channels, *[widths[index]] * (blocks[index] - 1))
                ]
            )

        def stem_conv(channels: int) -> ConvNormReLU:
            return ConvNormReLU(SubMConv3d(channels, stem, stem_kernel), stem, momentum)

        self.stem = nn.Sequential(
            *[stem_conv(n) for n in (in_channels, *[stem] * (stem_convs - 1))]
        )
        self.down, self.encode = nn.ModuleList(), nn.ModuleList()
        skips, channels = [stem], stem
        for index in range(LEVELS):
            self.down.append(ConvNormReLU(SparseConv3d(channels, channels), channels, momentum))
            self.encode.append(stage(index, channels))
            channels = widths[index]
            skips.append(channels)
        self.up, self.decode = nn.ModuleList(), nn.ModuleList()
        for index in range(LEVELS, 2 * LEVELS):
            up = SparseInverseConv3d(channels, planes[index])
            self.up.append(ConvNormReLU(up, planes[index], momentum))
            self.decode.append(stage(index, planes[index] + skips[2 * LEVELS - 1 - index]))
            channels = widths[index]
        self.head = None if head is None else SubMConv3d(channels, head, 1, bias=True)
        self.width = channels if head is None else head

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Features [N, width] at the sites of the input, in their order."""
        tensor = self.stem(tensor)
        skips = []
        for down, encode in zip(self.down, self.encode, strict=True):
            skips.append(tensor)
            tensor = encode(down(tensor))
        for up, decode in zip(self.up, self.decode, strict=True):
            tensor = decode(cat([up(tensor), skips.pop()]))
        if self.head is not None:
            tensor = self.head(tensor)
        return tensor.replace(F.normalize(tensor.features)) if self.normalise else tensor


def _require_levels(blocks: Sequence[int], planes: Sequence[int], stem_convs: int) -> None:
    if len(blocks) != 2 * LEVELS or len(planes) != 2 * LEVELS or min(blocks) < 1:
        raise ConfigError(
            f"blocks {tuple(blocks)} and planes {tuple(planes)}",
            where="SparseUNet",
            remedy="give eight numbers each: four on the way down, four on the way up",
        )
    if stem_convs < 1:
        raise ConfigError(f"{stem_convs} convolutions in the stem", remedy="give at least one")
