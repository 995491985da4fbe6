"""Dense convolution over the zero-filled grid, read at the output sites: slow, and the oracle."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from sensorfusion.errors import DataError
from sensorfusion.ops.kernel_map import KernelMap
from sensorfusion.ops.packing import Grid
from sensorfusion.ops.pair_search import common_grid
from sensorfusion.ops.sites import Sites

MOST_CELLS = 2**24
CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


class Reference:
    """Looks at coordinates only, never at pairs of rows."""

    def forward(self, features_NI: Tensor, weight_KIO: Tensor, kernel_map: KernelMap) -> Tensor:
        """See `Backend.forward`."""
        return dense_convolution(features_NI, weight_KIO, kernel_map)

    def backward(
        self,
        gradient_MO: Tensor,
        features_NI: Tensor,
        weight_KIO: Tensor,
        kernel_map: KernelMap,
        wanted: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        """See `Backend.backward`."""
        with torch.enable_grad():
            inputs = (
                features_NI.detach().requires_grad_(wanted[0]),
                weight_KIO.detach().requires_grad_(wanted[1]),
            )
            out_MO = dense_convolution(*inputs, kernel_map)
        needed = [tensor for tensor in inputs if tensor.requires_grad]
        found = iter(torch.autograd.grad(out_MO, needed, gradient_MO, materialize_grads=True))
        return (next(found) if wanted[0] else None), (next(found) if wanted[1] else None)


def dense_convolution(features_NI: Tensor, weight_KIO: Tensor, kernel_map: KernelMap) -> Tensor:
    """Output features [M, C_out] by torch's dense convolution, stride 1, on a grid of all cells.

    Raises:
        DataError: when the grid has more than 2^24 cells.
    """
    kernel = kernel_map.kernel
    inverse = kernel_map.inverse_of is not None
    fine, coarse = kernel_map.inputs, kernel_map.outputs
    if inverse:
        fine, coarse = coarse, fine
    grid = common_grid(fine, coarse, kernel)
    cells = grid.batch_size * math.prod(grid.extents)
    if cells > MOST_CELLS:
        raise DataError(
            f"{cells} cells for the reference of sparse convolution, at most {MOST_CELLS}",
            remedy="use another backend",
        )
    fine_cells = _cells(fine, grid, (1,) * fine.axes, (0,) * fine.axes)
    first_cells = _cells(coarse, grid, kernel.stride, kernel.padding)
    dtype = torch.promote_types(features_NI.dtype, torch.float32)
    weight = weight_KIO.to(dtype).reshape(*kernel.size, *weight_KIO.shape[1:])
    shape = (grid.batch_size, *grid.extents, features_NI.shape[1])
    source = first_cells if inverse else fine_cells
    field = torch.zeros(shape, dtype=dtype, device=features_NI.device)
    field = field.index_put(source, features_NI.to(dtype)).movedim(-1, 1)
    if inverse:
        weight = weight.movedim((-2, -1), (0, 1))
        out = TRANSPOSED[fine.axes](field, weight, dilation=kernel.dilation)
        return out.movedim(1, -1)[fine_cells].to(features_NI.dtype)
    weight = weight.movedim((-1, -2), (0, 1))
    out = CONVOLUTIONS[fine.axes](field, weight, dilation=kernel.dilation)
    return out.movedim(1, -1)[first_cells].to(features_NI.dtype)


def _cells(
    sites: Sites, grid: Grid, stride: tuple[int, ...], padding: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """Per column the place in a dense field of coordinate * stride - padding."""
    item, *axes = sites.coordinates.long().unbind(1)
    per_axis = zip(axes, stride, padding, grid.lower, strict=True)
    return (item, *(c * s - p - low for c, s, p, low in per_axis))
