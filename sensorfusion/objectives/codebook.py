"""A codebook that all sensors share: embeddings as sparse mixtures of codes (mechanism M3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from sensorfusion.objectives.embeddings import CHUNK, in_chunks
from sensorfusion.objectives.precision import at_least_float32, full_precision
from sensorfusion.objectives.sparsemax import sparsemax
from sensorfusion.objectives.term import Targets, Term
from sensorfusion.sample import Correspondence, Features

Pooling = Literal["max", "mean", "sum"]


class Codebook(nn.Module):
    """Finite discrete tokens (Chen et al. 2023, "Revisiting multimodal representation in
    contrastive learning: from patch and token embeddings to finite discrete tokens", eqs. 2-4).

    A group of tokens scores every code, score = pool over tokens of <token, code> / sqrt(D) / T;
    sparsemax of the scores weighs the codes, and the weighted sum is the group's embedding.

    The released code pads groups to one length and gives padding the score zero (not minus
    infinity) before pooling: under "max" no code of a padded group scores below zero, under
    "mean" the sum is divided by the padded length. `padded_length` reproduces that; without it
    only real tokens count. Its released temperature of 1000 makes all scores tiny, so that
    nearly every code is active.

    Args:
        codes: how many. width: D, of tokens and codes.
        temperature: T. pooling: over the tokens of a group.
        padded_length: length to which groups count as padded with zero scores, or None.
        chunk: scores that are held at once.
    """

    def __init__(
        self,
        codes: int = 16384,
        width: int = 512,
        *,
        temperature: float = 1.0,
        pooling: Pooling = "max",
        padded_length: int | None = None,
        chunk: int = CHUNK,
    ) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(codes, width))
        self.temperature, self.pooling = temperature, pooling
        self.padded_length, self.chunk = padded_length, chunk

    def forward(self, tokens_ED: Tensor, ids_E: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Embeddings [size, D] and sparse code weights [size, codes] of groups of tokens.

        Token e belongs to group `ids_E[e]`; a group without tokens gets zeros.
        """
        tokens_ED = at_least_float32(tokens_ED)
        codes_CD = self.codes.to(tokens_ED.dtype)
        counts = torch.bincount(ids_E, minlength=size)
        scale = self.temperature * codes_CD.shape[1] ** 0.5

        def compute(part: slice) -> Tensor:
            scores_Ec: Tensor = tokens_ED @ codes_CD[part].T / scale
            return self._pool(scores_Ec, ids_E, counts)

        parts = in_chunks(compute, len(codes_CD), len(tokens_ED), elements=self.chunk)
        weights = sparsemax(torch.cat(parts, dim=1)) * (counts > 0)[:, None]
        embeddings: Tensor = weights @ codes_CD
        return embeddings, weights

    def _pool(self, scores_Ec: Tensor, ids_E: Tensor, counts: Tensor) -> Tensor:
        pooled = scores_Ec.new_zeros(len(counts), scores_Ec.shape[1])
        if self.pooling != "max":
            pooled = pooled.index_add(0, ids_E, scores_Ec)
            if self.pooling == "sum":
                return pooled
            if self.padded_length is not None:
                return pooled / self.padded_length
            return pooled / counts.clamp(min=1)[:, None]
        rows = ids_E[:, None].expand_as(scores_Ec)
        pooled = pooled.scatter_reduce(0, rows, scores_Ec, "amax", include_self=False)
        if self.padded_length is not None:
            padded = (counts < self.padded_length)[:, None]
            pooled = torch.where(padded, pooled.clamp(min=0), pooled)
        return pooled


class SharedCodebook(Term):
    """Another term on what a shared codebook makes of the tokens of every id and column.

    FDT is this around a contrast. Every coded column is a stream of its own, under the column's
    name; teachers' columns are coded too.

    Args:
        term: the objective on the coded embeddings. codebook: shared by all columns.
    """

    def __init__(self, term: Term, codebook: Codebook) -> None:
        super().__init__()
        self.term = term
        self.codebook = codebook

    @full_precision
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The losses of the inner term."""
        losses: dict[str, Tensor] = self.term(*self.encode(features, correspondence), targets)
        return losses

    def encode(
        self, features: Mapping[str, Features], correspondence: Correspondence
    ) -> tuple[dict[str, Features], Correspondence]:
        """Features with one coded token per id and column that has it, and their table."""
        present_IK = correspondence.present
        streams: dict[str, Features] = {}
        ids: list[Tensor] = []
        for k, column in enumerate(correspondence.columns):
            stream = features[correspondence.streams[k]]
            values_ED = stream.tokens[correspondence.tokens[k]]
            coded_ID, _ = self.codebook(values_ED, correspondence.ids[k], correspondence.size)
            known = present_IK[:, k].nonzero()[:, 0]
            item = correspondence.item[known]
            valid = torch.ones_like(item, dtype=torch.bool)
            streams[column] = Features(
                coded_ID[known], item, torch.zeros_like(item), stream.size, valid
            )
            ids.append(known)
        table = dataclasses.replace(
            correspondence,
            streams=correspondence.columns,
            ids=tuple(ids),
            tokens=tuple(torch.arange(len(known), device=known.device) for known in ids),
        )
        return streams, table

    def after_step(self) -> None:
        """Let the inner term move its state."""
        self.term.after_step()
