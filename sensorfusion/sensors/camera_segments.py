"""Segments of camera images, found when they are read."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sensorfusion.sensors.camera import CameraImage
from sensorfusion.sensors.transform import Preparation
from sensorfusion.superpixels.slic import Slic


@dataclass(frozen=True, kw_only=True)
class Superpixels(Preparation[CameraImage]):
    """Superpixels of colour images, as `segments`; for large images prepare them once instead.

    Args:
        slic: how they are found.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    slic: Slic = field(default_factory=Slic)

    def prepare(self, reading: CameraImage) -> CameraImage:
        return reading.replace(
            segments=np.stack([self.slic.segment(pixels) for pixels in reading.pixels])
        )
