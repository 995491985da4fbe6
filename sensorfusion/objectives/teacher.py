"""Teachers (mechanism M5): encoders without gradient that give targets to terms."""

from __future__ import annotations

import copy

import torch
from torch import nn

from sensorfusion.sample import Features, SensorBatch


class Teacher(nn.Module):
    """An encoder, with its head if it has one, that is never trained by gradient.

    Always in evaluation mode: batch statistics of the student's data do not enter it.

    Args:
        encoder: reading -> Features. head: applied to its tokens, or None.
        momentum: None for a frozen teacher; otherwise the teacher follows the student as
            teacher <- momentum * teacher + (1 - momentum) * student after each step
            (He et al. 2020, "Momentum contrast", eq. 2).
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module | None = None,
        *,
        momentum: float | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.momentum = momentum
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def following(
        cls, encoder: nn.Module, head: nn.Module | None = None, *, momentum: float = 0.995
    ) -> Teacher:
        """An exponential moving average that starts as a copy of the student."""
        return cls(copy.deepcopy(encoder), copy.deepcopy(head), momentum=momentum)

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode whatever the model around does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, batch: SensorBatch) -> Features:
        """Features of P >= 1 readings, without gradient."""
        features: Features = self.encoder(batch)
        return (
            features if self.head is None else features.replace(tokens=self.head(features.tokens))
        )

    @torch.no_grad()
    def follow(self, encoder: nn.Module, head: nn.Module | None) -> None:
        """Move towards the student (no effect on a frozen teacher); buffers are copied."""
        if self.momentum is None:
            return
        for mine, theirs in ((self.encoder, encoder), (self.head, head)):
            if mine is not None and theirs is not None:
                _move(mine, theirs, self.momentum)


def _move(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    for mine, theirs in zip(teacher.parameters(), student.parameters(), strict=True):
        mine.lerp_(theirs, 1 - momentum)
    for kept, current in zip(teacher.buffers(), student.buffers(), strict=True):
        kept.copy_(current)
