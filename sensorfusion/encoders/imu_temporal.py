"""IMU windows by a residual network over time on raw, slow and fast parts of the signal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.readout import floating, require_shape
from sensorfusion.encoders.residual_trunk import ResidualTrunk, TrunkReadout, gaussian_smoother
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
        rows: T, the rows of a window.
        channels: of the trunk's first blocks; "blocks" tokens have 20 times as many values,
            the last half of them from the last block.
        readout: see `ResidualTrunk.read`.
        rate_scale: angular rates are divided by it before energies are taken, so that both
            kinds of energy exceed the constant under the logarithm alike.
    """

    reading = ImuWindow

    def __init__(
        self,
        *,
        units: Sequence[str],
        rows: int = 128,
        channels: int = 64,
        rate_scale: float = 150.0,
        readout: TrunkReadout = "blocks",
    ) -> None:
        super().__init__()
        self.units, self.rows = tuple(units), rows
        self.channels, self.rate_scale = channels, rate_scale
        self.readout: TrunkReadout = readout
        self.trunk = ResidualTrunk(GROUPS, channels, kernel=11, stride=4)
        self.width = self.trunk.width_of(readout, rows)

    def forward(self, batch: SensorBatch) -> Features:
        """Features; the grid is the last block's, [P, 2 * channels, T / 16]."""
        batch.require(ImuWindow, *self.units)
        acceleration, rate = batch.values["acceleration"], batch.values["angular_rate"]
        require_shape(acceleration, (self.rows, 3), self)
        scaled = floating(rate, self) / self.rate_scale
        both = torch.cat([floating(acceleration, self), scaled], dim=2)
        return self.trunk.read(_channels(both), batch, self.readout)


def _channels(values_PT6: Tensor) -> Tensor:
    """[P, 20, T]."""
    rows = values_PT6.shape[1]
    slow = gaussian_smoother(rows, SLOW, values_PT6) @ values_PT6
    fast = values_PT6 - slow
    energy = gaussian_smoother(rows, ENERGY, values_PT6) @ fast.square()
    energies = torch.stack([energy[..., :3].sum(-1), energy[..., 3:].sum(-1)], dim=-1)
    parts = [values_PT6, slow, fast, (energies + 1e-3).log()]
    return torch.cat(parts, dim=2).transpose(1, 2)
