"""Kernels of other engines, to and from our layout [K, C_in, C_out], last axis of K fastest.

Facts from the engines' sources; MinkowskiEngine keeps a bias as [1, C_out]:

| engine | shape | order of K |
|---|---|---|
| MinkowskiEngine | [K, C_in, C_out]; [C_in, C_out] for K = 1 | first axis fastest |
| torchsparse | as MinkowskiEngine | odd K: first axis fastest; even K: last axis fastest |
| spconv 1.x | [k0, k1, k2, C_in, C_out] | |
| spconv 2.x | [C_out, k0, k1, k2, C_in] | |
| dense torch | [C_out, C_in, k0, k1, k2] | |

A layer of spconv 2.x with a kernel of one cell reads its weight flat, as [C_in, C_out], whatever
the shape says (seen in 2.3.8). `from_layout` goes by the shape: give such a checkpoint's weight
as `weight.view(C_in, C_out)` with the layout "minkowski".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor

from sensorfusion.errors import CheckpointError, ConfigError

Layout = Literal["minkowski", "torchsparse", "spconv1", "spconv2", "dense"]


def from_layout(weight: Tensor, layout: Layout, kernel_size: Sequence[int]) -> Tensor:
    """A kernel [K, C_in, C_out] of ours from an engine's.

    Args:
        weight: the engine's kernel. layout: the engine. kernel_size: offsets per axis.

    Raises:
        CheckpointError: when the shape is not of this layout and size.
        ConfigError: for an unknown layout.
    """
    _require_layout(layout)
    axes, volume, shape = len(kernel_size), math.prod(kernel_size), tuple(weight.shape)
    if layout in ("minkowski", "torchsparse"):
        if volume == 1 and weight.ndim == 2:
            weight = weight[None]
        _require(weight.ndim == 3 and len(weight) == volume, shape, layout, kernel_size)
        if _first_axis_fastest(layout, volume):
            return _axes_reversed(weight, tuple(reversed(kernel_size)))
        return weight.contiguous()
    place = {"spconv1": 0, "spconv2": 1, "dense": 2}[layout]
    _require(
        weight.ndim == axes + 2 and shape[place : place + axes] == tuple(kernel_size),
        shape,
        layout,
        kernel_size,
    )
    if layout == "spconv2":
        weight = weight.movedim(0, -1)
    elif layout == "dense":
        weight = weight.movedim((1, 0), (-2, -1))
    return weight.flatten(0, axes - 1).contiguous()


def to_layout(weight_KIO: Tensor, layout: Layout, kernel_size: Sequence[int]) -> Tensor:
    """A kernel in an engine's layout from ours; the inverse of `from_layout`.

    K = 1 of MinkowskiEngine and torchsparse becomes [C_in, C_out], as their layers have it.
    """
    _require_layout(layout)
    shape = tuple(weight_KIO.shape)
    volume = math.prod(kernel_size)
    _require(len(shape) == 3 and shape[0] == volume, shape, "ours", kernel_size)
    if layout in ("minkowski", "torchsparse"):
        if volume == 1:
            return weight_KIO[0]
        if _first_axis_fastest(layout, volume):
            return _axes_reversed(weight_KIO, tuple(kernel_size))
        return weight_KIO
    weight = weight_KIO.view(*kernel_size, *shape[1:])
    if layout == "spconv2":
        weight = weight.movedim(-1, 0)
    elif layout == "dense":
        weight = weight.movedim((-1, -2), (0, 1))
    return weight.contiguous()


def _require_layout(layout: Layout) -> None:
    if layout not in get_args(Layout):
        raise ConfigError(
            f"no layout is named {layout!r}", remedy=f"known: {', '.join(get_args(Layout))}"
        )


def _first_axis_fastest(layout: Layout, volume: int) -> bool:
    return layout == "minkowski" or volume % 2 == 1


def _axes_reversed(weight_KIO: Tensor, listed_size: tuple[int, ...]) -> Tensor:
    """Offsets of a kernel listed row by row in one order of axes, in the opposite order."""
    axes = range(len(listed_size))
    weight = weight_KIO.reshape(*listed_size, *weight_KIO.shape[1:])
    return weight.permute(*reversed(axes), len(listed_size), len(listed_size) + 1).reshape(
        weight_KIO.shape
    )


def _require(fits: bool, shape: tuple[int, ...], layout: str, kernel_size: Sequence[int]) -> None:
    if not fits:
        raise CheckpointError(
            f"a kernel of shape {shape} is not of the {layout} layout for size {kernel_size}",
            where="sparse convolution weights",
            remedy="name the layout that the checkpoint was made with",
        )
