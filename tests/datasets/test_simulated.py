"""The simulated world as a data set."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sensorfusion.collate import collate
from sensorfusion.datasets.simulated import CAMERAS, EPOCH, SimulatedWorld
from sensorfusion.errors import ConfigError
from sensorfusion.simulation.classes import CLASSES

SMALL = {"image_size": (28, 52), "labels": True}


@pytest.fixture(scope="module")
def sample():
    return SimulatedWorld((3,), **SMALL)[4]


def test_a_sample_has_every_sensor_with_poses_and_calibration(sample):
    (frame,) = sample.frames
    assert set(frame.readings) == {"lidar", *CAMERAS, "imu", "gnss"}
    assert set(frame.poses) == set(frame.readings)
    for name in CAMERAS:
        assert frame.readings[name].pixels.shape == (1, 28, 52, 3)
        assert frame.calibration[name]["intrinsics"].shape == (3, 3)
        assert frame.calibration[name]["intrinsics"][0, 2] == pytest.approx(25.5, abs=0.3)
    for pose in frame.poses.values():
        assert pose.dtype == np.float64
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)


def test_times_are_those_of_the_sensors(sample):
    (frame,) = sample.frames
    key = frame.readings["lidar"].clock.times_T[0]
    assert key == (EPOCH + 300) * 1_000_000_000 + 3_000_000_000
    delays = [(key - frame.readings[name].clock.times_T[0]) / 1e6 for name in CAMERAS]
    assert all(0 <= delay < 44 for delay in delays)
    assert len(set(delays)) == 6
    imu = frame.readings["imu"].clock.times_T
    assert imu[-1] == key
    np.testing.assert_array_equal(np.diff(imu), 10_000_000)


def test_labels_fit_their_readings(sample):
    readings = sample.frames[0].readings
    assert readings["lidar"].label.shape == readings["lidar"].points.shape[:1]
    assert readings["lidar"].flow.shape == readings["lidar"].points.shape
    assert readings["camera.back"].depth.shape == (1, 28, 52)
    assert set(np.unique(readings["camera.front"].label)) <= {*range(16), 255}
    world = SimulatedWorld((3,), **SMALL)
    assert world.class_names["lidar.label"] == CLASSES
    assert not SimulatedWorld((3,), image_size=(28, 52)).class_names


def test_labels_do_not_change_what_is_measured(sample):
    plain = SimulatedWorld((3,), image_size=(28, 52))[4]
    assert plain.frames[0].readings["lidar"].label is None
    for name, reading in plain.frames[0].readings.items():
        for array in reading.held:
            other = getattr(sample.frames[0].readings[name], array)
            np.testing.assert_array_equal(getattr(reading, array), other)


def test_a_sensor_does_not_depend_on_which_others_are_read(sample):
    alone = SimulatedWorld((3,), sensors=("camera.back", "imu"), image_size=(28, 52))[4]
    assert set(alone.frames[0].readings) == {"camera.back", "imu"}
    both = alone.frames[0].readings, sample.frames[0].readings
    np.testing.assert_array_equal(both[0]["imu"].channels, both[1]["imu"].channels)
    np.testing.assert_array_equal(both[0]["camera.back"].pixels, both[1]["camera.back"].pixels)


def test_frames_at_offsets_are_the_frames_of_those_times():
    pair = SimulatedWorld((3,), offsets=(-0.5, 0.0), sensors=("lidar",), labels=True)[4]
    before = SimulatedWorld((3,), sensors=("lidar",))[3]
    assert len(pair.frames) == 2
    np.testing.assert_array_equal(
        pair.frames[0].readings["lidar"].points, before.frames[0].readings["lidar"].points
    )
    assert all(frame.readings["lidar"].label is not None for frame in pair.frames)


def test_labels_of_points_are_packed_as_the_points():
    world = SimulatedWorld((3,), every=6.0, **SMALL)
    samples = [world[0], world[1]]
    batch = collate(samples)
    values, first = batch["lidar"].values, int(batch["lidar"].lengths[0])
    assert len(values["label"]) == len(values["points"])
    np.testing.assert_array_equal(
        values["label"][first:].numpy(), samples[1].frames[0].readings["lidar"].label
    )
    assert batch["camera.front"].values["label"].shape == (2, 1, 28, 52)


def test_loader_workers_measure_what_the_main_process_does():
    world = SimulatedWorld((3, 4), every=9.0, **SMALL)
    here, there = (
        list(DataLoader(world, batch_size=2, collate_fn=collate, num_workers=n)) for n in (0, 2)
    )
    for one, two in zip(here, there, strict=True):
        assert one.ids == two.ids
        for sensor in world.sensors:
            for array, values in one[sensor].values.items():
                assert torch.equal(values, two[sensor].values[array])


@pytest.mark.parametrize(
    "wrong",
    [
        {"scenes": ()},
        {"scenes": (1, 1)},
        {"scenes": (-1,)},
        {"seed": -1},
        {"every": 0.0},
        {"offsets": (0.5, 0.0)},
        {"offsets": (2.0,)},
        {"image_size": (0, 10)},
        {"window": 0.0},
        {"sensors": ("radar",)},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        SimulatedWorld(**wrong)
