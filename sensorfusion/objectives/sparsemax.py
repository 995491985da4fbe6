"""Sparsemax: a softmax that reaches zero (mechanism M3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def sparsemax(scores: Tensor, dim: int = -1) -> Tensor:
    """Euclidean projection of scores on the probability simplex along `dim`.

    Martins and Astudillo 2016, "From softmax to sparsemax", algorithm 1; the gradient is the
    product with the Jacobian of their eq. 12: on the support, the cotangent minus its mean.
    """
    weights: Tensor = _Sparsemax.apply(scores, dim)  # type: ignore[no-untyped-call]
    return weights


class _Sparsemax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, dim: int) -> Tensor:
        shifted = scores - scores.amax(dim, keepdim=True)
        ordered = shifted.sort(dim, descending=True).values.movedim(dim, -1)
        counts = torch.arange(1, ordered.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
        excess = ordered.cumsum(-1) - 1
        support = (counts * ordered > excess).sum(-1, keepdim=True)
        threshold = excess.gather(-1, support - 1) / support
        weights = (shifted - threshold.movedim(-1, dim)).clamp(min=0)
        ctx.dim = dim
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        support = weights > 0
        mean = (gradient * support).sum(ctx.dim, keepdim=True) / support.sum(ctx.dim, keepdim=True)
        return (gradient - mean) * support, None
