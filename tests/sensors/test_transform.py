from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from sensorfusion.errors import ConfigError
from sensorfusion.sample import Frame, Sample
from sensorfusion.sensors.camera_augment import CropImage
from sensorfusion.sensors.imu import GravityDegrees
from sensorfusion.sensors.imu_augment import (
    JitterImu,
    RotateImu,
)
from sensorfusion.sensors.views import DropSensors, Views
from tests.sensors.windows import colour, imu, sample, skeleton


def test_absent_sensors_stay_absent_and_every_frame_is_changed():
    frames = (Frame({"imu": imu()}), Frame({}), Frame({"imu": imu(seed=1)}))
    out = GravityDegrees()(Sample(id="x", frames=frames), np.random.default_rng(0))
    assert [set(f.readings) for f in out.frames] == [{"imu"}, set(), {"imu"}]
    assert {f.readings["imu"].unit for f in out.frames if f.readings} == {"g, deg/s"}


def test_p_is_the_share_of_changed_readings():
    jitter, rng = JitterImu(sigma=(1.0, 1.0), p=0.3), np.random.default_rng(0)
    unchanged = sample(imu=imu())
    before = imu().channels
    count = sum(
        not np.array_equal(jitter(unchanged, rng).frames[0].readings["imu"].channels, before)
        for _ in range(500)
    )
    assert 110 <= count <= 190
    with pytest.raises(ConfigError, match=r"p = 1\.5"):
        JitterImu(sigma=(1.0, 1.0), p=1.5)


def test_sensors_must_be_a_tuple():
    with pytest.raises(ConfigError, match="not a tuple"):
        GravityDegrees(sensors="imu")


def test_transforms_are_frozen_and_survive_pickling():
    views = Views(sensor="imu", views={"1": (RotateImu(),), "2": (JitterImu(sigma=(1.0, 2.0)),)})
    assert pickle.loads(pickle.dumps(views)) == views
    with pytest.raises(dataclasses.FrozenInstanceError):
        views.sensor = "skeleton"


def test_views_are_sensors_of_their_own_with_draws_of_their_own():
    views = Views(sensor="imu", views={"1": (RotateImu(),), "2": (RotateImu(),), "plain": ()})
    out = views(sample(imu=imu(), skeleton=skeleton()), np.random.default_rng(0)).frames[0].readings
    assert set(out) == {"imu.1", "imu.2", "imu.plain", "skeleton"}
    assert not np.array_equal(out["imu.1"].channels, out["imu.2"].channels)
    np.testing.assert_array_equal(out["imu.plain"].channels, imu().channels)
    assert views.random
    assert not Views(sensor="imu", views={"plain": ()}).random


def test_views_keep_the_original_where_asked_and_ignore_an_absent_sensor():
    views = Views(sensor="imu", views={"1": ()}, keep=True)
    rng = np.random.default_rng(0)
    assert set(views(sample(imu=imu()), rng).frames[0].readings) == {"imu", "imu.1"}
    assert set(views(sample(skeleton=skeleton()), rng).frames[0].readings) == {"skeleton"}


def test_views_carry_their_own_calibration_and_pose():
    frame = Frame(
        {"camera": colour()},
        poses={"camera": np.eye(4)},
        calibration={"camera": {"intrinsics": np.eye(3)}},
    )
    views = Views(sensor="camera", views={"1": (CropImage(smallest=0.5),), "2": ()})
    out = views(Sample(id="x", frames=(frame,)), np.random.default_rng(0)).frames[0]
    assert not np.array_equal(out.calibration["camera.1"]["intrinsics"], np.eye(3))
    np.testing.assert_array_equal(out.calibration["camera.2"]["intrinsics"], np.eye(3))
    assert set(out.poses) >= {"camera.1", "camera.2"}


def test_dropped_sensors_follow_their_probabilities_and_never_all_go():
    drop, rng = DropSensors(p={"imu": 0.5, "skeleton": 0.5}), np.random.default_rng(0)
    both = sample(imu=imu(), skeleton=skeleton())
    left = [frozenset(drop(both, rng).frames[0].readings) for _ in range(600)]
    counts = {kept: left.count(kept) for kept in set(left)}
    assert set(counts) == {
        frozenset({"imu"}),
        frozenset({"skeleton"}),
        frozenset({"imu", "skeleton"}),
    }
    assert min(counts.values()) > 150  # a third each
    alone = sample(imu=imu())
    assert all(drop(alone, rng).frames[0].readings for _ in range(50))


def test_a_sensor_is_dropped_from_every_frame():
    frames = tuple(Frame({"imu": imu(), "skeleton": skeleton()}) for _ in range(3))
    drop, rng = DropSensors(p={"imu": 0.5}), np.random.default_rng(0)
    for _ in range(20):
        out = drop(Sample(id="x", frames=frames), rng)
        assert len({frozenset(frame.readings) for frame in out.frames}) == 1
    with pytest.raises(ConfigError, match="imu"):
        DropSensors(p={"imu": 1.0})
