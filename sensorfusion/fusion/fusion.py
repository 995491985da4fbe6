"""What every fusion module promises."""

from __future__ import annotations

import abc
from collections.abc import Mapping

from torch import nn

from sensorfusion.sample import Features


class Fusion(nn.Module, abc.ABC):
    """Joins the features of several streams into one.

    Attributes:
        streams: the streams that it reads. width: D of the joint stream.
    """

    streams: tuple[str, ...]
    width: int

    @abc.abstractmethod
    def forward(self, features: Mapping[str, Features]) -> Features:
        """Features of the joint stream; streams may be missing for any sample."""
