"""Contrast: the term that feeds the contrast kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from sensorfusion.distributed import sum_of_parts, sum_over_ranks
from sensorfusion.errors import ConfigError
from sensorfusion.objectives.kernel import (
    Block,
    Hardness,
    Normaliser,
    Reduce,
    RowStatistics,
    grouped_losses,
    row_losses,
)
from sensorfusion.objectives.layout import Direction, Layout, pairs
from sensorfusion.objectives.negatives import Negatives, Others, connectivity
from sensorfusion.objectives.pooled import Pooled, pool
from sensorfusion.objectives.positives import Positives, SameMoment
from sensorfusion.objectives.precision import full_precision
from sensorfusion.objectives.queue import EmbeddingQueue, queue_name
from sensorfusion.objectives.relation import QUEUED, Relation
from sensorfusion.objectives.row_statistics import row_statistics, sigmoid_losses
from sensorfusion.objectives.temperature import Temperature
from sensorfusion.objectives.term import TEACHER, Targets, Term, learned_columns
from sensorfusion.objectives.tiling import NOTHING, TILE
from sensorfusion.sample import Correspondence, Features


@dataclass(frozen=True)
class ConnectivityWeights:
    """Row weights e^{scale * mean teacher similarity} of CMC-CMKM.

    Args:
        scale: of the exponent. teacher: prefix of the teachers' columns; streams: those read.
    """

    scale: float
    streams: tuple[str, ...]
    teacher: str = "teacher."

    @property
    def columns(self) -> tuple[str, ...]:
        """The teachers' columns."""
        return tuple(self.teacher + stream for stream in self.streams)

    def __call__(self, relation: Relation) -> Tensor:
        """Weights [R] of the rows."""
        mean = connectivity(relation, self.teacher + relation.anchor)
        return (self.scale * mean[relation.row_id]).exp()


