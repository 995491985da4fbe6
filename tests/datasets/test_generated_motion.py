from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.datasets.dataset import Cached
from sensorfusion.datasets.generated_motion import ACTIONS, GeneratedMotion
from sensorfusion.errors import ConfigError
from sensorfusion.sensors.resampling import Resample
from sensorfusion.sensors.skeleton import BodyFrame


def readings(index, **changes):
    return GeneratedMotion(64, **changes)[index].frames[0].readings


@pytest.fixture(scope="module")
def samples():
    prepare = [Resample(sensors=("imu", "skeleton"), steps=32, method="linear"), BodyFrame()]
    dataset = Cached(GeneratedMotion(256), prepare)
    return [dataset[i] for i in range(256)]


def test_actions_and_subjects_take_turns(samples):
    labels = np.array([sample.labels["action"] for sample in samples])
    subjects = np.array([sample.keys["subject"] for sample in samples])
    pairs, counts = np.unique(np.stack([labels, subjects]), axis=1, return_counts=True)
    assert pairs.shape[1] == 64
    assert set(counts) == {4}
    assert len({sample.id for sample in samples}) == 256
    assert samples[64].keys["trial"] == 2


def test_a_sensor_measures_the_same_whatever_else_is_read():
    alone = readings(5, sensors=("imu",))["imu"]
    together = readings(5, sensors=("camera", "skeleton", "imu"))["imu"]
    np.testing.assert_array_equal(alone.channels, together.channels)
    assert not np.array_equal(alone.channels, readings(5, seed=1)["imu"].channels)


def test_the_imu_follows_from_the_wrist_of_the_skeleton():
    """A straight arm turns about the shoulder: the wrist's speed is rate times arm length."""
    found = readings(1)  # raise_front
    imu, skeleton = found["imu"], found["skeleton"]
    joints = np.apply_along_axis(
        lambda c: np.convolve(c, np.ones(5) / 5, "valid"), 0, skeleton.joints.astype(float)
    )
    wrist = joints[:, skeleton.tree.index("right_wrist")]
    speed = np.linalg.norm(np.gradient(wrist, axis=0), axis=1) * 30
    turning = np.linalg.norm(imu.angular_rate, axis=1)
    turning = np.interp(skeleton.clock.times_T[2:-2], imu.clock.times_T, turning)
    arm = np.linalg.norm(wrist - joints[:, skeleton.tree.index("right_shoulder")], axis=1)
    assert np.corrcoef(speed, turning)[0, 1] > 0.95
    np.testing.assert_allclose(speed.mean(), (turning * arm).mean(), rtol=0.1)


def test_slow_motion_measures_gravity():
    for index in (1, 2, 9, 10):
        force = np.linalg.norm(readings(index)["imu"].acceleration, axis=1)
        assert np.median(force) == pytest.approx(9.8, abs=1.0)


def test_angular_rate_turns_the_measured_gravity():
    """For slow motion d(force)/dt = force x rate holds in the sensor's own axes."""
    clip = GeneratedMotion(64)
    errors, sizes = [], []
    for index in (1, 9, 17):
        imu = clip[index].frames[0].readings["imu"]
        smooth = np.apply_along_axis(
            lambda c: np.convolve(c, np.ones(9) / 9, "valid"), 0, imu.channels.astype(float)
        )
        change = np.gradient(smooth[:, :3], 0.02, axis=0)
        expected = np.cross(smooth[:, :3], smooth[:, 3:])
        errors.append(np.sum(change * expected))
        sizes.append(np.linalg.norm(change) * np.linalg.norm(expected))
    assert sum(errors) / sum(sizes) > 0.5


def test_the_depth_camera_sees_the_skeleton():
    found = GeneratedMotion(64, sensors=("skeleton", "camera"))[4]
    skeleton, video = (found.frames[0].readings[name] for name in ("skeleton", "camera"))
    assert len(video.pixels) == -(-len(skeleton.joints) // 2)
    k = found.frames[0].calibration["camera"]["intrinsics"]
    x, y, z = skeleton.joints[::2][: len(video.pixels), 4:12].transpose(2, 0, 1)
    u = np.rint(k[0, 2] + k[0, 0] * x / z).astype(int)
    v = np.rint(k[1, 2] - k[1, 1] * y / z).astype(int)
    depth = video.pixels[np.arange(len(u))[:, None], v, u, 0] / 1000.0
    assert (depth > 0).all()
    assert (depth < z).mean() > 0.95
    assert np.median(z - depth) == pytest.approx(0.07, abs=0.03)


@pytest.mark.parametrize("sensor", ["imu", "skeleton"])
def test_actions_can_be_learnt_across_subjects(samples, sensor):
    """Nearest class mean, trained on half of the subjects, far above the chance of 1/8."""
    found = [s.frames[0].readings[sensor] for s in samples]
    rows = np.array([np.concatenate([getattr(r, a).ravel() for a in r.ARRAYS]) for r in found])
    labels = np.array([s.labels["action"] for s in samples])
    train = np.array([s.keys["subject"] % 2 == 1 for s in samples])
    means = np.array([rows[train & (labels == c)].mean(axis=0) for c in range(len(ACTIONS))])
    nearest = ((rows[~train, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert np.mean(nearest == labels[~train]) > 0.6


def test_wrong_use_is_refused():
    with pytest.raises(ConfigError, match="radar"):
        GeneratedMotion(sensors=("radar",))
    with pytest.raises(IndexError):
        GeneratedMotion(4)[4]
