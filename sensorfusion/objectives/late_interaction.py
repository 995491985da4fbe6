"""Contrast of sets of tokens by late interaction (mechanism M4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from sensorfusion.distributed import gather, gather_indices, sum_of_parts
from sensorfusion.objectives.embeddings import CHUNK, Pairs, chosen_columns, in_chunks, mean_of
from sensorfusion.objectives.padded import PaddedTokens, pad_tokens
from sensorfusion.objectives.precision import full_precision
from sensorfusion.objectives.temperature import Temperature
from sensorfusion.objectives.term import Targets, Term
from sensorfusion.sample import Correspondence, Features


def late_interaction(
    x_ILD: Tensor, x_valid_IL: Tensor, y_JMD: Tensor, y_valid_JM: Tensor, *, chunk: int = CHUNK
) -> Tensor:
    """Similarity [I, J] of sets of tokens: mean over x's tokens of the best of y's.

    FILIP (Yao et al. 2022, eqs. 4-5), as in Wukong (Gu et al. 2022). Not symmetric: compute
    each direction by itself. With one token a set it is the dot product. A set without valid
    tokens has similarity zero with everything.

    Args:
        x_ILD, y_JMD: tokens. x_valid_IL, y_valid_JM: which of them are not padding.
        chunk: token similarities that are held at once.
    """
    sets, length, width = y_JMD.shape
    y_flat = y_JMD.reshape(sets * length, width)
    hidden = ~y_valid_JM.reshape(sets * length)
    some_J = y_valid_JM.any(1)

    def compute(part: slice) -> Tensor:
        scores = (x_ILD[part] @ y_flat.T).masked_fill(hidden, -torch.inf)
        best_ILJ = scores.reshape(*scores.shape[:2], sets, length).amax(-1)
        best_ILJ = best_ILJ.masked_fill(~(x_valid_IL[part, :, None] & some_J), 0)
        counts = x_valid_IL[part].sum(1).clamp(min=1)
        return best_ILJ.sum(1).div(counts[:, None])

    if not sets:
        return x_ILD.new_zeros(len(x_ILD), 0)
    columns = x_ILD.shape[1] * sets * length
    return torch.cat(in_chunks(compute, len(x_ILD), columns, elements=chunk))


class LateInteraction(Term):
    """CLIP's symmetric cross-entropy on late-interaction similarities (FILIP, eq. 2).

    For every pair of columns and each direction, ids that have both are anchors; all ids of
    all ranks that have the other column are candidates. `contrast` is the mean over anchors,
    weighted by trust, over directions and pairs; zero without anchors.

    Args:
        temperature: a number, or a `Temperature` (learned, bounded).
        unit_length: bring tokens to unit length first.
        columns: names of the columns (default: all but teachers).
        pairs: pairs of columns to compare (default: all pairs of `columns`).
        chunk: token similarities that are held at once.
    """

    def __init__(
        self,
        temperature: float | Temperature = 0.07,
        *,
        unit_length: bool = True,
        columns: Sequence[str] | None = None,
        pairs: Pairs | None = None,
        chunk: int = CHUNK,
    ) -> None:
        super().__init__()
        self.temperature = (
            temperature if isinstance(temperature, Temperature) else Temperature(temperature)
        )
        self.unit_length, self.columns, self.pairs, self.chunk = unit_length, columns, pairs, chunk

    @full_precision
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The loss `contrast`."""
        names, pairs = chosen_columns(correspondence, self.columns, self.pairs)
        columns = [
            _everywhere(pad_tokens(features, correspondence, name, unit_length=self.unit_length))
            for name in names
        ]
        dtype = columns[0][0].dtype
        trust_N, rows = gather(correspondence.trust.to(dtype))
        nothing = torch.stack([tokens.sum() for tokens, _ in columns]).sum() * 0
        losses = []
        for k, m in pairs:
            both_N = columns[k][1].any(1) & columns[m][1].any(1)
            total = trust_N[both_N].sum()
            if total > 0:
                for x, y in ((k, m), (m, k)):
                    part = self._part(columns[x], columns[y], both_N, rows, trust_N)
                    losses.append(part / total)
        scale, bias = self.temperature()
        part = mean_of(losses, nothing) + (scale + bias).to(dtype) * 0
        return {"contrast": sum_of_parts(part)}

    def after_step(self) -> None:
        """Keep a learned temperature within its bounds."""
        self.temperature.clamp()

    def _part(
        self,
        x: tuple[Tensor, Tensor],
        y: tuple[Tensor, Tensor],
        both_N: Tensor,
        rows: slice,
        trust_N: Tensor,
    ) -> Tensor:
        """Sum of trust times cross-entropy over this rank's anchors."""
        start: int = rows.start
        own_a = both_N[rows].nonzero()[:, 0] + start
        candidates = y[1].any(1).nonzero()[:, 0]
        similar_an = late_interaction(
            x[0][own_a], x[1][own_a], y[0][candidates], y[1][candidates], chunk=self.chunk
        )
        scale, bias = self.temperature()
        logits_an = similar_an * scale.to(similar_an.dtype) + bias.to(similar_an.dtype)
        place_a = torch.searchsorted(candidates, own_a)
        losses_a = -logits_an.log_softmax(1).gather(1, place_a[:, None])[:, 0]
        total: Tensor = (trust_N[own_a] * losses_a).sum()
        return total


def _everywhere(padded: PaddedTokens) -> tuple[Tensor, Tensor]:
    """Tokens [N, L, D] and validity [N, L] of all ranks."""
    mine = padded.valid_IL.shape[1]
    length = int(gather_indices(padded.valid_IL.new_tensor([mine], dtype=torch.int64)).max())
    tokens_NLD, _ = gather(pad(padded.tokens_ILD, (0, 0, 0, length - mine)))
    return tokens_NLD, gather_indices(pad(padded.valid_IL, (0, length - mine)))
