"""Different keys among many, sorted: what voxels, cells and output sites are found with."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import inlined
from sensorfusion.geometry.scratch import scratch

Array = npt.NDArray[Any]
Int64 = npt.NDArray[np.int64]
DIGIT = 6  # bits of a key that one level of words distinguishes
MOST_ROOTS = 2**16  # words of the first level: they and the counts before them stay in the cache


class Groups(abc.ABC):
    """Rows in groups that are numbered without a gap; the rest is found when it is asked for."""

    inverse_N: Int64
    """The group of each row; -1 for rows that are in none."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many groups there are."""

    @cached_property
    def first_V(self) -> Int64:  # noqa: N802
        """The first row of each group: int64."""
        first_V = np.empty(len(self), dtype=np.int64)
        _first_rows(self.inverse_N, first_V)
        return first_V

    @cached_property
    def counts_V(self) -> Int64:  # noqa: N802
        """How many rows each group has: int64."""
        return np.bincount(self.inverse_N[self.inverse_N >= 0], minlength=len(self))


@dataclass(frozen=True, eq=False)
class Unique(Groups):
    """The V different keys of N rows, in ascending order.

    Args:
        size: V.
        inverse_N: int64, which of the V keys each row has; -1 for rows that were left out.
    """

    size: int
    inverse_N: Int64

    def __len__(self) -> int:
        return self.size


def unique_keys(keys_N: Int64, limit: int) -> Unique:
    """Sort keys and number the different ones; `keys_N[unique.first_V]` are their values.

    Args:
        keys_N: contiguous int64 in [0, limit]; rows whose key is `limit` are left out.
        limit: at most 2^62.
    """
    levels = 1
    while limit >> (DIGIT * levels) >= MOST_ROOTS:
        levels += 1
    words = max((limit >> (DIGIT * levels)) + 1, len(keys_N))
    words_2W = scratch("unique_words", (2, words), np.uint64)
    before_W = scratch("unique_before", (words,), np.uint32)
    inverse_N = np.empty(len(keys_N), dtype=np.int64)
    size = _number(keys_N.view(np.uint64), limit, levels, words_2W, before_W, inverse_N)
    return Unique(size, inverse_N)


def unique_keys_reference(keys_N: Int64, limit: int) -> Unique:
    """What `unique_keys` does, by `numpy.unique`."""
    keys, inverse = np.unique(keys_N, return_inverse=True)
    inverse_N = np.where(keys_N < limit, inverse.reshape(-1), -1)
    return Unique(int((keys < limit).sum()), inverse_N)


@inlined
def _first_rows(inverse: Array, first: Array) -> None:
    for i in range(inverse.shape[0] - 1, -1, -1):
        if inverse[i] >= 0:
            first[inverse[i]] = i


@inlined
def _number(
    keys: Array, limit: int, levels: int, both_words: Array, before: Array, inverse: Array
) -> int:
    """Number the different keys in ascending order, without comparing any; says how many.

    A tree of words with 64 bits each, level by level: keys that agree above a digit share a word,
    and the digit sets its bit there. The set bits of a level, counted in order, are the words of
    the next, and those of the last are the different keys. So each level replaces what a key has
    above the next digits by a smaller number. Memory grows with the rows, not with `limit`, and
    points that are neighbours in space are neighbours in it.
    """
    words, next_words, numbers = both_words[0], both_words[1], inverse.view(np.uint64)
    below = DIGIT * (levels - 1)
    used: Any = np.int64(limit >> (below + DIGIT)) + 1
    _mark(keys, below, words[:used])
    used = _count_before(words[:used], before)
    shorter = keys
    while below > 0:
        _shorten(shorter, below, words, before, numbers)
        shorter = numbers
        words, next_words = next_words, words
        below -= DIGIT
        _mark(shorter, below, words[:used])
        used = _count_before(words[:used], before)
    _shorten(shorter, below, words, before, numbers)
    return int(used) - _leave_out(keys, limit, inverse)


@inlined
def _leave_out(keys: Array, limit: int, inverse: Array) -> int:
    """Write -1 where the key is `limit`; says 1 if there are such rows, else 0."""
    found = 0
    for i in range(keys.shape[0]):
        found |= keys[i] == np.uint64(limit)
    if found:
        for i in range(keys.shape[0]):
            inverse[i] = -1 if keys[i] == np.uint64(limit) else inverse[i]
    return found


@inlined
def _mark(keys: Array, below: int, words: Array) -> None:
    """Set the bit of each key's digit, the one with so many bits below it."""
    words[:] = 0
    low, high = np.uint64(below), np.uint64(below + DIGIT)
    for i in range(keys.shape[0]):
        words[keys[i] >> high] |= np.uint64(1) << ((keys[i] >> low) & np.uint64(63))


@inlined
def _shorten(keys: Array, below: int, words: Array, before: Array, shorter: Array) -> None:
    """Replace a key's digit and what is above it by the number of set bits in front of its bit."""
    one, low, high = np.uint64(1), np.uint64(below), np.uint64(below + DIGIT)
    for i in range(keys.shape[0]):
        word, bit = keys[i] >> high, one << ((keys[i] >> low) & np.uint64(63))
        number = np.uint64(before[word]) + _ones(words[word] & (bit - one))
        shorter[i] = (number << low) | (keys[i] & ((one << low) - one))


@inlined
def _count_before(words: Array, before: Array) -> Any:
    """How many bits are set in front of each word; returns their number in all."""
    total = np.uint32(0)
    for w in range(words.shape[0]):
        before[w] = total
        total += np.uint32(_ones(words[w]))
    return np.int64(total)


@inlined
def _ones(word: Any) -> Any:
    """How many bits are set; compiles to the processor's own instruction where it has one."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)
