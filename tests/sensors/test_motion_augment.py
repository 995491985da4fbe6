"""Augmentations of time, body and wear: what they change and what they must not."""

from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.geometry.clock import Clock, ClockKind
from sensorfusion.sensors.body_augment import OffsetJoints, ScaleAmplitude, ScaleLimbs, TurnBody
from sensorfusion.sensors.imu import SI, ImuWindow
from sensorfusion.sensors.skeleton import KINECT_V1, SkeletonWindow
from sensorfusion.sensors.time_augment import CropWarp, ScaleFastMotion
from sensorfusion.sensors.wear_augment import OffsetImu, ScaleSpeed, TiltImu


def generator():
    return np.random.default_rng(3)


def imu(rows=90):
    values = generator().normal(size=(2, rows, 3)).cumsum(1).astype(np.float32)
    return ImuWindow(
        clock=Clock.fraction(rows),
        axes="sensor",
        unit=SI,
        acceleration=values[0],
        angular_rate=values[1],
    )


def skeleton(rows=60):
    body = generator().normal(size=(len(KINECT_V1), 3))
    joints = body + 0.1 * generator().normal(size=(rows, len(KINECT_V1), 3)).cumsum(0)
    return SkeletonWindow(
        clock=Clock.fraction(rows), axes="camera", unit="m", joints=joints.astype(np.float32)
    )


def bone_lengths(reading):
    a, b = np.array(reading.tree.bones).T
    return np.linalg.norm(reading.joints[:, a] - reading.joints[:, b], axis=2)


def test_crop_warp_reads_the_window_at_non_decreasing_places_within_the_crop():
    change = CropWarp(sensors=("imu",), steps=40, crop=0.2, warp=0.8)
    for seed in range(20):
        places = change.draw(imu(), np.random.default_rng(seed))
        assert len(places) == 40
        assert (np.diff(places) >= 0).all()
        assert 0 <= places[0] <= 0.2 * 89
        assert 0.8 * 89 <= places[-1] <= 89 + 1e-9


def test_crop_warp_without_either_is_resampling():
    still = CropWarp(sensors=("imu",), steps=90, crop=0.0, warp=0.0)
    out = still.apply(imu(), still.draw(imu(), generator()))
    np.testing.assert_allclose(out.acceleration, imu().acceleration, atol=1e-5)
    np.testing.assert_allclose(out.clock.times_T, imu().clock.times_T)


def test_crop_warp_keeps_the_pose_at_rest_and_absolute_clocks():
    change = CropWarp(sensors=("imu",), steps=10, keep_first=True)
    start = 1_700_000_000_000_000_000
    reading = imu().replace(clock=Clock(ClockKind.ABSOLUTE, start + np.arange(90) * 10_000_000))
    out = change.apply(reading, change.draw(reading, generator()))
    np.testing.assert_array_equal(out.acceleration[0], reading.acceleration[0])
    assert out.clock.times_T.dtype == np.int64
    assert start <= out.clock.times_T[0] <= out.clock.times_T[-1] <= start + 89 * 10_000_000


def test_fast_motion_scales_and_slow_motion_stays():
    time = np.linspace(0, 1, 200)
    for cycles, kept in ((0.0, 1.0), (30.0, 2.0)):
        wave = np.cos(2 * np.pi * cycles * time)[:, None].repeat(3, 1).astype(np.float32)
        reading = imu(200).replace(acceleration=wave, angular_rate=wave)
        out = ScaleFastMotion(sensors=("imu",)).apply(reading, 2.0)
        np.testing.assert_allclose(out.acceleration[50:150], kept * wave[50:150], atol=0.02)


def test_amplitude_leaves_the_first_frame():
    out = ScaleAmplitude().apply(skeleton(), np.array([2, 1, 0], dtype=np.float32))
    moved, before = (r.joints - r.joints[:1] for r in (out, skeleton()))
    np.testing.assert_allclose(moved, before * [2, 1, 0], atol=1e-5)


def test_limbs_change_length_alike_on_both_sides_and_keep_their_direction():
    change = ScaleLimbs(asymmetry=0.0, size=0.0)
    factors = change.draw(skeleton(), generator())
    np.testing.assert_allclose(factors, factors[list(KINECT_V1.mirrored)])
    out = change.apply(skeleton(), factors)
    ratio = bone_lengths(out) / bone_lengths(skeleton())
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), rtol=1e-3)
    a, b = np.array(KINECT_V1.bones).T
    before, after = (r.joints[:, b] - r.joints[:, a] for r in (skeleton(), out))
    cosine = (
        (before * after).sum(2) / np.linalg.norm(before, axis=2) / np.linalg.norm(after, axis=2)
    )
    np.testing.assert_allclose(cosine, 1.0, atol=1e-4)


def test_turning_keeps_the_body_rigid_and_yaw_keeps_heights():
    change = TurnBody(yaw=90.0, tilt=0.0)
    out = change.apply(skeleton(), change.draw(skeleton(), generator()))
    np.testing.assert_allclose(bone_lengths(out), bone_lengths(skeleton()), rtol=1e-4)
    np.testing.assert_allclose(out.joints[..., 1], skeleton().joints[..., 1], atol=1e-5)
    assert not np.allclose(out.joints, skeleton().joints, atol=0.1)


def test_joint_offsets_are_constant_in_time():
    change = OffsetJoints(sigma=0.5)
    difference = change.apply(skeleton(), change.draw(skeleton(), generator())).joints
    difference = difference - skeleton().joints
    np.testing.assert_allclose(difference, difference[:1].repeat(60, 0), atol=1e-6)
    assert difference.std() == pytest.approx(0.5, rel=0.3)


def test_tilting_turns_both_kinds_alike():
    change = TiltImu(degrees=30.0)
    turn = change.draw(imu(), generator())
    out = change.apply(imu(), turn)
    for name in imu().ARRAYS:
        before = getattr(imu(), name)
        np.testing.assert_allclose(getattr(out, name), before @ turn.T, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            np.linalg.norm(getattr(out, name), axis=1), np.linalg.norm(before, axis=1), rtol=1e-4
        )


def test_a_motion_at_another_speed_keeps_gravity():
    out = ScaleSpeed().apply(imu(), 2.0)
    np.testing.assert_allclose(out.acceleration.mean(0), imu().acceleration.mean(0), atol=1e-3)
    np.testing.assert_allclose(out.acceleration.std(0), 4 * imu().acceleration.std(0), rtol=1e-3)
    np.testing.assert_allclose(out.angular_rate, 2 * imu().angular_rate, rtol=1e-5)


def test_biases_have_the_deviation_of_their_kind():
    draws = np.stack(
        [OffsetImu(sigma=(0.1, 5.0)).draw(imu(), g) for g in map(np.random.default_rng, range(400))]
    )
    np.testing.assert_allclose(draws.std(0), [0.1] * 3 + [5.0] * 3, rtol=0.15)
