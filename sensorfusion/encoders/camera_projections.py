"""Depth clips of a person by a residual network over time on three views of the seen surface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.norms import PresentBatchNorm1d
from sensorfusion.encoders.readout import floating, require_shape
from sensorfusion.encoders.residual_trunk import SEGMENTS, ResidualTrunk, TrunkReadout
from sensorfusion.errors import ConfigError
from sensorfusion.sample import Features, SensorBatch
from sensorfusion.sensors.camera import CameraImage

LEAST = 0.05  # coverage below which a cell's nearness fades to 0


class CameraProjections(Encoder):
    """One token per clip, from where the surface of a body is and how that changes.

    Every frame is seen from the front (coverage and nearness), from the side and from above
    (where along the line of sight there is anything), as in Chen, Liu and Kehtarnavaz 2013,
    "Real-time human action recognition based on depth motion maps". From each view that of the
    first frame, the body at rest, is subtracted. The cells of the views and their velocities are
    the channels of a network over time; deviations are shared within each view
    (`GroupStandardise`), so that cells in which hardly anything moves stay small.

    Args:
        units: units that it accepts, e.g. ("coverage, coverage x nearness",).
        rows: T, the frames of a clip; the first shows the body at rest.
        size: (H, W) of the images. cell: edge of the square cells of the front view, in pixels.
        near: (least, largest) nearness of the bins of the other views. bins: their number.
        channels: of the trunk's first blocks.
        readout: "embedding" is one token per clip, two layers on what the last block saw. It is
            as wide as the space of another sensor's projection head, for an objective without
            a head of its own: what the camera saw of a body's shape that no other sensor
            agrees with does not get into the token. For the others see `ResidualTrunk.read`.
        embedding, hidden: width of such a token, and of the layer before it.
    """

    reading = CameraImage

    def __init__(
        self,
        *,
        units: Sequence[str],
        rows: int = 25,
        size: Sequence[int] = (40, 32),
        cell: int = 2,
        near: Sequence[float] = (-0.5, 1.9),
        bins: int = 9,
        channels: int = 64,
        readout: TrunkReadout | Literal["embedding"] = "embedding",
        embedding: int = 128,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.units, self.rows, self.size, self.cell = tuple(units), rows, tuple(size), cell
        self.near, self.bins, self.channels = tuple(near), bins, channels
        self.readout: TrunkReadout | Literal["embedding"] = readout
        self.embedding, self.hidden = embedding, hidden
        if any(edge % cell for edge in self.size) or bins < 2:
            raise ConfigError(
                f"images of {self.size} pixels, cells of {cell} x {cell}, {bins} bins",
                where=type(self).__name__,
                remedy="crop the images to multiples of the cells, give two bins or more",
            )
        height, width = (edge // cell for edge in self.size)
        views = (height * width, height * width, height * bins, width * bins)
        self.trunk = ResidualTrunk((*views, *views), channels, kernel=5, stride=1)
        self.seen = 2 * channels * (SEGMENTS + 1)  # values of the last block in a "blocks" token
        if readout == "embedding":
            self.width = embedding
            self.embed = nn.Sequential(
                nn.Linear(self.seen, hidden, bias=False),
                PresentBatchNorm1d(hidden),
                nn.ReLU(),
                nn.Linear(hidden, embedding),
            )
        else:
            self.width = self.trunk.width_of(readout, rows)

    def forward(self, batch: SensorBatch) -> Features:
        """Features; the grid is the last block's, [P, 2 * channels, T / 4]."""
        batch.require(CameraImage, *self.units)
        pixels = batch.values["pixels"]
        require_shape(pixels, (self.rows, *self.size, 2), self)
        views_PTC = self._views(floating(pixels, self))
        moved_PTC = views_PTC - views_PTC[:, :1]
        both = torch.cat([moved_PTC, _velocity(moved_PTC)], dim=2)
        channels_PCT = both.transpose(1, 2)
        if self.readout != "embedding":
            return self.trunk.read(channels_PCT, batch, self.readout)
        blocks = self.trunk.read(channels_PCT, batch, "blocks")
        return blocks.replace(tokens=self.embed(blocks.tokens[:, -self.seen :]))

    def _views(self, pixels_PTHW2: Tensor) -> Tensor:
        """Front coverage, front nearness, side and top views of every frame: [P, T, C]."""
        planes_N2HW = pixels_PTHW2.flatten(0, 1).permute(0, 3, 1, 2)
        coverage, product = avg_pool2d(planes_N2HW, self.cell).unbind(1)
        nearness = product / coverage.clamp(min=LEAST)
        spread = (self.near[1] - self.near[0]) / (self.bins - 1)
        place = (nearness - self.near[0]) / spread
        # One bin after another: all at once would be written to memory and read several times.
        filled = [(1 - (place - k).abs()).clamp(min=0) * coverage for k in range(self.bins)]
        side = torch.cat([_saturated(each.sum(2)) for each in filled], dim=1)
        top = torch.cat([_saturated(each.sum(1)) for each in filled], dim=1)
        parts = [part.flatten(1) for part in (coverage, nearness, side, top)]
        return torch.cat(parts, dim=1).view(*pixels_PTHW2.shape[:2], -1)


def _saturated(count: Tensor) -> Tensor:
    """To [0, 1): whether there is anything matters more than in how many cells."""
    return count / (3 + count)


def _velocity(values_PTC: Tensor) -> Tensor:
    """Central differences per step, zero at both ends."""
    velocity = torch.zeros_like(values_PTC)
    velocity[:, 1:-1] = values_PTC[:, 2:] - values_PTC[:, :-2]
    return velocity
