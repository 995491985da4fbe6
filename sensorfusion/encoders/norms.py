"""Batch normalisation for sensors that are missing at random."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

NormKind = Literal["batch", "group"]


class _Present(_BatchNorm):
    """Batch normalisation that tolerates a batch with a single value per channel.

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


class PresentBatchNorm1d(_Present, nn.BatchNorm1d):
    """`_Present` over [N, C] or [N, C, T]."""


class PresentBatchNorm2d(_Present, nn.BatchNorm2d):
    """`_Present` over [N, C, H, W]."""


def norm1d(kind: NormKind, channels: int, *, affine: bool = True) -> nn.Module:
    """A normalisation of [N, C, T].

    Args:
        kind: "batch" (`_Present`), or "group", which does not depend on the other readings.
        channels: C. affine: whether a learned scale and offset follow; without them an input
            needs no gradient.
    """
    if kind == "batch":
        return PresentBatchNorm1d(channels, affine=affine)
    return _group_norm(channels, affine)


def norm2d(kind: NormKind, channels: int, *, affine: bool = True) -> nn.Module:
    """A normalisation of [N, C, H, W]; see `norm1d`."""
    if kind == "batch":
        return PresentBatchNorm2d(channels, affine=affine)
    return _group_norm(channels, affine)


def _group_norm(channels: int, affine: bool) -> nn.GroupNorm:
    groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
    return nn.GroupNorm(groups, channels, affine=affine)
