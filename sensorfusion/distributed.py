"""Collectives with exact gradients, for objectives over a batch that is spread over ranks.

One rule makes every objective independent of the number of ranks: *the scalars that the ranks
differentiate add up to the loss of the whole batch*. Under that rule the backward of a
collective is its true adjoint (a sum over ranks), and gradients of parameters are added, not
averaged, over ranks. An objective meets the rule in one of two ways:

- `sum_of_parts(part)`: a rank computes its own share, e.g. the rows of its own anchors against
  all gathered columns;
- `share_of(loss)`: every rank computes the same whole loss from gathered rows or summed
  statistics, and differentiates one world-size-th of it.

Both return the value of the whole batch on every rank.

All functions are collective: every rank calls the same ones in the same order, also when it
has no rows. A backward is collective too, so `loss.backward()` has to reach every gathered
tensor on every rank: terms never return early on a rank without rows, and rows that need no
gradient here take part in the backward when they need it elsewhere. (`torch.autograd.grad` with
chosen inputs prunes the graph and may leave the other ranks waiting.) Without an initialised
process group everything is the identity.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from sensorfusion.errors import ConfigError

_DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
_CODES = {dtype: code for code, dtype in enumerate(_DTYPES)}


def _initialised() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """The rank of this process; 0 without a process group."""
    return dist.get_rank() if _initialised() else 0


def world_size() -> int:
    """The number of ranks; 1 without a process group."""
    return dist.get_world_size() if _initialised() else 1


def gather(rows_N: Tensor) -> tuple[Tensor, slice]:
    """The rows of all ranks in rank order, and where this rank's rows are among them.

    Differentiable; the gradient of a row is the sum of what all ranks computed for it. Ranks
    may have different numbers of rows, none included, and different floating types (a rank
    without a sensor holds an empty tensor of the parameters' type): the widest is used.

    Args:
        rows_N: floating [N, ...]; all but the first dimension are equal on all ranks.

    Raises:
        ConfigError: on every rank, when the other dimensions differ.
    """
    if world_size() == 1:
        return rows_N, slice(0, len(rows_N))
    counts, dtype, differentiable = _agree(rows_N, len(rows_N))
    rows_N = _prepared(rows_N, dtype, differentiable)
    gathered: Tensor = _Gather.apply(rows_N, counts)  # type: ignore[no-untyped-call]
    return gathered, _slice_of(counts)


def gather_indices(rows_N: Tensor) -> Tensor:
    """Integer or boolean rows [N, ...] of all ranks in rank order, without gradient."""
    if world_size() == 1:
        return rows_N
    counts, _, _ = _agree(rows_N, len(rows_N))
    return _gather_rows(rows_N, counts)


def sum_over_ranks(values: Tensor) -> Tensor:
    """The sum over ranks of a floating tensor (e.g. a scalar), equal on every rank.

    Differentiable, with the adjoint as backward: the gradients that the ranks computed for the
    sum are added too. What follows from the sum is therefore to be passed through `share_of`.
    """
    if world_size() == 1:
        return values
    _, dtype, differentiable = _agree(values[None], 1)
    total: Tensor = _Sum.apply(  # type: ignore[no-untyped-call]
        _prepared(values, dtype, differentiable)
    )
    return total


def sum_of_parts(part: Tensor) -> Tensor:
    """Value: the sum over ranks of a scalar; gradient: that of this rank's part alone."""
    if world_size() == 1:
        return part
    total = part.detach().clone()
    dist.all_reduce(total)
    value: Tensor = _Replace.apply(part, total)  # type: ignore[no-untyped-call]
    return value


def share_of(loss: Tensor) -> Tensor:
    """A loss that all ranks computed alike, with its gradient divided by the number of ranks."""
    if world_size() == 1:
        return loss
    share: Tensor = _Replace.apply(  # type: ignore[no-untyped-call]
        loss / world_size(), loss.detach()
    )
    return share


def _agree(rows: Tensor, count: int) -> tuple[list[int], torch.dtype, bool]:
    """What all ranks have: counts of rows, the widest type, and whether any needs gradients."""
    differentiable = rows.requires_grad and torch.is_grad_enabled()
    code = _CODES.get(rows.dtype, len(_DTYPES))
    width = rows[:1].numel() if len(rows) else rows.new_empty(1, *rows.shape[1:]).numel()
    mine = torch.tensor([count, code, int(differentiable), width], device=rows.device)
    theirs = mine.new_empty(world_size() * len(mine))
    dist.all_gather_into_tensor(theirs, mine)
    counts, codes, flags, widths = theirs.view(-1, len(mine)).T.tolist()
    if len(set(widths)) > 1:
        raise ConfigError(
            f"rows of different widths on different ranks: {widths}",
            where=f"rank {rank()}, rows of shape {tuple(rows.shape)}",
            remedy="build the same model on every rank",
        )
    dtype = _DTYPES[min(codes)] if min(codes) < len(_DTYPES) else rows.dtype
    if len(set(codes)) > 1 and dtype is torch.bfloat16:
        dtype = torch.float32  # bfloat16 and float16: neither holds the other
    return counts, dtype, any(flags)


def _prepared(rows: Tensor, dtype: torch.dtype, differentiable: bool) -> Tensor:
    rows = rows.to(dtype)
    if differentiable and not rows.requires_grad:
        return rows.detach().requires_grad_()  # a leaf that only makes the backward come here
    return rows


def _slice_of(counts: list[int]) -> slice:
    start = sum(counts[: rank()])
    return slice(start, start + counts[rank()])


def _gather_rows(rows_N: Tensor, counts: list[int]) -> Tensor:
    sent = rows_N.to(torch.uint8) if rows_N.dtype == torch.bool else rows_N
    padded = sent.new_zeros(max(counts), *rows_N.shape[1:])
    padded[: len(rows_N)] = sent
    received = padded.new_empty(world_size() * max(counts), *rows_N.shape[1:])
    if received.numel():
        dist.all_gather_into_tensor(received, padded)
    blocks = received.view(world_size(), max(counts), *rows_N.shape[1:])
    rows = [block[:count] for block, count in zip(blocks, counts, strict=True)]
    return torch.cat(rows).to(rows_N.dtype)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows_N: Tensor, counts: list[int]) -> Tensor:
        ctx.mine = _slice_of(counts)
        return _gather_rows(rows_N, counts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _all_reduced(gradient)[ctx.mine], None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _all_reduced(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _all_reduced(gradient)


def _all_reduced(values: Tensor) -> Tensor:
    total = values.clone(memory_format=torch.contiguous_format)
    if total.numel():
        dist.all_reduce(total)
    return total


class _Replace(torch.autograd.Function):
    """The value of the second argument with the gradient of the first."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None
