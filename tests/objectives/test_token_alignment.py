"""Token alignment: quantile clipping, padding, and ids of different lengths."""

from __future__ import annotations

import numpy as np
import torch

from sensorfusion.objectives.token_alignment import TokenAlignment, clip_to_quantiles
from sensorfusion.sample import Correspondence, Features


def sets(lengths: list[list[int]], valid: list[torch.Tensor] | None = None):
    torch.manual_seed(5)
    features, ids, tokens = {}, [], []
    for k, counts in enumerate(lengths):
        item = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        values = torch.randn(len(item), 4, dtype=torch.float64)
        mask = torch.ones_like(item).bool() if valid is None else valid[k]
        features["ab"[k]] = Features(values, item, torch.zeros_like(item), len(counts), mask)
        ids.append(item)
        tokens.append(torch.arange(len(item)))
    size = len(lengths[0])
    ones = torch.ones(size, dtype=torch.float64)
    table = Correspondence(("a", "b"), tuple(ids), tuple(tokens), size, torch.arange(size), ones)
    return features, table


def test_clipping_equals_numpy_quantiles_of_the_non_zero_entries() -> None:
    weights = torch.rand(5, 8, dtype=torch.float64)
    weights[torch.rand(5, 8) < 0.3] = 0
    weights[4] = 0
    found = clip_to_quantiles(weights, 0.2, 0.7).numpy()
    for row, clipped in zip(weights.numpy()[:4], found[:4], strict=True):
        known = row != 0
        low, high = np.quantile(row[known], [0.2, 0.7])
        np.testing.assert_allclose(clipped[known], row[known].clip(low, high), atol=1e-14)
        assert not clipped[~known].any()
    assert not found[4].any()


def test_ids_of_different_lengths_are_computed_apart() -> None:
    features, table = sets([[3, 1, 4], [2, 5, 1]])
    whole = TokenAlignment()(features, table, {})["tokens"]
    alone = []
    for i in range(3):
        ids, tokens = zip(
            *(((t == i).nonzero()[:, 0], k) for t, k in zip(table.ids, table.tokens, strict=True)),
            strict=True,
        )
        part = Correspondence(
            ("a", "b"),
            tuple(torch.zeros_like(rows) for rows in ids),
            tuple(k[rows] for rows, k in zip(ids, tokens, strict=True)),
            1,
            torch.tensor([i]),
            table.trust[:1],
        )
        alone.append(TokenAlignment()(features, part, {})["tokens"])
    torch.testing.assert_close(whole, torch.stack(alone).mean())


def test_invalid_tokens_count_only_as_negatives_and_only_when_asked() -> None:
    valid = [torch.tensor([1, 1, 0]).bool(), torch.tensor([1, 1]).bool()]
    features, table = sets([[3], [2]], valid)
    trimmed = Correspondence(
        ("a", "b"),
        (table.ids[0][:2], table.ids[1]),
        (table.tokens[0][:2], table.tokens[1]),
        1,
        table.item,
        table.trust,
    )
    default = TokenAlignment()(features, table, {})["tokens"]
    torch.testing.assert_close(default, TokenAlignment()(features, trimmed, {})["tokens"])
    released = TokenAlignment(padding_as_negatives=True)(features, table, {})["tokens"]
    assert released > default
