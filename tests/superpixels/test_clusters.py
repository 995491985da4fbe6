"""Kernels of SLIC against their references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.errors import DataError
from sensorfusion.superpixels.clusters import (
    assign,
    assign_reference,
    sharpen,
    sharpen_reference,
)


def drawn(seed, height, width, centres, whole):
    """Colours, centres and labels; whole numbers make ties."""
    generator = np.random.default_rng(seed)
    lab_3HW = generator.normal(0, 5, (3, height, width))
    places = generator.uniform(-2, [height + 2, width + 2], (centres, 2))
    centres_K5 = np.concatenate([places, generator.normal(0, 5, (centres, 3))], axis=1)
    if whole:
        lab_3HW, centres_K5 = lab_3HW.round(), centres_K5.round()
    labels_HW = generator.integers(0, centres, (height, width)).astype(np.int32)
    return lab_3HW.astype(np.float32), centres_K5.astype(np.float32), labels_HW


CASE = {
    "seed": st.integers(0, 10_000),
    "height": st.integers(1, 20),
    "width": st.integers(1, 20),
    "centres": st.integers(1, 9),
    "whole": st.booleans(),
}


@settings(max_examples=60, deadline=None)
@given(**CASE, reach=st.floats(0.5, 30), weight=st.sampled_from([0.0, 0.25, 3.0]))
def test_assign_is_its_reference(seed, height, width, centres, whole, reach, weight):
    lab_3HW, centres_K5, labels_HW = drawn(seed, height, width, centres, whole)
    before = labels_HW.copy()
    found = assign(lab_3HW, centres_K5, labels_HW, weight=weight, reach=reach)
    wanted = assign_reference(lab_3HW, centres_K5, labels_HW, weight=weight, reach=reach)
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(labels_HW, before)  # the input is not changed


@settings(max_examples=60, deadline=None)
@given(**CASE, taller=st.integers(0, 30), wider=st.integers(0, 30))
def test_sharpen_is_its_reference(seed, height, width, centres, whole, taller, wider):
    _, centres_K5, labels_hw = drawn(seed, height, width, centres, whole)
    lab_HW3 = np.moveaxis(drawn(seed, height + taller, width + wider, 1, whole)[0], 0, 2)
    found = sharpen(labels_hw, lab_HW3, centres_K5, weight=0.5)
    wanted = sharpen_reference(labels_hw, lab_HW3, centres_K5, weight=0.5)
    np.testing.assert_array_equal(found, wanted)


def test_layout_and_precision_of_the_input_do_not_matter():
    lab_3HW, centres_K5, labels_HW = drawn(0, 12, 14, 5, False)
    wanted = assign(lab_3HW, centres_K5, labels_HW, weight=0.3, reach=9)
    strided = np.repeat(lab_3HW, 2, axis=2)[:, :, ::2].astype(np.float64)
    again = assign(
        strided, centres_K5.astype(np.float64), labels_HW.T.copy().T, weight=0.3, reach=9
    )
    np.testing.assert_array_equal(again[0], wanted[0])
    np.testing.assert_array_equal(again[1], wanted[1])


def test_centres_move_to_the_means_of_their_pixels():
    """Two colours, one centre of each colour in the other half: pixels go by colour."""
    lab_3HW = np.zeros((3, 4, 8), np.float32)
    lab_3HW[0, :, 4:] = 50
    centres_K5 = np.array([[1, 6, 0, 0, 0], [1, 1, 50, 0, 0], [90, 90, 0, 0, 0]], np.float32)
    labels_HW, moved_K5 = assign(
        lab_3HW, centres_K5, np.zeros((4, 8), np.int32), weight=0.1, reach=20
    )
    assert (labels_HW[:, :4] == 0).all()
    assert (labels_HW[:, 4:] == 1).all()
    np.testing.assert_array_equal(moved_K5[0], [1.5, 1.5, 0, 0, 0])
    np.testing.assert_array_equal(moved_K5[1], [1.5, 5.5, 50, 0, 0])
    np.testing.assert_array_equal(moved_K5[2], centres_K5[2])  # without pixels it stays


def test_labels_beyond_the_centres_are_refused():
    lab_3HW, centres_K5, labels_HW = drawn(0, 5, 6, 3, False)
    with pytest.raises(DataError, match="from 3 to 3 for 3 centres"):
        assign(lab_3HW, centres_K5, np.full_like(labels_HW, 3), weight=1, reach=3)
    with pytest.raises(DataError, match="from 3 to 3 for 3 centres"):
        sharpen(np.full_like(labels_HW, 3), np.zeros((9, 9, 3)), centres_K5, weight=1)
    with pytest.raises(DataError, match=r"colours \(3, 5, 6\).*labels \(4, 6\)"):
        assign(lab_3HW, centres_K5, labels_HW[:4], weight=1, reach=3)
