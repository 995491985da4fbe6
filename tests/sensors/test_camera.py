from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.errors import DataError, UnitError
from sensorfusion.sample import Frame, Sample
from sensorfusion.sensors.camera import (
    BodyDepth,
    Box,
    CropPerson,
    RemoveBackground,
    Resize,
    crop_map,
    crop_resize,
    occupied_box,
    resize,
)
from sensorfusion.sensors.camera_augment import CropImage, Cutout, FlipImage, NoiseImage, ScaleDepth
from tests.sensors.windows import colour, depth, sample

INTRINSICS = np.array([[20.0, 0.0, 7.3], [0.0, 21.0, 5.1], [0.0, 0.0, 1.0]])


def generator():
    return np.random.default_rng(3)


def calibrated(reading):
    frame = Frame({"camera": reading}, calibration={"camera": {"intrinsics": INTRINSICS}})
    return Sample(id="example", frames=(frame,))


def test_dtype_and_channels_follow_the_unit():
    with pytest.raises(DataError, match=r"d\.npz"):
        depth().replace(pixels=depth().pixels.astype(np.float32))
    with pytest.raises(DataError, match=r"expected .*3"):
        colour().replace(pixels=colour().pixels[..., :1])
    metres = depth().replace(pixels=depth().pixels.astype(np.float32) / 1000, unit="m")
    assert metres.is_depth
    assert not colour().is_depth
    with pytest.raises(DataError, match="empty image"):
        depth().replace(pixels=np.zeros((5, 0, 16, 1), np.uint16))


@pytest.mark.parametrize("size", [(24, 32), (6, 8), (9, 20)])
def test_resizing_maps_pixel_centres(size):
    """An image of its own u coordinate, resized, holds (u' + 0.5) / s - 0.5."""
    height, width = size
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32)[None, None, :, None], (1, 12, 16, 3))
    scale = width / 16
    expected = (np.arange(width) + 0.5) / scale - 0.5
    inner = (expected >= 1) & (expected <= 14)
    out = resize(ramp, height, width)
    np.testing.assert_allclose(out[0, 0, inner, 0], expected[inner], atol=1e-4)
    nearest = resize(ramp[..., :1].astype(np.uint16), height, width)[0, 0, :, 0].astype(float)
    assert np.abs(nearest - expected)[inner].max() <= 0.5


def test_colour_stays_colour_and_depth_is_never_mixed():
    assert resize(colour().pixels, 5, 7).dtype == np.uint8
    assert set(np.unique(resize(depth().pixels, 7, 9))) <= set(np.unique(depth().pixels))


def test_a_box_that_reaches_beyond_the_image_is_padded():
    out = crop_resize(depth().pixels, Box(-4, -2, 16, 18), 20, 20)
    np.testing.assert_array_equal(out[:, 4:16, 2:18], depth().pixels)
    assert out[:, :4].max() == out[:, :, :2].max() == 0


def test_the_person_fills_the_crop_in_its_proportions():
    assert occupied_box(depth().pixels) == Box(3, 4, 9, 10)
    crop = CropPerson(size=(12, 8), margin=0.0)
    assert crop.box(depth()) == Box(2, 4, 11, 10)  # grown to 3:2
    out = crop.prepare(depth())
    assert out.pixels.shape == (5, 12, 8, 1)
    empty = depth().replace(pixels=np.zeros_like(depth().pixels))
    assert crop.prepare(empty).pixels.shape == (5, 12, 8, 1)


def test_a_box_of_fixed_height_keeps_the_scale_and_follows_the_mass():
    crop = CropPerson(size=(8, 8), rows=8)
    assert crop.box(depth()) == Box(2, 3, 10, 11)
    pixels = depth().pixels.copy()
    pixels[0, 0, 6] = 2500  # one raised finger, in one of five frames
    assert crop.box(depth().replace(pixels=pixels)) == Box(2, 3, 10, 11)
    assert CropPerson(size=(8, 8)).box(depth().replace(pixels=pixels)).height > 8


