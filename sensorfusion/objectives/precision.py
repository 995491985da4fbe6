"""The precision in which objectives compute."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def at_least_float32(values: Tensor) -> Tensor:
    """Half-precision values as float32; others unchanged."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def full_precision(forward: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Run a term's forward outside autocast: logarithms and factorisations need the digits."""

    @functools.wraps(forward)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            return forward(*args, **kwargs)

    return wrapped
