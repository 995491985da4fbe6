"""Projection heads: tokens of an encoder to the space in which an objective compares them."""

from __future__ import annotations

from torch import Tensor, nn


class PresentBatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation that tolerates a batch with a single row.

    With sensors missing at random a batch may hold one reading of a sensor, for which batch
    statistics do not exist: such a batch is normalised by the running statistics and leaves
    them unchanged.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.numel() // input.shape[1] < 2:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


class Projection(nn.Module):
    """Linear, batch norm, ReLU, linear: the projection head of SimCLR and of CMC-CMKM.

    Args:
        inputs: width of the encoder's tokens. hidden: width between. width: output width D.
    """

    def __init__(self, inputs: int, hidden: int = 256, width: int = 128) -> None:
        super().__init__()
        self.width = width
        self.linear1 = nn.Sequential(
            nn.Linear(inputs, hidden), PresentBatchNorm1d(hidden), nn.ReLU()
        )
        self.linear2 = nn.Sequential(nn.Linear(hidden, width))

    def forward(self, tokens_ND: Tensor) -> Tensor:
        """[N, inputs] -> [N, width]."""
        projected: Tensor = self.linear2(self.linear1(tokens_ND))
        return projected
