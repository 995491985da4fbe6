"""Positives: providers of the weights P of the contrast kernel.

A provider looks at one relation (anchors of one stream, candidates of one stream) and tells which
pairs belong together, and how much.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.pooled import Pooled
from sensorfusion.objectives.relation import Relation
from sensorfusion.objectives.tiling import reduce_rows
from sensorfusion.objectives.weights import NONE, Entries, Weights


class Positives(abc.ABC):
    """Provider of positive weights.

    Attributes:
        columns: further columns of the correspondence that it reads.
        keys: names of targets that it reads.
        mean: whether a row's loss is divided by its sum of P (over all its candidates).
        epsilon: added to that sum.
        unit_normaliser: whether the normaliser has weight 1 instead of the row's sum of P.
    """

    columns: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    mean: bool = True
    epsilon: float = 0.0
    unit_normaliser: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, relation: Relation) -> Weights:
        """Weights P of the relation's pairs."""

    def observe(self, pooled: Pooled, streams: tuple[str, ...], step: int) -> None:  # noqa: B027
        """Called once after each training loss, for providers that keep what they have seen.

        Args:
            pooled: the batch's embeddings, of all ranks. streams: what the term contrasts.
            step: applications of the term so far.
        """


@dataclass(frozen=True)
class SameMoment(Positives):
    """Measurements of one moment by different streams belong together.

    Args:
        streams: candidate streams in which the own moment is a positive; None: all.
        value: weight of each pair.
        mean: average over a row's positives rather than add them up.
    """

    streams: tuple[str, ...] | None = None
    value: float = 1.0
    mean: bool = True

    def __call__(self, relation: Relation) -> Weights:
        chosen = self.streams is None or relation.candidate in self.streams
        if relation.intra or not chosen:
            return NONE
        return Weights(listed=relation.same_id(self.value))


@dataclass(frozen=True)
class SameKey(Positives):
    """Moments with the same label or key belong together (Khosla et al. 2020, SupCon).

    Args:
        key: e.g. "labels.action" or "keys.site"; negative values mean unknown and match only
            the own moment. own: additional weight of the own moment.
    """

    key: str
    own: float = 0.0

    @property
    def keys(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.key,)

    def __call__(self, relation: Relation) -> Weights:
        known = relation.pooled.keys[self.key]
        row_key = known[relation.row_id]
        column_key = torch.where(relation.column_id >= 0, known[relation.column_id], -1)

        def tile(rows: slice, columns: slice) -> Tensor:
            same = (row_key[rows, None] == column_key[None, columns]) & (row_key[rows, None] >= 0)
            itself = relation.row_id[rows, None] == relation.column_id[None, columns]
            if relation.intra:
                return (same & ~itself).to(relation.rows.dtype)
            itself_too = self.own * itself.to(relation.rows.dtype)
            return (same | itself).to(relation.rows.dtype) + itself_too

        return Weights(tile=tile)


@dataclass(frozen=True)
class WeightedPair(Positives):
    """Positives weighted by how badly they are aligned (Yeh et al. 2022, DCLW, section 3.2).

    w_i = 2 - B softmax_i(<a_i, b_i> / sigma) multiplies the positive's logit only; no gradient
    flows through it.

    Args:
        sigma: temperature of the weights.
    """

    sigma: float = 0.5
    unit_normaliser: ClassVar[bool] = True
    mean: bool = False

    def __call__(self, relation: Relation) -> Weights:
        if relation.intra:
            return NONE
        pooled = relation.pooled
        a, b = (pooled.columns[s].detach() for s in (relation.anchor, relation.candidate))
        both = pooled.present[relation.anchor] & pooled.present[relation.candidate]
        scores = ((a * b).sum(1) / self.sigma).masked_fill(~both, -torch.inf)
        weights = 2 - both.sum() * scores.softmax(0)
        own = relation.same_id()
        return Weights(listed=Entries(own.rows, own.columns, weights[relation.row_id[own.rows]]))


