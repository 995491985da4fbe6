"""Connected segments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import label as parts_of

from sensorfusion.errors import DataError
from sensorfusion.superpixels.regions import connected, connected_reference

LABELS = arrays(
    np.int64, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(-1, 2)
)


@settings(max_examples=100, deadline=None)
@given(LABELS, st.integers(0, 9))
def test_it_is_its_reference(labels_HW, smallest):
    found_HW, count = connected(labels_HW, smallest)
    wanted_HW, wanted = connected_reference(labels_HW, smallest)
    np.testing.assert_array_equal(found_HW, wanted_HW)
    assert count == wanted


@settings(max_examples=50, deadline=None)
@given(LABELS, st.integers(0, 9))
def test_every_segment_is_one_part_and_large_enough(labels_HW, smallest):
    found_HW, count = connected(labels_HW, smallest)
    np.testing.assert_array_equal(np.unique(found_HW), np.arange(count))
    for segment in range(count):
        assert parts_of(found_HW == segment)[1] == 1
        assert segment == 0 or (found_HW == segment).sum() >= smallest


def test_by_hand():
    labels_HW = np.array([[7, 7, 3, 7], [7, 3, 3, 7], [5, 3, 7, 7]])
    np.testing.assert_array_equal(
        connected(labels_HW)[0], [[0, 0, 1, 2], [0, 1, 1, 2], [3, 1, 2, 2]]
    )
    # The 5 is alone: it joins what is above it at the left edge.
    np.testing.assert_array_equal(
        connected(labels_HW, 2)[0], [[0, 0, 1, 2], [0, 1, 1, 2], [0, 1, 2, 2]]
    )


def test_layout_does_not_matter_and_nothing_is_nothing():
    labels_HW = np.random.default_rng(0).integers(0, 3, (9, 7)).astype(np.uint8)
    np.testing.assert_array_equal(
        connected(np.asfortranarray(labels_HW), 2)[0], connected(labels_HW, 2)[0]
    )
    empty_HW, count = connected(np.empty((0, 5), np.int32))
    assert empty_HW.shape == (0, 5)
    assert count == 0
    with pytest.raises(DataError, match="float64"):
        connected(np.zeros((2, 2)))
