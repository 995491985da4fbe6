"""Entropic optimal transport (mechanism M3)."""

from __future__ import annotations

import torch
from torch import Tensor

from sensorfusion.errors import ConfigError


@torch.no_grad()
def sinkhorn(
    scores_NK: Tensor,
    *,
    epsilon: float = 0.05,
    iterations: int = 3,
    row_mass_N: Tensor | None = None,
    column_mass_K: Tensor | None = None,
) -> Tensor:
    """The transport plan that gives high scores much mass, without gradient.

    Maximises sum(plan * scores) + epsilon * entropy(plan) under the marginals (Cuturi 2013,
    "Sinkhorn distances"; as balanced codes of prototypes: Asano et al. 2020, Caron et al. 2020,
    "SwAV"). Computed on logarithms: no small `epsilon` overflows. Columns are scaled first,
    rows last, so that the rows' masses are met exactly and the columns' up to convergence.

    By default every row has mass one (a plan's row is a soft code) and all columns have the
    same mass. As epsilon goes to zero, with N = K, the plan becomes the best assignment.

    Args:
        scores_NK: similarities, [N, K]; none is needed for a row of zero mass.
        epsilon: how soft the plan is, in the unit of the scores.
        iterations: rounds of scaling columns and rows (0: a softmax over each row).
        row_mass_N: mass of the rows. column_mass_K: mass of the columns; their sums agree.

    Returns:
        The plan [N, K], in float32 at least.

    Raises:
        ConfigError: when `epsilon` is not positive.
    """
    if epsilon <= 0:
        raise ConfigError(f"epsilon is {epsilon}", remedy="use a positive value; smaller is harder")
    dtype = torch.promote_types(scores_NK.dtype, torch.float32)
    log_NK = scores_NK.to(dtype) / epsilon
    rows, columns = scores_NK.shape
    if row_mass_N is None:
        row_mass_N = log_NK.new_ones(rows)
    if column_mass_K is None:
        column_mass_K = (row_mass_N.sum() / columns).expand(columns)
    log_row, log_column = row_mass_N.to(dtype).log()[:, None], column_mass_K.to(dtype).log()
    empty_N1 = torch.isneginf(log_row)
    log_NK = log_NK.masked_fill(empty_N1, -torch.inf)
    for _ in range(iterations):
        log_NK = log_NK + log_column - _log_sum(log_NK, 0)
        log_NK = log_NK + log_row.masked_fill(empty_N1, 0) - _log_sum(log_NK, 1)
    return (log_NK + log_row.masked_fill(empty_N1, 0) - _log_sum(log_NK, 1)).exp()


def _log_sum(log_NK: Tensor, dim: int) -> Tensor:
    total = log_NK.logsumexp(dim, keepdim=True)
    return total.masked_fill(torch.isneginf(total), 0)  # nothing to scale
