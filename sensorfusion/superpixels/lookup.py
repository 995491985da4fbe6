"""Labels that follow their image through resizing, cropping and mirroring.

Labels are integers [H, W], -1 where there is no segment. Pixels take the nearest label, with pixel
centres at integers as everywhere: u' = (u + 0.5) s - 0.5.
"""

from __future__ import annotations

import numpy as np

from sensorfusion.errors import DataError
from sensorfusion.sample import Array
from sensorfusion.sensors.camera import Box, crop_resize, resize

LARGEST_SIDE = 2**16  # pixels


def resize_labels(labels_HW: Array, height: int, width: int) -> Array:
    """The labels of the image after `camera.resize`.

    Raises:
        DataError: for labels that are no table of integers, or a size below 1.
    """
    _check(labels_HW, height, width)
    return np.ascontiguousarray(resize(labels_HW[None, :, :, None], height, width)[0, :, :, 0])


def crop_resize_labels(labels_HW: Array, box: Box, height: int, width: int) -> Array:
    """The labels of the image after `camera.crop_resize`; outside the image is -1.

    Raises:
        DataError: for labels that are no table of integers, a size below 1, or a box without
            pixels or far larger than any image.
    """
    _check(labels_HW, height, width)
    if len(box) != 4 or min(box.height, box.width) < 1 or max(map(abs, box)) > LARGEST_SIDE:
        raise DataError(
            f"a box {tuple(box)}",
            where="labels",
            remedy=f"give (top, left, bottom, right), at most {LARGEST_SIDE} from the corner",
        )
    if labels_HW.dtype.kind == "u":
        labels_HW = labels_HW.astype(np.int64)
    above = labels_HW[None, :, :, None] + 1  # cropping fills with 0
    return np.ascontiguousarray(crop_resize(above, box, height, width)[0, :, :, 0] - 1)


def flip_labels(labels_HW: Array) -> Array:
    """The labels of the image mirrored left and right.

    Raises:
        DataError: for labels that are no table of integers.
    """
    _check(labels_HW)
    return np.ascontiguousarray(labels_HW[:, ::-1])


def _check(labels_HW: Array, height: int = 1, width: int = 1) -> None:
    if labels_HW.ndim != 2 or labels_HW.dtype.kind not in "iu" or labels_HW.size == 0:
        raise DataError(
            f"labels of shape {labels_HW.shape} and dtype {labels_HW.dtype}",
            where="labels",
            remedy="give integers [H, W]",
        )
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise DataError(f"an image of {height} x {width} pixels", where="labels")
