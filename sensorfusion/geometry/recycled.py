"""Result arrays whose memory serves again: fresh pages can cost more than a kernel's own work."""

from __future__ import annotations

import math
import os
import sys
import sysconfig
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
ALIGNMENT = 64  # bytes, one cache line
SMALLEST, LARGEST = 2**16, 2**24  # bytes of an array; smaller ones rarely lie on fresh pages
MOST_BYTES, MOST_BLOCKS = 2**26, 64  # that a process keeps
WASTE = 1.25  # how much longer than an array its memory may be


def recycled(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """An uninitialised array, like `numpy.empty`, on memory that served before if there is any.

    Whether the system's allocator hands on memory or fetches fresh pages depends on all that the
    program has freed before. This memory serves again only when the array and all that views it,
    tensors and memoryviews too, are gone. A process keeps at most `MOST_BYTES` of unused memory; a
    forked one starts with none.
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if SMALLEST <= size <= LARGEST and not kind.hasobject:
        array = _pool.lend(shape, kind, size)
        if array is not None:
            return array
    return np.empty(shape, kind)


class _Block:
    """Memory that the pool refers to, and with it every array made of it.

    Views refer to what owns their memory, whatever they were made from. So when nothing but this
    object does, no view is left, and while nobody else has a view, nobody can make one.
    """

    __slots__ = ("alone", "memory", "offset", "size")

    def __init__(self, size: int) -> None:
        step = 2 ** max(size.bit_length() - 4, 0)  # so that somewhat larger arrays fit later
        self.size = -(-size // step) * step
        self.memory = np.empty(self.size + ALIGNMENT, dtype=np.uint8)
        self.offset = -self.memory.__array_interface__["data"][0] % ALIGNMENT
        self.alone = _references(self)


def _references(block: _Block) -> int:
    return sys.getrefcount(block.memory)


class _Pool:
    """The blocks that were lent last, in use or not, the latest at the end.

    To forget one that is in use costs nothing: it becomes ordinary memory of its array.
    """

    def __init__(self) -> None:
        self.blocks: list[_Block] = []
        self.lock = threading.Lock()

    def lend(self, shape: tuple[int, ...], kind: np.dtype[Any], size: int) -> Array | None:
        """An array; none while another thread, or this one further up, is asking."""
        if not COUNTS_ALL or not self.lock.acquire(blocking=False):
            return None
        try:
            block = self._free(size) or self._new(size)
            # Before the lock is released, so that the block is never seen without its user.
            return np.ndarray(shape, kind, block.memory, block.offset)
        finally:
            self.lock.release()

    def _free(self, size: int) -> _Block | None:
        for place in range(len(self.blocks) - 1, -1, -1):
            block = self.blocks[place]
            if size <= block.size <= WASTE * size and _references(block) == block.alone:
                self.blocks.append(self.blocks.pop(place))
                return block
        return None

    def _new(self, size: int) -> _Block:
        block = _Block(size)
        self.blocks.append(block)
        while sum(kept.size for kept in self.blocks) > MOST_BYTES or len(self.blocks) > MOST_BLOCKS:
            del self.blocks[0]
        return block


def _start_empty() -> None:
    global _pool
    _pool = _Pool()


# Elsewhere (threads without a global lock, PyPy) the references of an object are not all counted.
COUNTS_ALL = sys.implementation.name == "cpython" and not sysconfig.get_config_var(
    "Py_GIL_DISABLED"
)
_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_empty)
