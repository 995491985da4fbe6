"""Statistics of the rows of the contrast kernel: everything that is summed over candidate columns.

Rows are reduced over columns by streamed log-sum-exps, tile by tile; tiles are computed again in
the backward pass, so that R x C logits never exist at once. Letters and formulae: see `kernel`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import softplus

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.kernel import Block, Hardness, RowStatistics
from sensorfusion.objectives.logsums import log_weight, logsumexp_by_row, merge, sum_by_row
from sensorfusion.objectives.precision import at_least_float32
from sensorfusion.objectives.tiling import NOTHING, TILE, Place, reduce_rows
from sensorfusion.objectives.weights import Entries


def row_statistics(
    rows_RD: Tensor,
    blocks: Sequence[Block],
    *,
    hardness: Hardness | None = None,
    tile: int = TILE,
) -> RowStatistics:
    """Reduce every row over the columns of all blocks.

    Half-precision inputs are reduced in float32.

    Args:
        rows_RD: anchors. blocks: candidate columns with their weights.
        hardness: how negatives are weighted by their own similarity.
        tile: rows and columns per tile; no more than tile x tile logits exist at once.
    """
    rows_RD = at_least_float32(rows_RD)
    parts = [_block_statistics(rows_RD, block, hardness, tile) for block in blocks]
    offsets = torch.tensor([0] + [len(block.columns) for block in blocks]).cumsum(0)
    present = merge([part.present for part in parts])
    total = torch.stack([part.total for part in parts]).sum(0)
    positives = merge([part.positives for part in parts])
    streams = [merge(stream) for stream in zip(*(part.streams for part in parts), strict=True)]
    if hardness is None:
        negatives = streams[0]
    else:
        scale = max(float(torch.as_tensor(block.scale).detach()) for block in blocks)
        negatives = _hard_normaliser(hardness, streams, positives, total, scale)
    return RowStatistics(
        negatives=negatives,
        positives=positives,
        present=present,
        linear=torch.stack([part.linear for part in parts]).sum(0),
        total=total,
        own=Entries(
            torch.cat([part.own.rows for part in parts]),
            torch.cat([p.own.columns + int(o) for p, o in zip(parts, offsets, strict=False)]),
            torch.cat([part.own.values for part in parts]),
        ),
        own_logits=torch.cat([part.own_logits for part in parts]),
    )


def sigmoid_losses(rows_RD: Tensor, blocks: Sequence[Block], *, tile: int = TILE) -> Tensor:
    """sum_c P softplus(-l) + N softplus(l) of every row [R] (Zhai et al. 2023, "SigLIP", eq. 1)."""
    rows_RD = at_least_float32(rows_RD)
    total = rows_RD.new_zeros(len(rows_RD))
    for block in blocks:
        if not block.positives.is_sparse:
            raise ConfigError("sigmoid losses take listed positives only")
        scaled = _Scaled.of(rows_RD, block)
        own = block.positives.listed or Entries.none(rows_RD)
        positive = own.values * softplus(-scaled.listed_logits(own))
        total = total + sum_by_row(own, positive, len(rows_RD))
        total = total + _tiled(scaled, own, _sigmoid_tile, 0, tile)[0]
    return total


@dataclass(frozen=True)
class _BlockStatistics:
    streams: tuple[Tensor, ...]
    positives: Tensor
    present: Tensor
    linear: Tensor
    total: Tensor
    own: Entries
    own_logits: Tensor


def _block_statistics(
    rows_RD: Tensor, block: Block, hardness: Hardness | None, tile: int
) -> _BlockStatistics:
    scaled = _Scaled.of(rows_RD, block)
    own = block.positives.listed if block.positives.is_sparse else None
    own = Entries.none(rows_RD) if own is None else own
    streams = _negative_streams(scaled, own, hardness, tile)
    if not block.positives.is_sparse:
        positives, present, linear, total = _tiled(scaled, own, _positive_tile, 2, tile)
        return _BlockStatistics(
            streams, positives, present, linear, total, own, rows_RD.new_zeros(0)
        )
    logits = scaled.listed_logits(own)
    size = len(rows_RD)
    return _BlockStatistics(
        streams,
        positives=logsumexp_by_row(own, logits + log_weight(own.values), size),
        present=logsumexp_by_row(own, logits, size),
        linear=sum_by_row(own, own.values * logits, size),
        total=sum_by_row(own, own.values, size),
        own=own,
        own_logits=logits,
    )


@dataclass(frozen=True)
class _Scaled:
    """A block with its rows multiplied by its scale, both at least float32."""

    rows: Tensor
    columns: Tensor
    block: Block

    @staticmethod
    def of(rows_RD: Tensor, block: Block) -> _Scaled:
        return _Scaled(rows_RD * block.scale, at_least_float32(block.columns), block)

    def listed_logits(self, entries: Entries) -> Tensor:
        pairs = self.rows[entries.rows] * self.columns[entries.columns]
        return pairs.sum(1) + self.block.bias


def _negative_streams(
    scaled: _Scaled, own: Entries, hardness: Hardness | None, tile: int
) -> tuple[Tensor, ...]:
    if not scaled.block.negatives.is_sparse:
        function = partial(_negative_tile, hardness)
        return _tiled(scaled, own, function, 1 if hardness is None else 3, tile)
    listed = scaled.block.negatives.listed or Entries.none(scaled.rows)
    logits = scaled.listed_logits(listed)
    weights = log_weight(listed.values)
    size = len(scaled.rows)
    streams = _streams(logits, logits + weights, hardness)
    return tuple(logsumexp_by_row(listed, stream, size) for stream in streams)


def _streams(logits: Tensor, weighted: Tensor, hardness: Hardness | None) -> tuple[Tensor, ...]:
    """What is summed over negatives, as logarithms; `weighted` is logits + log N."""
    if hardness is None:
        return (weighted,)
    importance = hardness.beta * logits
    if hardness.detach:
        importance = importance.detach()
    log_weights = (weighted - logits).detach()
    return weighted + importance, log_weights + importance, log_weights


def _hard_normaliser(
    hardness: Hardness,
    streams: Sequence[Tensor],
    positives: Tensor,
    total: Tensor,
    scale: float,
) -> Tensor:
    """Log of Robinson et al.'s estimate of the negatives' sum, from three log-sum-exps."""
    importance_weighted, importance, log_count = streams
    hard = importance_weighted - importance  # log mean of importance-weighted e^l
    floor = log_count - scale
    if hardness.tau_plus == 0:
        estimate = log_count + hard
    else:
        positive = positives - log_weight(total)
        ratio = math.log(hardness.tau_plus) + positive - hard
        below = ratio < -1e-12
        kept = torch.where(below, ratio, torch.full_like(ratio, -1.0))
        estimate = log_count + hard + torch.log1p(-kept.exp()) - math.log1p(-hardness.tau_plus)
        estimate = torch.where(below, estimate, floor)
    bounded = torch.maximum(estimate, floor)
    return torch.where(log_count > NOTHING / 2, bounded, torch.full_like(bounded, NOTHING))


def _tiled(
    scaled: _Scaled, own: Entries, function: _TileFunction, logs: int, tile: int
) -> tuple[Tensor, ...]:
    """Reduce `function` of every tile of the block's logits over the columns."""
    block = scaled.block
    listed = block.negatives.listed or Entries.none(scaled.rows)

    def evaluate(logits: Tensor, place: Place) -> tuple[Tensor, ...]:
        return function(_Tile(logits, block, own.within(*place), listed.within(*place), place))

    return reduce_rows(
        evaluate,
        scaled.rows,
        scaled.columns,
        torch.as_tensor(block.bias, dtype=scaled.rows.dtype, device=scaled.rows.device),
        logs=logs,
        inputs=[*block.positives.inputs, *block.negatives.inputs],
        tile=tile,
    )


