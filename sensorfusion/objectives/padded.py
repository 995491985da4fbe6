"""Tokens of every id as dense rows, for terms that compare sets of tokens (mechanism M4).

Shape letters: I ids of this rank, L tokens of an id after padding, D embedding width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sensorfusion.objectives.precision import at_least_float32
from sensorfusion.sample import Correspondence, Features


@dataclass(frozen=True)
class PaddedTokens:
    """The tokens of every id in one column.

    Args:
        tokens_ILD: in float32 or float64; zero in padding.
        given_IL: which entries are tokens of the correspondence.
        valid_IL: which of them are valid according to their encoder.
        weight_IL: the encoder's weights of the tokens, zero in padding; None if it has none.
    """

    tokens_ILD: Tensor
    given_IL: Tensor
    valid_IL: Tensor
    weight_IL: Tensor | None


def pad_tokens(
    features: Mapping[str, Features],
    correspondence: Correspondence,
    column: str,
    *,
    unit_length: bool,
) -> PaddedTokens:
    """Lay the tokens of a column out by id, in the order of the column's edges; L >= 1."""
    k = correspondence.columns.index(column)
    ids_E, tokens_E = correspondence.ids[k], correspondence.tokens[k]
    stream = features[correspondence.streams[k]]
    counts_I = torch.bincount(ids_E, minlength=correspondence.size)
    length = max(1, int(counts_I.max())) if correspondence.size else 1
    order_E = ids_E.argsort(stable=True)
    start_I = counts_I.cumsum(0) - counts_I
    ids_sorted = ids_E[order_E]
    place_E = torch.arange(len(ids_E), device=ids_E.device) - start_I[ids_sorted]
    given_IL = ids_E.new_zeros(correspondence.size, length, dtype=torch.bool)
    given_IL[ids_sorted, place_E] = True
    values_ED = at_least_float32(stream.tokens.index_select(0, tokens_E))
    if unit_length:
        values_ED = normalize(values_ED, dim=-1)
    dense = values_ED.new_zeros(correspondence.size, length, values_ED.shape[1])
    dense = dense.index_put((ids_sorted, place_E), values_ED.index_select(0, order_E))
    valid_IL = given_IL.clone()
    valid_IL[ids_sorted, place_E] = stream.valid[tokens_E[order_E]]
    weight_IL = None
    if stream.weight is not None:
        weight_IL = dense.new_zeros(given_IL.shape)
        weight_IL[ids_sorted, place_E] = stream.weight[tokens_E[order_E]].detach().to(dense.dtype)
    return PaddedTokens(dense, given_IL, valid_IL, weight_IL)
