"""A small image encoder with features for every patch of pixels: residual blocks and a pyramid."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.norms import NormKind, norm2d
from sensorfusion.encoders.patches import patch_features, require_patches, single_images
from sensorfusion.sample import Features, SensorBatch
from sensorfusion.sensors.camera import SRGB, CameraImage

PATCH = 4  # edge of a patch, in pixels: the stride of the tokens
IMAGE_MEAN, IMAGE_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # sRGB of ImageNet


class CameraPyramid(Encoder):
    """Residual levels at strides 4, 8, 16, ..., joined from the coarsest to the finest.

    He et al. 2016, "Deep residual learning", basic blocks; Lin et al. 2017, "Feature pyramid
    networks": each level is projected to one width, the coarser one is added
    bilinearly. The stem is linear on patches of 4 x 4 pixels (Liu et al. 2022, "A ConvNet for
    the 2020s"). Pixels are normalised by the mean and deviation of ImageNet's sRGB values.

    Args:
        units: the units that readings may have. size: (H, W) of the images, multiples of 4.
        channels: of the levels; each after the first halves height and width.
        blocks: residual blocks of every level.
        width: D of the tokens.
        norm: see `norms`.

    Raises:
        ConfigError: for an image size that cannot be cut into patches.
    """

    reading = CameraImage

    def __init__(
        self,
        *,
        units: Sequence[str] = (SRGB,),
        size: Sequence[int],
        channels: Sequence[int] = (32, 64, 128),
        blocks: int = 1,
        width: int = 64,
        norm: NormKind = "batch",
    ) -> None:
        super().__init__()
        self.units = tuple(units)
        self.size, self.channels, self.blocks = tuple(size), tuple(channels), blocks
        self.width, self.norm = width, norm
        require_patches(self.size, PATCH, self)
        self.stem = nn.Conv2d(3, channels[0], PATCH, PATCH, bias=False)
        self.stem_norm = norm2d(norm, channels[0])
        self.levels = nn.ModuleList()
        for c_in, c_out in zip((channels[0], *channels), channels, strict=False):
            first = _Block(c_in, c_out, 1 if not self.levels else 2, norm)
            others = [_Block(c_out, c_out, 1, norm) for _ in range(blocks - 1)]
            self.levels.append(nn.Sequential(first, *others))
        self.across = nn.ModuleList([nn.Conv2d(c, width, 1) for c in channels])

    def forward(self, batch: SensorBatch) -> Features:
        """Tokens of the patches of images `pixels` [P, 1, H, W, 3], by reading, row and column.

        `positions` [N, 2] are the patches' centres (u, v) in pixels; the grid is [P, D, H / 4,
        W / 4].

        Raises:
            DataError: for images of another size, or clips.
        """
        batch.require(self.reading, *self.units)
        images = self._normalised(single_images(batch, self.size, self))
        return patch_features(self._pyramid(images), batch, PATCH)

    def _normalised(self, pixels_P3HW: Tensor) -> Tensor:
        unit = pixels_P3HW / 255
        mean, deviation = (
            unit.new_tensor(values)[:, None, None] for values in (IMAGE_MEAN, IMAGE_DEVIATION)
        )
        return (unit - mean) / deviation

    def _pyramid(self, image_P3HW: Tensor) -> Tensor:
        level = relu(self.stem_norm(self.stem(image_P3HW)))
        found = []
        for blocks, across in zip(self.levels, self.across, strict=True):
            level = blocks(level)
            found.append(across(level))
        joined: Tensor = found.pop()
        while found:
            finer = found.pop()
            joined = finer + interpolate(joined, finer.shape[2:], mode="bilinear")
        return joined


class _Block(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int, norm: NormKind) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.norm1 = norm2d(norm, c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.norm2 = norm2d(norm, c_out)
        same = c_in == c_out and stride == 1
        self.skip = nn.Identity() if same else nn.Conv2d(c_in, c_out, 1, stride, bias=False)

    def forward(self, image_PCHW: Tensor) -> Tensor:
        deep = relu(self.norm1(self.conv1(image_PCHW)))
        return relu(self.skip(image_PCHW) + self.norm2(self.conv2(deep)))
