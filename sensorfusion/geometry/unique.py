"""Different keys among many, sorted: what voxels, cells and output sites are found with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import compiled, inlined
from sensorfusion.geometry.scratch import scratch

Array = npt.NDArray[Any]
Int64 = npt.NDArray[np.int64]
PARTS = 8  # of the rows, for threads
DIGIT = 11  # bits by which one pass sorts: the counters of a part stay in the first-level cache


@dataclass(frozen=True, eq=False)
class Unique:
    """The V different keys of N rows, in ascending order.

    Args:
        first_V: int64, the first row that has each key. counts_V: int64, how many have it.
        inverse_N: int64, which of the V keys each row has; -1 for rows that were left out.
    """

    first_V: Int64
    counts_V: Int64
    inverse_N: Int64

    def __len__(self) -> int:
        return len(self.first_V)


def unique_keys(keys_N: Int64, limit: int) -> Unique:
    """Sort keys and number the different ones; `keys_N[unique.first_V]` are their values.

    Args:
        keys_N: contiguous int64 in [0, limit]; rows whose key is `limit` are left out.
        limit: at most 2^62.
    """
    shift, bits = len(keys_N).bit_length(), limit.bit_length()
    if shift + bits > 63:  # key and row do not fit one number
        return unique_keys_reference(keys_N, limit)
    marked_2N = scratch("unique_keys", (2, len(keys_N)), np.uint64)
    sorted_N = _sort(keys_N, marked_2N[0], marked_2N[1], shift, bits)
    return Unique(*_number(sorted_N.view(np.int64), shift, limit))


def unique_keys_reference(keys_N: Int64, limit: int) -> Unique:
    """What `unique_keys` does, by `numpy.unique`."""
    keys, first, inverse, counts = np.unique(
        keys_N, return_index=True, return_inverse=True, return_counts=True
    )
    inside = keys < limit
    inverse_N = np.where(keys_N < limit, inverse.reshape(-1), -1)
    return Unique(first[inside], counts[inside], inverse_N)


@compiled()
def _sort(keys: Array, marked: Array, moved: Array, shift: int, bits: int) -> Array:
    """Keys, with their rows in the bits below `shift`, sorted digit by digit from the lowest."""
    rows = keys.shape[0]
    part = (rows + PARTS - 1) // PARTS
    passes = max(1, (bits + DIGIT - 1) // DIGIT)
    width = (bits + passes - 1) // passes
    places = np.empty((PARTS, 1 << width), dtype=np.uint64)
    for step in range(passes):
        low = shift + step * width
        for p in numba.prange(PARTS):
            first, last = min(rows, p * part), min(rows, (p + 1) * part)
            if step == 0:
                _mark(keys[first:last], first, shift, marked[first:last])
            _count(marked[first:last], low, places[p])
        _count_to_places(places)
        for p in numba.prange(PARTS):
            _move(marked[min(rows, p * part) : (p + 1) * part], low, places[p], moved)
        marked, moved = moved, marked
    return marked


@inlined
def _mark(keys: Array, first: int, shift: int, marked: Array) -> None:
    for i in range(keys.shape[0]):
        marked[i] = (np.uint64(keys[i]) << np.uint64(shift)) | np.uint64(first + i)


@inlined
def _count(marked: Array, low: int, counts: Array) -> None:
    """How often each digit occurs."""
    mask = np.uint64(counts.shape[0] - 1)
    counts[:] = 0
    for i in range(marked.shape[0]):
        counts[(marked[i] >> np.uint64(low)) & mask] += np.uint64(1)


@inlined
def _count_to_places(counts: Array) -> None:
    """Where the first row of each digit goes, by part, from how many there are."""
    place = np.uint64(0)
    for digit in range(counts.shape[1]):
        for p in range(PARTS):
            count = counts[p, digit]
            counts[p, digit] = place
            place += count


@inlined
def _move(marked: Array, low: int, places: Array, moved: Array) -> None:
    mask = np.uint64(places.shape[0] - 1)
    for i in range(marked.shape[0]):
        digit = (marked[i] >> np.uint64(low)) & mask
        moved[places[digit]] = marked[i]
        places[digit] += np.uint64(1)


@compiled()
def _number(marked: Array, shift: int, limit: int) -> tuple[Array, Array, Array]:
    """Number the runs of equal keys: first rows, counts, and the inverse."""
    rows = marked.shape[0]
    part = (rows + PARTS - 1) // PARTS
    starts = np.zeros(PARTS + 1, dtype=np.int64)
    for p in numba.prange(PARTS):
        new = 0
        for i in range(p * part, min(rows, (p + 1) * part)):
            key = marked[i] >> shift
            new += key < limit and (i == 0 or key != marked[i - 1] >> shift)
        starts[p + 1] = new
    for p in range(PARTS):
        starts[p + 1] += starts[p]
    total = starts[PARTS]
    first = np.empty(total, dtype=np.int64)
    counts = np.empty(total, dtype=np.int64)
    inverse = np.empty(rows, dtype=np.int64)
    for p in numba.prange(PARTS):
        value = starts[p] - 1
        for i in range(p * part, min(rows, (p + 1) * part)):
            key, row = marked[i] >> shift, marked[i] & ((1 << shift) - 1)
            if key >= limit:
                inverse[row] = -1
                continue
            if i == 0 or key != marked[i - 1] >> shift:
                value += 1
                first[value] = row
                counts[value] = i  # where its run begins, for now
            inverse[row] = value
    end = np.searchsorted(marked, limit << shift)
    for value in range(total):
        counts[value] = (counts[value + 1] if value + 1 < total else end) - counts[value]
    return first, counts, inverse
