"""Identities of entropic transport."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.sinkhorn import sinkhorn


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_marginals() -> None:
    plan = sinkhorn(draw(12, 5), epsilon=0.5, iterations=200)
    torch.testing.assert_close(plan.sum(1), torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close(plan.sum(0), torch.full((5,), 12 / 5, dtype=torch.float64))


def test_given_masses_are_met_and_a_row_of_no_mass_has_no_influence() -> None:
    scores = draw(6, 4)
    scores[2] = torch.nan
    rows = torch.tensor([0.1, 0.3, 0, 0.2, 0.15, 0.25], dtype=torch.float64)
    columns = torch.tensor([0.4, 0.1, 0.2, 0.3], dtype=torch.float64)
    plan = sinkhorn(scores, epsilon=0.5, iterations=500, row_mass_N=rows, column_mass_K=columns)
    torch.testing.assert_close(plan.sum(1), rows)
    torch.testing.assert_close(plan.sum(0), columns)
    kept = rows > 0
    alone = sinkhorn(
        scores[kept], epsilon=0.5, iterations=500, row_mass_N=rows[kept], column_mass_K=columns
    )
    torch.testing.assert_close(plan[kept], alone)


def _clear_scores(seed: int) -> torch.Tensor:
    """Random scores whose best assignment leads the second best by a clear margin."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        scores = torch.randn(5, 5, generator=generator, dtype=torch.float64)
        totals = sorted(float(scores[range(5), p].sum()) for p in permutations(range(5)))
        if totals[-1] - totals[-2] > 0.3:
            return scores


@pytest.mark.parametrize("seed", range(3))
def test_small_epsilon_is_the_best_assignment(seed: int) -> None:
    scores = _clear_scores(seed)
    rows, columns = linear_sum_assignment(scores.numpy(), maximize=True)
    best = float(scores[rows, columns].sum())
    for epsilon in (0.3, 0.1, 0.02):
        plan = sinkhorn(scores, epsilon=epsilon, iterations=4000)
        # The entropy of a plan of five rows of mass one lies between 0 and 5 log 5.
        assert best - float((plan * scores).sum()) <= epsilon * 5 * np.log(5)
    expected = torch.zeros(5, 5, dtype=torch.float64)
    expected[rows, columns] = 1
    torch.testing.assert_close(plan, expected, rtol=0, atol=0.02)


def test_optimality_scaled_kernel() -> None:
    # An optimal plan is diag(u) exp(scores / epsilon) diag(v): its log minus scores / epsilon
    # is a sum of a row term and a column term, so mixed second differences vanish.
    scores = draw(5, 4)
    residual = sinkhorn(scores, epsilon=0.3).log() - scores / 0.3
    mixed = residual - residual[:1] - residual[:, :1] + residual[:1, :1]
    torch.testing.assert_close(mixed, torch.zeros_like(mixed), rtol=0, atol=1e-12)


def test_scores_that_would_overflow_do_not() -> None:
    plan = sinkhorn(1e4 * torch.randn(8, 3), epsilon=0.05)
    assert plan.isfinite().all()
    torch.testing.assert_close(plan.sum(1), torch.ones(8))


def test_epsilon_has_to_be_positive() -> None:
    with pytest.raises(ConfigError, match="epsilon"):
        sinkhorn(draw(2, 2), epsilon=0.0)
