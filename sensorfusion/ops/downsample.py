"""The output sites of strided layers."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.ops.kernel import Kernel
from sensorfusion.ops.packing import INT32, Grid, pack, unpack
from sensorfusion.ops.sites import Sites, coordinate_bounds

Rule = Literal["floor", "touched"]
"""How strided layers choose their output sites.

floor: the distinct floor(coordinate / stride), whatever the kernel: nothing is dropped
(MinkowskiEngine's rule). touched: every site whose window touches an active site; within the
output's shape where the input has a spatial shape, so that the last plane of an odd length may
feed nothing (spconv's rule).
"""


def coarser_sites(sites: Sites, kernel: Kernel, rule: Rule) -> Sites:
    """Output sites of a strided layer, in ascending order.

    Raises:
        ConfigError: for an unknown rule.
        DataError: for sites outside int32.
    """
    require_rule(rule)
    if rule == "floor":
        shape = sites.spatial_shape and tuple(
            -(-length // s) for length, s in zip(sites.spatial_shape, kernel.stride, strict=True)
        )
        found_MX = _floored(sites, kernel)
    else:
        shape = sites.spatial_shape and touched_shape(sites.spatial_shape, kernel)
        found_MX = _touched(sites, kernel, shape)
    stride = tuple(a * b for a, b in zip(sites.stride, kernel.stride, strict=True))
    return Sites(_distinct(found_MX, sites.batch_size), sites.batch_size, stride, shape)


def require_rule(rule: Rule) -> Rule:
    """The rule, when it is one; else `ConfigError`."""
    if rule not in get_args(Rule):
        raise ConfigError(
            f"no rule of output sites is named {rule!r}",
            remedy=f"known: {', '.join(get_args(Rule))}",
        )
    return rule


def touched_shape(shape: tuple[int, ...], kernel: Kernel) -> tuple[int, ...]:
    """Cells per axis of a convolution's output."""
    axes = zip(shape, kernel.size, kernel.stride, kernel.padding, kernel.dilation, strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)


def _floored(sites: Sites, kernel: Kernel) -> Tensor:
    divisor_X = torch.tensor([1, *kernel.stride], dtype=torch.int32, device=sites.device)
    return torch.div(sites.coordinates, divisor_X, rounding_mode="floor")


def _touched(sites: Sites, kernel: Kernel, shape: tuple[int, ...] | None) -> Tensor:
    stride_A = torch.tensor(kernel.stride, device=sites.device)
    coordinates_NX = sites.coordinates.long()
    found = []
    for step in kernel.steps():
        shifted_NA = coordinates_NX[:, 1:] - torch.tensor(step, device=sites.device)
        cell_NA = torch.div(shifted_NA, stride_A, rounding_mode="floor")
        keep_N = (cell_NA * stride_A == shifted_NA).all(dim=1)
        if shape is not None:
            bound_A = torch.tensor(shape, device=sites.device)
            keep_N &= ((cell_NA >= 0) & (cell_NA < bound_A)).all(dim=1)
        found.append(torch.cat([coordinates_NX[:, :1], cell_NA], dim=1)[keep_N])
    return torch.cat(found)


def _distinct(coordinates_MX: Tensor, batch_size: int) -> Tensor:
    lower, upper = coordinate_bounds(coordinates_MX)
    if min(lower) < INT32.min or max(upper) > INT32.max:
        raise DataError(
            f"output sites from {min(lower)} to {max(upper)} leave int32",
            where="a strided layer",
        )
    grid = Grid.around(batch_size, lower, upper, (0,) * len(lower))
    return unpack(torch.unique(pack(coordinates_MX, grid)), grid)
