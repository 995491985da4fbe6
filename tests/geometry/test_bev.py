from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.errors import DataError
from sensorfusion.geometry.bev import (
    BevGrid,
    bev_centres,
    bev_ids,
    bev_ids_of_raster,
    bev_ids_reference,
)

GRID = BevGrid(low=(-4.0, -2.0), high=(4.0, 3.0), step=0.5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 300), st.sampled_from([np.float32, np.float64]), st.integers(0, 99))
def test_kernel_and_reference_agree(count, dtype, seed):
    points = np.random.default_rng(seed).uniform(-6, 6, (count, 4)).astype(dtype)
    points[::7, seed % 2] = [np.nan, np.inf, -np.inf][seed % 3]
    ids = bev_ids(points, GRID)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(ids, bev_ids_reference(points, GRID))
    assert (ids[::7] == -1).all()


def test_centres_lie_in_their_own_cells():
    centres = bev_centres(GRID)
    assert GRID.shape == (16, 10)
    assert len(centres) == len(GRID) == 160
    np.testing.assert_array_equal(bev_ids(centres, GRID), np.arange(160))
    np.testing.assert_allclose(centres[0], [-3.75, -1.75])
    np.testing.assert_allclose(centres[1], [-3.75, -1.25])


def test_lower_borders_belong_to_a_cell_and_upper_ones_to_the_next():
    points = np.array([[-4, -2], [-3.5, -2], [4, 0], [0, 3], [3.99, 2.99]], dtype=np.float32)
    assert bev_ids(points, GRID).tolist() == [0, 10, -1, -1, 159]


def test_pixels_of_a_raster_fall_into_cells_by_their_centres():
    # North up, 1 m pixels: row 0 is the northernmost, its centre at y = 2.5.
    raster = np.array([[1.0, 0.0, -3.5], [0.0, -1.0, 2.5], [0.0, 0.0, 1.0]])
    ids = bev_ids_of_raster(5, 9, raster, GRID)
    assert ids.shape == (5, 9)
    assert ids[0, 0] == bev_ids(np.array([[-3.5, 2.5]]), GRID)[0]
    assert ids[4, 7] == bev_ids(np.array([[3.5, -1.5]]), GRID)[0]
    assert (ids[:, 8] == -1).all()


def test_wrong_grids_points_and_transforms_are_refused():
    for low, high, step in (
        ((0, 0), (1, 1), 0.3),
        ((0, 0), (0, 1), 0.5),
        ((0, 0), (1, 1), 0.0),
        ((0, 0), (1, np.inf), 0.5),
    ):
        with pytest.raises(DataError):
            BevGrid(low, high, step)
    for points in (np.zeros((3, 1)), np.zeros((3, 2), dtype=int), np.zeros(3)):
        with pytest.raises(DataError):
            bev_ids(points, GRID)
    with pytest.raises(DataError):
        bev_ids_of_raster(2, 2, np.ones((3, 3)), GRID)
