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
al. 2022). `row_statistics` reduces the rows over all columns; the losses here follow from that.

Shape letters: R rows, C columns, D width, E listed pairs, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.logsums import merge, sum_by_row
from sensorfusion.objectives.tiling import NOTHING
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
    numerator = merge([rows.positives for rows in views])
    some = torch.stack([rows.total > 0 for rows in views])
    usable = some.any(0)
    normalisers = [
        torch.logaddexp(rows.negatives, rows.present) if normaliser == "all" else rows.negatives
        for rows in views
    ]
    if pool == "sum":
        pooled = merge(normalisers)
    else:
        counted = [
            torch.where((z > NOTHING / 2) & (rows.total > 0), z, torch.zeros_like(z))
            for z, rows in zip(normalisers, views, strict=True)
        ]
        pooled = torch.stack(counted).sum(0)
    usable = usable & (pooled > NOTHING / 2)
    return torch.where(usable, pooled - numerator, torch.zeros_like(pooled)), usable


def _own_losses(rows: RowStatistics) -> Tensor:
    listed = rows.own
    normalisers = torch.logaddexp(rows.negatives[listed.rows], rows.own_logits)
    losses = listed.values * (normalisers - rows.own_logits)
    return sum_by_row(listed, losses, len(rows.negatives))
