"""Images as stored: decoded whole or not at all, in the pixels that the calibration refers to."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from sensorfusion.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

    from sensorfusion.sample import Array

_COLOURS = ("RGB", "RGBA", "L", "P", "CMYK", "YCbCr")


def decode(data: bytes, where: str) -> Array:
    """Colours uint8 [H, W, 3] of a PNG or JPEG file; its orientation tag is not applied.

    Raises:
        DataError: when the file is damaged, cut short, or of more than 8 bits per channel.
    """
    image = opened(data, where)
    if image.mode not in _COLOURS:
        raise DataError(
            f"an image of mode {image.mode}, expected 8 bits of colour or grey",
            where=where,
            remedy="convert it to an 8-bit PNG or JPEG",
        )
    try:
        return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise _damaged(error, where) from error


def opened(data: bytes, where: str) -> Image:
    """The image of PNG or JPEG data, its header read; decoding it may still raise `OSError`.

    Raises:
        DataError: when it is neither, or claims an absurd size.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise _damaged(error, where) from error


def size_of(data: bytes, where: str) -> tuple[int, int]:
    """(H, W) of a PNG or JPEG file, from its header.

    Raises:
        DataError: when it is neither.
    """
    width, height = opened(data, where).size
    return height, width


def _damaged(error: Exception, where: str) -> DataError:
    return DataError(
        f"no readable PNG or JPEG: {error}", where=where, remedy="copy it again, or leave it out"
    )
