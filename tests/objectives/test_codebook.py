"""The codebook: pooling by group, padding as released, chunks, and the term around a contrast."""

from __future__ import annotations

import pytest
import torch

from sensorfusion.objectives.codebook import Codebook, SharedCodebook
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.sparsemax import sparsemax
from tests.objectives.tables import table, total


def make(**settings: object) -> Codebook:
    torch.manual_seed(2)
    return Codebook(9, 4, **settings).double()


@pytest.mark.parametrize("pooling", ["max", "mean", "sum"])
def test_groups_are_pooled_apart_and_an_empty_one_is_zero(pooling: str) -> None:
    book = make(pooling=pooling, chunk=10)
    tokens, ids = torch.randn(6, 4, dtype=torch.float64), torch.tensor([2, 0, 2, 0, 0, 3])
    embeddings, weights = book(tokens, ids, 4)
    for group in (0, 2, 3):
        scores = tokens[ids == group] @ book.codes.T / 2
        pooled = {"max": scores.amax(0), "mean": scores.mean(0), "sum": scores.sum(0)}[pooling]
        torch.testing.assert_close(weights[group], sparsemax(pooled))
        torch.testing.assert_close(embeddings[group], sparsemax(pooled) @ book.codes)
    assert not embeddings[1].any()


def test_padding_scores_are_a_choice() -> None:
    tokens, ids = -torch.ones(1, 4, dtype=torch.float64), torch.zeros(1, dtype=torch.int64)
    books = [make(), make(padded_length=1), make(padded_length=2)]
    for book in books:
        torch.nn.init.uniform_(book.codes, 0.1, 1.0, generator=torch.Generator().manual_seed(0))
    apart, unpadded, padded = (book(tokens, ids, 1)[1] for book in books)
    torch.testing.assert_close(unpadded, apart)
    # All scores are negative: a padded group sees zeros only, and every code weighs the same.
    torch.testing.assert_close(padded, torch.full_like(padded, 1 / 9))
    assert (apart - padded).abs().max() > 0.01


def test_coded_contrast_reaches_codes_and_tokens() -> None:
    x = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    y = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    term = SharedCodebook(Contrast(temperature=0.5).double(), make(temperature=0.5))
    total(term(*table({"x": x, "y": y}), {})).backward()
    for tensor in (x, y, term.codebook.codes):
        assert tensor.grad.isfinite().all()
        assert tensor.grad.any()
