"""Residual blocks of sparse convolutions."""

from __future__ import annotations

from torch import nn

from sensorfusion.ops import BatchNorm, ReLU, SparseTensor, SubMConv3d

EXPANSION = 4  # of a bottleneck: its output has so many times the channels of its 3^3 convolution


class ConvNorm(nn.Module):
    """A convolution without bias, and batch normalisation.

    Args:
        conv: the convolution. momentum: of the running statistics.
    """

    def __init__(self, conv: nn.Module, channels: int, momentum: float) -> None:
        super().__init__()
        self.conv = conv
        self.norm = BatchNorm(channels, momentum=momentum)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        normed: SparseTensor = self.norm(self.conv(tensor))
        return normed


class ConvNormReLU(ConvNorm):
    """A convolution, batch normalisation, and rectification."""

    def __init__(self, conv: nn.Module, channels: int, momentum: float) -> None:
        super().__init__(conv, channels, momentum)
        self.relu = ReLU(inplace=True)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        rectified: SparseTensor = self.relu(super().forward(tensor))
        return rectified


class Residual(nn.Module):
    """Convolutions beside an identity, or beside a 1^3 convolution where channels change.

    He et al. 2016, figure 5: two 3^3 convolutions, or a bottleneck of 1^3, 3^3 and 1^3.

    Args:
        in_channels: of the input. planes: channels of the 3^3 convolutions.
        bottleneck: output `EXPANSION` times as many channels, by 1^3 convolutions around.
        momentum: of the norms behind the convolutions. shortcut_momentum: of the other path's.
    """

    def __init__(
        self,
        in_channels: int,
        planes: int,
        bottleneck: bool = False,
        momentum: float = 0.1,
        shortcut_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        sizes = (1, 3, 1) if bottleneck else (3, 3)
        widths = (planes,) * (len(sizes) - 1) + (planes * EXPANSION if bottleneck else planes,)
        path: list[nn.Module] = []
        channels = in_channels
        for size, width in zip(sizes, widths, strict=True):
            kind = ConvNormReLU if len(path) + 1 < len(sizes) else ConvNorm
            path.append(kind(SubMConv3d(channels, width, size), width, momentum))
            channels = width
        self.path = nn.Sequential(*path)
        self.shortcut: nn.Module | None = None
        if in_channels != channels:
            self.shortcut = ConvNorm(
                SubMConv3d(in_channels, channels, 1), channels, shortcut_momentum
            )
        self.relu = ReLU(inplace=True)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        other = tensor if self.shortcut is None else self.shortcut(tensor)
        beside = self.path(tensor)
        rectified: SparseTensor = self.relu(beside.replace(beside.features + other.features))
        return rectified
