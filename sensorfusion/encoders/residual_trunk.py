"""A small residual network over time, whose tokens hold what all of its blocks saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d, relu

from sensorfusion.encoders.norms import PresentBatchNorm1d
from sensorfusion.encoders.readout import Readout, read_out, width_of
from sensorfusion.sample import Features, SensorBatch

TrunkReadout = Readout | Literal["blocks"]

SEGMENTS = 4  # a block is pooled as the means of so many parts of the window, and its maximum


class GroupStandardise(nn.Module):
    """Centre every channel, scale whole groups of channels.

    Channels of a group share one deviation, so that a joint that hardly moves stays small
    instead of having its noise blown up. Statistics are those of the batch in training and
    running averages afterwards, as in batch normalisation.

    Args:
        groups: number of channels of each group; C in all. momentum: of the running averages.
    """

    mean: Tensor
    variance: Tensor
    batches: Tensor

    def __init__(self, groups: Sequence[int], momentum: float = 0.1) -> None:
        super().__init__()
        self.groups, self.momentum = tuple(groups), momentum
        self.register_buffer("mean", torch.zeros(sum(groups)))
        self.register_buffer("variance", torch.ones(len(self.groups)))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, values_PCT: Tensor) -> Tensor:
        """[P, C, T] -> [P, C, T]."""
        if self.training:
            self._follow(values_PCT.detach())
        sizes = torch.tensor(self.groups, device=values_PCT.device)
        deviation_C = self.variance.clamp(min=1e-12).sqrt().repeat_interleave(sizes)
        return (values_PCT - self.mean[:, None]) / deviation_C[:, None]

    @torch.no_grad()
    def _follow(self, values_PCT: Tensor) -> None:
        mean_C = values_PCT.mean((0, 2))
        variance_C = (values_PCT - mean_C[:, None]).square().mean((0, 2))
        parts: tuple[Tensor, ...] = torch.split(variance_C, list(self.groups))
        variance_G = torch.stack([part.mean() for part in parts])
        # The first batches are averaged evenly, so that early statistics are not the initial ones.
        self.batches += 1
        share = max(self.momentum, 1 / float(self.batches))
        self.mean.lerp_(mean_C.to(self.mean.dtype), share)
        self.variance.lerp_(variance_G.to(self.variance.dtype), share)


class ResidualTrunk(nn.Module):
    """Stem and three residual blocks of 1-D convolutions (He et al. 2016, basic blocks).

    Args:
        groups: input channels by group, see `GroupStandardise`.
        width: channels of the first two blocks; the third has twice as many.
        kernel, stride: of the stem.
    """

    def __init__(self, groups: Sequence[int], width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.standardise = GroupStandardise(groups)
        self.stem = nn.Sequential(
            nn.Conv1d(sum(groups), 64, kernel, stride, kernel // 2, bias=False),
            PresentBatchNorm1d(64),
            nn.ReLU(),
        )
        self.blocks = nn.ModuleList(
            [
                ResidualBlock(64, width, kernel=5, stride=1),
                ResidualBlock(width, width, kernel=5, stride=2),
                ResidualBlock(width, 2 * width, kernel=3, stride=2),
            ]
        )
        self.blocks_width, self.stride = width, 4 * stride
        self.width = 4 * (SEGMENTS + 1) * width

    def width_of(self, readout: TrunkReadout, rows: int) -> int:
        """D of the tokens that `read` gives for windows of `rows` rows."""
        if readout == "blocks":
            return self.width
        return width_of(readout, 2 * self.blocks_width, -(-rows // self.stride))

    def read(self, values_PCT: Tensor, batch: SensorBatch, readout: TrunkReadout) -> Features:
        """Features of the readings whose channels are `values_PCT`.

        "blocks" is one token per reading with what all blocks saw, pooled, the last block's
        share at the end; for the others see `read_out`.
        """
        tokens, grid = self(values_PCT)
        if readout == "blocks":
            return Features.one_per_reading(tokens, batch, grid)
        return read_out(grid, batch, readout, rows=(values_PCT.shape[2], 0.0, float(self.stride)))

    def forward(self, values_PCT: Tensor) -> tuple[Tensor, Tensor]:
        """[P, C, T] -> tokens [P, width], earlier blocks first, and the last grid [P, 2 w, T']."""
        grid = self.stem(self.standardise(values_PCT))
        pooled = []
        for block in self.blocks:
            grid = block(grid)
            pooled.append(_pool(grid))
        return torch.cat(pooled, dim=1), grid


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut: [P, C, T] -> [P, C', T / stride]."""

    def __init__(self, c_in: int, c_out: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.norm1 = PresentBatchNorm1d(c_out)
        self.conv2 = nn.Conv1d(c_out, c_out, 3, 1, 1, bias=False)
        self.norm2 = PresentBatchNorm1d(c_out)
        same = c_in == c_out and stride == 1
        self.skip = nn.Identity() if same else nn.Conv1d(c_in, c_out, 1, stride, bias=False)

    def forward(self, values_PCT: Tensor) -> Tensor:
        """Same number of readings."""
        deep = relu(self.norm1(self.conv1(values_PCT)))
        return relu(self.skip(values_PCT) + self.norm2(self.conv2(deep)))


def _pool(grid_PCT: Tensor) -> Tensor:
    parts = adaptive_avg_pool1d(grid_PCT, SEGMENTS).flatten(1)
    return torch.cat([parts, grid_PCT.amax(2)], dim=1)


def gaussian_smoother(rows: int, sigma: float, like: Tensor) -> Tensor:
    """Moving average with a Gaussian of `sigma` rows as a matrix [rows, rows]; rows sum to 1."""
    time = torch.arange(rows, device=like.device, dtype=like.dtype)
    weights = torch.exp(-0.5 * ((time[:, None] - time) / sigma) ** 2)
    return weights / weights.sum(1, keepdim=True)
