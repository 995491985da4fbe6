"""What a backend of sparse convolutions does."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from sensorfusion.ops.kernel_map import KernelMap


class Backend(Protocol):
    """Products over a kernel map, forward and backward; sums are accumulated in float32 or wider.

    `forward` computes out[o] = sum over offsets k and pairs (i, o) of features[i] @ weight[k].
    """

    def forward(self, features_NI: Tensor, weight_KIO: Tensor, kernel_map: KernelMap) -> Tensor:
        """Output features [M, C_out] of input features [N, C_in], in the inputs' dtype."""
        ...

    def backward(
        self,
        gradient_MO: Tensor,
        features_NI: Tensor,
        weight_KIO: Tensor,
        kernel_map: KernelMap,
        wanted: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of features [N, C_in] and weight [K, C_in, C_out]; None where not wanted."""
        ...
