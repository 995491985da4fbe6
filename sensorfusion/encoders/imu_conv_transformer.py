"""The published IMU encoder of CMC-CMKM: 1-D convolutions, then a transformer over time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.norms import PresentBatchNorm1d
from sensorfusion.encoders.readout import Readout, floating, read_out, require_shape, width_of
from sensorfusion.sample import Features, SensorBatch
from sensorfusion.sensors.imu import ImuWindow


class ImuConvTransformer(Encoder):
    """Convolution blocks, a sinusoidal position code and transformer layers.

    The network of Brinzea, Khaertdinov and Asteriadis 2022, "Contrastive learning with
    cross-modal knowledge mining for multimodal human activity recognition" (CMC-CMKM), with
    its layer names, so that its weights load (`encoders/published.py`). Two differences that
    leave every value alone: the unused copy of a transformer layer that the released module
    registers as `encoder_layer` is not carried, and time comes second, not first, inside.

    A block is convolution, batch norm, ReLU; transformer layers are post-norm with ReLU.

    Args:
        units: the units that readings may have; empty: any.
        rows: T, rows of a window. in_channels: of acceleration and angular rate together.
        channels: output channels of the blocks; the last is the transformer's width.
        kernel, padding: of every convolution; each shortens the window by
            kernel - 1 - 2 * padding rows.
        layers, heads, feedforward, dropout: of the transformer.
        readout: see `read_out`; the grid is [P, channels[-1], T'].
    """

    reading = ImuWindow

    def __init__(
        self,
        *,
        units: Sequence[str],
        rows: int = 50,
        in_channels: int = 6,
        channels: Sequence[int] = (32, 64, 128),
        kernel: int = 5,
        padding: int = 1,
        layers: int = 2,
        heads: int = 2,
        feedforward: int = 2048,
        dropout: float = 0.1,
        readout: Readout = "flatten",
    ) -> None:
        super().__init__()
        self.units = tuple(units)
        self.rows, self.in_channels, self.channels = rows, in_channels, tuple(channels)
        self.kernel, self.padding = kernel, padding
        self.layers, self.heads, self.feedforward = layers, heads, feedforward
        self.dropout, self.readout = dropout, readout
        steps = rows - len(channels) * (kernel - 1 - 2 * padding)
        self.width = width_of(readout, channels[-1], steps)
        self.conv_layers = nn.Sequential()
        for i, (c_in, c_out) in enumerate(zip((in_channels, *channels), channels, strict=False)):
            block = nn.Sequential(
                nn.Conv1d(c_in, c_out, kernel, padding=padding),
                PresentBatchNorm1d(c_out),
                nn.ReLU(),
            )
            self.conv_layers.add_module(f"conv_block{i + 1}", block)
        self.positional_encoding = PositionalEncoding(rows, channels[-1])
        layer = nn.TransformerEncoderLayer(
            channels[-1], heads, feedforward, dropout, batch_first=True
        )
        self.transformer_encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, batch: SensorBatch) -> Features:
        """Encode windows of `acceleration` and `angular_rate` [P, T, 3]."""
        batch.require(self.reading, *self.units)
        signal_PTC = torch.cat([batch.values["acceleration"], batch.values["angular_rate"]], -1)
        require_shape(signal_PTC, (self.rows, self.in_channels), self)
        conv_PDT = self.conv_layers(floating(signal_PTC, self).transpose(1, 2))
        steps_PTD = self.transformer_encoder(self.positional_encoding(conv_PDT.transpose(1, 2)))
        first = len(self.channels) * ((self.kernel - 1) / 2 - self.padding)
        grid_PDT = steps_PTD.transpose(1, 2)
        return read_out(grid_PDT, batch, self.readout, rows=(self.rows, first, 1.0))


class PositionalEncoding(nn.Module):
    """Adds a sinusoidal code of the step: sines in even, cosines in odd columns.

    Vaswani et al. 2017, section 3.5. The table is a buffer [rows, 1, width], saved with the
    weights as in the published checkpoints.
    """

    pe: Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        step_T1 = torch.arange(rows, dtype=torch.float32)[:, None]
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        table = torch.zeros(rows, 1, width)
        table[:, 0, 0::2] = torch.sin(step_T1 * rate)
        table[:, 0, 1::2] = torch.cos(step_T1 * rate[: width // 2])
        self.register_buffer("pe", table)

    def forward(self, steps_PTD: Tensor) -> Tensor:
        """[P, T', D] -> [P, T', D], T' <= rows."""
        return steps_PTD + self.pe[: steps_PTD.shape[1], 0]
