"""A person in a depth clip as a surface: how much of each pixel it covers, and how near it is.

Depth cannot be averaged: at an edge the mean of body and background is neither. Coverage, and
coverage times nearness, can: a pixel of a smaller image, or between two frames, holds how much
of it the body covers, and its body's mean nearness is the quotient (as colours with
premultiplied alpha; Porter and Duff 1984, "Compositing digital images"). So surfaces are resized,
resampled in time and moved by interpolation, which raw depth does not permit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensorfusion.errors import ConfigError, UnitError
from sensorfusion.sample import Array
from sensorfusion.sensors.camera import Box, CameraImage, CropTo, occupied_box, per_metre
from sensorfusion.sensors.transform import Preparation

SURFACE = "coverage, coverage x nearness"  # float32, C = 2


@dataclass(frozen=True, kw_only=True)
class BodySurface(Preparation[CameraImage]):
    """Depth without background to coverage and coverage times nearness.

    Nearness is (depth at rest - depth) / reach: 0 for the body's middle where the person stands
    at the start, 1 for a hand stretched out by `reach` towards the camera. The depth at rest is
    the median over all returns of the first frames.

    Args:
        reach: in metres. limit: nearness is cut off at plus and minus this.
        rest: number of frames at the start that show the person at rest.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    reach: float = 0.5
    limit: float = 2.0
    rest: int = 3

    def prepare(self, reading: CameraImage) -> CameraImage:
        depth = reading.pixels.astype(np.float32) / np.float32(per_metre(self, reading))
        returns = depth > 0
        known = depth[: self.rest][returns[: self.rest]]
        at_rest = np.median(known if len(known) else depth[returns]) if returns.any() else 0.0
        nearness = np.clip((at_rest - depth) / self.reach, -self.limit, self.limit)
        covered = returns.astype(np.float32)
        pixels = np.concatenate([covered, covered * nearness], axis=3)
        return reading.replace(pixels=pixels.astype(np.float32), unit=SURFACE)


@dataclass(frozen=True, kw_only=True)
class CropBody(CropTo):
    """Cut out the surroundings of a person, scaled so that all bodies are of one height.

    The box is found in the first frames and is the same in all: its height follows from head
    and feet, its middle column is the body's. Whatever moves, moves in body heights.

    Args:
        body: height of the body at rest, as a share of the box's.
        feet: where its lowest row is, as a share of the box's height from the top.
        rest: number of frames at the start that show the person at rest.

    Raises:
        ConfigError: when head and feet would not both lie within the box.
    """

    body: float = 0.7
    feet: float = 0.95
    rest: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.body <= self.feet <= 1:
            raise ConfigError(
                f"body = {self.body}, feet = {self.feet}: the body would leave the box",
                where=type(self).__name__,
                remedy="give 0 < body <= feet <= 1",
            )

    def box(self, reading: CameraImage) -> Box:
        shown = (reading.pixels[: self.rest, ..., 0] != 0).mean(axis=0) > 0.5
        # A single pixel in a row is a flaw of the depth image rather than the head.
        rows = (shown.sum(axis=1) > 1).nonzero()[0]
        if not len(rows):
            return occupied_box(reading.pixels)
        middle = float(np.median(shown.nonzero()[1])) + 0.5
        height = (rows[-1] + 1 - rows[0]) / self.body
        width = height * self.size[1] / self.size[0]
        top, left = round(rows[-1] + 1 - self.feet * height), round(middle - width / 2)
        return Box(top, left, top + round(height), left + round(width))


def require_surface(transform: object, reading: CameraImage) -> tuple[Array, Array]:
    """Coverage and coverage times nearness, [T, H, W] each.

    Raises:
        UnitError: when the reading is no surface.
    """
    if reading.unit != SURFACE:
        raise UnitError(
            f"{type(transform).__name__} takes {SURFACE!r}, found {reading.unit!r}",
            where=reading.source,
            remedy="apply BodySurface before",
        )
    return reading.pixels[..., 0], reading.pixels[..., 1]
