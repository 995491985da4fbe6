"""Numbers of threads, set anew for each task: a peer may be right on fewer than we use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba
import torch

T = TypeVar("T")


def on_threads(threads: int, task: Callable[[], T]) -> Callable[[], T]:
    """The task on so many threads of torch and of our kernels.

    Both are set each time: where Numba and torch share an OpenMP, either changes the other's.
    """

    def run() -> T:
        numba.set_num_threads(threads)
        torch.set_num_threads(threads)
        return task()

    return run
