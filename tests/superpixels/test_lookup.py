"""Labels follow the image: the same rule for both."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.sensors.camera import Box, crop_map
from sensorfusion.superpixels.lookup import crop_resize_labels, flip_labels, resize_labels

SIDE = st.integers(1, 30)


@settings(max_examples=60, deadline=None)
@given(SIDE, SIDE, SIDE, SIDE)
def test_resized_pixels_take_the_nearest_label(height, width, down, across):
    """Each pixel's centre, mapped back by u = (u' + 0.5) / s - 0.5, names the label."""
    labels_HW = np.arange(height * width, dtype=np.int32).reshape(height, width)
    found = resize_labels(labels_HW, down, across)
    assert found.shape == (down, across)
    assert found.dtype == np.int32
    rows = (np.arange(down) + 0.5) * height / down - 0.5
    columns = (np.arange(across) + 0.5) * width / across - 0.5
    assert (abs(found // width - rows[:, None]) <= 0.5 + 1e-9).all()
    assert (abs(found % width - columns) <= 0.5 + 1e-9).all()


def test_a_crop_agrees_with_the_map_of_intrinsics():
    """A point's segment is the same before and after, wherever it is no tie between pixels."""
    generator = np.random.default_rng(0)
    labels_HW = generator.integers(-1, 9, (40, 60)).astype(np.int32)
    box, size = Box(5, -10, 45, 50), (20, 30)  # reaches beyond the image on the left and below
    found = crop_resize_labels(labels_HW, box, *size)
    map_33 = crop_map(box, *size)
    inverse = np.linalg.inv(map_33)
    for row, column in np.ndindex(*size):
        u, v, _ = inverse @ [column, row, 1]
        x, y = np.floor(u + 0.5 + 1e-9).astype(int), np.floor(v + 0.5 + 1e-9).astype(int)
        inside = 0 <= x < 60 and 0 <= y < 40
        assert found[row, column] == (labels_HW[y, x] if inside else -1)


def test_mirrored_twice_is_the_same():
    labels_HW = np.array([[1, 2, -1], [3, 4, 5]], np.int32)
    np.testing.assert_array_equal(flip_labels(labels_HW), [[-1, 2, 1], [5, 4, 3]])
    np.testing.assert_array_equal(flip_labels(flip_labels(labels_HW)), labels_HW)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64])
def test_dtypes_are_kept(dtype):
    labels_HW = np.array([[-1, 300]], dtype)
    for found in (
        resize_labels(labels_HW, 2, 4),
        crop_resize_labels(labels_HW, Box(0, 0, 1, 2), 2, 4),
    ):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, [[-1, -1, 300, 300]] * 2)
