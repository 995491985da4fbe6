"""Negatives: providers of the weights N of the contrast kernel."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sensorfusion.objectives.relation import Relation
from sensorfusion.objectives.weights import NONE, Weights


class Negatives(abc.ABC):
    """Provider of negative weights.

    Attributes:
        columns: further columns of the correspondence that it reads.
        keys: names of targets that it reads.
    """

    columns: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @abc.abstractmethod
    def __call__(self, relation: Relation) -> Weights:
        """Weights N of the relation's pairs; those of positives are ignored."""


class Factor(abc.ABC):
    """Something that multiplies negative weights; see `Others.factors`."""

    columns: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @abc.abstractmethod
    def __call__(self, relation: Relation) -> Callable[[slice, slice], Tensor]:
        """A function (row slice, column slice) -> factors that broadcast to the tile."""


@dataclass(frozen=True)
class Others(Negatives):
    """All other moments.

    Args:
        streams: "all" candidates; or those of the anchor's "same" stream (MV-DHEL); or of other
            streams only ("cross").
        intra: weight of candidates of the anchor's own stream (lambda of CMC-CMKM).
        factors: multiply the weights, e.g. by whether two moments share a subject.
    """

    streams: Literal["all", "same", "cross"] = "all"
    intra: float = 1.0
    factors: tuple[Factor, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(name for factor in self.factors for name in factor.columns)

    @property
    def keys(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(name for factor in self.factors for name in factor.keys)

    def __call__(self, relation: Relation) -> Weights:
        if self.streams != "all" and relation.intra != (self.streams == "same"):
            return NONE
        weight = self.intra if relation.intra else 1.0
        own = relation.same_id(0.0)
        if not self.factors:
            return Weights(default=weight, listed=own)
        tiles = [factor(relation) for factor in self.factors]

        def tile(rows: slice, columns: slice) -> Tensor:
            shape = len(relation.row_id[rows]), len(relation.column_id[columns])
            weights = relation.rows.new_full(shape, weight)
            for function in tiles:
                weights = weights * function(rows, columns)
            return weights

        return Weights(tile=tile, listed=own)


@dataclass(frozen=True)
class OwnMoment(Negatives):
    """The own moment in some streams, and nothing else (CreamFL's previous local model).

    Args:
        streams: candidate streams whose embedding of the own moment is a negative.
    """

    streams: tuple[str, ...]

    def __call__(self, relation: Relation) -> Weights:
        if relation.candidate not in self.streams:
            return NONE
        return Weights(listed=relation.same_id())


@dataclass(frozen=True)
class ByKey(Factor):
    """Negatives of the same and of other subjects, sites or samples weigh differently.

    Args:
        key: e.g. "keys.subject", or "item" for the sample. same, other: the two weights.
    """

    key: str
    same: float = 1.0
    other: float = 1.0

    @property
    def keys(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.key,)

    def __call__(self, relation: Relation) -> Callable[[slice, slice], Tensor]:
        known = relation.pooled.keys[self.key]
        row_key = known[relation.row_id]
        column_key = torch.where(relation.column_id >= 0, known[relation.column_id], -1)

        def tile(rows: slice, columns: slice) -> Tensor:
            same = row_key[rows, None] == column_key[None, columns]
            return torch.where(same, self.same, self.other).to(relation.rows.dtype)

        return tile


@dataclass(frozen=True)
class Unconnected(Factor):
    """Leaves out candidates that a teacher finds similar to most of the batch (CMC-CMKM pruning).

    Args:
        threshold: largest mean teacher similarity (the own one included) of a candidate.
        streams: the streams whose teachers are read. teacher: prefix of the teachers' columns.
    """

    threshold: float
    streams: tuple[str, ...]
    teacher: str = "teacher."

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.teacher + stream for stream in self.streams)

    def __call__(self, relation: Relation) -> Callable[[slice, slice], Tensor]:
        mean = connectivity(relation, self.teacher + relation.candidate)
        kept = (relation.column_id < 0) | (mean[relation.column_id] <= self.threshold)
        factor = kept.to(relation.rows.dtype)
        return lambda rows, columns: factor[None, columns]


def connectivity(relation: Relation, column: str) -> Tensor:
    """Mean cosine [I] of every moment's teacher embedding with those of all present moments."""
    present = relation.pooled.present[column]
    unit = normalize(relation.pooled.columns[column].detach(), dim=1) * present[:, None]
    return unit @ unit.sum(0) / present.sum().clamp(min=1)
