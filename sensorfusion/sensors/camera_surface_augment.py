"""Augmentations of the seen surface of a person: another view, size, place and distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.sample import Array, Frame
from sensorfusion.sensors.camera import CameraImage, moved_pixels
from sensorfusion.sensors.camera_surface import require_surface
from sensorfusion.sensors.transform import Augmentation

Affine = npt.NDArray[np.float64]  # [3, 4]
RIGHT, DOWN, NEAR = np.eye(3)


@dataclass(frozen=True, kw_only=True)
class MoveSurface(Augmentation[CameraImage, Affine]):
    """Turn, stretch and shift the seen surface in space, alike in every frame, and see it again.

    Every pixel is a point (right, down, near) about the middle of the image; points are moved by
    one affine map and shared out to the four pixels around where they arrive. What was hidden
    before stays unseen, so turns have to be small. The units in which "near" is measured have
    the length of `pixels_per_unit` pixels.

    Intrinsics, where known, follow the image's part of the map, which is exact for points of
    nearness 0.

    Args:
        turn: largest turn about the vertical, in degrees. tilt, roll: deviations of turns about
            the horizontal axis and the line of sight, in degrees.
        size: deviation of the logarithm of the body's size. stretch: of that of each axis.
        shift: largest shift across and down, as a share of the image's width and height.
        offset: deviation of the shift towards the camera, in units of nearness.
        pixels_per_unit: e.g. 8 where 28 pixels are a body and the unit of nearness is 0.5 m.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    turn: float = 15.0
    tilt: float = 5.0
    roll: float = 3.0
    size: float = 0.06
    stretch: float = 0.06
    shift: float = 0.04
    offset: float = 0.1
    pixels_per_unit: float = 8.0

    def draw(self, reading: CameraImage, generator: np.random.Generator) -> Affine:
        """The affine map [3, 4] of points (right, down, near) in pixels."""
        turn, tilt, roll = np.deg2rad(
            [
                generator.uniform(-self.turn, self.turn),
                generator.normal(0.0, self.tilt),
                generator.normal(0.0, self.roll),
            ]
        )
        rotation = (
            rotation_about(NEAR, roll) @ rotation_about(RIGHT, tilt) @ rotation_about(DOWN, turn)
        )
        scale = np.exp(generator.normal(0.0, self.size) + generator.normal(0.0, self.stretch, 3))
        height, width = reading.size
        shift = generator.uniform(-self.shift, self.shift, 2) * (width, height)
        nearer = generator.normal(0.0, self.offset) * self.pixels_per_unit
        return np.column_stack([rotation * scale, [*shift, nearer]])

    def apply(self, reading: CameraImage, draw: Affine) -> CameraImage:
        coverage, product = require_surface(self, reading)
        seen = move_surface(coverage, product, draw, self.pixels_per_unit)
        return reading.replace(pixels=np.stack(seen, axis=3))

    def applied(self, frame: Frame, sensor: str, draw: Affine) -> Frame:
        reading = self.reading(frame, sensor)
        middle = (np.array(reading.size[::-1]) - 1) / 2
        map_33 = np.eye(3)
        map_33[:2, :2] = draw[:2, :2]
        map_33[:2, 2] = draw[:2, 3] + middle - draw[:2, :2] @ middle
        return moved_pixels(frame, sensor, self.apply(reading, draw), map_33)


def move_surface(
    coverage_THW: Array, product_THW: Array, affine_34: Affine, pixels_per_unit: float
) -> tuple[Array, Array]:
    """Coverage and coverage times nearness after an affine map of the surface's points.

    A point's share of the image changes as the map changes areas at constant nearness; where
    points heap up the coverage stays 1 and nearness is their mean.
    """
    height, width = coverage_THW.shape[1:]
    place = np.flatnonzero(coverage_THW > 0)
    covered = coverage_THW.ravel()[place].astype(np.float64)
    near = product_THW.ravel()[place] / covered * pixels_per_unit
    frame, pixel = np.divmod(place, height * width)
    down, right = np.divmod(pixel, width)
    middle_2 = (width - 1) / 2, (height - 1) / 2
    points_3N = np.stack([right - middle_2[0], down - middle_2[1], near])
    moved_3N = affine_34[:, :3] @ points_3N + affine_34[:, 3:]
    covered *= abs(np.linalg.det(affine_34[:2, :2]))
    right_N, down_N = moved_3N[0] + middle_2[0], moved_3N[1] + middle_2[1]
    sums = _shared_out(frame, down_N, right_N, covered, moved_3N[2] / pixels_per_unit, coverage_THW)
    heaped = np.maximum(sums[0], 1.0)
    new_coverage, new_product = (
        (part / heaped).reshape(coverage_THW.shape).astype(np.float32) for part in sums
    )
    return new_coverage, new_product


def _shared_out(
    frame: Array, down: Array, right: Array, covered: Array, near: Array, like_THW: Array
) -> tuple[Array, Array]:
    """Coverage and product [T * H * W], each point shared bilinearly between four pixels."""
    frames, height, width = like_THW.shape
    # A border, one pixel before and two after, takes what leaves the image.
    down, right = np.clip(down + 1, 0.0, height + 1), np.clip(right + 1, 0.0, width + 1)
    top, left = down.astype(np.int64), right.astype(np.int64)
    lower, righter = down - top, right - left
    stride = width + 3
    first = (frame * (height + 3) + top) * stride + left
    cells = np.concatenate([first, first + 1, first + stride, first + stride + 1])
    upper, lefter = covered * (1 - lower), 1 - righter
    lower = covered * lower
    weights = np.concatenate([upper * lefter, upper * righter, lower * lefter, lower * righter])
    total = frames * (height + 3) * stride
    sums = (
        np.bincount(cells, weights, total),
        np.bincount(cells, weights * np.tile(near, 4), total),
    )
    framed = [part.reshape(frames, height + 3, stride)[:, 1:-2, 1:-2].ravel() for part in sums]
    return framed[0], framed[1]
