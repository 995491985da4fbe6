"""Fusion by attention: a joint token looks at whatever sensors are there."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sensorfusion.fusion.fusion import Fusion, SharedMoments, shared_moments
from sensorfusion.sample import Features


class AttentionFusion(Fusion):
    """One joint token per moment, from a transformer over the tokens of all present streams.

    A learned query is prepended to the tokens and read out (Devlin et al. 2019, "BERT"); which
    stream a token comes from is said by a learned embedding, when it was measured by a sinusoidal
    code of its position, where that is the fraction of a clip. Missing streams are masked out of
    the attention: a moment's joint token depends on nothing but the tokens of that moment.

    Args:
        widths: stream -> width of its tokens. width: D of the joint stream.
        layers, heads, feedforward, dropout: of the transformer (pre-norm).
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        width: int = 128,
        layers: int = 1,
        heads: int = 4,
        feedforward: int = 256,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.streams, self.widths, self.width = tuple(widths), dict(widths), width
        self.layers, self.heads = layers, heads
        self.feedforward, self.dropout = feedforward, dropout
        self.enter = nn.ModuleDict(
            {s: nn.Sequential(nn.LayerNorm(w), nn.Linear(w, width)) for s, w in widths.items()}
        )
        self.stream_code = nn.ParameterDict(
            {stream: nn.Parameter(0.02 * torch.randn(width)) for stream in widths}
        )
        self.query = nn.Parameter(0.02 * torch.randn(width))
        layer = nn.TransformerEncoderLayer(
            width, heads, feedforward, dropout, batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )

    def forward(self, features: Mapping[str, Features]) -> Features:
        """Features of the joint stream, one token per moment with any valid token."""
        moments = shared_moments([features[stream] for stream in self.streams])
        if not len(moments):
            return Features.empty(moments.size, self.width, like=self.query)
        tokens_ND = torch.cat(
            [
                self._enter(stream, features[stream], kept)
                for stream, kept in zip(self.streams, moments.tokens, strict=True)
                if len(kept)
            ]
        )
        padded_MLD, padding_ML = self._pad(tokens_ND, moments)
        joint_MLD = self.transformer(padded_MLD, src_key_padding_mask=padding_ML)
        return moments.features(joint_MLD[:, 0])

    def _enter(self, stream: str, features: Features, kept: Tensor) -> Tensor:
        tokens_ND: Tensor = self.enter[stream](features.tokens.index_select(0, kept))
        tokens_ND = tokens_ND + self.stream_code[stream]
        if features.positions is not None and features.positions.shape[1] == 1:
            tokens_ND = tokens_ND + _time_code(features.positions[kept], self.width)
        return tokens_ND

    def _pad(self, tokens_ND: Tensor, moments: SharedMoments) -> tuple[Tensor, Tensor]:
        """The query and a moment's tokens side by side, [M, 1 + L, D], and what is padding."""
        moment, order = torch.cat(moments.moment).sort(stable=True)
        counts = moment.bincount(minlength=len(moments))
        slot = torch.arange(len(moment), device=moment.device) - (counts.cumsum(0) - counts)[moment]
        longest = int(counts.max())
        padded = tokens_ND.new_zeros(len(moments), longest, self.width)
        padded = padded.index_put((moment, slot), tokens_ND.index_select(0, order))
        query = self.query.to(padded.dtype).expand(len(moments), 1, -1)
        slots = torch.arange(1 + longest, device=moment.device)
        return torch.cat([query, padded], dim=1), slots > counts[:, None]


def _time_code(fraction_N1: Tensor, width: int) -> Tensor:
    """Sines and cosines of a fraction of the clip, of 1 / 2 to 64 periods: [N, width]."""
    halves = torch.arange(width, device=fraction_N1.device) // 2 / max(width // 2 - 1, 1)
    angle_ND = fraction_N1 * math.pi * 128**halves
    even = torch.arange(width, device=fraction_N1.device) % 2 == 0
    return torch.where(even, angle_ND.sin(), angle_ND.cos()).to(fraction_N1.dtype)
