"""Fusion by concatenation, with a learned stand-in for every missing sensor."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sensorfusion.encoders.norms import NormKind, norm1d
from sensorfusion.fusion.fusion import Fusion, shared_moments
from sensorfusion.sample import Features, segment_mean


class ConcatFusion(Fusion):
    """One joint token per moment: streams side by side, then a small perceptron.

    Each stream goes through linear, norm, ReLU; the results are concatenated and mapped to the
    joint width, as in the fusion network of CMC-CMKM (Brinzea et al. 2022). A stream that a
    moment lacks is replaced by a learned vector. A stream's tokens of one moment are averaged.

    Args:
        widths: stream -> width of its tokens. hidden: of each stream. width: D of the joint stream.
        norm: see `norms`.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        hidden: int = 256,
        width: int = 128,
        norm: NormKind = "batch",
    ) -> None:
        super().__init__()
        self.streams, self.widths = tuple(widths), dict(widths)
        self.hidden, self.width, self.norm = hidden, width, norm
        self.enter = nn.ModuleDict(
            {
                stream: nn.Sequential(nn.Linear(w, hidden), norm1d(norm, hidden), nn.ReLU())
                for stream, w in widths.items()
            }
        )
        self.missing = nn.ParameterDict(
            {stream: nn.Parameter(torch.zeros(hidden)) for stream in widths}
        )
        self.joint = nn.Linear(len(widths) * hidden, width)

    def forward(self, features: Mapping[str, Features]) -> Features:
        """Features of the joint stream, one token per moment with any valid token."""
        moments = shared_moments([features[stream] for stream in self.streams])
        if not len(moments):
            return Features.empty(moments.size, self.width, like=self.joint.weight)
        columns = [
            self._column(stream, features[stream].tokens[kept], moment, len(moments))
            for stream, kept, moment in zip(
                self.streams, moments.tokens, moments.moment, strict=True
            )
        ]
        return moments.features(self.joint(torch.cat(columns, dim=1)))

    def _column(self, stream: str, tokens_ND: Tensor, moment: Tensor, size: int) -> Tensor:
        missing: Tensor = self.missing[stream].expand(size, -1)
        if not len(tokens_ND):
            return missing
        present, rows = torch.unique(moment, return_inverse=True)
        entered = self.enter[stream](segment_mean(tokens_ND, rows, len(present)))
        return missing.index_copy(0, present, entered.to(missing.dtype))
