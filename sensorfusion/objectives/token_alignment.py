"""Tokens of one sensor that find themselves again in another's (mechanism M4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sensorfusion.distributed import sum_of_parts, sum_over_ranks
from sensorfusion.objectives.embeddings import CHUNK, Pairs, chosen_columns, in_chunks, mean_of
from sensorfusion.objectives.padded import PaddedTokens, pad_tokens
from sensorfusion.objectives.precision import full_precision
from sensorfusion.objectives.term import Targets, Term
from sensorfusion.sample import Correspondence, Features


class TokenAlignment(Term):
    """The token-wise alignment of MGCA (Wang et al. 2022, "Multi-granularity cross-modal
    alignment for generalized medical visual representation learning", eqs. 3-5).

    Within an id, every token x_w of one column attends over the tokens y_p of another,
    a_w = normalise(sum_p softmax_p(<x_w, y_p> / temperature) y_p), and is to be found again by
    what it attended to: cross-entropies over the tokens of the same id of
    <x_w, a_w'> / temperature, in both directions (halved), weighted per token; plus the same
    with the columns exchanged. `tokens` is the mean over ids (weighted by trust) that have
    valid tokens in both columns, and over pairs of columns; zero when there is none.

    Tokens are weighed by `Features.weight`, e.g. an encoder's last attention: the non-zero ones
    of an id are clipped to their own quantiles `clip` and brought to sum one; without weights,
    or when all are zero, tokens weigh the same.

    Deviations of the released code, each to be had by an option: padding of the words is no key
    for attention but stays a negative (`padding_as_negatives`: tokens of the correspondence
    that are not valid); its ViT variant does not normalise what patches attended to
    (`keep_length`).

    Args:
        temperature: of attention and cross-entropy.
        clip: lower and upper quantile for the weights, or None.
        unit_length: bring tokens to unit length first.
        padding_as_negatives: see above.
        keep_length: columns whose tokens' attended vectors are not brought to unit length.
        columns: names of the columns (default: all but teachers).
        pairs: pairs of columns to compare (default: all pairs of `columns`).
        chunk: similarities that are held at once.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        *,
        clip: tuple[float, float] | None = (0.1, 0.9),
        unit_length: bool = True,
        padding_as_negatives: bool = False,
        keep_length: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        pairs: Pairs | None = None,
        chunk: int = CHUNK,
    ) -> None:
        super().__init__()
        self.temperature, self.clip, self.unit_length = temperature, clip, unit_length
        self.padding_as_negatives, self.keep_length = padding_as_negatives, tuple(keep_length)
        self.columns, self.pairs, self.chunk = columns, pairs, chunk

    @full_precision
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The loss `tokens`."""
        names, pairs = chosen_columns(correspondence, self.columns, self.pairs)
        columns = [self._column(features, correspondence, name) for name in names]
        trust_I = correspondence.trust.to(columns[0].tokens_ILD.dtype)
        nothing = torch.stack([column.tokens_ILD.sum() * 0 for column in columns]).sum()
        losses = []
        for k, m in pairs:
            both_I = columns[k].known & columns[m].known
            weight_I = trust_I * both_I
            total = sum_over_ranks(weight_I.sum())
            if total > 0:
                there_I = self._direction(columns[k], columns[m], both_I)
                back_I = self._direction(columns[m], columns[k], both_I)
                losses.append((weight_I[both_I] * (there_I + back_I)).sum() / total)
        return {"tokens": sum_of_parts(mean_of(losses, nothing))}

    def _column(
        self, features: Mapping[str, Features], correspondence: Correspondence, name: str
    ) -> _Column:
        padded = pad_tokens(features, correspondence, name, unit_length=self.unit_length)
        return _Column(
            padded.tokens_ILD,
            keys_IL=padded.valid_IL,
            candidates_IL=padded.given_IL if self.padding_as_negatives else padded.valid_IL,
            weights_IL=token_weights(padded, self.clip),
            keep_length=name in self.keep_length,
        )

    def _direction(self, x: _Column, y: _Column, both_I: Tensor) -> Tensor:
        """Loss per id [n] of the tokens of x that attend over y."""
        x, y = x.select(both_I), y.select(both_I)
        length = x.tokens_ILD.shape[1]
        elements = length * (length + y.tokens_ILD.shape[1])

        def compute(part: slice) -> Tensor:
            return self._ids(x.select(part), y.select(part))

        return torch.cat(in_chunks(compute, len(x.tokens_ILD), elements, elements=self.chunk))

    def _ids(self, x: _Column, y: _Column) -> Tensor:
        scores_ILM = x.tokens_ILD @ y.tokens_ILD.mT / self.temperature
        scores_ILM = scores_ILM.masked_fill(~y.keys_IL[:, None], -torch.inf)
        attended_ILD = scores_ILM.softmax(-1) @ y.tokens_ILD
        if not x.keep_length:
            attended_ILD = normalize(attended_ILD, dim=-1)
        logits_ILL = x.tokens_ILD @ attended_ILD.mT / self.temperature
        allowed = x.candidates_IL[:, None]
        there_IL = _own_token(logits_ILL.masked_fill(~allowed, -torch.inf))
        back_IL = _own_token(logits_ILL.mT.masked_fill(~allowed, -torch.inf))
        losses_IL = (there_IL + back_IL).masked_fill(~x.candidates_IL, 0) / 2
        return (losses_IL * x.weights_IL).sum(1)


@dataclass(frozen=True)
class _Column:
    tokens_ILD: Tensor
    keys_IL: Tensor
    candidates_IL: Tensor
    weights_IL: Tensor
    keep_length: bool

    @property
    def known(self) -> Tensor:
        """Bool [I]: which ids have a valid token."""
        return self.keys_IL.any(1)

    def select(self, ids: Tensor | slice) -> _Column:
        return _Column(
            self.tokens_ILD[ids],
            self.keys_IL[ids],
            self.candidates_IL[ids],
            self.weights_IL[ids],
            self.keep_length,
        )


def _own_token(logits_ILL: Tensor) -> Tensor:
    return -logits_ILL.log_softmax(-1).diagonal(dim1=1, dim2=2)


def token_weights(padded: PaddedTokens, clip: tuple[float, float] | None) -> Tensor:
    """Weights [I, L] of valid tokens, sum one per id (zero for an id without valid tokens).

    Args:
        padded: the tokens, with or without weights of their encoder.
        clip: quantiles of an id's non-zero weights to which these are clipped.
    """
    uniform_IL = padded.valid_IL.to(padded.tokens_ILD.dtype)
    weights_IL = uniform_IL
    if padded.weight_IL is not None:
        weights_IL = padded.weight_IL * uniform_IL
        if clip is not None:
            weights_IL = clip_to_quantiles(weights_IL, *clip)
        weights_IL = torch.where((weights_IL > 0).any(1, keepdim=True), weights_IL, uniform_IL)
    return weights_IL / weights_IL.sum(1, keepdim=True).clamp(min=torch.finfo().tiny)


def clip_to_quantiles(weights_IL: Tensor, low: float, high: float) -> Tensor:
    """Clip the non-zero entries of each row to their own quantiles (linear interpolation)."""
    known_IL = weights_IL != 0
    ordered = weights_IL.masked_fill(~known_IL, torch.inf).sort(1).values
    last_I1 = (known_IL.sum(1, keepdim=True) - 1).clamp(min=0)
    bounds = []
    for quantile in (low, high):
        place = quantile * last_I1.to(weights_IL.dtype)
        below = place.floor().long()
        above = torch.minimum(below + 1, last_I1)
        start, end = ordered.gather(1, below), ordered.gather(1, above)
        bounds.append(start + (place - below) * (end - start))
    clipped = torch.minimum(torch.maximum(weights_IL, bounds[0]), bounds[1])
    return torch.where(known_IL, clipped, weights_IL)
