"""The CPU backend: one pass over tiles of output rows, products accumulated in registers."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorfusion.ops.backends.products import outer_products, products
from sensorfusion.ops.kernel_map import KernelMap
from sensorfusion.ops.pairs import PairLists
from sensorfusion.ops.threads import torch_threads


class Cpu:
    """float32 and float64; half precision is computed in float32.

    Runs on as many threads as torch is set to; results do not depend on their number.
    """

    def forward(self, features_NI: Tensor, weight_KIO: Tensor, kernel_map: KernelMap) -> Tensor:
        """See `Backend.forward`."""
        out_MO = _multiplied(_numpy(features_NI), _numpy(weight_KIO), kernel_map.pairs)
        return out_MO.to(features_NI.dtype)

    def backward(
        self,
        gradient_MO: Tensor,
        features_NI: Tensor,
        weight_KIO: Tensor,
        kernel_map: KernelMap,
        wanted: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        """See `Backend.backward`."""
        pairs, dtype = kernel_map.pairs, features_NI.dtype
        gradient = _numpy(gradient_MO)
        features = weight = None
        if wanted[0]:
            transposed_KOI = _numpy(weight_KIO).swapaxes(1, 2)
            features = _multiplied(gradient, transposed_KOI, pairs.swapped).to(dtype)
        if wanted[1]:
            rows = (pairs.in_rows.numpy(), pairs.out_rows.numpy())
            with torch_threads() as threads:
                found = outer_products(_numpy(features_NI), gradient, *rows, pairs.tiles, threads)
            weight = torch.from_numpy(found).to(dtype)
        return features, weight


def _multiplied(features_NI: NDArray[Any], weight_KIO: NDArray[Any], pairs: PairLists) -> Tensor:
    rows = (pairs.in_rows.numpy(), pairs.out_rows.numpy())
    with torch_threads():
        out_MO = products(features_NI, weight_KIO, *rows, pairs.tiles, pairs.outputs)
    return torch.from_numpy(out_MO)


def _numpy(tensor: Tensor) -> NDArray[Any]:
    wide = tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))
    found: NDArray[Any] = wide.contiguous().numpy()
    return found
