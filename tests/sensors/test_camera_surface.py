"""Bodies as surfaces: what depth becomes, where the box lies, and what moving them does."""

from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.errors import ConfigError, UnitError
from sensorfusion.geometry.clock import Clock
from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.sample import Frame, Sample
from sensorfusion.sensors.camera import CameraImage
from sensorfusion.sensors.camera_surface import SURFACE, BodySurface, CropBody
from sensorfusion.sensors.camera_surface_augment import MoveSurface, move_surface
from sensorfusion.sensors.resampling import Resample
from tests.sensors.windows import colour, depth, sample

STILL = np.eye(3, 4)


def generator():
    return np.random.default_rng(5)


def surface(rows=4, height=20, width=16) -> CameraImage:
    """A body with smooth edges, a tilted front, away from the border."""
    v, u = np.mgrid[:height, :width]
    away = np.hypot((v - 9.5) / 7, (u - 7.5) / 4.5)
    coverage = np.clip(2.5 - 2 * away, 0, 1) * np.ones((rows, 1, 1))
    near = (u - 7.5) / 8 + 0.1 * np.arange(rows)[:, None, None]
    pixels = np.stack([coverage, coverage * near], axis=3).astype(np.float32)
    return CameraImage(clock=Clock.fraction(rows), axes="pixels", unit=SURFACE, pixels=pixels)


def moved(reading, affine, pixels_per_unit=8.0):
    return move_surface(reading.pixels[..., 0], reading.pixels[..., 1], affine, pixels_per_unit)


def test_nearness_is_measured_from_where_the_person_stood_first():
    pixels = np.zeros((5, 4, 3, 1), np.uint16)
    pixels[:, 1:3, 1] = 3000
    pixels[4, 1, 1] = 2250  # a hand towards the camera
    pixels[4, 2, 1] = 5500  # farther than the limit
    reading = depth().replace(pixels=pixels, clock=Clock.fraction(5))
    out = BodySurface(reach=0.5, limit=2.0).prepare(reading)
    assert (out.unit, out.pixels.dtype, out.pixels.shape) == (SURFACE, np.float32, (5, 4, 3, 2))
    np.testing.assert_array_equal(out.pixels[..., 0], pixels[..., 0] > 0)
    assert not out.pixels[:4, ..., 1].any()
    np.testing.assert_allclose(out.pixels[4, 1:3, 1, 1], [1.5, -2.0])
    metres = reading.replace(pixels=pixels.astype(np.float32) / 1000, unit="m")
    np.testing.assert_allclose(BodySurface().prepare(metres).pixels, out.pixels, atol=1e-6)


def test_a_late_start_and_an_empty_clip():
    pixels = np.zeros((5, 4, 3, 1), np.uint16)
    empty = BodySurface().prepare(depth().replace(pixels=pixels, clock=Clock.fraction(5)))
    assert not empty.pixels.any()
    pixels[3:, 1, 1] = 3000
    late = BodySurface().prepare(depth().replace(pixels=pixels, clock=Clock.fraction(5)))
    np.testing.assert_array_equal(late.pixels[3:, 1, 1], [[1, 0], [1, 0]])


def test_only_depth_becomes_a_surface():
    with pytest.raises(UnitError, match="BodySurface takes depth"):
        BodySurface().prepare(colour())


def test_surfaces_are_interpolated_without_mixing_body_and_background():
    """Half-size and between frames: the quotient of the two channels stays a depth of the body."""
    pixels = np.zeros((2, 12, 16, 1), np.uint16)
    pixels[0, 3:9, 4:10], pixels[1, 3:9, 7:13] = 2500, 2500
    body = BodySurface(rest=1).prepare(depth().replace(pixels=pixels, clock=Clock.fraction(2)))
    body = body.replace(pixels=body.pixels[..., :1] * np.float32([1.0, 0.7]))
    small = CropBody(size=(7, 9), rest=1).prepare(body)
    between = Resample(sensors=("camera",), steps=5, method="linear").prepare(small)
    coverage, product = between.pixels[..., 0], between.pixels[..., 1]
    edges = (coverage > 0.05) & (coverage < 0.95)
    assert edges.sum() > 20
    np.testing.assert_allclose(product[edges] / coverage[edges], 0.7, atol=1e-4)


def person(top, bottom, left, right, arm=None) -> CameraImage:
    pixels = np.zeros((6, 60, 80, 1), np.uint16)
    pixels[:, top:bottom, left:right] = 2500
    if arm is not None:
        pixels[3:, arm, left:right] = 2500
    return depth().replace(pixels=pixels, clock=Clock.fraction(6))


@pytest.mark.parametrize(("top", "bottom", "middle"), [(10, 38, 40), (4, 54, 20), (30, 44, 61)])
def test_every_body_gets_the_same_place(top, bottom, middle):
    reading = person(top, bottom, middle - 3, middle + 3)
    box = CropBody(size=(40, 32), body=0.7, feet=0.95).box(reading)
    assert box.height == pytest.approx((bottom - top) / 0.7, abs=1)
    assert box.width / box.height == pytest.approx(32 / 40, abs=0.06)
    assert (bottom - box.top) / box.height == pytest.approx(0.95, abs=0.05)
    assert (box.left + box.right) / 2 == pytest.approx(middle, abs=1)