@dataclass(frozen=True)
class SoftSimilarity(Positives):
    """Continuous positives from a reference embedding of the moments (CWCL).

    w_ij = 1/2 + cos(p_i, p_j) / 2, rows divided by their sum (Srinivasa et al. 2023, "CWCL",
    eqs. 3 and 4), with p from a frozen or stronger stream.

    Args:
        reference: the column that holds p.
        channels: p is split into this many parts, whose cosines are averaged.
        detach: stop the gradient through the weights (the released port of CellCLIP does not).
        mean: divide rows by their sum (the same port omits it in its second direction).
        epsilon: added to norms and row sums.
    """

    reference: str
    channels: int = 1
    detach: bool = True
    mean: bool = True
    epsilon: float = 1e-8

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.reference,)

    def __call__(self, relation: Relation) -> Weights:
        reference = relation.pooled.columns[self.reference]
        reference = reference.detach() if self.detach else reference
        parts = reference.reshape(
            len(reference), self.channels, reference.shape[1] // self.channels
        )
        parts = parts / (parts.norm(dim=2, keepdim=True) + self.epsilon)
        unit = parts.flatten(1) / self.channels**0.5
        known = relation.pooled.present[self.reference]
        usable = (relation.column_id >= 0) & known[relation.column_id]
        rows, columns = unit[relation.row_id], unit[relation.column_id] * usable[:, None]
        own = known[relation.row_id]

        def tile(r: slice, c: slice) -> Tensor:
            weights: Tensor = 0.5 + 0.5 * rows[r] @ columns[c].T
            return weights.clamp(min=0) * (own[r, None] & usable[None, c])

        inputs = (rows, columns) if rows.requires_grad else ()
        return Weights(tile=tile, inputs=inputs)


@dataclass(frozen=True)
class MomentumTargets(Positives):
    """A teacher's softmax over the candidates, mixed with the own moment (ALBEF, eqs. 6 and 7).

    P = alpha * softmax(teacher's logits) + (1 - alpha) * own moment (Li et al. 2021).

    Args:
        alpha: share of the teacher. ramp_steps: alpha grows from 0 over so many applications.
        teacher: prefix of the teachers' columns; candidates are teacher columns already.
    """

    alpha: float = 0.4
    ramp_steps: int = 0
    teacher: str = "teacher."
    streams: tuple[str, ...] = field(default=())

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.teacher + stream for stream in self.streams)

    def __call__(self, relation: Relation) -> Weights:
        teacher = relation.pooled.columns[self.teacher + relation.anchor].detach()
        rows = teacher[relation.row_id] * relation.scale
        columns = relation.columns.detach()
        with torch.no_grad():
            bias = rows.new_zeros(())
            (norm,) = reduce_rows(lambda x, _: (x,), rows, columns, bias, logs=1)
        ramp = min(1.0, relation.step / self.ramp_steps) if self.ramp_steps else 1.0
        alpha = self.alpha * ramp
        row_id, column_id = relation.row_id, relation.column_id

        def tile(r: slice, c: slice) -> Tensor:
            soft = (rows[r] @ columns[c].T - norm[r, None]).exp()
            own = row_id[r, None] == column_id[None, c]
            return alpha * soft + (1 - alpha) * own.to(soft.dtype)

        return Weights(tile=tile)


@dataclass(frozen=True)
class MinedNeighbours(Positives):
    """The own moment, and the moments nearest to it in a frozen teacher's space (CMC-CMKM).

    Candidates of a stream are mined in that stream's teacher, so cross-modal positives of IMU
    anchors come from the neighbours that skeletons have (Brinzea et al. 2022, section III-B).

    Args:
        neighbours: how many are mined. teacher: prefix of the teachers' columns.
        streams: the streams whose teachers are read.
        symmetric: a moment's neighbours are those found in any of the streams.
    """

    neighbours: int = 1
    teacher: str = "teacher."
    streams: tuple[str, ...] = ()
    symmetric: bool = False

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.teacher + stream for stream in self.streams)

    def __call__(self, relation: Relation) -> Weights:
        chosen = self.streams if self.symmetric else (relation.candidate,)
        near = [self._nearest(relation.pooled, s, relation.row_id) for s in chosen]
        ids = near if relation.intra else [relation.row_id[:, None], *near]
        # A moment found twice counts once.
        ids_Rk = torch.cat(ids, dim=1).sort(dim=1).values
        again = torch.zeros_like(ids_Rk, dtype=torch.bool)
        again[:, 1:] = ids_Rk[:, 1:] == ids_Rk[:, :-1]
        return Weights(listed=relation.at(ids_Rk.masked_fill(again, len(relation.pooled))))

    def _nearest(self, pooled: Pooled, stream: str, row_id: Tensor) -> Tensor:
        """Ids [R, k] nearest to each row in the stream's teacher; `len(pooled)` where none."""
        name = self.teacher + stream
        if name not in pooled.columns:
            raise ConfigError(
                f"no teacher {name!r} to mine neighbours of {stream!r} with",
                remedy=f"list {stream!r} in the provider's streams and give it a teacher",
            )
        unit = normalize(pooled.columns[name].detach(), dim=1)
        similarity = unit[row_id] @ unit.T
        similarity[:, ~pooled.present[name]] = -torch.inf
        similarity[torch.arange(len(row_id)), row_id] = -torch.inf
        best = similarity.topk(min(self.neighbours, len(pooled)), dim=1)
        known = pooled.present[name][row_id, None] & (best.values > -torch.inf)
        return best.indices.masked_fill(~known, len(pooled))
