"""Weights of candidate pairs: the only thing that tells the contrast kernel what a paper wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Tile = Callable[[slice, slice], Tensor]


@dataclass(frozen=True)
class Entries:
    """Listed pairs: `values[e]` is the weight of (`rows[e]`, `columns[e]`); each pair once.

    Args:
        rows, columns: int64 [E]. values: [E], >= 0.
    """

    rows: Tensor
    columns: Tensor
    values: Tensor

    @staticmethod
    def none(like: Tensor) -> Entries:
        """No pairs, with values of the dtype and on the device of `like`."""
        index = torch.zeros(0, dtype=torch.int64, device=like.device)
        return Entries(index, index, like.new_zeros(0))

    def __len__(self) -> int:
        return len(self.rows)

    def within(self, rows: slice, columns: slice) -> Entries:
        """The pairs inside a tile, with indices relative to it."""
        inside = (self.rows >= rows.start) & (self.rows < rows.stop)
        inside &= (self.columns >= columns.start) & (self.columns < columns.stop)
        keep = inside.nonzero()[:, 0]
        return Entries(
            self.rows[keep] - rows.start, self.columns[keep] - columns.start, self.values[keep]
        )


@dataclass(frozen=True)
class Weights:
    """Weights >= 0 of all R x C pairs, without holding them all.

    Args:
        default: weight of every pair that is not listed, when there is no `tile`.
        listed: pairs whose weight differs from the default (or from the tile).
        tile: dense weights [r, c] of the pairs in (rows, columns), computed when asked for.
        inputs: tensors that need a gradient through `tile` (none when it is detached).
    """

    default: float = 0.0
    listed: Entries | None = None
    tile: Tile | None = field(default=None, compare=False)
    inputs: tuple[Tensor, ...] = ()

    @property
    def is_sparse(self) -> bool:
        """Whether only listed pairs have a weight."""
        return self.tile is None and self.default == 0.0


NONE = Weights()
EVERY = Weights(default=1.0)
