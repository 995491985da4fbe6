"""What every fusion module promises, and the moments that all of them join over."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sensorfusion.sample import Features


class Fusion(nn.Module, abc.ABC):
    """Joins the features of several streams into one.

    Its constructor keeps every argument in an attribute of the same name, as an encoder's.

    Attributes:
        streams: the streams that it reads. width: D of the joint stream.
    """

    streams: tuple[str, ...]
    width: int

    @abc.abstractmethod
    def forward(self, features: Mapping[str, Features]) -> Features:
        """Features of the joint stream; streams may be missing for any sample."""


@dataclass(frozen=True)
class SharedMoments:
    """The moments (sample, frame) in which at least one of several streams has a valid token.

    Args:
        item, frame: int64 [M], in order. size: B, samples in the batch.
        tokens: per stream the indices of its valid tokens.
        moment: per stream the moment, in [0, M), of each of those tokens.
    """

    item: Tensor
    frame: Tensor
    size: int
    tokens: tuple[Tensor, ...]
    moment: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.item)

    def features(self, joint_MD: Tensor) -> Features:
        """Features with one token per moment."""
        valid = torch.ones_like(self.item, dtype=torch.bool)
        return Features(joint_MD, self.item, self.frame, self.size, valid)


def shared_moments(streams: Sequence[Features]) -> SharedMoments:
    """Line up the valid tokens of K >= 1 streams of one batch."""
    tokens = tuple(entry.valid.nonzero()[:, 0] for entry in streams)
    pairs = [
        torch.stack([entry.item[kept], entry.frame[kept]], dim=1)
        for entry, kept in zip(streams, tokens, strict=True)
    ]
    moments_M2, moment = torch.unique(torch.cat(pairs), dim=0, return_inverse=True)
    item, frame = moments_M2.unbind(dim=1)
    lengths = [len(kept) for kept in tokens]
    return SharedMoments(item, frame, streams[0].size, tokens, moment.split(lengths))
