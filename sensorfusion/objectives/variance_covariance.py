"""Invariance, variance and covariance of embeddings (mechanism M2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from sensorfusion.distributed import share_of, sum_of_parts, sum_over_ranks
from sensorfusion.objectives.embeddings import (
    Embeddings,
    Pairs,
    Places,
    chosen_columns,
    embed,
    mean_of,
)
from sensorfusion.objectives.precision import full_precision
from sensorfusion.objectives.term import Targets, Term
from sensorfusion.sample import Correspondence, Features


class VarianceCovariance(Term):
    """VICReg (Bardes et al. 2022, "VICReg: variance-invariance-covariance regularization").

    - `invariance` (eq. 5, per coordinate): mean squared difference of the embeddings of an id
      in two columns, weighted by trust; mean over pairs of columns;
    - `variance` (eq. 1): mean over coordinates of max(0, target - sqrt(variance + eps)), with
      the unbiased variance over all rows of a stream; summed over streams as in eq. 6;
    - `covariance` (eqs. 3, 4): sum of squared off-diagonal covariances divided by the width;
      summed over streams.

    Columns of one stream (two frames of a sensor, several texts of an image) are one
    distribution. A stream with fewer than two rows has no variance and adds nothing.

    On embeddings of unit length the default `target` cannot be met, since no coordinate's
    deviation exceeds D^-1/2; the code released with 1-to-K ("CCRK") does so nevertheless.

    Args:
        invariance, variance, covariance: weights of the losses.
        target: the deviation that every coordinate should reach. eps: inside the root.
        unit_length: bring embeddings to unit length first.
        columns: names of the columns that are spread (default: all but teachers).
        pairs: pairs of columns to compare (default: all pairs of `columns`); with pairs of a
            sensor and a teacher `invariance` is a distillation by mean squared error.
    """

    def __init__(
        self,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        *,
        target: float = 1.0,
        eps: float = 1e-4,
        unit_length: bool = False,
        columns: Sequence[str] | None = None,
        pairs: Pairs | None = None,
    ) -> None:
        super().__init__()
        self.invariance, self.variance, self.covariance = invariance, variance, covariance
        self.target, self.eps, self.unit_length = target, eps, unit_length
        self.columns, self.pairs = columns, pairs

    @full_precision
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The three losses by name."""
        names, pairs = chosen_columns(correspondence, self.columns, self.pairs)
        mine = embed(features, correspondence, names, unit_length=self.unit_length)
        spread, _ = chosen_columns(correspondence, self.columns, ())
        variance, covariance = self._spread(mine, mine.streams[: len(spread)])
        return {
            "invariance": self.invariance * self._invariance(mine, pairs),
            "variance": self.variance * variance,
            "covariance": self.covariance * covariance,
        }

    def _invariance(self, mine: Embeddings, pairs: Places) -> Tensor:
        losses = []
        for (k, m), total in zip(pairs, sum_over_ranks(mine.pair_trust(pairs)), strict=True):
            if total > 0:
                x_nD, y_nD, trust_n = mine.pair(k, m)
                losses.append((trust_n * (x_nD - y_nD).square().mean(1)).sum() / total)
        return sum_of_parts(mean_of(losses, mine.nothing))

    def _spread(self, mine: Embeddings, streams: Sequence[str]) -> tuple[Tensor, Tensor]:
        variance = covariance = mine.nothing
        for stream in dict.fromkeys(streams):
            moments = covariance_over_ranks(mine.stream(stream))
            if moments is not None:
                diagonal_D = moments.diagonal()
                deviation_D = (diagonal_D + self.eps).sqrt()
                variance = variance + (self.target - deviation_D).relu().mean()
                squares = moments.square().sum() - diagonal_D.square().sum()
                covariance = covariance + squares / len(moments)
        return share_of(variance), share_of(covariance)


def covariance_over_ranks(rows_ND: Tensor) -> Tensor | None:
    """Unbiased covariance [D, D] of the rows of all ranks; None for fewer than two rows.

    Computed alike on every rank from sums over ranks; what follows needs `share_of`.
    """
    count = sum_over_ranks(rows_ND.new_tensor(float(len(rows_ND))))
    if count < 2:
        return None
    mean_D = sum_over_ranks(rows_ND.sum(0)) / count
    centred_ND = rows_ND - mean_D
    return sum_over_ranks(centred_ND.T @ centred_ND) / (count - 1)
