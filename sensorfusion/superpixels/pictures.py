"""Images as stored: decoded whole or not at all, in the pixels that the calibration refers to."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sensorfusion.errors import DataError, SensorFusionError

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
    with damage_refused("PNG or JPEG", where):
        return np.asarray(image.convert("RGB"))


def opened(data: bytes, where: str) -> Image:
    """The image of PNG or JPEG data, of which only the header is read.

    Raises:
        DataError: when it is neither, or claims an absurd size.
    """
    from PIL import Image

    with damage_refused("PNG or JPEG", where), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))


def size_of(data: bytes, where: str) -> tuple[int, int]:
    """(H, W) of a PNG or JPEG file, from its header.

    Raises:
        DataError: when it is neither.
    """
    width, height = opened(data, where).size
    return height, width


@contextlib.contextmanager
def damage_refused(what: str, where: str) -> Iterator[None]:
    """Turn whatever a decoder raises into our error.

    Decoders raise a dozen kinds of exceptions on damaged data, by no documented list.

    Raises:
        DataError: in place of any other exception.
    """
    try:
        yield
    except SensorFusionError:
        raise
    except Exception as error:
        raise DataError(
            f"no readable {what}: {error}", where=where, remedy="copy it again, or leave it out"
        ) from error
