"""spconv's products (its Native algorithm) over our maps: for NVIDIA GPUs."""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sensorfusion.errors import ConfigError, MissingDependencyError
from sensorfusion.ops.kernel_map import KernelMap
from sensorfusion.ops.pairs import PairLists
from sensorfusion.ops.weights import from_layout, to_layout

REMEDY = "pip install -e '.[cuda]' (spconv-cu120 for Python 3.11, spconv-cu126 above)"


class Spconv:
    """float16 and float32; bfloat16, which spconv lacks, is computed in float32.

    Maps are ours, so that both rules of output sites hold. On the CPU spconv is for comparison
    only: on several threads its sums are wrong, and its backward pass asks for a GPU.

    Raises:
        MissingDependencyError: when spconv is not installed.
    """

    def __init__(self) -> None:
        try:
            self.ops = import_module("spconv.pytorch.ops")
        except ImportError as error:
            raise MissingDependencyError(f"spconv: {error}", remedy=REMEDY) from error
        self.algorithm: Any = self.ops.ConvAlgo.Native

    @staticmethod
    def has_cuda() -> bool:
        """Whether the installed spconv was built for GPUs."""
        try:
            return not import_module("spconv.cppconstants").CPU_ONLY_BUILD
        except ImportError:
            return False

    def forward(self, features_NI: Tensor, weight_KIO: Tensor, kernel_map: KernelMap) -> Tensor:
        """See `Backend.forward`."""
        pairs = kernel_map.pairs
        if not len(pairs.in_rows):
            return features_NI.new_zeros(pairs.outputs, weight_KIO.shape[2])
        features, weight = _working(features_NI), _working(weight_KIO)
        filters = to_layout(weight, "spconv2", kernel_map.kernel.size)
        out_MO: Tensor = self.ops.indice_conv(
            features.contiguous(), filters, *_padded(pairs), pairs.outputs, algo=self.algorithm
        )
        return out_MO.to(features_NI.dtype)

    def backward(
        self,
        gradient_MO: Tensor,
        features_NI: Tensor,
        weight_KIO: Tensor,
        kernel_map: KernelMap,
        wanted: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        """See `Backend.backward`; spconv always computes both gradients."""
        pairs, size = kernel_map.pairs, kernel_map.kernel.size
        if not len(pairs.in_rows):
            return torch.zeros_like(features_NI), torch.zeros_like(weight_KIO)
        features, filters = self.ops.indice_conv_backward(
            _working(features_NI).contiguous(),
            to_layout(_working(weight_KIO), "spconv2", size),
            _working(gradient_MO).contiguous(),
            *_padded(pairs),
            algo=self.algorithm,
        )
        weight = from_layout(filters, "spconv2", size)
        return features.to(features_NI.dtype), weight.to(weight_KIO.dtype)


def _working(tensor: Tensor) -> Tensor:
    if tensor.dtype == torch.float64 and tensor.is_cuda:
        raise ConfigError("spconv has no float64 on GPUs", remedy="use the torch backend")
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def _padded(pairs: PairLists) -> tuple[Tensor, Tensor]:
    """Spconv's lists: rows [2, K, longest] padded with -1, and the length of each."""
    lists_2KP = pairs.in_rows.new_full((2, pairs.volume, pairs.longest), -1)
    for offset in pairs.occupied:
        rows = torch.stack(pairs.of(offset))
        lists_2KP[:, offset, : rows.shape[1]] = rows
    lengths = [b - a for a, b in pairwise(pairs.starts)]
    return lists_2KP, torch.tensor(lengths, dtype=torch.int32, device=lists_2KP.device)
