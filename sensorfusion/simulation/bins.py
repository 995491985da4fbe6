"""Rectangles listed by the cells of a grid that they meet, so that a ray reads one short list."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import compiled

Array = npt.NDArray[Any]


def bin_rectangles(
    cells_KP4: Array, order_KP: Array, size: tuple[int, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Lists of the rectangles that meet each cell of K grids.

    Args:
        cells_KP4: int32 first and last row, first and last column of cells of each rectangle,
            inside the grid; none where a last one is below its first.
        order_KP: the order in which lists name them. size: rows and columns of a grid.

    Returns:
        Starts [K rows columns + 1], and the rectangles' numbers, int32, list after list.
    """
    count = len(cells_KP4)
    order = np.ascontiguousarray(order_KP, dtype=np.int64)
    cursors = np.zeros((count, *size), dtype=np.int64)
    _list(cells_KP4, order, cursors, np.empty(0, np.int32))
    starts = np.zeros(cursors.size + 1, dtype=np.int64)
    np.cumsum(cursors.ravel(), out=starts[1:])
    entries = np.empty(starts[-1], np.int32)
    if len(entries):
        _list(cells_KP4, order, starts[:-1].reshape(cursors.shape).copy(), entries)
    return starts, entries


def bin_rectangles_reference(
    cells_KP4: Array, order_KP: Array, size: tuple[int, int]
) -> list[list[int]]:
    """The lists of `bin_rectangles`, cell by cell."""
    lists = []
    for k, i, j in np.ndindex(len(cells_KP4), *size):
        top, bottom, left, right = cells_KP4[k].T
        meets = (top <= i) & (i <= bottom) & (left <= j) & (j <= right)
        lists.append([int(p) for p in order_KP[k] if meets[p]])
    return lists


@compiled()
def _list(cells: Array, order: Array, cursors: Array, entries: Array) -> None:
    """Counts the entries of every cell, or, given room for them, writes them at the cursors."""
    for k in numba.prange(cells.shape[0]):
        for n in range(order.shape[1]):
            p = order[k, n]
            for i in range(cells[k, p, 0], cells[k, p, 1] + 1):
                for j in range(cells[k, p, 2], cells[k, p, 3] + 1):
                    if entries.shape[0] > 0:
                        entries[cursors[k, i, j]] = p
                    cursors[k, i, j] += 1
