"""Prototypes that the sensors of an id have to agree on (mechanism M3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sensorfusion.distributed import gather, gather_indices, sum_of_parts
from sensorfusion.errors import ConfigError
from sensorfusion.objectives.embeddings import Embeddings, Pairs, chosen_columns, embed, mean_of
from sensorfusion.objectives.precision import full_precision
from sensorfusion.objectives.queue import EmbeddingQueue, queue_name
from sensorfusion.objectives.sinkhorn import sinkhorn
from sensorfusion.objectives.term import Targets, Term
from sensorfusion.sample import Correspondence, Features


class Prototypes(Term):
    """Cross-prediction of balanced prototype codes.

    The code of an id in one column (Sinkhorn over the present ids of all ranks, without
    gradient) is predicted from its scores in another column:
    `prototypes` = mean over ids, and over both directions of the pairs of columns, of
    -sum_k code_k log softmax_k(scores / temperature), weighted by trust. As between views in
    SwAV (Caron et al. 2020, eq. 2), between sensors in MGCA (Wang et al. 2022, "Multi-granularity
    cross-modal alignment", eq. 7); zero when no id has both columns.

    The rows of `weight` [prototypes, width] have unit length at the start and after each step
    (`after_step`), not inside the forward: their gradient has a radial part, as in the released
    codes. Those compute codes in float32; here they have the embeddings' precision.

    Args:
        prototypes: K, how many. width: D, of the embeddings.
        temperature: of the predictions. epsilon, iterations: of Sinkhorn.
        frozen_steps: steps during which the prototypes get a zero gradient.
        queue: embeddings per column of earlier steps that take part in the balancing, so that
            a batch may be smaller than the number of prototypes. queue_from: step of first use.
        unit_length: bring embeddings to unit length first.
        columns: names of the columns (default: all but teachers; a queue needs the names).
        pairs: pairs of columns that predict each other (default: all pairs of `columns`).
    """

    steps: Tensor

    def __init__(
        self,
        prototypes: int = 500,
        width: int = 128,
        *,
        temperature: float = 0.2,
        epsilon: float = 0.05,
        iterations: int = 3,
        frozen_steps: int = 0,
        queue: int = 0,
        queue_from: int = 0,
        unit_length: bool = True,
        columns: Sequence[str] | None = None,
        pairs: Pairs | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(normalize(torch.randn(prototypes, width), dim=1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        if queue and columns is None:
            raise ConfigError(
                "a queue needs to know its columns", remedy="name them with `columns`"
            )
        names = [queue_name(name) for name in columns or ()] if queue else []
        self.queues = nn.ModuleDict({name: EmbeddingQueue(queue, width) for name in names})
        self.temperature, self.epsilon, self.iterations = temperature, epsilon, iterations
        self.frozen_steps, self.queue_from = frozen_steps, queue_from
        self.unit_length, self.columns, self.pairs = unit_length, columns, pairs

    @full_precision
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The loss `prototypes`."""
        names, pairs = chosen_columns(correspondence, self.columns, self.pairs)
        mine = embed(features, correspondence, names, unit_length=self.unit_length)
        self._check(mine)
        scores_IKP = mine.z_IKD @ self._weight(mine.z_IKD.dtype).T
        codes_IKP = self._codes(mine)
        log_IKP = (scores_IKP / self.temperature).log_softmax(-1)
        totals = gather(mine.pair_trust(pairs)[None])[0].sum(0)
        losses = []
        for (k, m), total in zip(pairs, totals, strict=True):
            if total > 0:
                both_I = mine.present_IK[:, k] & mine.present_IK[:, m]
                cross_I = (codes_IKP[:, k] * log_IKP[:, m] + codes_IKP[:, m] * log_IKP[:, k]).sum(
                    -1
                )
                losses.append(-(mine.trust_I * both_I * cross_I).sum() / (2 * total))
        return {"prototypes": sum_of_parts(mean_of(losses, scores_IKP.sum() * 0))}

    @torch.no_grad()
    def after_step(self) -> None:
        """Count the step and bring the prototypes back to unit length."""
        self.steps += 1
        self.weight.copy_(normalize(self.weight, dim=1))

    def _check(self, mine: Embeddings) -> None:
        width = self.weight.shape[1]
        if mine.z_IKD.shape[2] != width:
            raise ConfigError(
                f"embeddings are {mine.z_IKD.shape[2]} wide, prototypes {width}",
                where=f"streams {mine.streams}",
                remedy="give the term the width of the projection heads",
            )

    def _weight(self, dtype: torch.dtype) -> Tensor:
        weight_PD = self.weight.to(dtype)
        if int(self.steps) < self.frozen_steps:
            return weight_PD.detach() + weight_PD * 0  # every rank still has a gradient: zero
        return weight_PD

    @torch.no_grad()
    def _codes(self, mine: Embeddings) -> Tensor:
        """Balanced codes [I, K, P] of this rank's ids; zero where absent."""
        z_NKD, rows = gather(mine.z_IKD.detach())
        present_NK = gather_indices(mine.present_IK)
        codes = [
            self._column_codes(name, z_NKD[:, k], present_NK[:, k])
            for k, name in enumerate(mine.columns)
        ]
        return torch.stack(codes, dim=1)[rows]

    def _column_codes(self, name: str, z_ND: Tensor, present_N: Tensor) -> Tensor:
        weight_PD = self.weight.to(z_ND.dtype)
        codes_NP = z_ND.new_zeros(len(z_ND), len(weight_PD))
        known_nD = z_ND[present_N]
        queue = self._queue(name)
        earlier_LD = known_nD[:0]
        if queue is not None and int(self.steps) >= self.queue_from:
            earlier_LD = queue().to(z_ND.dtype)
        if len(known_nD):
            scores = torch.cat([known_nD, earlier_LD]) @ weight_PD.T
            plan = sinkhorn(scores, epsilon=self.epsilon, iterations=self.iterations)
            codes_NP[present_N] = plan[: len(known_nD)]
        if queue is not None and self.training:
            queue.push(known_nD)
        return codes_NP

    def _queue(self, column: str) -> EmbeddingQueue | None:
        name = queue_name(column)
        return cast(EmbeddingQueue, self.queues[name]) if name in self.queues else None
