"""Labels as a grey PNG with a note, in which it says what it is.

Every row is stored as its difference to the row above (the filter "Up" of the PNG specification,
W3C 2003, section 9.2), which for segments is almost always 0: smaller than what general writers
make, and written and read in less time. Any viewer opens the file.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from sensorfusion.errors import DataError

if TYPE_CHECKING:
    from sensorfusion.sample import Array

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEYWORD = b"superpixels\0"
_UP = 2
MOST_SEGMENTS = 2**16 - 1  # ids 0 to 65534; the largest number means "none"


def encode(labels_HW: Array, note: str) -> bytes:
    """A PNG of 8 bits for ids up to 254, else 16; the largest number stands for -1.

    Raises:
        DataError: when labels are no table of integers from -1 to 65534, or the note is not ASCII.
    """
    if not note.isascii():
        raise DataError(f"a note that is not ASCII: {note!r}", where="encode")
    if labels_HW.ndim != 2 or labels_HW.dtype.kind not in "iu" or labels_HW.size == 0:
        raise DataError(f"labels are {labels_HW.dtype} {labels_HW.shape}, expected integers [H, W]")
    largest = int(labels_HW.max())
    if int(labels_HW.min()) < -1 or largest >= MOST_SEGMENTS:
        raise DataError(f"ids from {labels_HW.min()} to {largest}, expected -1 to 65534")
    bits = 8 if largest < 255 else 16
    rows_HB = labels_HW.astype(np.uint8 if bits == 8 else ">u2").view(np.uint8)
    filtered = np.empty((rows_HB.shape[0], rows_HB.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows_HB[0]
    np.subtract(rows_HB[1:], rows_HB[:-1], out=filtered[1:, 1:])
    packer = zlib.compressobj(strategy=zlib.Z_RLE)  # long runs of 0: smaller and three times faster
    header = struct.pack(">IIBBBBB", labels_HW.shape[1], labels_HW.shape[0], bits, 0, 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"tEXt", _KEYWORD + note.encode("ascii")),
            _chunk(b"IDAT", packer.compress(filtered.tobytes()) + packer.flush()),
            _chunk(b"IEND", b""),
        ]
    )


def decode(data: bytes, where: str) -> tuple[Array, str]:
    """Labels int32 [H, W] with -1 = none, and the note, of what `encode` wrote.

    Raises:
        DataError: when it is damaged or was written by something else.
    """
    import cv2

    height, width, bits, note = _parts(data, where)
    try:
        stored_HW = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _damaged(str(error), where) from error
    if stored_HW is None or stored_HW.shape != (height, width) or stored_HW.itemsize * 8 != bits:
        raise _damaged("not written by this package", where)
    labels_HW: Array = stored_HW.astype(np.int32)
    labels_HW[labels_HW == 2**bits - 1] = -1
    return labels_HW, note


def read_note(data: bytes, where: str) -> tuple[int, int, str]:
    """Height, width and note of what `encode` wrote; every byte is checked by its CRC.

    Raises:
        DataError: when it is damaged or was written by something else.
    """
    height, width, _, note = _parts(data, where)
    return height, width, note


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _parts(data: bytes, where: str) -> tuple[int, int, int, str]:
    """Height, width, bits and note; every byte of the file is checked."""
    if not data.startswith(_SIGNATURE):
        raise _damaged("no PNG", where)
    found: list[bytes] = []
    place = len(_SIGNATURE)
    for kind in (b"IHDR", b"tEXt", b"IDAT", b"IEND"):
        length = int.from_bytes(data[place : place + 4], "big")
        content = data[place + 8 : place + 8 + length]
        if data[place : place + 8 + length + 4] != _chunk(kind, content):
            raise _damaged(f"its part {kind.decode()} is cut short or changed", where)
        found.append(content)
        place += length + 12
    if place != len(data):
        raise _damaged(f"{len(data) - place} bytes after its end", where)
    header, text, _, _ = found
    if len(header) != 13 or not text.startswith(_KEYWORD):
        raise _damaged("not written by this package", where)
    width, height, *layout = struct.unpack(">IIBBBBB", header)
    if layout not in ([8, 0, 0, 0, 0], [16, 0, 0, 0, 0]):
        raise _damaged("not written by this package", where)
    return height, width, layout[0], text.removeprefix(_KEYWORD).decode("ascii", "replace")


def _damaged(why: str, where: str) -> DataError:
    return DataError(
        f"damaged superpixels: {why}",
        where=where,
        remedy="run tools/prepare.py superpixels again; it makes again what is damaged",
    )
