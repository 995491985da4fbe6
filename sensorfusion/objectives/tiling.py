"""Row reductions of a matrix of logits that never exists as a whole.

Tiles are computed once forwards and once more backwards; between the two only one number per
row and stream is kept. Peak memory is a few tiles, whatever the number of rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Log-weight of a pair that does not count. Finite, so that a row in which nothing counts has
# a finite log-sum-exp and no NaN gradient.
NOTHING = -1e30
TILE = 768

Place = tuple[slice, slice]
TileFunction = Callable[[Tensor, Place], tuple[Tensor, ...]]


def reduce_rows(
    function: TileFunction,
    rows_RD: Tensor,
    columns_CD: Tensor,
    bias: Tensor,
    *,
    logs: int,
    inputs: Sequence[Tensor] = (),
    tile: int = TILE,
) -> tuple[Tensor, ...]:
    """Reduce what `function` makes of each tile of `rows @ columns.T + bias` over the columns.

    Args:
        function: (logits [r, c], (row slice, column slice)) -> tiles [r, c]. It may write into
            the logits. The first `logs` tiles are reduced by log-sum-exp, the others by sum.
        rows_RD, columns_CD, bias: what the logits are made of; bias is a scalar tensor.
        inputs: other tensors that the function's result depends on, if they need a gradient.
        tile: rows and columns of a tile.

    Returns:
        one vector [R] per tile that the function returns; a log-sum-exp over nothing is NOTHING.
    """
    reduced: tuple[Tensor, ...] = _Reduction.apply(  # type: ignore[no-untyped-call]
        function, logs, tile, rows_RD, columns_CD, bias, *inputs
    )
    return reduced


class _Reduction(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        function: TileFunction,
        logs: int,
        tile: int,
        rows: Tensor,
        columns: Tensor,
        bias: Tensor,
        *inputs: Tensor,
    ) -> tuple[Tensor, ...]:
        reduced: list[Tensor] = []
        for r, strip in _strips(rows, columns, tile):
            parts = [_reduce(function(_logits(rows, columns, bias, p), p), logs) for p in strip]
            merged = [_merge(stream, i < logs) for i, stream in enumerate(zip(*parts, strict=True))]
            if not reduced:
                reduced = [rows.new_empty(len(rows)) for _ in merged]
            for whole, part in zip(reduced, merged, strict=True):
                whole[r] = part
        ctx.function, ctx.logs, ctx.tile = function, logs, tile
        ctx.save_for_backward(rows, columns, bias, *reduced[:logs], *inputs)
        return tuple(reduced)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, columns, bias, *rest = ctx.saved_tensors
        logs, inputs = rest[: ctx.logs], rest[ctx.logs :]
        into = [torch.zeros_like(tensor) for tensor in (rows, columns, bias, *inputs)]
        for r, strip in _strips(rows, columns, ctx.tile):
            outer = [gradient[r, None] for gradient in gradients]
            merged = [log[r, None] for log in logs]
            for place in strip:
                wanted = [rows[r].detach(), columns[place[1]].detach(), bias.detach()]
                for tensor, needed in zip(wanted, ctx.needs_input_grad[3:6], strict=True):
                    tensor.requires_grad_(needed)
                targets = [into[0][r], into[1][place[1]], *into[2:]]
                found = _tile_gradients(ctx.function, wanted, inputs, place, merged, outer)
                for target, gradient in zip(targets, found, strict=True):
                    if gradient is not None:
                        target += gradient
        return None, None, None, *into


def _tile_gradients(
    function: TileFunction,
    parts: Sequence[Tensor],
    inputs: Sequence[Tensor],
    place: Place,
    merged: Sequence[Tensor],
    outer: Sequence[Tensor],
) -> list[Tensor | None]:
    """Gradients of one tile with respect to its rows, columns and bias, and to other inputs."""
    with torch.enable_grad():
        rows, columns, bias = parts
        tiles = function(torch.addmm(bias, rows, columns.T), place)
    gradients = [gradient.expand_as(tile) for tile, gradient in zip(tiles, outer, strict=True)]
    for i, log in enumerate(merged):
        gradients[i] = (tiles[i].detach() - log).exp_().mul_(gradients[i])
    used = [i for i, tile in enumerate(tiles) if tile.requires_grad]
    wanted = [*parts, *inputs]
    needed = [i for i, tensor in enumerate(wanted) if tensor.requires_grad]
    found: list[Tensor | None] = [None] * len(wanted)
    if used and needed:
        some = torch.autograd.grad(
            [tiles[i] for i in used],
            [wanted[i] for i in needed],
            [gradients[i] for i in used],
            allow_unused=True,
        )
        for i, gradient in zip(needed, some, strict=True):
            found[i] = gradient
    return found


def _strips(rows: Tensor, columns: Tensor, tile: int) -> Iterator[tuple[slice, list[Place]]]:
    """Row slices, each with the tiles of its strip; at least one, if an empty one."""
    for r in _slices(len(rows), tile):
        yield r, [(r, c) for c in _slices(len(columns), tile)]


def _slices(size: int, step: int) -> list[slice]:
    return [slice(a, min(a + step, size)) for a in range(0, max(size, 1), step)]


def _logits(rows: Tensor, columns: Tensor, bias: Tensor, place: Place) -> Tensor:
    return torch.addmm(bias, rows[place[0]], columns[place[1]].T)


def _reduce(tiles: Sequence[Tensor], logs: int) -> list[Tensor]:
    return [logsumexp(t) if i < logs else t.sum(1) for i, t in enumerate(tiles)]


def _merge(parts: Sequence[Tensor], is_log: bool) -> Tensor:
    if len(parts) == 1:
        return parts[0]
    stacked = torch.stack(list(parts))
    return stacked.logsumexp(0) if is_log else stacked.sum(0)


def logsumexp(values_RC: Tensor) -> Tensor:
    """Log-sum-exp over the last dimension; NOTHING where there is no column."""
    if values_RC.shape[-1] == 0:
        return values_RC.new_full(values_RC.shape[:-1], NOTHING)
    return values_RC.logsumexp(-1)
