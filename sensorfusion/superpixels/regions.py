"""Segments in one piece: connected parts of equal labels, small ones joined to a neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorfusion.compiled import inlined
from sensorfusion.errors import DataError

if TYPE_CHECKING:
    from sensorfusion.sample import Array


def connected(labels_HW: Array, smallest: int = 1) -> tuple[Array, int]:
    """Number the parts in which pixels of one label touch by their sides.

    A part of fewer than `smallest` pixels joins the segment left of its first pixel in reading
    order (above it at the left edge); only a part that holds the first pixel of the image stays
    small. So every segment is connected (the last step of SLIC, Achanta et al., TPAMI 2012,
    section 3.2).

    Args:
        labels_HW: any integers.

    Returns:
        Labels int32 [H, W], 0 to S - 1 in reading order of their first pixels; and S.

    Raises:
        DataError: when the labels are no table of integers.
    """
    if labels_HW.ndim != 2 or labels_HW.dtype.kind not in "iu":
        raise DataError(f"labels are {labels_HW.dtype} {labels_HW.shape}, expected integers [H, W]")
    labels_HW = np.ascontiguousarray(labels_HW, np.int64)
    segments_HW = np.empty(labels_HW.shape, np.int32)
    parent_R = np.empty(labels_HW.size, np.int32)
    return segments_HW, int(_connect(labels_HW, smallest, segments_HW, parent_R))


def connected_reference(labels_HW: Array, smallest: int = 1) -> tuple[Array, int]:
    """`connected` with SciPy's labelling, one label after another."""
    from scipy.ndimage import label as parts_of

    parts: list[tuple[int, Array]] = []
    for value in np.unique(labels_HW):
        numbered_HW, count = parts_of(labels_HW == value)
        parts += [(int((numbered_HW == i).argmax()), numbered_HW == i) for i in range(1, count + 1)]
    segments_HW = np.full(labels_HW.shape, -1, np.int32)
    size = 0
    for first, part_HW in sorted(parts, key=lambda part: part[0]):
        row, column = divmod(first, labels_HW.shape[1])
        if first and part_HW.sum() < smallest:
            before = (row, column - 1) if column else (row - 1, column)
            segments_HW[part_HW] = segments_HW[before]
        else:
            segments_HW[part_HW] = size
            size += 1
    return segments_HW, size


@inlined
def _connect(labels: Array, smallest: int, segments: Array, parent: Array) -> int:
    """Union of runs along rows; the root of a part is its first run in reading order."""
    height, width = labels.shape
    runs = -1
    for y in range(height):
        for x in range(width):
            same_left = x > 0 and labels[y, x] == labels[y, x - 1]
            if not same_left:
                runs += 1
                parent[runs] = runs
            segments[y, x] = runs
            if y > 0 and labels[y, x] == labels[y - 1, x]:
                # The pixel before it has joined the same two runs already.
                if same_left and segments[y - 1, x] == segments[y - 1, x - 1]:
                    continue
                _join(parent, runs, segments[y - 1, x])
    return _renumber(segments, parent, runs + 1, smallest)


@inlined
def _renumber(segments: Array, parent: Array, runs: int, smallest: int) -> int:
    height, width = segments.shape
    size = np.zeros(runs, np.int32)
    before = np.full(runs, -1, np.int32)
    for y in range(height):
        for x in range(width):
            run = segments[y, x]
            if x == 0 or segments[y, x - 1] != run:
                parent[run] = _root(parent, run)
                if parent[run] == run and (x > 0 or y > 0):
                    before[run] = segments[y, x - 1] if x > 0 else segments[y - 1, x]
            size[parent[run]] += 1
    count = 0
    final = np.empty(runs, np.int32)
    for run in range(runs):
        if parent[run] != run:
            final[run] = final[parent[run]]
        elif size[run] < smallest and before[run] >= 0:
            final[run] = final[before[run]]
        else:
            final[run] = count
            count += 1
    for y in range(height):
        for x in range(width):
            segments[y, x] = final[segments[y, x]]
    return count


@inlined
def _join(parent: Array, one: int, other: int) -> None:
    one, other = _root(parent, one), _root(parent, other)
    if one < other:
        parent[other] = one
    elif other < one:
        parent[one] = other


@inlined
def _root(parent: Array, run: int) -> int:
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run
