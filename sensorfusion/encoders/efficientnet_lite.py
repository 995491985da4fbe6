"""EfficientNet-Lite0: a small image network, for which weights learned on ImageNet exist.

Tan and Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks", table
1, in the "lite" form of its authors' release: no squeeze-and-excitation, and ReLU6. Blocks are
those of Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, relu6

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.norms import PresentBatchNorm2d
from sensorfusion.encoders.patches import (
    patch_centres,
    patch_features,
    require_patches,
    single_images,
)
from sensorfusion.errors import ConfigError
from sensorfusion.sample import Features, SensorBatch
from sensorfusion.sensors.camera import SRGB, CameraImage

STEM = 32
MEAN, DEVIATION = 127.0, 128.0  # of all three channels, as in the release


class Stage(NamedTuple):
    """Blocks of one width; the first of them has the stride."""

    expansion: int
    kernel: int
    stride: int
    channels: int
    blocks: int


STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)
STRIDES = (2, 4, 8, 16, 32)


class EfficientNetLite(Encoder):
    """The last map of EfficientNet-Lite0 at a stride, interpolated at the centres of patches.

    The network pads as TensorFlow does ("SAME"), more at the right and lower edge than at the
    others where sizes are even, so that a cell of its map does not look at the middle of its
    stride x stride pixels but up to half a cell further down and to the right. Tokens take the
    map's values where it looked, bilinearly, and at its border those of the outermost cells.

    `efficientnet_lite_imagenet`, beside this file, builds it with weights learned on ImageNet.

    Args:
        units: the units that readings may have. size: (H, W) of the images.
        stride: of the map, 2, 4, 8, 16 or 32 pixels; later stages are left out.
        patch: edge of a token's patch in pixels, which divides height and width.

    Raises:
        ConfigError: for another stride, or a size that cannot be cut into patches.
    """

    reading = CameraImage

    def __init__(
        self,
        *,
        units: Sequence[str] = (SRGB,),
        size: Sequence[int],
        stride: int = 16,
        patch: int = 4,
    ) -> None:
        super().__init__()
        self.units, self.size = tuple(units), tuple(size)
        self.stride, self.patch = stride, patch
        if stride not in STRIDES:
            raise ConfigError(
                f"no map of stride {stride}",
                where=type(self).__name__,
                remedy=f"choose from {STRIDES}",
            )
        require_patches(self.size, patch, self)
        stages = _stages(stride)
        self.width = stages[-1].channels
        self.stem = _Conv(3, STEM, 3, 2)
        self.blocks = nn.ModuleList(_blocks(stages))

    def forward(self, batch: SensorBatch) -> Features:
        """Tokens of the patches of images `pixels` [P, 1, H, W, 3], by reading, row and column.

        `positions` [N, 2] are the patches' centres (u, v) in pixels; the grid is [P, D, H / patch,
        W / patch].

        Raises:
            DataError: for images of another size, or clips.
        """
        batch.require(self.reading, *self.units)
        image_P3HW = (single_images(batch, self.size, self) - MEAN) / DEVIATION
        return patch_features(self._at_patches(self.map(image_P3HW)), batch, self.patch)

    def map(self, image_P3HW: Tensor) -> Tensor:
        """The map [P, D, h, w] of normalised images."""
        deep: Tensor = relu6(self.stem(image_P3HW), inplace=True)
        for block in self.blocks:
            deep = block(deep)
        return deep

    def _at_patches(self, map_PDhw: Tensor) -> Tensor:
        rows, columns = (
            _interpolation(pixels, cells, self.stride, self.patch, map_PDhw)
            for pixels, cells in zip(self.size, map_PDhw.shape[2:], strict=True)
        )
        return rows @ map_PDhw @ columns.T


def cell_centre(pixels: int, stride: int) -> int:
    """The pixel at which cell 0 of a map looks, along one edge; cell i: `stride * i` further on.

    A layer of stride 2 with padding "SAME" looks at its input's cell 2i + 1 where that has an
    even number of cells, and at 2i where it is odd, whatever the kernel.
    """
    centre, reached = 0, 1
    while reached < stride:
        centre += reached if pixels % 2 == 0 else 0
        pixels, reached = (pixels + 1) // 2, 2 * reached
    return centre


def _interpolation(pixels: int, cells: int, stride: int, patch: int, like: Tensor) -> Tensor:
    """Weights [pixels / patch, cells] of a map's cells at the centres of patches."""
    centre = patch_centres(pixels // patch, patch, like.device)
    place = ((centre - cell_centre(pixels, stride)) / stride).clamp(0, cells - 1)
    distance = (place[:, None] - torch.arange(cells, device=like.device)).abs()
    return (1 - distance).clamp(min=0).to(like.dtype)


def _stages(stride: int) -> list[Stage]:
    """The stages up to the last one at a stride."""
    found, reached = [], 2  # after the stem
    for stage in STAGES:
        reached *= stage.stride
        if reached <= stride:
            found.append(stage)
    return found


def _blocks(stages: Sequence[Stage]) -> list[nn.Module]:
    made: list[nn.Module] = []
    channels = STEM
    for stage in stages:
        for number in range(stage.blocks):
            first = stage.stride if number == 0 else 1
            made.append(_Block(channels, stage.channels, stage.expansion, stage.kernel, first))
            channels = stage.channels
    return made


class _Block(nn.Module):
    """Expand, filter every channel by itself, project; added to the input where shapes allow."""

    def __init__(self, c_in: int, c_out: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = c_in * expansion
        self.expand = _Conv(c_in, inner, 1) if expansion > 1 else None
        self.depthwise = _Conv(inner, inner, kernel, stride, groups=inner)
        self.project = _Conv(inner, c_out, 1)
        self.residual = stride == 1 and c_in == c_out

    def forward(self, image_PCHW: Tensor) -> Tensor:
        deep = image_PCHW if self.expand is None else relu6(self.expand(image_PCHW), inplace=True)
        projected: Tensor = self.project(relu6(self.depthwise(deep), inplace=True))
        return projected + image_PCHW if self.residual else projected


class _Conv(nn.Module):
    """A convolution with padding "SAME", and batch normalisation."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int = 1, *, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, groups=groups, bias=False)
        self.norm = PresentBatchNorm2d(c_out, eps=1e-3, momentum=0.01)

    def forward(self, image_PCHW: Tensor) -> Tensor:
        conv = self.conv
        (top, bottom), (left, right) = map(
            _same, image_PCHW.shape[2:], conv.kernel_size, conv.stride
        )
        weight, bias = self._filter()
        # The convolution's own padding is as much on both sides; what is more is added to a copy.
        if top != bottom or left != right:
            image_PCHW = pad(image_PCHW, (0, right - left, 0, bottom - top))
        filtered = conv2d(image_PCHW, weight, bias, conv.stride, (top, left), groups=conv.groups)
        return filtered if bias is not None else cast(Tensor, self.norm(filtered))

    def _filter(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias; outside of training the norm is a part of them."""
        if self.training:
            return self.conv.weight, None
        norm = self.norm
        scale = norm.weight * (cast(Tensor, norm.running_var) + norm.eps).rsqrt()
        bias = norm.bias - cast(Tensor, norm.running_mean) * scale
        return self.conv.weight * scale[:, None, None, None], bias


def _same(cells: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after `cells` values, so that ceil(cells / stride) come out."""
    wanted = -(-cells // stride)
    total = max((wanted - 1) * stride + kernel - cells, 0)
    return total // 2, total - total // 2
