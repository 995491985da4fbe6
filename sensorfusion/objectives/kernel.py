"""The contrast kernel (mechanism M1): the one form that contrastive losses are settings of.

For anchor row a and candidate column c with logits l_ac, positive weights P_ac and negative
weights N_ac (a positive pair is never a negative):

    zn_a = log sum_c N_ac e^{l_ac}                       the negatives' normaliser
    z_a  = log( e^{zn_a} + sum_{c: P_ac > 0} e^{l_ac} )   normaliser "all"
    z_ac = log( e^{zn_a} + e^{l_ac} )                     normaliser "own"
    z_a  = zn_a                                           normaliser "none"
    reduce "out":  L_a = sum_c P_ac (z - l_ac)
    reduce "in":   L_a = z_a - log sum_c P_ac e^{l_ac}

The terms "in" and "out" are those of Khosla et al. 2020, "Supervised contrastive learning",
eqs. 2 and 3; "none" is the decoupling of Yeh et al. 2022; "own" is the local term of TCL (Yang et
al. 2022). Rows are reduced over columns by streamed log-sum-exps, tile by tile; tiles are computed
again in the backward pass, so that R x C logits never exist at once.

Shape letters: R rows, C columns, D width, E listed pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.tiling import NOTHING, TILE, Place, reduce_rows
from sensorfusion.objectives.weights import EVERY, NONE, Entries, Weights

Reduce = Literal["out", "in"]
Normaliser = Literal["all", "own", "none"]


@dataclass(frozen=True)
class Block:
    """A set of candidate columns, the same for all rows.

    Args:
        columns: [C, D]. scale: logits are scale * <row, column> + bias; a number or scalar tensor.
        positives, negatives: weights of the R x C pairs.
    """

    columns: Tensor
    scale: Tensor | float = 1.0
    bias: Tensor | float = 0.0
    positives: Weights = NONE
    negatives: Weights = EVERY


@dataclass(frozen=True)
class Hardness:
    """Concentration on near negatives, and debiasing (Robinson et al. 2021, eqs. 4 and 5).

    The normaliser of n negatives becomes
    n * ( mean of importance-weighted e^l  -  tau_plus * e^{l_positive} ) / (1 - tau_plus),
    not below n * e^{-scale}, with importances e^{beta l} / mean e^{beta l}.

    Args:
        beta: concentration; 0 weighs all negatives alike. tau_plus: class prior in [0, 1).
        detach: stop the gradient through the importances (the released code does not).
    """

    beta: float = 1.0
    tau_plus: float = 0.1
    detach: bool = False

    def __post_init__(self) -> None:
        if self.beta < 0 or not 0 <= self.tau_plus < 1:
            raise ConfigError(
                f"beta = {self.beta}, tau_plus = {self.tau_plus}",
                remedy="beta must be >= 0 and tau_plus in [0, 1)",
            )


@dataclass(frozen=True)
class RowStatistics:
    """All that a loss needs to know of each of R rows; every field is [R].

    Args:
        negatives: zn, or NOTHING where a row has no negative.
        positives: log sum P e^l. present: log sum over P > 0 of e^l.
        linear: sum of P l. total: sum of P.
        own: listed positives with their logits, for the normaliser "own".
        own_logits: [E] logits of `own`.
    """

    negatives: Tensor
    positives: Tensor
    present: Tensor
    linear: Tensor
    total: Tensor
    own: Entries
    own_logits: Tensor


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
    rows_RD = _at_least_float32(rows_RD)
    parts = [_block_statistics(rows_RD, block, hardness, tile) for block in blocks]
    offsets = torch.tensor([0] + [len(block.columns) for block in blocks]).cumsum(0)
    present = _merge([part.present for part in parts])
    total = torch.stack([part.total for part in parts]).sum(0)
    positives = _merge([part.positives for part in parts])
    streams = [_merge(stream) for stream in zip(*(part.streams for part in parts), strict=True)]
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


def row_losses(
    rows: RowStatistics,
    *,
    reduce: Reduce = "out",
    normaliser: Normaliser = "all",
    normaliser_weight: Tensor | None = None,
) -> Tensor:
    """L_a of every row [R], as defined at the top.

    A row without a positive has loss 0 with zero gradient; leave it out of the mean. A row
    without a negative has the loss of its positives alone (0 for a single one; for "none",
    whose normaliser then is empty, it is 0 as well).

    Args:
        normaliser_weight: [R] in place of sum_c P_ac as the factor of the normaliser under "out"
            (DCL with weighted positives needs 1).
    """
    if reduce == "in" and normaliser == "own":
        raise ConfigError(
            "normaliser 'own' has one normaliser per positive, reduce 'in' one per row",
            remedy="use reduce='out', or normaliser 'all'",
        )
    usable = rows.total > 0
    if normaliser == "none":
        usable = usable & (rows.negatives > NOTHING / 2)
    if normaliser == "own":
        return _own_losses(rows)
    normalisers = (
        torch.logaddexp(rows.negatives, rows.present) if normaliser == "all" else rows.negatives
    )
    if reduce == "in":
        losses = normalisers - rows.positives
    else:
        factor = rows.total if normaliser_weight is None else normaliser_weight
        losses = factor * normalisers - rows.linear
    return torch.where(usable, losses, torch.zeros_like(losses))


def grouped_losses(
    views: Sequence[RowStatistics],
    *,
    normaliser: Normaliser = "all",
    pool: Literal["sum", "product"] = "sum",
) -> tuple[Tensor, Tensor]:
    """Losses of groups: row g of every element of `views` is one instance, seen K times.

    Numerators add up over the group's rows; normalisers add up (`pool="sum"`, MV-InfoNCE) or
    multiply (`pool="product"`, MV-DHEL) (Koromilas et al., "A principled framework for
    multi-view contrastive learning"). Views that are absent have total = 0 and no negatives.

    Returns:
        losses [G] (0 where a group has no positive), and bool [G] whether it has one.
    """
    if normaliser == "own":
        raise ConfigError("groups have no normaliser 'own'", remedy="use 'all' or 'none'")
    numerator = _merge([rows.positives for rows in views])
    some = torch.stack([rows.total > 0 for rows in views])
    usable = some.any(0)
    normalisers = [
        torch.logaddexp(rows.negatives, rows.present) if normaliser == "all" else rows.negatives
        for rows in views
    ]
    if pool == "sum":
        pooled = _merge(normalisers)
    else:
        counted = [
            torch.where((z > NOTHING / 2) & (rows.total > 0), z, torch.zeros_like(z))
            for z, rows in zip(normalisers, views, strict=True)
        ]
        pooled = torch.stack(counted).sum(0)
    usable = usable & (pooled > NOTHING / 2)
    return torch.where(usable, pooled - numerator, torch.zeros_like(pooled)), usable


def sigmoid_losses(rows_RD: Tensor, blocks: Sequence[Block], *, tile: int = TILE) -> Tensor:
    """sum_c P softplus(-l) + N softplus(l) of every row [R] (Zhai et al. 2023, "SigLIP", eq. 1)."""
    rows_RD = _at_least_float32(rows_RD)
    total = rows_RD.new_zeros(len(rows_RD))
    for block in blocks:
        if not block.positives.is_sparse:
            raise ConfigError("sigmoid losses take listed positives only")
        scaled = _Scaled.of(rows_RD, block)
        own = block.positives.listed or Entries.none(rows_RD)
        positive = own.values * softplus(-scaled.listed_logits(own))
        total = total + _sum_by_row(own, positive, len(rows_RD))
        total = total + _tiled(scaled, own, _sigmoid_tile, 0, tile)[0]
    return total


# One block ------------------------------------------------------------------------------


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
        positives=_logsumexp_by_row(own, logits + _log(own.values), size),
        present=_logsumexp_by_row(own, logits, size),
        linear=_sum_by_row(own, own.values * logits, size),
        total=_sum_by_row(own, own.values, size),
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
        return _Scaled(rows_RD * block.scale, _at_least_float32(block.columns), block)

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
    weights = _log(listed.values)
    size = len(scaled.rows)
    streams = _streams(logits, logits + weights, hardness)
    return tuple(_logsumexp_by_row(listed, stream, size) for stream in streams)


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
        positive = positives - _log(total)
        ratio = math.log(hardness.tau_plus) + positive - hard
        below = ratio < -1e-12
        kept = torch.where(below, ratio, torch.full_like(ratio, -1.0))
        estimate = log_count + hard + torch.log1p(-kept.exp()) - math.log1p(-hardness.tau_plus)
        estimate = torch.where(below, estimate, floor)
    bounded = torch.maximum(estimate, floor)
    return torch.where(log_count > NOTHING / 2, bounded, torch.full_like(bounded, NOTHING))


def _own_losses(rows: RowStatistics) -> Tensor:
    listed = rows.own
    normalisers = torch.logaddexp(rows.negatives[listed.rows], rows.own_logits)
    losses = listed.values * (normalisers - rows.own_logits)
    return _sum_by_row(listed, losses, len(rows.negatives))


# Tiles ----------------------------------------------------------------------------------


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
        weighted = weighted + _log(weights.tile(*tile.place))
    elif weights.default != 1.0:
        weighted = weighted + math.log(weights.default)
    if positives.tile is not None:
        weighted = weighted.masked_fill(positives.tile(*tile.place) > 0, NOTHING)
    if weighted is logits and hardness is not None:
        weighted = weighted.clone()
    if len(tile.listed):
        at = tile.listed.rows, tile.listed.columns
        weighted[at] = logits[at] + _log(tile.listed.values)
    if len(tile.own):
        weighted[tile.own.rows, tile.own.columns] = NOTHING
    return _streams(logits, weighted, hardness)


def _positive_tile(tile: _Tile) -> tuple[Tensor, ...]:
    assert tile.block.positives.tile is not None
    weights = tile.block.positives.tile(*tile.place).to(tile.logits.dtype)
    present = tile.logits.masked_fill(weights <= 0, NOTHING)
    return tile.logits + _log(weights), present, weights * tile.logits, weights


def _sigmoid_tile(tile: _Tile) -> tuple[Tensor, ...]:
    weights = tile.block.negatives
    factor = weights.default if weights.tile is None else weights.tile(*tile.place)
    losses = softplus(tile.logits) * factor
    at = tile.listed.rows, tile.listed.columns
    losses[at] = softplus(tile.logits[at]) * tile.listed.values
    losses[tile.own.rows, tile.own.columns] = 0.0
    return (losses,)


# Arithmetic -----------------------------------------------------------------------------


def _at_least_float32(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _log(weights: Tensor) -> Tensor:
    some = weights > 0
    logs = torch.where(some, weights, torch.ones_like(weights)).log()
    return torch.where(some, logs, torch.full_like(logs, NOTHING))


def _merge(logarithms: Sequence[Tensor]) -> Tensor:
    return logarithms[0] if len(logarithms) == 1 else torch.stack(list(logarithms)).logsumexp(0)


def _sum_by_row(entries: Entries, values_E: Tensor, size: int) -> Tensor:
    return values_E.new_zeros(size).index_add(0, entries.rows, values_E)


def _logsumexp_by_row(entries: Entries, values_E: Tensor, size: int) -> Tensor:
    floor = values_E.new_full((size,), NOTHING)
    largest = floor.scatter_reduce(0, entries.rows, values_E.detach(), "amax")
    sums = _sum_by_row(entries, (values_E - largest[entries.rows]).exp(), size)
    some = sums > 0
    logs = torch.where(some, sums, torch.ones_like(sums)).log()
    return torch.where(some, largest + logs, floor)
