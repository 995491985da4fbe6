"""Sparsemax against a bisection of its optimality condition, and its Jacobian."""

from __future__ import annotations

import torch

from sensorfusion.objectives.sparsemax import sparsemax


def projected(scores: torch.Tensor) -> torch.Tensor:
    """Projection on the simplex by bisecting the threshold at which the rest sums to one."""
    low, high = scores.amax(-1, keepdim=True) - 1, scores.amax(-1, keepdim=True)
    for _ in range(100):
        middle = (low + high) / 2
        too_much = (scores - middle).clamp(min=0).sum(-1, keepdim=True) > 1
        low, high = torch.where(too_much, middle, low), torch.where(too_much, high, middle)
    return (scores - high).clamp(min=0)


def test_equals_projection() -> None:
    scores = 2 * torch.randn(50, 9, dtype=torch.float64)
    weights = sparsemax(scores)
    torch.testing.assert_close(weights, projected(scores), rtol=0, atol=1e-12)
    assert (weights == 0).any()
    torch.testing.assert_close(sparsemax(scores.T, dim=0), weights.T)


def test_is_unmoved_by_shifts_and_fixed_on_the_simplex() -> None:
    scores = torch.randn(5, 7, dtype=torch.float64)
    torch.testing.assert_close(sparsemax(scores + 1e6), sparsemax(scores), rtol=0, atol=1e-9)
    weights = torch.rand(5, 7, dtype=torch.float64)
    weights = weights / weights.sum(1, keepdim=True)
    torch.testing.assert_close(sparsemax(weights), weights)


def test_gradient() -> None:
    scores = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sparsemax, (scores,))


def test_equal_scores_share_and_a_large_one_takes_all() -> None:
    torch.testing.assert_close(sparsemax(torch.zeros(4)), torch.full((4,), 0.25))
    assert sparsemax(torch.tensor([0.0, 3.0, 1.0])).tolist() == [0, 1, 0]
