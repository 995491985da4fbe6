"""Camera: colour or depth, one image or a clip.

Shape letters: T frames, H rows (down), W columns (right), C channels. Integer pixel coordinates
are pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sensorfusion.errors import DataError
from sensorfusion.sample import Array, Reading, require_array
from sensorfusion.sensors.imu import require_rows

SRGB = "sRGB"  # uint8, C = 3
MILLIMETRES = "mm"  # uint16, C = 1, 0 = no return
METRES = "m"  # float32, C = 1, 0 = no return
_RAW = {SRGB: (np.dtype(np.uint8), 3), MILLIMETRES: (np.dtype(np.uint16), 1)}


@dataclass(frozen=True, kw_only=True)
class CameraImage(Reading):
    """Images of one camera: a single frame (T = 1) or a clip.

    Colour stays uint8, and raw depth stays uint16 millimetres, as cameras deliver it: that is
    exact, and half of the memory of metres in float32, which normalisers give.

    Args:
        pixels: [T, H, W, C]; uint8 with C = 3 for the unit "sRGB", uint16 with C = 1 for the unit
            "mm" (depth along the optical axis, 0 = no return), float32 for any other unit.

    Raises:
        DataError: on a shape or dtype that does not fit the unit, or a non-finite value.
        ClockError: when the clock has another number of times than there are frames.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ("pixels",)

    pixels: Array

    def validate(self) -> None:
        dtype, channels = _RAW.get(self.unit, (np.dtype(np.float32), None))
        require_array(self, "pixels", (None, None, None, channels), dtype)
        if 0 in self.pixels.shape:
            raise DataError(
                f"an empty image of shape {self.pixels.shape}",
                where=self.source,
                remedy="check the file, or remove it from the folder",
            )
        require_rows(self, len(self.pixels))

    @property
    def is_depth(self) -> bool:
        """Whether pixels measure depth, in millimetres or metres."""
        return self.unit in (MILLIMETRES, METRES)
