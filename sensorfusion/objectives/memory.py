"""What terms remember between steps (mechanism M5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Queue(nn.Module):
    """The newest rows of the last steps, first in, first out; its content is saved as state.

    Args:
        length: rows that are kept. width: D, their width.
    """

    rows_LD: Tensor
    filled: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows_LD", torch.zeros(length, width))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return int(self.filled)

    @property
    def content(self) -> Tensor:
        """The remembered rows [len(self), D], newest first."""
        return self.rows_LD[: len(self)]

    @torch.no_grad()
    def push(self, rows_ND: Tensor) -> None:
        """Remember rows; of more than `length`, the first ones. Same rows on every rank."""
        rows_ND = rows_ND.to(self.rows_LD.dtype)
        kept = torch.cat([rows_ND, self.content])[: len(self.rows_LD)]
        self.rows_LD[: len(kept)] = kept
        self.filled.fill_(len(kept))
