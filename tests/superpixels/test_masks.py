"""Masks made elsewhere: what they become, and what is refused."""

import contextlib
import io
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sensorfusion.errors import DataError
from sensorfusion.superpixels.masks import Masks

HEIGHT, WIDTH = 4, 6


def image():
    file = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT)).save(file, "PNG")
    return file.getvalue()


def png(array, mode=None):
    file = io.BytesIO()
    picture = Image.fromarray(array)
    if mode == "P":
        picture.putpalette([value % 256 for value in range(768)])
    picture.save(file, "PNG")
    return file.getvalue()


def npz(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def read(data, **settings):
    return Masks(**settings).labels((image(), data), "x.png")


TABLE = np.array(
    [[9, 9, 9, 4, 4, 255], [9, 9, 9, 4, 4, 255], [0, 0, 0, 0, 4, 4], [0, 0, 0, 0, 4, 4]]
)
WANTED = np.array(
    [[2, 2, 2, 1, 1, -1], [2, 2, 2, 1, 1, -1], [0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1]]
)


@pytest.mark.parametrize(
    "data",
    [
        png(np.uint8(TABLE)),
        png(np.uint8(TABLE), "P"),
        png(np.where(TABLE == 255, 65535, TABLE).astype(np.uint16)),
        npz(labels=np.where(TABLE == 255, 65535, TABLE).astype(">u2")),
        npz(np.savez_compressed, labels=np.uint8(TABLE)),
        npz(lambda file, labels: np.save(file, labels), labels=TABLE.astype(np.int8)),
        npz(labels=np.asfortranarray(np.where(TABLE == 255, -7, TABLE))),
    ],
)
def test_tables_of_every_kind(data):
    labels_HW = read(data)
    np.testing.assert_array_equal(labels_HW, WANTED)
    assert labels_HW.dtype == np.int32


def test_classes_keep_their_numbers():
    kept = read(png(np.uint8(TABLE)), keep_ids=True)
    np.testing.assert_array_equal(kept, np.where(TABLE == 255, -1, TABLE))


def test_which_number_is_none():
    labels_HW = read(png(np.uint8(TABLE)), none=0)
    np.testing.assert_array_equal(np.unique(labels_HW), [-1, 0, 1, 2])
    assert (labels_HW[2:, :4] == -1).all()
    assert read(png(np.uint8(TABLE)), none=256).min() == 0
    # 255 is a segment like any other where there are more than 8 bits.
    for table in (np.uint16(TABLE), np.int32(TABLE)):
        assert read(npz(a=table)).min() == 0
        assert read(npz(a=table), none=255).min() == -1


def test_of_overlapping_masks_the_smallest_wins():
    masks = np.zeros((5, HEIGHT, WIDTH), bool)
    masks[0, :3, :3] = True  # 9 pixels
    masks[1, 1, 1] = True  # within it
    masks[2, :, :] = masks[2, :3, :] = True  # all 24
    masks[2, 3] = False  # 18
    masks[3, 0, 2:4] = True  # 2, equal to the next
    masks[4, 0, 3:5] = True
    expected = np.full((HEIGHT, WIDTH), -1)
    expected[:3] = 2
    expected[:3, :3] = 0
    expected[0, 3:5] = 4
    expected[0, 2:4] = 3
    expected[1, 1] = 1
    np.testing.assert_array_equal(read(npz(masks=masks)), expected)
    # A mask that is covered wholly gets no id.
    covered = np.concatenate([masks, masks[1:2]])
    np.testing.assert_array_equal(read(npz(masks=covered)), expected)


def test_more_than_256_masks_do_not_wrap():
    rows = np.arange(HEIGHT * WIDTH * 20)
    table = np.uint16(rows.reshape(HEIGHT * 4, WIDTH * 5))
    file = io.BytesIO()
    Image.new("RGB", (WIDTH * 5, HEIGHT * 4)).save(file, "PNG")
    labels_HW = Masks().labels((file.getvalue(), png(table)), "x")
    np.testing.assert_array_equal(labels_HW, table)


def test_one_of_several_arrays_is_named():
    data = npz(scores=np.zeros(3), masks=np.uint8(TABLE))
    with pytest.raises(DataError, match=r"(?s)scores, masks.*x\.png.*--set array=NAME"):
        read(data)
    np.testing.assert_array_equal(read(data, array="masks"), WANTED)
    with pytest.raises(DataError, match="wanted labels"):
        read(data, array="labels")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("bomb-went-off",)


@pytest.mark.parametrize("save", [np.savez, lambda file, a: np.save(file, a, allow_pickle=True)])
def test_objects_are_refused_without_being_loaded(save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    array = np.empty((HEIGHT, WIDTH), object)
    array[:] = Bomb()
    with pytest.raises(DataError, match=r"(?s)Python objects.*can run code.*x\.png"):
        read(npz(save, a=array))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (png(np.zeros((HEIGHT, WIDTH + 1), np.uint8)), "4 x 7 pixels, the image has 4 x 6"),
        (npz(a=np.zeros((WIDTH, HEIGHT), np.int32)), "6 x 4 pixels, the image has 4 x 6"),
        (npz(a=np.zeros((3, 8, 8), bool)), "8 x 8 pixels"),
        (npz(a=np.zeros((HEIGHT, WIDTH, 3), np.uint8)), r"uint8 \(4, 6, 3\)"),
        (npz(a=np.zeros((HEIGHT, WIDTH))), r"float64 \(4, 6\)"),
        (npz(a=np.zeros((0, HEIGHT, WIDTH), bool)), "without a mask"),
        (npz(), "arrays are none"),
        (png(np.zeros((HEIGHT, WIDTH, 3), np.uint8)), "mode RGB has no numbers"),
        (png(np.uint8(TABLE))[:-25], "no readable PNG"),
        (npz(a=np.int32(TABLE))[:-30], "no readable array"),
        (b"GIF89a", "neither PNG, NPZ nor NPY"),
        (b"", "neither PNG, NPZ nor NPY"),
    ],
)
def test_what_is_no_mask_is_refused(data, what):
    with pytest.raises(DataError, match=rf"(?s){what}.*x\.png"):
        read(data)


def test_an_array_that_claims_much_memory_takes_none():
    """The header is judged before anything is allocated: a terabyte is refused by its shape."""
    file = io.BytesIO()
    header = {"descr": "|b1", "fortran_order": False, "shape": (2**36, HEIGHT, WIDTH)}
    np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DataError, match="at most 65536"):
        read(file.getvalue())


VALID = [
    png(np.uint8(TABLE)),
    png(np.uint8(TABLE), "P"),
    png(np.uint16(TABLE)),
    npz(np.savez_compressed, a=np.int32(TABLE)),
    npz(a=np.int32(TABLE)),
    npz(lambda file, a: np.save(file, a), a=np.int64(TABLE)),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=3),
    st.integers(0, 10**6),
)
def test_damaged_files_give_labels_or_our_error(data, changes, end):
    """Neither PNG nor NPZ checks every byte; nothing but our error may come out of it."""
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    damaged = damaged[: len(data) - end % len(data)] if end % 3 else damaged
    with contextlib.suppress(DataError):
        labels_HW = read(bytes(damaged))
        assert labels_HW.shape == (HEIGHT, WIDTH)
        assert labels_HW.min() >= -1
