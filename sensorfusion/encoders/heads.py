"""Projection heads: tokens of an encoder to the space in which an objective compares them."""

from __future__ import annotations

from torch import Tensor, nn

from sensorfusion.encoders.norms import PresentBatchNorm1d


class Projection(nn.Module):
    """Linear, batch norm, ReLU, linear: the projection head of SimCLR and of CMC-CMKM.

    Args:
        inputs: how many of a token's last values are projected: the width of the encoder's
            tokens, or less where a token begins with what earlier layers saw.
        hidden: width between. width: output width D.
    """

    def __init__(self, inputs: int, hidden: int = 256, width: int = 128) -> None:
        super().__init__()
        self.inputs, self.hidden, self.width = inputs, hidden, width
        self.linear1 = nn.Sequential(
            nn.Linear(inputs, hidden), PresentBatchNorm1d(hidden), nn.ReLU()
        )
        self.linear2 = nn.Sequential(nn.Linear(hidden, width))

    def forward(self, tokens_ND: Tensor) -> Tensor:
        """[N, inputs or more] -> [N, width]."""
        projected: Tensor = self.linear2(self.linear1(tokens_ND[:, -self.inputs :]))
        return projected


class LinearHead(nn.Linear):
    """One linear layer, as the heads of SLidR (Sautier et al. 2022, section 3.1).

    Args:
        inputs: width of the encoder's tokens. width: output width D.
    """

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__(inputs, width)
        self.inputs, self.width = inputs, width
