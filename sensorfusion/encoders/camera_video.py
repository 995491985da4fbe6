"""A small video encoder for colour or depth clips: convolutions over space, then over time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.norms import NormKind, norm2d
from sensorfusion.encoders.readout import Readout, read_out, require_shape, width_of
from sensorfusion.errors import ConfigError
from sensorfusion.sample import Features, SensorBatch
from sensorfusion.sensors.camera import CameraImage

PATCH = 4  # edge, in pixels


class CameraVideo(Encoder):
    """Factorised (2+1)-D residual convolutions over a clip and its frame differences.

    Tran et al. 2018, "A closer look at spatiotemporal convolutions": each 3-D convolution is one
    over space followed by one over time. Activations stay in the order [P, T, H, W, C], in
    which both are 2-D convolutions over views of the same memory (channels last), so that
    nothing is copied between them. Frame differences enter beside the frames, a cheap stand-in
    for optical flow (Zhao et al. 2018, "Recognize actions by disentangling components of
    dynamics"). The stem is linear on patches of 4 x 4 pixels (Liu et al. 2022, "A ConvNet for
    the 2020s"): on CPUs a strided convolution of one to three channels costs as much as all
    the blocks after it.

    Args:
        units: the units that readings may have; empty: any.
        frames: T of a clip. size: (H, W) in pixels, multiples of 4.
        in_channels: 3 for colour, 1 for depth.
        scale: pixels are multiplied by it first, e.g. 1 / 255 for 8-bit colour.
        channels: of the blocks. Every block whose channels are more than those of the block
            before halves height, width and time.
        norm: see `norms`. dropout: before the read-out, of whole channels.
        readout: see `read_out`; the grid is [P, channels[-1], T'], the mean over the image.
    """

    reading = CameraImage

    def __init__(
        self,
        *,
        units: Sequence[str],
        frames: int = 16,
        size: Sequence[int] = (56, 56),
        in_channels: int = 1,
        scale: float = 1.0,
        channels: Sequence[int] = (32, 64, 64, 128),
        norm: NormKind = "batch",
        dropout: float = 0.0,
        readout: Readout = "mean",
    ) -> None:
        super().__init__()
        self.units = tuple(units)
        self.frames, self.size, self.in_channels = frames, tuple(size), in_channels
        self.scale, self.channels, self.norm = scale, tuple(channels), norm
        self.dropout, self.readout = dropout, readout
        if any(edge % PATCH for edge in size):
            raise ConfigError(
                f"images of {self.size} pixels cannot be cut into patches of {PATCH} x {PATCH}",
                where=type(self).__name__,
                remedy="resize or crop them to multiples of 4",
            )
        patch = 2 * in_channels * PATCH**2  # frames and their differences
        self.data_norm = _Norm(norm, patch, affine=False)
        self.stem = nn.Linear(patch, channels[0], bias=False)
        self.stem_norm = _Norm(norm, channels[0])
        self.blocks, steps, self._stride = nn.Sequential(), frames, 1
        for c_in, c_out in zip((channels[0], *channels), channels, strict=False):
            stride = 2 if c_out > c_in else 1
            self.blocks.append(_Block(c_in, c_out, stride, norm))
            steps, self._stride = (steps - 1) // stride + 1, self._stride * stride
        self.drop = nn.Dropout1d(dropout)
        self.width = width_of(readout, channels[-1], steps)

    def forward(self, batch: SensorBatch) -> Features:
        """Encode clips of `pixels` [P, T, H, W, C]."""
        batch.require(self.reading, *self.units)
        pixels = batch.values["pixels"]
        require_shape(pixels, (self.frames, *self.size, self.in_channels), self)
        clip_PTHWC = self.stem(self.data_norm(self._patches(pixels)))
        clip_PTHWC = self.blocks(torch.relu(self.stem_norm(clip_PTHWC)))
        grid_PDT = self.drop(clip_PTHWC.mean((2, 3)).transpose(1, 2))
        return read_out(grid_PDT, batch, self.readout, rows=(self.frames, 0.0, self._stride))

    def _patches(self, pixels_PTHWC: Tensor) -> Tensor:
        """Patches of frames and of their differences: [P, T, H / 4, W / 4, 2 * 16 * C]."""
        # Differences of millimetres need more digits than bfloat16 has: cast last.
        dtype = next(self.parameters()).dtype
        exact = torch.promote_types(dtype, torch.float32)
        height, width = (edge // PATCH for edge in self.size)
        tiles = pixels_PTHWC.reshape(*pixels_PTHWC.shape[:2], height, PATCH, width, PATCH, -1)
        frames = tiles.transpose(3, 4).flatten(4).to(exact) * self.scale
        changes = nn.functional.pad(frames.diff(dim=1), (0, 0, 0, 0, 0, 0, 1, 0))
        return torch.cat([frames, changes], dim=-1).to(dtype)


class _Block(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int, norm: NormKind) -> None:
        super().__init__()
        self.space = _OverSpace(c_in, c_out, 3, stride)
        self.space_norm = _Norm(norm, c_out)
        self.time = _OverTime(c_out, stride)
        self.time_norm = _Norm(norm, c_out)
        self.stride = stride
        same = c_in == c_out and stride == 1
        self.skip = nn.Identity() if same else nn.Linear(c_in, c_out)

    def forward(self, clip_PTHWC: Tensor) -> Tensor:
        deep = torch.relu(self.space_norm(self.space(clip_PTHWC)))
        deep = self.time_norm(self.time(deep))
        thinned = clip_PTHWC[:, :: self.stride, :: self.stride, :: self.stride]
        return torch.relu(deep + self.skip(thinned))


class _OverSpace(nn.Module):
    """A convolution over the frames of [P, T, H, W, C], each on its own."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)

    def forward(self, clip_PTHWC: Tensor) -> Tensor:
        frames_NCHW = clip_PTHWC.flatten(0, 1).permute(0, 3, 1, 2)
        convolved: Tensor = self.conv(frames_NCHW)
        return _to_last(convolved, len(clip_PTHWC))


class _OverTime(nn.Module):
    """A convolution over the time of [P, T, H, W, C], each pixel on its own."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, (3, 1), (stride, 1), (1, 0), bias=False)

    def forward(self, clip_PTHWC: Tensor) -> Tensor:
        pixels_PCTN = clip_PTHWC.flatten(2, 3).permute(0, 3, 1, 2)
        convolved: Tensor = self.conv(pixels_PCTN)
        pixels_PTNC = convolved.permute(0, 2, 3, 1).contiguous()
        return pixels_PTNC.view(*pixels_PTNC.shape[:2], *clip_PTHWC.shape[2:4], -1)


class _Norm(nn.Module):
    """A normalisation of the channels of [P, T, H, W, C]."""

    def __init__(self, kind: NormKind, channels: int, *, affine: bool = True) -> None:
        super().__init__()
        self.norm = norm2d(kind, channels, affine=affine)

    def forward(self, clip_PTHWC: Tensor) -> Tensor:
        normed: Tensor = self.norm(clip_PTHWC.flatten(2, 3).permute(0, 3, 1, 2))
        return normed.permute(0, 2, 3, 1).view_as(clip_PTHWC)


def _to_last(frames_NCHW: Tensor, clips: int) -> Tensor:
    frames_NHWC = frames_NCHW.permute(0, 2, 3, 1).contiguous()
    return frames_NHWC.view(clips, -1, *frames_NHWC.shape[1:])
