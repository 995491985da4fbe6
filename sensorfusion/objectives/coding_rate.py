"""Maximal coding rate with compression towards a teacher (mechanism M2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from sensorfusion.distributed import share_of, sum_of_parts, sum_over_ranks
from sensorfusion.objectives.pooled import (
    Pooled,
    column_pairs,
    full_precision,
    mean_of,
    pool,
    pool_teacher,
)
from sensorfusion.objectives.term import Targets, Term
from sensorfusion.sample import Correspondence, Features


class CodingRate(Term):
    """SimDINO (Wu et al. 2025, "Simplifying DINO via coding rate regularization").

    - `compression`: minus the mean similarity of an id in a teacher's column q and in a
      student's column v, over ids that have both (weighted by trust) and over pairs q != v;
    - `expansion`: minus gamma * R, mean over the teacher's columns, with the coding rate
      R = 1/2 logdet(I + D / (n eps) Z^T Z) of the n rows Z and gamma = (D + n) / (D n).

    eps enters linearly, as in the released code, not squared as in the classical coding rate.
    Similarity "cosine" is the released first version's, "dot" the second's: equal values on
    unit embeddings, but only the former's gradient is tangential. `expand` says what spreads:
    the student's embeddings, or the mean of student and teacher (second version). Columns
    that no id has add nothing. Teachers are not detached here; `Teacher` gives no gradient.

    Args:
        teacher: columns (global views) that have a target `teacher.<stream>`; without any,
            these columns of the student itself are compared with the others.
        eps: precision of the code. compression, expansion: weights of the losses.
        similarity: "cosine" or "dot". expand: "student" or "mean".
        unit: bring embeddings of student and teacher to unit length first.
        from_student: take the student itself in place of a teacher.
    """

    def __init__(
        self,
        teacher: Sequence[int] = (0, 1),
        *,
        eps: float = 0.5,
        compression: float = 1.0,
        expansion: float = 1.0,
        similarity: Literal["cosine", "dot"] = "cosine",
        expand: Literal["student", "mean"] = "student",
        unit: bool = True,
        from_student: bool = False,
    ) -> None:
        super().__init__()
        self.teacher, self.eps = tuple(teacher), eps
        self.compression, self.expansion = compression, expansion
        self.similarity, self.expand = similarity, expand
        self.unit, self.from_student = unit, from_student

    @full_precision
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The two losses by name."""
        student = pool(features, correspondence, unit=self.unit)
        column_pairs([(q, q) for q in self.teacher], len(student.streams))
        if self.from_student:
            teacher_IQD = student.z_IKD[:, list(self.teacher)]
        else:
            teacher_IQD = pool_teacher(targets, correspondence, self.teacher, unit=self.unit).z_IKD
        return {
            "compression": self.compression * self._compression(student, teacher_IQD),
            "expansion": self.expansion * self._expansion(student, teacher_IQD),
        }

    def _compression(self, student: Pooled, teacher_IQD: Tensor) -> Tensor:
        views = range(len(student.streams))
        pairs = [(column, view) for column in self.teacher for view in views if view != column]
        losses = []
        for (k, m), total in zip(pairs, sum_over_ranks(student.pair_trust(pairs)), strict=True):
            if total > 0:
                both_I = student.present_IK[:, k] & student.present_IK[:, m]
                target_nD = teacher_IQD[both_I, self.teacher.index(k)]
                similar_n = self._similarity(target_nD, student.z_IKD[both_I, m])
                losses.append(-(student.trust_I[both_I] * similar_n).sum() / total)
        return sum_of_parts(mean_of(losses, student.nothing))

    def _similarity(self, x_nD: Tensor, y_nD: Tensor) -> Tensor:
        if self.similarity == "cosine":
            return cosine_similarity(x_nD, y_nD, dim=-1)
        return (x_nD * y_nD).sum(-1)

    def _expansion(self, student: Pooled, teacher_IQD: Tensor) -> Tensor:
        rates = []
        for q, column in enumerate(self.teacher):
            present_I = student.present_IK[:, column]
            z_nD = student.z_IKD[present_I, column]
            if self.expand == "mean":
                z_nD = (z_nD + teacher_IQD[present_I, q]) / 2
            count = sum_over_ranks(z_nD.new_tensor(float(len(z_nD))))
            if count > 0:
                moments_DD = sum_over_ranks(z_nD.T @ z_nD)
                width = len(moments_DD)
                gamma = (width + count) / (width * count)
                rates.append(-gamma * coding_rate(moments_DD, count, self.eps))
        return share_of(mean_of(rates, student.nothing))


def coding_rate(moments_DD: Tensor, count: Tensor | float, eps: float) -> Tensor:
    """1/2 logdet(I + D / (n eps) Z^T Z) from Z^T Z [D, D] and the number n of rows of Z."""
    width = len(moments_DD)
    identity = torch.eye(width, dtype=moments_DD.dtype, device=moments_DD.device)
    factor = torch.linalg.cholesky(identity + width / (count * eps) * moments_DD)
    rate: Tensor = factor.diagonal().log().sum()
    return rate
