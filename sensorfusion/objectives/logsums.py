"""Sums and log-sum-exps of weighted pairs that stay finite where nothing counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sensorfusion.objectives.tiling import NOTHING
from sensorfusion.objectives.weights import Entries


def log_weight(weights: Tensor) -> Tensor:
    """Log of weights >= 0; `NOTHING` for 0."""
    some = weights > 0
    logs = torch.where(some, weights, torch.ones_like(weights)).log()
    return torch.where(some, logs, torch.full_like(logs, NOTHING))


def merge(logarithms: Sequence[Tensor]) -> Tensor:
    """Log of the sum of what several logarithms stand for."""
    return logarithms[0] if len(logarithms) == 1 else torch.stack(list(logarithms)).logsumexp(0)


def sum_by_row(entries: Entries, values_E: Tensor, size: int) -> Tensor:
    """Sum of listed values in each of `size` rows."""
    return values_E.new_zeros(size).index_add(0, entries.rows, values_E)


def logsumexp_by_row(entries: Entries, values_E: Tensor, size: int) -> Tensor:
    """Log-sum-exp of listed values in each of `size` rows; `NOTHING` where a row has none."""
    floor = values_E.new_full((size,), NOTHING)
    largest = floor.scatter_reduce(0, entries.rows, values_E.detach(), "amax")
    sums = sum_by_row(entries, (values_E - largest[entries.rows]).exp(), size)
    some = sums > 0
    logs = torch.where(some, sums, torch.ones_like(sums)).log()
    return torch.where(some, largest + logs, floor)
