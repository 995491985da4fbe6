"""The sparse U-Net of the package, rebuilt from modules of spconv with the same weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from peers import patched
from torch import Tensor, nn

from sensorfusion.encoders.sparse_residual import ConvNorm, ConvNormReLU, Residual
from sensorfusion.encoders.sparse_unet import LEVELS, SparseUNet
from sensorfusion.ops.weights import to_layout

spconv = patched()
MULTIPLE = 2**LEVELS


class SpconvUNet(nn.Module):
    """A twin of a `SparseUNet` without head, on coordinates that are not negative."""

    def __init__(self, network: SparseUNet) -> None:
        super().__init__()
        self.stem = nn.Sequential(*[_layer(conv, 0) for conv in network.stem])
        self.down = nn.ModuleList(_layer(down, level) for level, down in enumerate(network.down))
        self.encode = nn.ModuleList(
            _stage(stage, level + 1) for level, stage in enumerate(network.encode)
        )
        above = range(LEVELS - 1, -1, -1)
        self.up = nn.ModuleList(_layer(up, k) for k, up in zip(above, network.up, strict=True))
        self.decode = nn.ModuleList(
            _stage(stage, k) for k, stage in zip(above, network.decode, strict=True)
        )

    def forward(self, features_NC: Tensor, coordinates_N4: Tensor, shape: list[int]) -> Tensor:
        """Output features of the voxels, in their order; maps are found anew."""
        tensor = spconv.SparseConvTensor(features_NC, coordinates_N4, shape, 1)
        tensor = self.stem(tensor)
        skips = []
        for down, encode in zip(self.down, self.encode, strict=True):
            skips.append(tensor)
            tensor = encode(down(tensor))
        for up, decode in zip(self.up, self.decode, strict=True):
            tensor, skip = up(tensor), skips.pop()
            both = torch.cat([tensor.features, skip.features], dim=1)
            tensor = decode(tensor.replace_feature(both))
        return tensor.features


class _Residual(nn.Module):
    def __init__(self, block: Residual, level: int) -> None:
        super().__init__()
        self.path = nn.Sequential(*[_layer(layer, level) for layer in block.path])
        self.shortcut = None if block.shortcut is None else _layer(block.shortcut, level)

    def forward(self, tensor: spconv.SparseConvTensor) -> spconv.SparseConvTensor:
        other = tensor if self.shortcut is None else self.shortcut(tensor)
        beside = self.path(tensor)
        return beside.replace_feature((beside.features + other.features).relu_())


def _stage(blocks: Sequence[nn.Module], level: int) -> nn.Sequential:
    return nn.Sequential(*[_Residual(block, level) for block in blocks])


def _layer(layer: ConvNorm, level: int) -> nn.Module:
    """A convolution, its norm, and rectification where there is one; `level` of the finer side."""
    bn = layer.norm.bn
    norm = nn.BatchNorm1d(bn.num_features, bn.eps, bn.momentum)
    norm.load_state_dict(bn.state_dict())
    parts = [_convolution(layer.conv, level), norm]
    if isinstance(layer, ConvNormReLU):
        parts.append(nn.ReLU(inplace=True))
    return spconv.SparseSequential(*parts)


def _convolution(ours: nn.Module, level: int) -> nn.Module:
    channels, size = (ours.in_channels, ours.out_channels), ours.kernel_size
    settings = {"bias": False, "algo": spconv.ConvAlgo.Native}
    kind = type(ours).__name__
    if kind == "SubMConv3d":
        key = {"indice_key": f"same{level}"} if set(size) == {3} else {}
        theirs = spconv.SubMConv3d(*channels, size, **key, **settings)
    elif kind == "SparseConv3d":
        theirs = spconv.SparseConv3d(*channels, size, 2, indice_key=f"down{level}", **settings)
    else:
        theirs = spconv.SparseInverseConv3d(*channels, size, f"down{level}", **settings)
    with torch.no_grad():
        if set(size) == {1}:  # the product takes its memory as [C_in, C_out], whatever its shape
            theirs.weight.view(channels).copy_(ours.weight[0])
        else:
            theirs.weight.copy_(to_layout(ours.weight, "spconv2", size))
    return theirs


def shifted(coordinates_N4: Tensor) -> tuple[Tensor, list[int]]:
    """Coordinates from 0 that keep their place in the coarsest cells, and an extent of those."""
    lowest = coordinates_N4[:, 1:].amin(0)
    origin = torch.div(lowest, MULTIPLE, rounding_mode="floor") * MULTIPLE
    moved = coordinates_N4.clone()
    moved[:, 1:] -= origin
    extent = moved[:, 1:].amax(0) + 1
    return moved, ((extent + MULTIPLE - 1) // MULTIPLE * MULTIPLE).tolist()
