"""Relation: the rows of one anchor stream before the columns of one candidate stream."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sensorfusion.objectives.pooled import Pooled
from sensorfusion.objectives.weights import Entries

QUEUED = -1  # the id of a column that comes from a queue: it belongs to no present moment


@dataclass(frozen=True)
class Relation:
    """What providers of weights know of R rows and C columns.

    Args:
        anchor, candidate: the two streams; the same one for intra candidates.
        rows: [R, D] anchors. columns: [C, D] candidates.
        row_id: int64 [R], ids of the anchors. column_id: int64 [C], ids or QUEUED.
        scale: of the logits, without gradient.
        pooled: all embeddings. step: how often the term has been applied.
    """

    anchor: str
    candidate: str
    rows: Tensor
    columns: Tensor
    row_id: Tensor
    column_id: Tensor
    scale: Tensor
    pooled: Pooled
    step: int = 0

    @property
    def intra(self) -> bool:
        """Whether candidates come from the anchors' own stream."""
        return self.anchor == self.candidate

    def same_id(self, value: float = 1.0) -> Entries:
        """The pairs of a row and a column of the same id."""
        return self.at(self.row_id[:, None], value)

    def at(self, ids_Rk: Tensor, value: float = 1.0) -> Entries:
        """The pairs of row r and the columns with the ids `ids_Rk[r]`; absent ids are left out."""
        where = torch.full((len(self.pooled) + 1,), -1, device=self.column_id.device)
        present = (self.column_id != QUEUED).nonzero()[:, 0]
        where[self.column_id[present]] = present
        columns_Rk = where[ids_Rk]
        rows, slots = (columns_Rk >= 0).nonzero(as_tuple=True)
        values = self.rows.new_full((len(rows),), value)
        return Entries(rows, columns_Rk[rows, slots], values)
