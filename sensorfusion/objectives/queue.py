"""A queue of past embeddings that serve as further candidates (He et al. 2020, MoCo)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sensorfusion.errors import ConfigError


def queue_name(column: str) -> str:
    """Name of a column's queue in a `ModuleDict`: names of modules have no dots."""
    return column.replace(".", "/")


class EmbeddingQueue(nn.Module):
    """The last `size` embeddings of one stream, oldest overwritten first.

    It starts empty. Its content, its fill and its position are buffers and are saved with the
    model.

    Args:
        size: how many embeddings it keeps. width: D.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        if size < 1 or width < 1:
            raise ConfigError(f"a queue of {size} embeddings of width {width}")
        self.rows: Tensor
        self.position: Tensor
        self.filled: Tensor
        self.register_buffer("rows", torch.zeros(size, width))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def forward(self) -> Tensor:
        """The embeddings that it holds, [filled, D]."""
        return self.rows[: int(self.filled)].clone()

    @torch.no_grad()
    def push(self, embeddings_ND: Tensor) -> None:
        """Add embeddings; of more than `size` only the last are kept."""
        size = len(self.rows)
        new = embeddings_ND[-size:].to(self.rows.dtype)
        start = int(self.position)
        places = (start + torch.arange(len(new), device=new.device)) % size
        self.rows[places] = new
        self.position.fill_((start + len(new)) % size)
        self.filled.fill_(min(size, int(self.filled) + len(new)))
