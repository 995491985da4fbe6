"""Lovász-softmax: a differentiable stand-in for the mean intersection over union."""

from __future__ import annotations

import torch
from torch import Tensor


def lovasz_softmax(chance_NC: Tensor, label_N: Tensor) -> Tensor:
    """Mean over the present classes of the Lovász extension of 1 - IoU; a scalar.

    Berman et al. 2018, "The Lovász-Softmax loss", equations 8, 9 and 11. Where every chance is 0
    or 1 it equals 1 - IoU of the chosen classes.

    Args:
        chance_NC: of each class, float [N, C]. label_N: int64 [N], 0 to C - 1, at least one.
    """
    losses = []
    for c in label_N.bincount().nonzero()[:, 0].tolist():
        true_N = (label_N == c).to(chance_NC.dtype)
        error_N, order_N = (true_N - chance_NC[:, c]).abs().sort(descending=True)
        true_N = true_N[order_N]
        kept_N = true_N.sum() - true_N.cumsum(0)
        jaccard_N = 1 - kept_N / (true_N.sum() + (1 - true_N).cumsum(0))
        losses.append(error_N @ jaccard_N.diff(prepend=jaccard_N.new_zeros(1)))
    return torch.stack(losses).mean()