def test_the_box_is_that_of_the_rest_and_ignores_single_pixels():
    still = person(10, 38, 37, 43)
    box = CropBody(size=(40, 32)).box(still)
    assert CropBody(size=(40, 32)).box(person(10, 38, 37, 43, arm=slice(2, 10))) == box
    pixels = still.pixels.copy()
    pixels[:, 2, 40] = 2500
    assert CropBody(size=(40, 32)).box(still.replace(pixels=pixels)) == box
    nothing = still.replace(pixels=np.zeros_like(pixels))
    assert not CropBody(size=(40, 32)).prepare(nothing).pixels.any()


def test_a_body_that_would_leave_the_box():
    with pytest.raises(ConfigError, match="leave the box"):
        CropBody(size=(40, 32), body=0.9, feet=0.8)


def test_a_surface_that_stays_is_unchanged():
    reading = surface()
    coverage, product = moved(reading, STILL)
    np.testing.assert_allclose(coverage, reading.pixels[..., 0], atol=1e-6)
    np.testing.assert_allclose(product, reading.pixels[..., 1], atol=1e-6)


def test_a_shift_by_whole_pixels_and_towards_the_camera():
    reading = surface()
    shift = STILL + np.array([[0, 0, 0, 2], [0, 0, 0, -1], [0, 0, 0, 4.0]])
    coverage, product = moved(reading, shift)
    before, after = reading.pixels[:, 1:, :-2], (slice(None), slice(None, -1), slice(2, None))
    np.testing.assert_allclose(coverage[after], before[..., 0], atol=1e-6)
    np.testing.assert_allclose(product[after], before[..., 1] + 0.5 * before[..., 0], atol=1e-6)


def test_what_leaves_the_image_is_gone():
    reading = surface()
    for column in (0, 1):
        away = STILL.copy()
        away[column, 3] = 100.0
        for sign in (1, -1):
            assert not np.any(moved(reading, away * [1, 1, 1, sign]))


def test_half_a_pixel_shares_between_two():
    pixels = np.zeros((1, 5, 5, 2), np.float32)
    pixels[0, 2, 2] = 0.8, 0.4
    shift = STILL.copy()
    shift[0, 3] = 0.5
    coverage, product = move_surface(pixels[..., 0], pixels[..., 1], shift, 8.0)
    np.testing.assert_allclose(coverage[0, 2], [0, 0, 0.4, 0.4, 0], atol=1e-6)
    np.testing.assert_allclose(product[0, 2], [0, 0, 0.2, 0.2, 0], atol=1e-6)


def test_a_larger_body_covers_more_and_stays_whole():
    reading = surface(height=40, width=36)
    larger = STILL.copy()
    larger[0, 0], larger[1, 1] = 1.2, 1.1
    coverage, _ = moved(reading, larger)
    area = reading.pixels[..., 0].sum() * 1.2 * 1.1
    assert coverage.max() <= 1 + 1e-6
    assert coverage.sum() == pytest.approx(area, rel=0.05)


def test_a_turn_moves_near_points_across_and_takes_them_back():
    """About the vertical, a point sin(turn) nearer moves sideways by as much."""
    pixels = np.zeros((1, 9, 21, 2), np.float32)
    pixels[0, 4, 10] = 1.0, 1.0  # on the axis, 8 pixels near
    turn = np.deg2rad(30.0)
    rotation = np.column_stack([rotation_about((0, 1, 0), turn), np.zeros(3)])
    coverage, product = move_surface(pixels[..., 0], pixels[..., 1], rotation, 8.0)
    total = coverage.sum()
    assert (coverage[0, 4] @ np.arange(21)) / total == pytest.approx(10 + 8 * np.sin(turn))
    assert product.sum() / total == pytest.approx(np.cos(turn))
    assert total == pytest.approx(np.cos(turn))  # a wall at constant nearness looks narrower


def test_draws_stay_small_and_differ():
    reading = surface()
    change = MoveSurface(sensors=("it",))
    draws = np.stack([change.draw(reading, np.random.default_rng(seed)) for seed in range(200)])
    scales = np.linalg.norm(draws[:, :, :3], axis=1)
    assert np.log(scales).std() == pytest.approx(np.hypot(0.06, 0.06), rel=0.2)
    assert (np.abs(draws[:, 0, 3]) <= 0.04 * 16).all()
    assert (np.abs(draws[:, 1, 3]) <= 0.04 * 20).all()
    turns = np.rad2deg(np.arctan2(draws[:, 0, 2] / scales[:, 2], draws[:, 2, 2] / scales[:, 2]))
    assert 12 < np.abs(turns).max() < 18


def test_intrinsics_follow_points_at_rest():
    """A pixel of nearness 0 arrives where the changed intrinsics see its ray."""
    intrinsics = np.array([[30.0, 0, 7.0], [0, 31.0, 9.0], [0, 0, 1.0]])
    pixels = np.zeros((1, 20, 16, 2), np.float32)
    pixels[0, 6, 9, 0] = 1.0
    reading = surface().replace(pixels=pixels, clock=Clock.fraction(1))
    frame = Frame({"camera": reading}, calibration={"camera": {"intrinsics": intrinsics}})
    whole = Sample(id="x", frames=(frame,))
    out = MoveSurface()(whole, generator()).frames[0]
    coverage = out.readings["camera"].pixels[0, ..., 0]
    found = [(coverage * grid).sum() / coverage.sum() for grid in np.mgrid[:20, :16][::-1]]
    ray = np.linalg.inv(intrinsics) @ [9, 6, 1]
    expected = out.calibration["camera"]["intrinsics"] @ ray
    np.testing.assert_allclose(found, expected[:2] / expected[2], atol=1e-5)


def test_only_surfaces_are_moved():
    with pytest.raises(UnitError, match="apply BodySurface before"):
        MoveSurface()(sample(camera=depth()), generator())
