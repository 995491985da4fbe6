"""Labels that follow their image through resizing, cropping and mirroring.

Labels are integers [H, W], -1 where there is no segment. Pixels take the nearest label, with pixel
centres at integers as everywhere: u' = (u + 0.5) s - 0.5.
"""

from __future__ import annotations

import numpy as np

from sensorfusion.sample import Array
from sensorfusion.sensors.camera import Box, crop_resize, resize


def resize_labels(labels_HW: Array, height: int, width: int) -> Array:
    """The labels of the image after `camera.resize`."""
    return np.ascontiguousarray(resize(labels_HW[None, :, :, None], height, width)[0, :, :, 0])


def crop_resize_labels(labels_HW: Array, box: Box, height: int, width: int) -> Array:
    """The labels of the image after `camera.crop_resize`; outside the image is -1."""
    above = labels_HW[None, :, :, None] + 1  # cropping fills with 0
    return np.ascontiguousarray(crop_resize(above, box, height, width)[0, :, :, 0] - 1)


def flip_labels(labels_HW: Array) -> Array:
    """The labels of the image mirrored left and right."""
    return np.ascontiguousarray(labels_HW[:, ::-1])
