"""Side-looking geometry against small cases that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sensorfusion.simulation.above.radar import trace

CELL = 2.5
INCIDENCE = math.radians(40.0)


def line(length=200):
    """A single row of level ground; the radar is to the left."""
    return np.zeros((1, length), np.float32)


def test_level_ground_is_imaged_where_it_lies():
    power = np.random.default_rng(0).random((3, 200)).astype(np.float32)
    ground = np.full((3, 200), 7.0, np.float32)
    lines = trace(ground, ground, CELL, INCIDENCE)
    np.testing.assert_allclose(lines.imaged(power), power, atol=2e-4)
    assert not lines.hidden.any()
    assert not lines.overlaid.any()


def test_what_stands_is_displaced_towards_the_radar():
    top = line()
    top[0, 120] = 30.0
    power = np.where(top > 0, 50.0, 0.0).astype(np.float32)
    image = trace(line(), top, CELL, INCIDENCE).imaged(power)
    # A height h answers h cos / sin nearer.
    expected = 120 - 30.0 / math.tan(INCIDENCE) / CELL
    middle = (image[0] * np.arange(200)).sum() / image[0].sum()
    assert middle == pytest.approx(expected, abs=0.05)
    assert image.sum() == pytest.approx(50.0, rel=1e-4)


@pytest.mark.parametrize("height", [12.0, 40.0])
def test_behind_a_wall_is_shadow_as_long_as_it_should(height):
    top = line()
    top[0, 80] = height
    hidden = trace(line(), top, CELL, INCIDENCE).hidden[0]
    cells = int(height * math.tan(INCIDENCE) / CELL)
    assert np.nonzero(hidden)[0].tolist() == list(range(81, 81 + cells))


def test_shadow_stays_dark_and_what_is_on_top_does_not():
    top = line()
    top[0, 80:90] = 40.0
    image = trace(line(), top, CELL, INCIDENCE).imaged(np.ones_like(top))
    assert image[0, 91:102].max() < 1e-4
    assert image[0, :50] == pytest.approx(1.0, abs=1e-3)


def test_slopes_that_face_the_radar_are_bright():
    """As many facets as n bins hold answer in fewer: 1 / (1 - cot(t) slope) times as strong."""
    slope = 0.3
    ground = (CELL * slope * np.arange(200, dtype=np.float32))[None]
    image = trace(ground, ground, CELL, INCIDENCE).imaged(np.ones_like(ground))
    expected = 1.0 / (1.0 - slope / math.tan(INCIDENCE))
    np.testing.assert_allclose(image[0, 20:180].mean(), expected, rtol=0.01)
    away = trace(ground[:, ::-1].copy(), ground[:, ::-1].copy(), CELL, INCIDENCE)
    expected = 1.0 / (1.0 + slope / math.tan(INCIDENCE))
    found = away.imaged(np.ones_like(ground))[0, 20:180].mean()
    np.testing.assert_allclose(found, expected, rtol=0.04)  # facets are points, a bin apart


def test_slopes_steeper_than_the_incidence_are_layover():
    for slope, expected in ((0.5, False), (1.6, True)):
        ground = line()
        ground[0, 80:120] = CELL * slope * np.arange(40)
        ground[0, 120:] = ground[0, 119]
        lines = trace(ground, ground, CELL, INCIDENCE)
        assert lines.overlaid[0, 85:115].all() == expected
        assert lines.overlaid[0, 85:115].any() == expected
