"""Maximal coding rate with compression towards a teacher (mechanism M2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from sensorfusion.distributed import share_of, sum_of_parts, sum_over_ranks
from sensorfusion.errors import ConfigError
from sensorfusion.objectives.embeddings import (
    Embeddings,
    Places,
    chosen_columns,
    embed,
    mean_of,
)
from sensorfusion.objectives.precision import full_precision
from sensorfusion.objectives.term import TEACHER, Targets, Term
from sensorfusion.sample import Correspondence, Features


class CodingRate(Term):
    """SimDINO (Wu et al. 2025, "Simplifying DINO via coding rate regularization").

    - `compression`: minus the mean similarity of an id in the teacher's column of view q and in
      the student's column of view v, over ids that have both (weighted by trust) and over the
      pairs q != v;
    - `expansion`: minus gamma * R, mean over the views that the teacher sees, with the coding
      rate R = 1/2 logdet(I + D / (n eps) Z^T Z) of the n rows Z and gamma = (D + n) / (D n).

    eps enters linearly, as in the released code, not squared as in the classical coding rate.
    Similarity "cosine" is the released first version's, "dot" the second's: equal values on
    unit embeddings, but only the former's gradient is tangential. `expand` says what spreads:
    the student's embeddings, or the mean of student and teacher (second version). Columns
    that no id has add nothing. Teachers are not detached here; `Teacher` gives no gradient.

    Args:
        views: names of the student's columns (default: all but teachers).
        global_views: those that the teacher sees, as columns `teacher.<view>` (default: the
            views that have such a column).
        eps: precision of the code. compression, expansion: weights of the losses.
        similarity: "cosine" or "dot". expand: "student" or "mean".
        unit_length: bring embeddings of student and teacher to unit length first.
        self_taught: there is no teacher, the student's own global views take its place.
    """

    def __init__(
        self,
        views: Sequence[str] | None = None,
        global_views: Sequence[str] | None = None,
        *,
        eps: float = 0.5,
        compression: float = 1.0,
        expansion: float = 1.0,
        similarity: Literal["cosine", "dot"] = "cosine",
        expand: Literal["student", "mean"] = "student",
        unit_length: bool = True,
        self_taught: bool = False,
    ) -> None:
        super().__init__()
        self.views, self.global_views, self.eps = views, global_views, eps
        self.compression, self.expansion = compression, expansion
        self.similarity, self.expand = similarity, expand
        self.unit_length, self.self_taught = unit_length, self_taught

    @full_precision
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The two losses by name."""
        views, _ = chosen_columns(correspondence, self.views, ())
        prefix = "" if self.self_taught else TEACHER
        taught = [(view, prefix + view) for view in self._seen(correspondence, views)]
        names, same = chosen_columns(correspondence, views, taught)
        embeddings = embed(features, correspondence, names, unit_length=self.unit_length)
        pairs = [(q, v) for view, q in same for v in range(len(views)) if v != view]
        return {
            "compression": self.compression * self._compression(embeddings, pairs),
            "expansion": self.expansion * self._expansion(embeddings, same),
        }

    def _seen(self, correspondence: Correspondence, views: Sequence[str]) -> list[str]:
        """The views that the teacher sees."""
        if self.global_views is not None:
            return list(self.global_views)
        if self.self_taught:
            return list(views)
        seen = [view for view in views if TEACHER + view in correspondence.columns]
        if not seen:
            raise ConfigError(
                f"no column of a teacher among {correspondence.columns}",
                where="the coding rate's correspondence",
                remedy=f"let the matching give columns {[TEACHER + view for view in views]}",
            )
        return seen

    def _compression(self, embeddings: Embeddings, pairs: Places) -> Tensor:
        losses = []
        totals = sum_over_ranks(embeddings.pair_trust(pairs))
        for (q, v), total in zip(pairs, totals, strict=True):
            if total > 0:
                target_nD, z_nD, trust_n = embeddings.pair(q, v)
                losses.append(-(trust_n * self._similarity(target_nD, z_nD)).sum() / total)
        return sum_of_parts(mean_of(losses, embeddings.nothing))

    def _similarity(self, x_nD: Tensor, y_nD: Tensor) -> Tensor:
        if self.similarity == "cosine":
            return cosine_similarity(x_nD, y_nD, dim=-1)
        return (x_nD * y_nD).sum(-1)

    def _expansion(self, embeddings: Embeddings, same: Places) -> Tensor:
        rates = []
        for view, q in same:
            z_nD = embeddings.z_IKD[embeddings.present_IK[:, view], view]
            if self.expand == "mean":
                student_nD, teacher_nD, _ = embeddings.pair(view, q)
                z_nD = (student_nD + teacher_nD) / 2
            count = sum_over_ranks(z_nD.new_tensor(float(len(z_nD))))
            if count > 0:
                moments_DD = sum_over_ranks(z_nD.T @ z_nD)
                width = len(moments_DD)
                gamma = (width + count) / (width * count)
                rates.append(-gamma * coding_rate(moments_DD, count, self.eps))
        return share_of(mean_of(rates, embeddings.nothing))


def coding_rate(moments_DD: Tensor, count: Tensor | float, eps: float) -> Tensor:
    """1/2 logdet(I + D / (n eps) Z^T Z) from Z^T Z [D, D] and the number n of rows of Z."""
    width = len(moments_DD)
    identity = torch.eye(width, dtype=moments_DD.dtype, device=moments_DD.device)
    factor = torch.linalg.cholesky(identity + width / (count * eps) * moments_DD)
    rate: Tensor = factor.diagonal().log().sum()
    return rate