@pytest.mark.parametrize(
    "transform",
    [
        CropPerson(size=(20, 10), rows=10),
        Resize(size=(30, 20)),
        CropPerson(size=(12, 8)),
        CropImage(smallest=0.5, stretch=True),
        FlipImage(p=1.0),
    ],
)
def test_intrinsics_follow_the_pixels(transform):
    """A bright pixel is found where the changed intrinsics project its ray to."""
    pixels = np.zeros((1, 12, 16, 1), np.uint16)
    pixels[0, 3:9, 4:10] = 1000
    pixels[0, 6:8, 6:8] = 4000  # centre at (6.5, 6.5)
    ray = np.linalg.inv(INTRINSICS) @ [6.5, 6.5, 1.0]
    reading = depth(1).replace(pixels=pixels)
    frame = transform(calibrated(reading), generator()).frames[0]
    changed = frame.readings["camera"].pixels[0, ..., 0]
    down, right = np.nonzero(changed == 4000)
    u, v, _ = frame.calibration["camera"]["intrinsics"] @ ray
    assert u == pytest.approx((right.min() + right.max()) / 2, abs=0.5)
    assert v == pytest.approx((down.min() + down.max()) / 2, abs=0.5)


def test_the_map_of_a_box_takes_its_corners_to_the_corners():
    box = Box(2, 3, 10, 15)
    corners = np.array([[2.5, 1.5, 1.0], [14.5, 9.5, 1.0]]).T  # outer edges of the box's pixels
    np.testing.assert_allclose(
        (crop_map(box, 20, 30) @ corners)[:2].T, [[-0.5, -0.5], [29.5, 19.5]], atol=1e-12
    )


def test_background_beyond_the_range_is_no_return():
    pixels = depth().pixels.copy()
    pixels[:, 0] = 5000
    out = RemoveBackground(near=1.0, far=4.0).prepare(depth().replace(pixels=pixels))
    np.testing.assert_array_equal(out.pixels, depth().pixels)
    assert out.pixels.dtype == np.uint16
    with pytest.raises(UnitError, match="sRGB"):
        RemoveBackground(near=1.0, far=4.0).prepare(colour())


def test_body_depth_forgets_the_distance_but_not_the_shape():
    farther = depth().replace(
        pixels=np.where(depth().pixels > 0, depth().pixels + 500, 0).astype("u2")
    )
    a, b = (BodyDepth().prepare(reading) for reading in (depth(), farther))
    np.testing.assert_allclose(a.pixels, b.pixels, atol=1e-5)
    body = depth().pixels > 0
    assert (a.pixels[~body] == 0).all()
    assert np.median(a.pixels[body]) == pytest.approx(1.0, abs=1e-3)
    assert a.unit == "body depth"


def test_noise_and_scale_leave_no_return_alone_and_stay_within_the_dtype():
    reading = depth()
    void = reading.pixels == 0
    noisy = NoiseImage(sigma=20.0)
    out = noisy.apply(reading, noisy.draw(reading, generator()))
    assert (out.pixels[void] == 0).all()
    difference = out.pixels[~void].astype(float) - reading.pixels[~void]
    assert difference.std() == pytest.approx(20.0, rel=0.1)
    scaled = ScaleDepth().apply(reading, 1.1)
    np.testing.assert_allclose(scaled.pixels, np.rint(reading.pixels * 1.1), atol=1)
    assert ScaleDepth().apply(reading, 100.0).pixels.max() == 65535


def test_cutout_is_one_box_in_all_frames():
    reading = depth().replace(pixels=np.full((5, 12, 16, 1), 7, np.uint16))
    cut = Cutout(share=0.5)
    out = cut.apply(reading, cut.draw(reading, generator()))
    holes = out.pixels[..., 0] == 0
    assert holes[0].sum() == 6 * 8
    assert (holes == holes[:1]).all()


def test_flip_is_off_by_default():
    reading = sample(camera=depth())
    for seed in range(20):
        out = FlipImage()(reading, np.random.default_rng(seed)).frames[0].readings["camera"]
        np.testing.assert_array_equal(out.pixels, depth().pixels)
