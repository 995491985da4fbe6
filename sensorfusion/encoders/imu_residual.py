"""A residual IMU encoder: 1-D convolutions with channel attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.norms import NormKind, norm1d
from sensorfusion.encoders.readout import Readout, floating, read_out, require_shape, width_of
from sensorfusion.sample import Features, SensorBatch
from sensorfusion.sensors.imu import ImuWindow

STREAMS = 14  # six channels, their velocities, and the two magnitudes


class ImuResidual(Encoder):
    """Residual blocks over time with squeeze-and-excitation.

    He et al. 2016 ("Deep residual learning", basic block) in one dimension, as in Wang et al. 2017
    ("Time series classification from scratch"), with the channel attention of Hu et al. 2018
    ("Squeeze-and-excitation networks", section 3). Beside the six channels enter their
    forward differences and the magnitudes of acceleration and angular rate, which do not depend
    on how the sensor is turned on the body.

    Args:
        units: the units that readings may have; empty: any.
        rows: T, rows of a window.
        channels: of the blocks; every block whose channels are more than those of the block
            before halves the time.
        kernel: odd length of the convolutions.
        norm: see `norms`. dropout: before the read-out, of whole channels.
        readout: see `read_out`; the grid is [P, channels[-1], T'].
    """

    reading = ImuWindow

    def __init__(
        self,
        *,
        units: Sequence[str],
        rows: int = 50,
        channels: Sequence[int] = (64, 64, 128, 128, 256),
        kernel: int = 5,
        norm: NormKind = "batch",
        dropout: float = 0.0,
        readout: Readout = "mean",
    ) -> None:
        super().__init__()
        self.units = tuple(units)
        self.rows, self.channels, self.kernel = rows, tuple(channels), kernel
        self.norm, self.dropout, self.readout = norm, dropout, readout
        self.data_norm = norm1d(norm, STREAMS, affine=False)
        self.stem = nn.Sequential(
            nn.Conv1d(STREAMS, channels[0], kernel, padding=kernel // 2, bias=False),
            norm1d(norm, channels[0]),
            nn.ReLU(),
        )
        self.blocks, steps, self._stride = nn.Sequential(), rows, 1
        for c_in, c_out in zip((channels[0], *channels), channels, strict=False):
            stride = 2 if c_out > c_in else 1
            self.blocks.append(_Block(c_in, c_out, kernel, stride, norm))
            steps, self._stride = (steps - 1) // stride + 1, self._stride * stride
        self.drop = nn.Dropout1d(dropout)
        self.width = width_of(readout, channels[-1], steps)

    def forward(self, batch: SensorBatch) -> Features:
        """Encode windows of `acceleration` and `angular_rate` [P, T, 3]."""
        batch.require(self.reading, *self.units)
        acceleration, angular_rate = batch.values["acceleration"], batch.values["angular_rate"]
        require_shape(acceleration, (self.rows, 3), self)
        streams_PCT = _streams(floating(acceleration, self), floating(angular_rate, self))
        grid_PDT = self.drop(self.blocks(self.stem(self.data_norm(streams_PCT))))
        return read_out(grid_PDT, batch, self.readout, rows=(self.rows, 0.0, self._stride))


def _streams(acceleration_PT3: Tensor, angular_rate_PT3: Tensor) -> Tensor:
    magnitudes = [v.norm(dim=-1, keepdim=True) for v in (acceleration_PT3, angular_rate_PT3)]
    channels_PT6 = torch.cat([acceleration_PT3, angular_rate_PT3], dim=-1)
    velocities = nn.functional.pad(channels_PT6.diff(dim=1), (0, 0, 1, 0))
    return torch.cat([channels_PT6, velocities, *magnitudes], dim=-1).transpose(1, 2)


class _Block(nn.Module):
    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, norm: NormKind) -> None:
        super().__init__()
        half = kernel // 2
        self.conv1 = nn.Conv1d(c_in, c_out, kernel, stride, half, bias=False)
        self.norm1 = norm1d(norm, c_out)
        self.conv2 = nn.Conv1d(c_out, c_out, kernel, 1, half, bias=False)
        self.norm2 = norm1d(norm, c_out)
        self.excite = nn.Sequential(
            nn.Linear(c_out, c_out // 8), nn.ReLU(), nn.Linear(c_out // 8, c_out), nn.Sigmoid()
        )
        self.skip: nn.Module = nn.Identity()
        if c_in != c_out or stride != 1:
            self.skip = nn.Sequential(
                nn.Conv1d(c_in, c_out, 1, stride, bias=False), norm1d(norm, c_out)
            )

    def forward(self, signal_PCT: Tensor) -> Tensor:
        deep = torch.relu(self.norm1(self.conv1(signal_PCT)))
        deep = self.norm2(self.conv2(deep))
        deep = deep * self.excite(deep.mean(-1))[..., None]
        return torch.relu(deep + self.skip(signal_PCT))
