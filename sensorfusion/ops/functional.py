"""Sparse convolutions as functions of a tensor and a weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sensorfusion.errors import DataError
from sensorfusion.ops.backends import backend_for
from sensorfusion.ops.backends.backend import Backend
from sensorfusion.ops.downsample import Rule
from sensorfusion.ops.kernel import Kernel
from sensorfusion.ops.kernel_map import KernelMap
from sensorfusion.ops.tensor import SparseTensor

Size = int | Sequence[int]


def submanifold_convolution(
    tensor: SparseTensor,
    weight_KIO: Tensor,
    bias_O: Tensor | None = None,
    *,
    kernel_size: Size,
    dilation: Size = 1,
    backend: str | None = None,
) -> SparseTensor:
    """Convolution whose output sites are its input sites (Graham et al. 2018, section 3).

    Kernels of odd size are centred; those of even size begin at the cell itself.

    Args:
        weight_KIO: [K, C_in, C_out], offsets in the order of `Kernel`. bias_O: [C_out].

    Raises:
        DataError: for a weight or features that do not fit each other.
    """
    kernel = Kernel.of(tensor.sites.axes, kernel_size, dilation=dilation)
    kernel_map = tensor.levels.submanifold(tensor.path, kernel)
    return tensor.replace(convolve(tensor.features, weight_KIO, kernel_map, bias_O, backend))


def sparse_convolution(
    tensor: SparseTensor,
    weight_KIO: Tensor,
    bias_O: Tensor | None = None,
    *,
    kernel_size: Size,
    stride: Size,
    padding: Size | None = None,
    output_sites: Rule = "floor",
    backend: str | None = None,
) -> SparseTensor:
    """Strided convolution: out[o] = sum over k of W[k] in[o * stride - padding + k].

    Args:
        weight_KIO, bias_O: as in `submanifold_convolution`. padding: as in `Kernel.of`.
        output_sites: "floor" for the distinct floor(coordinate / stride); "touched" for every
            site whose window touches an active one (see `downsample.Rule`).
    """
    kernel = Kernel.of(tensor.sites.axes, kernel_size, stride, padding)
    path, kernel_map = tensor.levels.down(tensor.path, kernel, output_sites)
    features_MO = convolve(tensor.features, weight_KIO, kernel_map, bias_O, backend)
    return SparseTensor.at(tensor.levels, path, features_MO)


def inverse_convolution(
    tensor: SparseTensor,
    weight_KIO: Tensor,
    bias_O: Tensor | None = None,
    *,
    kernel_size: Size,
    stride: Size,
    padding: Size | None = None,
    backend: str | None = None,
) -> SparseTensor:
    """Back to the sites before the strided layer: out[o * stride - padding + k] += W[k] in[o].

    Args:
        weight_KIO, bias_O: as in `submanifold_convolution`. padding: as in `Kernel.of`.

    Raises:
        ConfigError: when no strided layer with this stride made the tensor's level.
    """
    kernel = Kernel.of(tensor.sites.axes, kernel_size, stride, padding)
    path, kernel_map = tensor.levels.up(tensor.path, kernel)
    features_MO = convolve(tensor.features, weight_KIO, kernel_map, bias_O, backend)
    return SparseTensor.at(tensor.levels, path, features_MO)


def convolve(
    features_NI: Tensor,
    weight_KIO: Tensor,
    kernel_map: KernelMap,
    bias_O: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Output features [M, C_out] over a kernel map; autocast applies to features and weight.

    Raises:
        DataError: for features, weight or bias that do not fit each other or the map.
    """
    _check_shapes(features_NI, weight_KIO, kernel_map, bias_O)
    device = features_NI.device.type
    if torch.is_autocast_enabled(device) and features_NI.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(device)
        features_NI, weight_KIO = features_NI.to(dtype), weight_KIO.to(dtype)
        bias_O = None if bias_O is None else bias_O.to(dtype)
    types = [tensor.dtype for tensor in (features_NI, weight_KIO, bias_O) if tensor is not None]
    if len(set(types)) > 1 or not features_NI.is_floating_point():
        raise DataError(
            f"features, weight and bias of {', '.join(map(str, types))}",
            where="sparse convolution",
            remedy="convert them to one floating type, or compute under torch.autocast",
        )
    chosen = backend_for(features_NI.device, backend)
    with torch.autocast(device, enabled=False):
        out_MO: Tensor = _Convolution.apply(  # type: ignore[no-untyped-call]
            features_NI, weight_KIO, kernel_map, chosen
        )
    return out_MO if bias_O is None else out_MO + bias_O


def _check_shapes(
    features_NI: Tensor, weight_KIO: Tensor, kernel_map: KernelMap, bias_O: Tensor | None
) -> None:
    volume, rows = kernel_map.kernel.volume, len(kernel_map.inputs)
    shape, weight = tuple(features_NI.shape), tuple(weight_KIO.shape)
    channels = shape[-1] if shape else 0
    fits = len(shape) == 2 and shape[0] == rows and len(weight) == 3
    if not fits or weight[:2] != (volume, shape[1]):
        raise DataError(
            f"weight {weight} and features {shape} for {channels} channels, {rows} sites and "
            f"{volume} offsets",
            where="sparse convolution",
            remedy="give features [N, C_in] and a weight [K, C_in, C_out]",
        )
    if bias_O is not None and tuple(bias_O.shape) != weight[2:]:
        raise DataError(
            f"bias {tuple(bias_O.shape)} and weight {weight}",
            where="sparse convolution",
            remedy="give a bias [C_out]",
        )


class _Convolution(torch.autograd.Function):
    """Gradients by the backend that computed the output."""

    @staticmethod
    def forward(
        ctx: Any, features_NI: Tensor, weight_KIO: Tensor, kernel_map: KernelMap, backend: Backend
    ) -> Tensor:
        ctx.save_for_backward(features_NI, weight_KIO)
        ctx.kernel_map, ctx.backend = kernel_map, backend
        return backend.forward(features_NI, weight_KIO, kernel_map)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_MO: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        wanted = ctx.needs_input_grad[:2]
        gradients = ctx.backend.backward(
            gradient_MO.contiguous(), *ctx.saved_tensors, ctx.kernel_map, wanted
        )
        return (*gradients, None, None)
