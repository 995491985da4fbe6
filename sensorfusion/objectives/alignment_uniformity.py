"""Alignment and uniformity on the sphere (mechanism M2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from sensorfusion.distributed import gather, gather_indices, share_of, sum_of_parts, sum_over_ranks
from sensorfusion.objectives.embeddings import (
    CHUNK,
    Embeddings,
    Pairs,
    Places,
    chosen_columns,
    embed,
    in_chunks,
    mean_of,
)
from sensorfusion.objectives.precision import full_precision
from sensorfusion.objectives.term import Targets, Term
from sensorfusion.sample import Correspondence, Features

Kernel = Literal["gaussian", "cosine"]


class AlignmentUniformity(Term):
    """Alignment, uniformity, cross-uniformity and consistency of distances.

    Losses (each is computed only when its weight is not zero), with x, y the embeddings of two
    columns and i, j ids:

    - `alignment`: mean_i max(0, ||x_i - y_i||^2 - margin), mean over pairs of columns (Wang and
      Isola 2020, "Understanding contrastive representation learning through alignment and
      uniformity", section 4.1, with exponent 2);
    - `uniformity`: log mean_{i<j} exp(-t ||x_i - x_j||^2), mean over columns (the same);
    - `cross_uniformity`: log mean_{i!=j} exp(-t ||x_i - y_j||^2), mean over pairs of columns
      (Fahim et al. 2024, "It's not a modality gap", which adds it to CLIP's loss as CUAXU; with
      alignment and uniformity only it is CUA);
    - `cyclic`: mean_{i<j} (||x_i - x_j||^2 - ||y_i - y_j||^2)^2, mean over pairs of columns
      (after the in-modal consistency of Goel et al. 2022, "CyCLIP").

    The logarithm is of the mean over all pairs, not a mean of logarithms of rows. Trust is a
    statement about pairing: it weighs alignment and consistency, not uniformity. A loss with
    nothing to average (fewer than two ids, no id with both columns) is zero. In the code
    released by Fahim et al. a line break drops the text part of the uniformity with cosine
    kernel: half of `cross_uniformity` plus a quarter of the images' `uniformity` (two terms,
    the latter with `columns=("image",)`) gives that value.

    Args:
        alignment, uniformity, cross_uniformity, cyclic: weights of the losses.
        t: width of the kernel.
        kernel: "gaussian" as above, or "cosine": exp(t <x, y>).
        margin: squared distance below which a pair is no longer pulled together, so that what
            only one sensor sees is kept.
        unit_length: bring embeddings to unit length first.
        columns: names of the columns that are spread (default: all but teachers).
        pairs: pairs of columns to compare (default: all pairs of `columns`); pairs of a sensor
            and a teacher make `alignment` a distillation.
        chunk: elements of a distance matrix that are held at once.
    """

    def __init__(
        self,
        alignment: float = 1.0,
        uniformity: float = 1.0,
        cross_uniformity: float = 0.0,
        cyclic: float = 0.0,
        *,
        t: float = 2.0,
        kernel: Kernel = "gaussian",
        margin: float = 0.0,
        unit_length: bool = True,
        columns: Sequence[str] | None = None,
        pairs: Pairs | None = None,
        chunk: int = CHUNK,
    ) -> None:
        super().__init__()
        self.alignment, self.uniformity = alignment, uniformity
        self.cross_uniformity, self.cyclic = cross_uniformity, cyclic
        self.t, self.kernel, self.margin = t, kernel, margin
        self.unit_length, self.columns, self.pairs, self.chunk = unit_length, columns, pairs, chunk

    @full_precision
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The losses with a weight, by name."""
        names, pairs = chosen_columns(correspondence, self.columns, self.pairs)
        mine = embed(features, correspondence, names, unit_length=self.unit_length)
        losses: dict[str, Tensor] = {}
        if self.alignment:
            losses["alignment"] = self.alignment * self._alignment(mine, pairs)
        if not (self.uniformity or self.cross_uniformity or self.cyclic):
            return losses
        z_NKD, rows = gather(mine.z_IKD)
        present_NK = gather_indices(mine.present_IK)
        trust_N, _ = gather(mine.trust_I)
        everywhere = Embeddings(z_NKD, present_NK, trust_N, mine.columns, mine.streams)
        if self.uniformity:
            spread, _ = chosen_columns(correspondence, self.columns, ())
            same = [(k, k) for k in range(len(spread))]
            losses["uniformity"] = self.uniformity * self._uniformity(everywhere, rows, same)
        if self.cross_uniformity:
            cross = self._uniformity(everywhere, rows, pairs)
            losses["cross_uniformity"] = self.cross_uniformity * cross
        if self.cyclic:
            losses["cyclic"] = self.cyclic * self._cyclic(everywhere, rows, pairs)
        return losses

    def _alignment(self, mine: Embeddings, pairs: Places) -> Tensor:
        losses = []
        for (k, m), total in zip(pairs, sum_over_ranks(mine.pair_trust(pairs)), strict=True):
            if total > 0:
                x_nD, y_nD, trust_n = mine.pair(k, m)
                distance_n = (x_nD - y_nD).square().sum(1)
                if self.margin:
                    distance_n = (distance_n - self.margin).relu()
                losses.append((trust_n * distance_n).sum() / total)
        return sum_of_parts(mean_of(losses, mine.nothing))

    def _uniformity(self, all_ids: Embeddings, rows: slice, pairs: Places) -> Tensor:
        losses = []
        for k, m in pairs:
            count = _pairs_of_different_ids(all_ids.present_IK[:, k], all_ids.present_IK[:, m])
            if count > 0:
                part, _ = gather(self._log_sum(all_ids, rows, k, m)[None])
                losses.append(part.logsumexp(0) - count.log())
        return share_of(mean_of(losses, all_ids.nothing))

    def _log_sum(self, all_ids: Embeddings, rows: slice, k: int, m: int) -> Tensor:
        """Log of the kernel's sum over this rank's rows and all other ids."""
        own = _own_ids(all_ids.present_IK[:, k], rows)
        others = all_ids.present_IK[:, m].nonzero()[:, 0]
        x_aD, y_nD = all_ids.z_IKD[own, k], all_ids.z_IKD[others, m]

        def compute(part: slice) -> Tensor:
            different = own[part, None] != others[None]
            return self._log_kernel(x_aD[part], y_nD)[different].logsumexp(0)

        parts = in_chunks(compute, len(own), len(others), elements=self.chunk)
        return torch.stack(parts).logsumexp(0)

    def _log_kernel(self, x_aD: Tensor, y_nD: Tensor) -> Tensor:
        if self.kernel == "cosine":
            similar_an: Tensor = x_aD @ y_nD.T
            return similar_an.mul(self.t)
        return squared_distances(x_aD, y_nD).mul(-self.t)

    def _cyclic(self, all_ids: Embeddings, rows: slice, pairs: Places) -> Tensor:
        losses = []
        for k, m in pairs:
            both = all_ids.present_IK[:, k] & all_ids.present_IK[:, m]
            trust_n = all_ids.trust_I[both]
            total = trust_n.sum().square() - trust_n.square().sum()
            if total > 0:
                losses.append(self._cyclic_sum(all_ids, rows, both, k, m) / total)
        return sum_of_parts(mean_of(losses, all_ids.nothing))

    def _cyclic_sum(
        self,
        all_ids: Embeddings,
        rows: slice,
        both_N: Tensor,
        k: int,
        m: int,
    ) -> Tensor:
        own, others = _own_ids(both_N, rows), both_N.nonzero()[:, 0]
        z_IKD, trust_I = all_ids.z_IKD, all_ids.trust_I

        def compute(part: slice) -> Tensor:
            x_an = squared_distances(z_IKD[own[part], k], z_IKD[others, k])
            y_an = squared_distances(z_IKD[own[part], m], z_IKD[others, m])
            different = own[part, None] != others[None]
            weight_an = trust_I[own[part], None] * trust_I[others] * different
            return (weight_an * (x_an - y_an).square()).sum()

        return torch.stack(in_chunks(compute, len(own), len(others), elements=self.chunk)).sum()


def squared_distances(x_ND: Tensor, y_MD: Tensor) -> Tensor:
    """Squared Euclidean distances [N, M] by inner products; differentiable, also at zero."""
    inner_NM: Tensor = x_ND @ y_MD.T
    return x_ND.square().sum(1)[:, None] + y_MD.square().sum(1) - inner_NM - inner_NM


def _own_ids(present_N: Tensor, rows: slice) -> Tensor:
    start: int = rows.start
    return present_N[rows].nonzero()[:, 0] + start


def _pairs_of_different_ids(x_N: Tensor, y_N: Tensor) -> Tensor:
    """Ordered pairs of different ids, the first present in x, the second in y; float64."""
    return (x_N.sum().double() * y_N.sum()) - (x_N & y_N).sum()
