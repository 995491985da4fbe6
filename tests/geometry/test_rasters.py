"""Pixels on a map: conventions and the transforms of windows, mirrors and turns."""

from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.geometry.rasters import (
    composed,
    map_points,
    mirror_map,
    north_up,
    pixel_points,
    pixel_size,
    quarter_turn_map,
    window_map,
)

SKEWED = np.array([[9.0, 2.0, 4e5], [1.5, -10.0, 5e6]])


def test_the_first_pixels_middle_is_half_a_pixel_from_the_corner():
    transform = north_up(400_000.0, 5_300_000.0, 10.0)
    points = map_points(transform, np.array([[0.0, 0.0], [2.0, 1.0]]))
    np.testing.assert_array_equal(points, [[400_005.0, 5_299_995.0], [400_025.0, 5_299_985.0]])
    assert pixel_size(transform) == (10.0, 10.0)


def test_points_and_pixels_are_inverse():
    pixels = np.random.default_rng(0).uniform(-3, 50, (20, 2))
    again = pixel_points(SKEWED, map_points(SKEWED, pixels))
    np.testing.assert_allclose(again, pixels, atol=1e-7)


def places(transform, height, width):
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    return map_points(transform, np.stack([u, v], -1).reshape(-1, 2)).reshape(height, width, 2)


@pytest.mark.parametrize(
    ("change", "new"),
    [
        (lambda image: image[2:, 3:], window_map(2, 3)),
        (lambda image: image[:, ::-1], mirror_map(7)),
        (np.rot90, quarter_turn_map(7)),
    ],
    ids=["window", "mirror", "quarter turn"],
)
def test_every_pixel_keeps_its_place(change, new):
    moved = change(places(SKEWED, 5, 7))
    expected = places(composed(SKEWED, new), *moved.shape[:2])
    np.testing.assert_allclose(moved, expected, atol=1e-9)


def test_rasterio_reads_transforms_alike():
    rasterio = pytest.importorskip("rasterio")
    found = rasterio.transform.xy(rasterio.Affine(*SKEWED.ravel()), 8, 3)  # row, column
    np.testing.assert_allclose(found, map_points(SKEWED, np.array([[3.0, 8.0]]))[0], rtol=1e-15)