@dataclass(frozen=True)
class _Tile:
    """Logits [r, c] of a tile and the listed pairs inside it."""

    logits: Tensor
    block: Block
    own: Entries
    listed: Entries
    place: Place


_TileFunction = Callable[[_Tile], tuple[Tensor, ...]]


def _negative_tile(hardness: Hardness | None, tile: _Tile) -> tuple[Tensor, ...]:
    weights, positives = tile.block.negatives, tile.block.positives
    logits = weighted = tile.logits
    if weights.tile is not None:
        weighted = weighted + log_weight(weights.tile(*tile.place))
    elif weights.default != 1.0:
        weighted = weighted + math.log(weights.default)
    if positives.tile is not None:
        weighted = weighted.masked_fill(positives.tile(*tile.place) > 0, NOTHING)
    if weighted is logits and hardness is not None:
        weighted = weighted.clone()
    if len(tile.listed):
        at = tile.listed.rows, tile.listed.columns
        weighted[at] = logits[at] + log_weight(tile.listed.values)
    if len(tile.own):
        weighted[tile.own.rows, tile.own.columns] = NOTHING
    return _streams(logits, weighted, hardness)


def _positive_tile(tile: _Tile) -> tuple[Tensor, ...]:
    assert tile.block.positives.tile is not None
    weights = tile.block.positives.tile(*tile.place).to(tile.logits.dtype)
    present = tile.logits.masked_fill(weights <= 0, NOTHING)
    return tile.logits + log_weight(weights), present, weights * tile.logits, weights


def _sigmoid_tile(tile: _Tile) -> tuple[Tensor, ...]:
    weights = tile.block.negatives
    factor = weights.default if weights.tile is None else weights.tile(*tile.place)
    losses = softplus(tile.logits) * factor
    at = tile.listed.rows, tile.listed.columns
    losses[at] = softplus(tile.logits[at]) * tile.listed.values
    losses[tile.own.rows, tile.own.columns] = 0.0
    return (losses,)
