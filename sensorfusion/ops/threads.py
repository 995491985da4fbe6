"""Threads of kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch

from sensorfusion.compiled import kernel_threads


@contextmanager
def torch_threads() -> Iterator[int]:
    """Inside, kernels run on as many threads as torch is set to; yields their number."""
    before = kernel_threads()
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    threads = min(torch.get_num_threads(), most)
    numba.set_num_threads(threads)
    try:
        yield threads
    finally:
        numba.set_num_threads(before)
