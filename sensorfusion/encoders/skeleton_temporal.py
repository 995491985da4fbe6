"""Skeletons by a residual network over time on body- and arm-relative coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.readout import floating, require_shape
from sensorfusion.encoders.residual_trunk import ResidualTrunk, TrunkReadout
from sensorfusion.sample import Features, SensorBatch
from sensorfusion.sensors.skeleton import KINECT_V1, SkeletonWindow

ARM = ("elbow", "wrist", "hand")


class SkeletonTemporal(Encoder):
    """One token per window, from positions, velocities and where the hands are.

    Input channels: joints relative to the root of the same frame, the root's path, the arms'
    joints relative to their shoulders, one hand relative to the other; and the velocities
    of all these. Deviations are shared within each kind (`GroupStandardise`).

    Args:
        units: units of the joints that it accepts, e.g. ("torso lengths",).
        rows: T, the rows of a window.
        channels: of the trunk's first blocks; "blocks" tokens have 20 times as many values,
            the last half of them from the last block.
        readout: see `ResidualTrunk.read`.
    """

    reading = SkeletonWindow

    def __init__(
        self,
        *,
        units: Sequence[str],
        rows: int = 48,
        channels: int = 64,
        readout: TrunkReadout = "blocks",
    ) -> None:
        super().__init__()
        self.units, self.rows, self.channels = tuple(units), rows, channels
        self.readout: TrunkReadout = readout
        joints, arms = 3 * len(KINECT_V1), 3 * (2 * len(ARM) + 1)
        self.trunk = ResidualTrunk((joints, joints, arms, arms), channels, kernel=5, stride=2)
        self.width = self.trunk.width_of(readout, rows)

    def forward(self, batch: SensorBatch) -> Features:
        """Features; the grid is the last block's, [P, 2 * channels, T / 8]."""
        batch.require(SkeletonWindow, *self.units)
        joints = batch.values["joints"]
        require_shape(joints, (self.rows, len(KINECT_V1), 3), self)
        return self.trunk.read(_channels(floating(joints, self)), batch, self.readout)


def _channels(joints_PTJ3: Tensor) -> Tensor:
    """[P, C, T]: positions, their velocities, arms, their velocities."""
    root = joints_PTJ3[:, :, KINECT_V1.root]
    others = [j for j in range(len(KINECT_V1)) if j != KINECT_V1.root]
    body = (joints_PTJ3[:, :, others] - root[:, :, None]).flatten(2)
    positions = torch.cat([body, root], dim=2)
    arms = torch.cat([_arm(joints_PTJ3, side) for side in ("left", "right")], dim=2)
    hands = [joints_PTJ3[:, :, KINECT_V1.index(f"{side}_hand")] for side in ("left", "right")]
    arms = torch.cat([arms, hands[1] - hands[0]], dim=2)
    parts = [positions, _velocity(positions), arms, _velocity(arms)]
    return torch.cat(parts, dim=2).transpose(1, 2)


def _arm(joints_PTJ3: Tensor, side: str) -> Tensor:
    shoulder = joints_PTJ3[:, :, KINECT_V1.index(f"{side}_shoulder")]
    arm = joints_PTJ3[:, :, [KINECT_V1.index(f"{side}_{part}") for part in ARM]]
    return (arm - shoulder[:, :, None]).flatten(2)


def _velocity(values_PTC: Tensor) -> Tensor:
    """Central differences per step, zero at both ends."""
    velocity = torch.zeros_like(values_PTC)
    velocity[:, 1:-1] = values_PTC[:, 2:] - values_PTC[:, :-2]
    return velocity