class Contrast(Term):
    """Contrast embeddings of moments within and between streams.

    Tokens are pooled by id and, by default, brought to unit length. The layout says which streams
    are anchors of which candidates, the providers say which pairs belong together and which
    count as negatives, the kernel (`objectives/kernel.py`) does the rest. Papers as settings:

        CLIP                 Contrast(("camera", "imu"))
        NT-Xent, SupCon      layout=joint; positives=SameKey("labels.action")
        DCL, DCLW            layout=joint, normaliser="none"; positives=WeightedPair()
        MV-InfoNCE           layout=joint, reduce="in", group="sum"
        MV-DHEL              layout=joint, reduce="in", group="product", normaliser="none",
                             negatives=Others("same"), positives=SameMoment(value=0.5)
        hard negatives       layout=joint, hardness=Hardness(beta, tau_plus)
        CMC-CMKM             layout=each_against_all, reduce="in", intra_temperature=1.0,
                             positives=MinedNeighbours(...)
        1-to-K               layout=OneToMany("camera")
        ALBEF                anchors against teacher columns, MomentumTargets, queue
        SigLIP               link="sigmoid"

    A stream that is absent in a moment is no anchor and no candidate there. A row without a
    positive (under "sigmoid": without any candidate) does not count; a direction without rows
    does not count, and the others take over its weight; with nothing to contrast the loss is 0
    with zero gradient.

    Args:
        streams: columns of the correspondence to contrast; None: all but teachers.
        layout: function of the streams, or a list of directions.
        temperature: of the logits; a number, or a Temperature (learned, bounded, with bias).
        intra_temperature: of candidates of the anchor's own stream; None: the same.
        positives, negatives: providers of weights, unless a direction has its own.
        reduce, normaliser, hardness: see the kernel.
        group: None for rows on their own; "sum" or "product" joins all anchors of a moment.
        link: "softmax", or "sigmoid" for independent pairs.
        row_weights: further weights of rows; the trust of each id always counts.
        queue: past embeddings kept as further candidates, per teacher candidate column.
        queue_width: width of the queued embeddings.
        unit_length: whether embeddings are normalised. tile: see `objectives/tiling.py`.
    """

    step: Tensor

    def __init__(
        self,
        streams: Sequence[str] | None = None,
        *,
        layout: Layout | Sequence[Direction] = pairs,
        temperature: float | Temperature = 0.07,
        intra_temperature: float | None = None,
        positives: Positives | None = None,
        negatives: Negatives | None = None,
        reduce: Reduce = "out",
        normaliser: Normaliser = "all",
        hardness: Hardness | None = None,
        group: Literal["sum", "product"] | None = None,
        link: Literal["softmax", "sigmoid"] = "softmax",
        row_weights: ConnectivityWeights | None = None,
        queue: int = 0,
        queue_width: int = 0,
        unit_length: bool = True,
        tile: int = TILE,
    ) -> None:
        super().__init__()
        if group and reduce != "in":
            raise ConfigError("groups are reduced inside the logarithm", remedy="set reduce='in'")
        self.streams = None if streams is None else tuple(streams)
        self.layout = layout if callable(layout) else tuple(layout)
        self.temperature = (
            temperature if isinstance(temperature, Temperature) else Temperature(temperature)
        )
        self.intra_temperature = intra_temperature
        self.positives: Positives = positives or SameMoment()
        self.negatives: Negatives = negatives or Others()
        # What providers of single directions remember is state of the term, like its own.
        self.of_directions = nn.ModuleList(
            dict.fromkeys(p for p in self._observers()[1:] if isinstance(p, nn.Module))
        )
        self.reduce, self.normaliser, self.hardness = reduce, normaliser, hardness
        self.group, self.link, self.row_weights = group, link, row_weights
        self.unit_length, self.tile = unit_length, tile
        self.queue_size, self.queue_width = queue, queue_width
        self.queues = nn.ModuleDict()
        if queue:
            for name in self._queued():
                self.queues[queue_name(name)] = EmbeddingQueue(queue, queue_width)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @full_precision
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The loss under the name `contrast`."""
        directions = self._directions(correspondence)
        pooled = pool(
            features,
            correspondence,
            targets,
            columns=self._columns(directions),
            unit_length=self.unit_length,
            keys=self._keys(directions),
        )
        losses = [self._direction_loss(pooled, direction) for direction in directions]
        loss = _weighted_mean(losses, [direction.weight for direction in directions])
        self._remember(pooled, correspondence)
        scale, bias = self.temperature()
        return {"contrast": loss + pooled.zero + 0.0 * (scale + bias)}

    def after_step(self) -> None:
        """Keep a learned temperature within its bounds."""
        self.temperature.clamp()

    # What is contrasted --------------------------------------------------------------

    def _streams(self, correspondence: Correspondence) -> tuple[str, ...]:
        return self.streams or learned_columns(correspondence)

    def _directions(self, correspondence: Correspondence) -> list[Direction]:
        names = self._streams(correspondence)
        return self.layout(names) if callable(self.layout) else list(self.layout)

    def _providers(self, directions: Sequence[Direction]) -> list[Positives | Negatives]:
        own = [p for d in directions for p in (d.positives, d.negatives) if p is not None]
        return [self.positives, self.negatives, *own]

    def _observers(self) -> list[Positives]:
        """The term's positives, then those of explicit directions."""
        directions = () if callable(self.layout) else self.layout
        own = [d.positives for d in directions if d.positives is not None]
        return list(dict.fromkeys([self.positives, *own]))

    def _columns(self, directions: Sequence[Direction]) -> list[str]:
        names = [name for d in directions for name in (*d.anchors, *d.candidates)]
        names += [name for p in self._providers(directions) for name in p.columns]
        names += self.row_weights.columns if self.row_weights else ()
        return list(dict.fromkeys(names))

    def _keys(self, directions: Sequence[Direction]) -> list[str]:
        return list(dict.fromkeys(k for p in self._providers(directions) for k in p.keys))

    # One direction -------------------------------------------------------------------

    def _direction_loss(self, pooled: Pooled, direction: Direction) -> tuple[Tensor, Tensor]:
        """Mean loss of the direction's usable rows over all ranks, and their number."""
        if self.group:
            losses, weights, usable = self._grouped(pooled, direction)
        else:
            parts = [self._anchor_rows(pooled, direction, name) for name in direction.anchors]
            losses, weights, usable = (torch.cat(part) for part in zip(*parts, strict=True))
        count = sum_over_ranks(usable.sum().to(losses.dtype))
        total = torch.where(usable, weights.to(losses.dtype) * losses, torch.zeros_like(losses))
        return sum_of_parts(total.sum() / count.clamp(min=1)), count

    def _anchor_rows(
        self, pooled: Pooled, direction: Direction, anchor: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Losses, weights and usability of the rows of one anchor stream."""
        row_id = _my_ids(pooled, anchor)
        rows, blocks = self._blocks(pooled, direction, anchor, row_id)
        provider = direction.positives or self.positives
        if self.link == "sigmoid":
            losses = sigmoid_losses(rows, blocks, tile=self.tile)
            usable = losses.new_full((len(losses),), any(len(b.columns) for b in blocks)) > 0
        else:
            found = row_statistics(rows, blocks, hardness=self.hardness, tile=self.tile)
            losses = row_losses(
                found,
                reduce=self.reduce,
                normaliser=self.normaliser,
                normaliser_weight=torch.ones_like(found.total)
                if provider.unit_normaliser
                else None,
            )
            usable = found.total > 0
            if self.reduce == "out" and provider.mean:
                losses = losses / (found.total + provider.epsilon).masked_fill(~usable, 1.0)
        return losses, self._weights(pooled, direction, anchor, row_id), usable

    def _grouped(self, pooled: Pooled, direction: Direction) -> tuple[Tensor, Tensor, Tensor]:
        size = len(range(*pooled.mine.indices(len(pooled))))
        views = []
        for anchor in direction.anchors:
            row_id = _my_ids(pooled, anchor)
            rows, blocks = self._blocks(pooled, direction, anchor, row_id)
            found = row_statistics(rows, blocks, hardness=self.hardness, tile=self.tile)
            views.append(_spread(found, row_id - pooled.mine.start, size))
        assert self.group is not None
        losses, usable = grouped_losses(views, normaliser=self.normaliser, pool=self.group)
        return losses, pooled.trust[pooled.mine], usable

    def _weights(self, pooled: Pooled, direction: Direction, anchor: str, row_id: Tensor) -> Tensor:
        weights = pooled.trust[row_id]
        if self.row_weights is not None:
            relation = self._relation(pooled, anchor, direction.candidates[0], row_id)
            weights = weights * self.row_weights(relation)
        return weights

    def _blocks(
        self, pooled: Pooled, direction: Direction, anchor: str, row_id: Tensor
    ) -> tuple[Tensor, list[Block]]:
        blocks = []
        _, bias = self.temperature()
        for candidate in direction.candidates:
            relation = self._relation(pooled, anchor, candidate, row_id)
            blocks.append(
                Block(
                    relation.columns,
                    scale=self._scale(relation.intra),
                    bias=bias.to(relation.columns.dtype),
                    positives=(direction.positives or self.positives)(relation),
                    negatives=(direction.negatives or self.negatives)(relation),
                )
            )
        return _rows(pooled.columns[anchor], row_id), blocks

    def _relation(self, pooled: Pooled, anchor: str, candidate: str, row_id: Tensor) -> Relation:
        column_id = pooled.present[candidate].nonzero()[:, 0]
        columns = _rows(pooled.columns[candidate], column_id)
        key = queue_name(candidate)
        if key in self.queues:
            past: Tensor = self.queues[key]()
            columns = torch.cat([columns, past.to(columns.dtype)])
            column_id = torch.cat([column_id, column_id.new_full((len(past),), QUEUED)])
        return Relation(
            anchor,
            candidate,
            _rows(pooled.columns[anchor], row_id),
            columns,
            row_id,
            column_id,
            self._scale(anchor == candidate).detach(),
            pooled,
            int(self.step),
        )

    def _scale(self, intra: bool) -> Tensor:
        scale: Tensor = self.temperature()[0]
        if intra and self.intra_temperature is not None:
            return torch.full_like(scale, 1 / self.intra_temperature)
        return scale

    # State ---------------------------------------------------------------------------

    def _queued(self) -> list[str]:
        if callable(self.layout):
            raise ConfigError("a queue needs explicit directions", remedy="give a list as layout")
        names = {name for d in self.layout for name in d.candidates}
        return sorted(name for name in names if name.startswith(TEACHER))

    @torch.no_grad()
    def _remember(self, pooled: Pooled, correspondence: Correspondence) -> None:
        """Queues take this batch after the loss, so that it is a candidate only once."""
        if not self.training:
            return
        for name in self._queued() if self.queues else ():
            queue = cast(EmbeddingQueue, self.queues[queue_name(name)])
            queue.push(pooled.columns[name][pooled.present[name]])
        for provider in self._observers():
            provider.observe(pooled, self._streams(correspondence), int(self.step))
        self.step += 1


def _rows(values_ID: Tensor, ids: Tensor) -> Tensor:
    """The rows of different, increasing ids; without a copy when these are all rows."""
    return values_ID if len(ids) == len(values_ID) else values_ID.index_select(0, ids)


def _my_ids(pooled: Pooled, stream: str) -> Tensor:
    present: Tensor = pooled.present[stream][pooled.mine]
    return present.nonzero()[:, 0] + int(pooled.mine.start)


def _spread(found: RowStatistics, places: Tensor, size: int) -> RowStatistics:
    """Statistics of present rows laid out over all moments; absent ones have nothing."""

    def spread(values: Tensor, fill: float) -> Tensor:
        return values.new_full((size,), fill).index_put((places,), values)

    return RowStatistics(
        negatives=spread(found.negatives, NOTHING),
        positives=spread(found.positives, NOTHING),
        present=spread(found.present, NOTHING),
        linear=spread(found.linear, 0.0),
        total=spread(found.total, 0.0),
        own=found.own,
        own_logits=found.own_logits,
    )


def _weighted_mean(losses: Sequence[tuple[Tensor, Tensor]], weights: Sequence[float]) -> Tensor:
    """Sum of weight * loss, where directions without rows leave their weight to the others."""
    counted = [(loss, w) for (loss, count), w in zip(losses, weights, strict=True) if count > 0]
    share = sum(w for _, w in counted)
    if not counted or share == 0:
        return torch.zeros(())
    total = torch.stack([loss * w for loss, w in counted]).sum()
    return total * (sum(weights) / share)
