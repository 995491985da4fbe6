"""MATLAB 5 files: one real numeric array by its name.

A reader of our own, as scipy's crashes the process on damaged files (a segmentation fault in
`read_var_array` on a few changed bytes). Format: "MAT-File Format", The MathWorks, level 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sensorfusion.sample import Array

LARGEST = 1 << 28  # bytes of one decompressed variable; more is taken for an attack

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_UINT32, _INT32, _INT8 = 6, 5, 1
_STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_NUMERIC_CLASSES = range(6, 16)  # double, single, integers of 8 to 64 bits
_COMPLEX = 0x0800


class MatFileError(ValueError):
    """Not a MATLAB 5 file, or a damaged one; readers turn it into a `DataError`."""


class _Element(NamedTuple):
    kind: int
    data: memoryview
    end: int  # offset of the next element


def read_matrix(path: Path, variable: str) -> Array:
    """A real numeric array, float64 in its own shape.

    Raises:
        MatFileError: when the file is damaged, lacks the variable, or holds no numbers in it.
        OSError: when the file cannot be opened.
    """
    content = memoryview(path.read_bytes())
    if len(content) < _HEADER or bytes(content[126:128]) not in (b"IM", b"MI"):
        raise MatFileError(f"{len(content)} bytes that are no MATLAB 5 file")
    order = "<" if bytes(content[126:128]) == b"IM" else ">"
    names = []
    for element in _elements(content[_HEADER:], order):
        matrix = _decompressed(element, order)
        if matrix.kind != _MATRIX:
            continue
        parts = list(_elements(matrix.data, order))
        names.append(_name(parts))
        if names[-1] == variable:
            return _values(parts, order)
    raise MatFileError(f"no variable {variable!r}, only {names}")


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    at = 0
    while at + 8 <= len(data):
        element = _element(data, at, order)
        yield element
        at = element.end


def _element(data: memoryview, at: int, order: str) -> _Element:
    kind, size = struct.unpack_from(order + "II", data, at)
    start = at + 8
    if kind >> 16:  # up to four bytes, packed into the tag
        kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
        end = at + 8
        fits = size <= 4
    else:
        end = start + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        fits = start + size <= len(data)
    if not fits:
        raise MatFileError(f"an element of {size} bytes where {len(data) - start} are left")
    return _Element(kind, data[start : start + size], end)


def _decompressed(element: _Element, order: str) -> _Element:
    if element.kind != _COMPRESSED:
        return element
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(element.data, LARGEST)
    except zlib.error as error:
        raise MatFileError(f"damaged compressed data: {error}") from error
    if not stream.eof:
        raise MatFileError("compressed data that is truncated, or too large")
    if len(content) < 8:
        raise MatFileError("compressed data without content")
    return _element(memoryview(content), 0, order)


def _name(parts: list[_Element]) -> str:
    kinds = [part.kind for part in parts[:3]]
    if kinds != [_UINT32, _INT32, _INT8] or len(parts[0].data) != 8:
        raise MatFileError(f"an array whose parts are of kinds {kinds}")
    return bytes(parts[2].data).decode("ascii", "replace")


def _values(parts: list[_Element], order: str) -> Array:
    (flags,) = struct.unpack_from(order + "I", parts[0].data)
    if flags & 0xFF not in _NUMERIC_CLASSES or flags & _COMPLEX:
        raise MatFileError(f"no array of real numbers (flags {flags:#x})")
    if len(parts) != 4 or parts[3].kind not in _STORED or len(parts[1].data) % 4:
        raise MatFileError("an array without its numbers")
    shape = tuple(np.frombuffer(parts[1].data, order + "i4").tolist())
    stored = np.dtype(order + _STORED[parts[3].kind])
    if min(shape, default=-1) < 0 or math.prod(shape) * stored.itemsize != len(parts[3].data):
        raise MatFileError(f"{len(parts[3].data)} bytes for an array of shape {shape}")
    numbers = np.frombuffer(parts[3].data, stored).astype(np.float64)
    return numbers.reshape(shape, order="F")
