"""Teachers (mechanism M5): encoders without gradient that give targets to terms."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import cast

import torch
from torch import nn

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.errors import ConfigError
from sensorfusion.export import load_encoder
from sensorfusion.sample import Features, SensorBatch


class Teacher(nn.Module):
    """An encoder, with its head if it has one, that is never trained by gradient.

    Always in evaluation mode: batch statistics of the student's data do not enter it. A config
    writes `type=Teacher.following` or `type=frozen`.

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
        """An exponential moving average of the student, from whose weights it starts.

        Args:
            encoder, head: the student's, or others of the same architecture. momentum: see above.
        """
        return cls(copy.deepcopy(encoder), copy.deepcopy(head), momentum=momentum)

    @property
    def width(self) -> int:
        """D of the tokens that it gives."""
        return cast(Encoder, self.encoder if self.head is None else self.head).width

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
    def begin(self, encoder: nn.Module, head: nn.Module | None) -> None:
        """Take the student's weights (no effect on a frozen teacher).

        Raises:
            ConfigError: when the student is of another architecture.
        """
        if self.momentum is None:
            return
        for what, mine, theirs in (("encoder", self.encoder, encoder), ("head", self.head, head)):
            if mine is not None:
                _copy(mine, theirs, what)

    @torch.no_grad()
    def follow(self, encoder: nn.Module, head: nn.Module | None) -> None:
        """Move towards the student (no effect on a frozen teacher); buffers are copied."""
        if self.momentum is None:
            return
        for mine, theirs in ((self.encoder, encoder), (self.head, head)):
            if mine is not None and theirs is not None:
                _move(mine, theirs, self.momentum)


def frozen(path: str | Path | None = None, *, project: bool = False) -> Teacher:
    """A teacher that is a pretrained encoder and stays as it is.

    Args:
        path: the folder that a run wrote, `work_dirs/<config>/encoders/<name>`, or `save_encoder`.
        project: apply the projection head that was saved with it.

    Raises:
        ConfigError: when there is no such folder, or no head in it.
        CheckpointError: when it is damaged.
    """
    if path is None or not Path(path).is_dir():
        raise ConfigError(
            "a frozen teacher without a `path`" if path is None else "no such folder",
            where="" if path is None else str(path),
            remedy="pretrain the teacher first, then give its folder of encoders/ in the work"
            " folder: --cfg-options model.teachers.<name>.path=FOLDER",
        )
    loaded = load_encoder(path)
    if project and loaded.head is None:
        raise ConfigError(
            "this encoder was saved without a projection head",
            where=str(path),
            remedy="leave out `project`",
        )
    return Teacher(loaded.encoder, loaded.head if project else None)


def _copy(teacher: nn.Module, student: nn.Module | None, what: str) -> None:
    mine, theirs = teacher.state_dict(), {} if student is None else student.state_dict()
    shapes = [{name: value.shape for name, value in state.items()} for state in (mine, theirs)]
    if shapes[0] != shapes[1]:
        odd = sorted({name for name, _ in shapes[0].items() ^ shapes[1].items()})
        raise ConfigError(
            f"a teacher cannot follow a student of another {what}; they differ in {odd[:5]}",
            remedy=f"give both the same {what}",
        )
    teacher.load_state_dict(theirs)


def _move(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    for mine, theirs in zip(teacher.parameters(), student.parameters(), strict=True):
        mine.lerp_(theirs, 1 - momentum)
    for kept, current in zip(teacher.buffers(), student.buffers(), strict=True):
        kept.copy_(current)
