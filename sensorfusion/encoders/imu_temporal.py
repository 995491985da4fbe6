"""IMU windows by a residual network over time on raw, slow and fast parts of the signal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.residual_trunk import ResidualTrunk, gaussian_smoother
from sensorfusion.sample import Features, SensorBatch
from sensorfusion.sensors.imu import ImuWindow

SLOW, ENERGY = 6.0, 4.0  # widths of the two moving averages, in rows
GROUPS = (3, 3, 3, 3, 3, 3, 2)


class ImuTemporal(Encoder):
    """One token per window.

    Input channels: acceleration and angular rate, their slow parts (mostly gravity and posture),
    their fast parts, and the logarithm of the fast parts' energy; deviations are shared within
    each triple of axes (`GroupStandardise`).

    Args:
        units: units that it accepts.
        channels: of the trunk's first blocks; tokens have 20 times as many values, those of
            the last block at the end.
        rate_scale: angular rates are divided by it before energies are taken, so that both
            kinds of energy exceed the constant under the logarithm alike.
    """

    reading = ImuWindow

    def __init__(
        self, *, units: Sequence[str], channels: int = 64, rate_scale: float = 150.0
    ) -> None:
        super().__init__()
        self.units, self.channels, self.rate_scale = tuple(units), channels, rate_scale
        self.trunk = ResidualTrunk(GROUPS, channels, kernel=11, stride=4)
        self.width = self.trunk.width

    def forward(self, batch: SensorBatch) -> Features:
        """Tokens [P, 20 * channels]; the grid is the last block's, [P, 2 * channels, T / 16]."""
        batch.require(ImuWindow, *self.units)
        dtype = self.trunk.dtype
        rate = batch.values["angular_rate"].to(dtype) / self.rate_scale
        both = torch.cat([batch.values["acceleration"].to(dtype), rate], dim=2)
        tokens, grid = self.trunk(_channels(both))
        return Features.one_per_reading(tokens, batch, grid)


def _channels(values_PT6: Tensor) -> Tensor:
    """[P, 20, T]."""
    rows = values_PT6.shape[1]
    slow = gaussian_smoother(rows, SLOW, values_PT6) @ values_PT6
    fast = values_PT6 - slow
    energy = gaussian_smoother(rows, ENERGY, values_PT6) @ fast.square()
    energies = torch.stack([energy[..., :3].sum(-1), energy[..., 3:].sum(-1)], dim=-1)
    parts = [values_PT6, slow, fast, (energies + 1e-3).log()]
    return torch.cat(parts, dim=2).transpose(1, 2)
