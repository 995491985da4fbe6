"""Dense modules on the features of every site."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.ops.tensor import SparseTensor

NARROW = (torch.float16, torch.bfloat16)  # torch normalises them by wider numbers, too


class PerSite(nn.Module):
    """Applies a module for rows of features, such as `nn.Linear`, `nn.ReLU` or a norm.

    Args:
        module: maps [N, C] to [N, C'].
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        return tensor.replace(self.module(tensor.features))


class ReLU(nn.Module):
    """Rectified features.

    Args:
        inplace: overwrite the features of the input.
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        return tensor.replace(F.relu(tensor.features, inplace=self.inplace))


class BatchNorm(nn.Module):
    """Batch normalisation over all sites of the batch.

    A level with fewer than two sites has no statistics: while training it is normalised by the
    running ones, which it leaves as they are.

    Args:
        channels: features per site. eps, momentum: as in `nn.BatchNorm1d`.

    Raises:
        ConfigError: for channels below 1, or an eps that is not above 0.
        DataError: from `forward`, for features of other channels, or wider than float32 where
            the norm's numbers are not.
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        if channels < 1 or not 0 < eps < math.inf or not math.isfinite(momentum):
            raise ConfigError(
                f"channels {channels}, eps {eps}, momentum {momentum}", where="BatchNorm"
            )
        self.bn = nn.BatchNorm1d(channels, eps=eps, momentum=momentum)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        mine, given = self.bn.weight.dtype, tensor.features.dtype
        if tensor.channels != self.bn.num_features or given not in (mine, *NARROW):
            raise DataError(
                f"features {tuple(tensor.features.shape)} of {given} for "
                f"{self.bn.num_features} channels of {mine}",
                where="BatchNorm",
            )
        if self.training and len(tensor) < 2:
            return tensor.replace(self._by_running_statistics(tensor.features))
        return tensor.replace(self.bn(tensor.features))

    def _by_running_statistics(self, features_NC: Tensor) -> Tensor:
        bn = self.bn
        return F.batch_norm(
            features_NC, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps
        )
