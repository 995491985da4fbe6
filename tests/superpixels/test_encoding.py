"""Label files: round trips, other readers, and damage."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from sensorfusion.errors import DataError
from sensorfusion.superpixels.encoding import decode, encode, read_note


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.int32,
        array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.sampled_from([-1, 0, 1, 253, 254, 255, 256, 65534]),
    ),
    st.booleans(),
)
def test_round_trip_and_what_other_readers_see(labels_HW, narrow):
    labels_HW = np.where(labels_HW > 254, 7, labels_HW) if narrow else labels_HW
    data = encode(labels_HW, "some key")
    found_HW, note = decode(data, "x")
    np.testing.assert_array_equal(found_HW, labels_HW)
    assert found_HW.dtype == np.int32
    assert note == "some key"
    assert read_note(data, "x") == (*labels_HW.shape, "some key")
    picture = Image.open(io.BytesIO(data))
    assert picture.text == {"superpixels": "some key"}
    none = 255 if labels_HW.max() < 255 else 65535
    np.testing.assert_array_equal(np.asarray(picture), np.where(labels_HW < 0, none, labels_HW))


DATA = encode(np.arange(60).reshape(6, 10) // 7, "key")


def test_every_changed_byte_and_every_cut_is_found():
    for place in range(len(DATA)):
        changed = bytearray(DATA)
        changed[place] ^= 0x10
        for read in (decode, read_note):
            with pytest.raises(DataError, match=r"(?s)damaged.*x\.png.*run tools/prepare"):
                read(bytes(changed), "x.png")
            with pytest.raises(DataError, match="damaged"):
                read(DATA[:place], "x.png")
    with pytest.raises(DataError, match="after its end"):
        decode(DATA + b"x", "x.png")


def test_a_foreign_png_is_refused():
    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(file, "PNG")
    with pytest.raises(DataError, match="damaged"):
        decode(file.getvalue(), "x.png")


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[-2]]),
        np.array([[65535]]),
        np.zeros((0, 4), int),
        np.zeros((2, 2)),
        np.zeros(4, int),
    ],
)
def test_what_cannot_be_stored_is_refused(labels):
    with pytest.raises(DataError, match="expected"):
        encode(labels, "key")
