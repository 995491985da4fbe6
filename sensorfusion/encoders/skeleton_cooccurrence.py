"""The published skeleton encoder of CMC-CMKM: a co-occurrence convolutional network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.norms import PresentBatchNorm2d
from sensorfusion.encoders.readout import Readout, floating, read_out, require_shape, width_of
from sensorfusion.errors import ConfigError
from sensorfusion.sample import Features, SensorBatch
from sensorfusion.sensors.skeleton import SkeletonWindow

Kernel = Sequence[int]


class SkeletonCooccurrence(Encoder):
    """Two streams, joints and their motion, whose joints become channels half way.

    Li et al. 2018, "Co-occurrence feature learning from skeleton data", in the form and with
    the layer names of CMC-CMKM (Brinzea et al. 2022), so that its weights load
    (`encoders/published.py`). A convolution mixes only the channels that it sees as channels:
    conv1 and conv2 look at each joint alone; from conv3 on the joints are the channels and
    every output sees all of them.

    The released module runs one batch of random numbers through its layers while it is built,
    so the running statistics of its fresh models start off their defaults; ours do not.

    Args:
        units: the units that readings may have; empty: any.
        rows: T, rows of a window. joints: J.
        coordinates: of a joint, 3 in space.
        channels: output channels of conv1 .. conv6.
        kernels: of conv1 .. conv6 over (time, joints), then over (former channels, time).
        pools: edge of the max-pooling after conv1 .. conv6, 0 for none.
        readout: see `read_out`; the grid is [P, channels[-1], H, T'], which is
            [P, 256, 1, 1] for 50 rows and the defaults.
    """

    reading = SkeletonWindow

    def __init__(
        self,
        *,
        units: Sequence[str],
        rows: int = 50,
        joints: int = 20,
        coordinates: int = 3,
        channels: Sequence[int] = (64, 32, 32, 64, 128, 256),
        kernels: Sequence[Kernel] = ((1, 1), (3, 1), (3, 3), (3, 3), (3, 3), (3, 3)),
        pools: Sequence[int] = (0, 0, 2, 2, 2, 2),
        readout: Readout = "flatten",
    ) -> None:
        super().__init__()
        self.units = tuple(units)
        self.rows, self.joints, self.coordinates = rows, joints, coordinates
        self.channels = tuple(channels)
        self.kernels = tuple(tuple(kernel) for kernel in kernels)
        self.pools, self.readout = tuple(pools), readout
        self.conv1_joints, self.conv1_motions = self._block(0, relu=True), self._block(0, relu=True)
        self.conv2_joints, self.conv2_motions = self._block(1), self._block(1)
        self.conv3_joints, self.conv3_motions = self._block(2), self._block(2)
        self.conv4_joints, self.conv4_motions = self._block(3), self._block(3)
        self.conv5, self.conv6 = self._block(4, relu=True), self._block(5, relu=True)
        height, steps = self._grid_size()
        self.width = width_of(readout, channels[-1], height * steps)

    def forward(self, batch: SensorBatch) -> Features:
        """Encode windows of `joints` [P, T, J, 3]."""
        batch.require(self.reading, *self.units)
        require_shape(batch.values["joints"], (self.rows, self.joints, self.coordinates), self)
        # Channels last in memory: a tenth to a third faster on CPUs, the same values.
        joints_PCTJ = _channels_last(floating(batch.values["joints"], self).permute(0, 3, 1, 2))
        motion_PCTJ = nn.functional.pad(joints_PCTJ.diff(dim=2), (0, 0, 1, 0))
        joints = self.conv2_joints(self.conv1_joints(joints_PCTJ))
        motion = self.conv2_motions(self.conv1_motions(motion_PCTJ))
        joints, motion = (_channels_last(x.permute(0, 3, 1, 2)) for x in (joints, motion))
        joints = self.conv4_joints(self.conv3_joints(joints))
        motion = self.conv4_motions(self.conv3_motions(motion))
        grid_PDHT = self.conv6(self.conv5(torch.cat([joints, motion], dim=2)))
        first, step = self._looked_at()
        return read_out(grid_PDHT, batch, self.readout, rows=(self.rows, first, step))

    def _block(self, layer: int, *, relu: bool = False) -> nn.Sequential:
        inputs = (self.coordinates, self.channels[0], self.joints, *self.channels[2:5])
        outputs, pool = self.channels[layer], self.pools[layer]
        kernel_h, kernel_w = self.kernels[layer]
        block = nn.Sequential(
            nn.Conv2d(inputs[layer], outputs, (kernel_h, kernel_w)), PresentBatchNorm2d(outputs)
        )
        if relu:
            block.append(nn.ReLU())
        if pool:
            block.append(nn.MaxPool2d(pool))
        return block

    def _time_kernels(self) -> list[int]:
        # Time is the first of two axes until the joints become channels, then the second.
        return [kernel[0 if layer < 2 else 1] for layer, kernel in enumerate(self.kernels)]

    def _grid_size(self) -> tuple[int, int]:
        height, steps = self.channels[1], self.rows
        for layer, (kernel_t, pool) in enumerate(
            zip(self._time_kernels(), self.pools, strict=True)
        ):
            steps = (steps - kernel_t + 1) // max(pool, 1)
            if layer >= 2:
                height = (height - self.kernels[layer][0] + 1) // max(pool, 1)
            if layer == 3:
                height *= 2  # joints above motion
        if height < 1 or steps < 1:
            raise ConfigError(
                f"nothing is left of windows of {self.rows} rows after six layers",
                where=type(self).__name__,
                remedy="give longer windows, smaller kernels or fewer pools",
            )
        return height, steps

    def _looked_at(self) -> tuple[float, float]:
        first, step = 0.0, 1.0
        for kernel_t, pool in zip(self._time_kernels(), self.pools, strict=True):
            first += step * (kernel_t - 1) / 2
            if pool:
                first += step * (pool - 1) / 2
                step *= pool
        return first, step


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
