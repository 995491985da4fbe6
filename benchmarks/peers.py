"""The CPU build of spconv as a peer: what must be patched so that it trains, and how to feed it."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import spconv.pytorch as spconv
import torch
from numpy.typing import NDArray
from spconv.pytorch import ops
from torch import Tensor


def patched() -> ModuleType:
    """spconv, whose backward pass asks for a CUDA stream even on the CPU, without that."""
    ops.get_current_stream = lambda: 0
    return spconv


def index_pairs(coordinates_N4: Tensor, shape: list[int]) -> Tensor:
    """Spconv's own map of a submanifold 3^3 convolution."""
    size, zero, one = [3] * 3, [0] * 3, [1] * 3
    native = spconv.ConvAlgo.Native
    return ops.get_indice_pairs(
        coordinates_N4, 1, shape, native, size, one, one, one, zero, True, False
    )


class SpconvSubM:
    """A submanifold 3^3 layer of spconv with its map already found."""

    def __init__(self, coordinates_N4: NDArray[np.int32], weight_KIO: Tensor) -> None:
        channels = weight_KIO.shape[1:]
        self.layer = patched().SubMConv3d(*channels, 3, bias=False, indice_key="map")
        with torch.no_grad():
            self.layer.weight.copy_(weight_KIO.view(3, 3, 3, *channels).movedim(-1, 0))
        self.coordinates = torch.from_numpy(coordinates_N4)
        self.shape = [int(n) + 1 for n in coordinates_N4.max(axis=0)[1:]]
        first = self._tensor(torch.zeros(len(coordinates_N4), channels[0]))
        with torch.no_grad():
            self.layer(first)
        self.maps = first.indice_dict

    def _tensor(self, features_NC: Tensor) -> spconv.SparseConvTensor:
        return spconv.SparseConvTensor(features_NC, self.coordinates, self.shape, 1)

    def __call__(self, features_NC: Tensor) -> Tensor:
        """Output features."""
        tensor = self._tensor(features_NC)
        tensor.indice_dict = self.maps
        return self.layer(tensor).features
