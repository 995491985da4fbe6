"""Shading and shadows against small cases that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sensorfusion.simulation.above.light import cast_shadow, direction, shading

CELL = 2.5
NORTH, EAST, SOUTH, WEST = (math.radians(a) for a in (0.0, 90.0, 180.0, 270.0))
HIGH = math.radians(45.0)


def plane(slope_east=0.0, slope_north=0.0, size=40):
    rows, columns = np.mgrid[:size, :size]
    return (CELL * (slope_east * columns - slope_north * rows)).astype(np.float32)


def test_the_sun_stands_where_azimuth_and_elevation_say():
    np.testing.assert_allclose(direction(EAST, 0.0), (1, 0, 0), atol=1e-12)
    np.testing.assert_allclose(direction(NORTH, HIGH), (0, math.sqrt(0.5), math.sqrt(0.5)))


@pytest.mark.parametrize(
    ("east", "north", "azimuth"), [(0.3, 0.0, EAST), (-0.4, 0.0, SOUTH), (0.1, 0.5, WEST)]
)
def test_a_plane_is_lit_by_the_cosine_of_incidence(east, north, azimuth):
    normal = np.array([-east, -north, 1.0])
    normal /= np.linalg.norm(normal)
    expected = normal @ direction(azimuth, HIGH) / math.sin(HIGH)
    found = shading(plane(east, north), CELL, azimuth, HIGH)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_slope_that_faces_the_sun_is_brighter_than_level_ground():
    assert (shading(plane(0.0, -0.3), CELL, NORTH, HIGH) > 1.0).all()  # falls to the north
    assert (shading(plane(0.0, 0.3), CELL, NORTH, HIGH) < 1.0).all()
    assert (shading(plane(0.0, 3.0), CELL, NORTH, HIGH) == 0.0).all()


@pytest.mark.parametrize("height", [10.0, 25.0, 60.0])
@pytest.mark.parametrize(("azimuth", "step"), [(EAST, (0, -1)), (SOUTH, (-1, 0)), (WEST, (0, 1))])
def test_a_tower_casts_a_shadow_as_long_as_it_should(height, azimuth, step):
    elevation = math.radians(40.0)
    surface = np.zeros((80, 80), np.float32)
    surface[40, 40] = height
    hidden = cast_shadow(surface, CELL, azimuth, elevation, 300.0)
    cells = int(height / math.tan(elevation) / CELL)
    expected = np.zeros_like(hidden)
    for n in range(1, cells + 1):
        expected[40 + n * step[0], 40 + n * step[1]] = True
    np.testing.assert_array_equal(hidden, expected)


def test_shadows_fall_along_other_directions_too():
    surface = np.zeros((120, 120), np.float32)
    surface[59:62, 59:62] = 40.0
    hidden = cast_shadow(surface, CELL, math.radians(155.0), math.radians(35.0), 300.0)
    rows, columns = np.nonzero(hidden & (surface == 0))
    away = np.stack([columns - 60.0, 60.0 - rows], -1)  # east, north
    far = away[np.argmax(np.hypot(*away.T))]
    assert np.hypot(*far) * CELL == pytest.approx(40.0 / math.tan(math.radians(35.0)), abs=8.0)
    assert math.degrees(math.atan2(far[0], far[1])) % 360 == pytest.approx(335.0, abs=6.0)


def test_level_and_gently_sloping_ground_has_no_shadow():
    for surface in (plane(), plane(0.5, 0.2), plane(-0.5)):
        assert not cast_shadow(surface, CELL, EAST, HIGH, 300.0).any()
    assert cast_shadow(plane(1.5), CELL, WEST, HIGH, 300.0).sum() == 0
    assert cast_shadow(plane(-1.5), CELL, WEST, HIGH, 300.0)[:, 1:].all()  # falls away from it
