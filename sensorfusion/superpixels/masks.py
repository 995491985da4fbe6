"""Segments made elsewhere (SAM, SEEM, OpenSeeD, ...): PNG label images and NPZ or NPY arrays."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, ClassVar

import numpy as np

from sensorfusion.errors import DataError
from sensorfusion.superpixels.pictures import damage_refused, opened, size_of

if TYPE_CHECKING:
    from sensorfusion.sample import Array

_LABEL_MODES = ("L", "P", "I;16", "I;16B", "I", "1")
_LARGEST = {"uint8": 255, "uint16": 65535}
_PNG, _ZIP, _NPY = b"\x89PNG", b"PK", b"\x93NUMPY"


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Read segments from a file per image.

    A PNG holds one number per pixel: grey of 8 or 16 bits, or indices of a palette. An array is
    such a table of integers [H, W], or a stack of boolean masks [M, H, W]. Where masks of a stack
    overlap, the smallest wins, and of equally small ones the first.

    Args:
        none: the number that means "no segment", as negative ones always do; -1: 255 in unsigned
            numbers of 8 bits, 65535 in those of 16, and no other.
        keep_ids: the numbers are classes shared by all images (SuperFlow's 17, say) and stay as
            they are; otherwise each image's become 0, 1, ... in ascending order.
        array: name of the array in an NPZ file; empty: it must be the only one.
    """

    name: ClassVar[str] = "masks"
    version: ClassVar[int] = 1

    none: int = -1
    keep_ids: bool = False
    array: str = ""

    def labels(self, files: tuple[bytes, ...], where: str) -> Array:
        """Labels int32 [H, W], -1 = none, from an encoded image and its file of masks.

        Raises:
            DataError: when the masks are damaged, of another size than the image, or no labels.
        """
        image, masks = files
        table = self.read(masks, size_of(image, where), where)
        if table.ndim == 3:
            return _present_first(_smallest_on_top(table, where))
        none = _LARGEST.get(table.dtype.name, -1) if self.none == -1 else self.none
        labels_HW = np.where((table < 0) | (table == none), -1, table.astype(np.int64))
        return labels_HW.astype(np.int32) if self.keep_ids else _present_first(labels_HW)

    def read(self, data: bytes, size: tuple[int, int], where: str) -> Array:
        """The numbers [H, W] or masks bool [M, H, W] of a file, checked against (H, W)."""
        if data.startswith(_PNG):
            return _read_png(data, size, where)
        with damage_refused("array", where):
            if data.startswith(_NPY):
                _require_table(io.BytesIO(data), size, where)
                return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
            if data.startswith(_ZIP):
                return self._read_archive(data, size, where)
        raise DataError(
            f"neither PNG, NPZ nor NPY: begins with {data[:4]!r}",
            where=where,
            remedy="convert masks to one of these",
        )

    def _read_archive(self, data: bytes, size: tuple[int, int], where: str) -> Array:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            chosen = self.array or names[0] if self.array or len(names) == 1 else None
            if chosen not in names:
                raise DataError(
                    f"arrays are {', '.join(names) or 'none'}, wanted {self.array or 'one alone'}",
                    where=where,
                    remedy="name one: --set array=NAME",
                )
            with archive.open(f"{chosen}.npy") as file:
                _require_table(file, size, where)
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return np.asarray(arrays[chosen])


def _read_png(data: bytes, size: tuple[int, int], where: str) -> Array:
    image = opened(data, where)
    if image.mode not in _LABEL_MODES:
        raise DataError(
            f"a PNG of mode {image.mode} has no numbers of segments",
            where=where,
            remedy="save indices as grey (8 or 16 bits) or with a palette, not as colours",
        )
    _require_size((image.height, image.width), size, where)
    with damage_refused("PNG", where):
        table = np.asarray(image)
        return table.astype(np.uint16) if image.mode == "I" else table  # 16 bits, older Pillow


def _require_table(file: IO[bytes], size: tuple[int, int], where: str) -> None:
    """Refuse an array by its header alone, before memory is taken for it."""
    version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise DataError(f"NPY format {version}, expected 1.0 or 2.0", where=where)
    shape, _, dtype = read(file)  # type: ignore[no-untyped-call]
    if dtype.hasobject:
        raise DataError(
            "an array of Python objects is not read: loading one can run code",
            where=where,
            remedy="save integers [H, W] or booleans [M, H, W]",
        )
    fits = dtype.kind in "iu" if len(shape) == 2 else len(shape) == 3 and dtype.kind == "b"
    if not fits:
        raise DataError(
            f"an array {dtype} {shape}",
            where=where,
            remedy="save integers [H, W] or booleans [M, H, W]",
        )
    _require_size((shape[-2], shape[-1]), size, where)
    if math.prod(shape) > 2**16 * math.prod(size):
        raise DataError(f"{shape[0]} masks, at most 65536", where=where)


def _require_size(found: tuple[int, int], wanted: tuple[int, int], where: str) -> None:
    if found != wanted:
        raise DataError(
            f"masks of {found[0]} x {found[1]} pixels, the image has {wanted[0]} x {wanted[1]}",
            where=where,
            remedy="make masks at the size of the image; they are not resized in silence",
        )


def _smallest_on_top(masks_MHW: Array, where: str) -> Array:
    if not len(masks_MHW):
        raise DataError("a stack without a mask", where=where, remedy="leave the image out")
    area_M = masks_MHW.sum(axis=(1, 2))
    labels_HW = np.full(masks_MHW.shape[1:], -1, np.int64)
    for index in np.argsort(-area_M[::-1], kind="stable"):  # the first of equal ones comes last
        index = len(area_M) - 1 - index
        labels_HW[masks_MHW[index]] = index
    return labels_HW


def _present_first(labels_HW: Array) -> Array:
    """Labels >= 0 become 0, 1, ... in ascending order; negative ones stay -1."""
    present, place = np.unique(labels_HW, return_inverse=True)
    ids_HW: Array = place.reshape(labels_HW.shape) - int((present < 0).sum())
    return ids_HW.astype(np.int32)
