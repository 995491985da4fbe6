from __future__ import annotations

import numpy as np
import pytest
from torch.utils.data import DataLoader

from sensorfusion.datasets.simulated_people import ACTIONS, SUBJECTS, SimulatedPeople, _Clip
from sensorfusion.errors import ConfigError
from sensorfusion.geometry.poses import invert
from sensorfusion.sensors.skeleton import KINECT_V1
from sensorfusion.simulation.casting import cast
from sensorfusion.simulation.kinect import measured
from sensorfusion.simulation.stage import CLEAR, ORIGIN

TRUTH = ("imu", "skeleton", "colour", "camera")


@pytest.fixture(scope="module")
def filmed():
    """A clip of every action, by different people, with its truth."""
    dataset = SimulatedPeople(
        len(ACTIONS) * len(SUBJECTS), sensors=TRUTH, truth=True, frames=3, image_size=(60, 80)
    )
    return [dataset[a + len(ACTIONS) * ((5 * a) % len(SUBJECTS))] for a in range(len(ACTIONS))]


def test_actions_and_subjects_take_turns():
    dataset = SimulatedPeople(2 * len(ACTIONS) * len(SUBJECTS), sensors=("imu",))
    assert len(dataset) == 2 * 12 * 16
    assert len(SimulatedPeople(384, subjects=(2, 5))) == 48
    first, again = dataset[0], dataset[192]
    assert (first.labels["action"], first.keys["subject"], first.keys["trial"]) == (0, 1, 1)
    assert (again.labels["action"], again.keys["subject"], again.keys["trial"]) == (0, 1, 2)
    assert dataset[12].keys["subject"] == 2


def test_a_sensor_measures_the_same_whatever_else_is_read():
    alone = SimulatedPeople(16, sensors=("imu",))[5].frames[0].readings["imu"]
    sample = SimulatedPeople(16, sensors=("skeleton", "imu"), truth=True)[5]
    np.testing.assert_array_equal(alone.channels, sample.frames[0].readings["imu"].channels)
    other = SimulatedPeople(16, seed=1, sensors=("imu",))[5].frames[0].readings["imu"]
    assert alone.channels.shape != other.channels.shape or (alone.channels != other.channels).any()


def _rows(samples):
    return samples[0]


def test_workers_and_order_change_nothing():
    dataset = SimulatedPeople(6)
    here = [dataset[i] for i in (3, 0, 5, 1)]
    loader = DataLoader(
        dataset, batch_size=1, sampler=[3, 0, 5, 1], num_workers=2, collate_fn=_rows
    )
    for one, two in zip(here, loader, strict=True):
        assert one.id == two.id
        for name, reading in one.frames[0].readings.items():
            for array in reading.ARRAYS:
                other = two.frames[0].readings[name]
                np.testing.assert_array_equal(getattr(reading, array), getattr(other, array))


def test_the_sensors_share_their_time(filmed):
    for sample in filmed:
        readings = sample.frames[0].readings
        ends = [float(readings[name].clock.times_T[-1]) for name in TRUTH]
        assert max(ends) - min(ends) < 0.05
        assert np.diff(readings["imu"].clock.times_T).std() < 1e-9
        assert readings["imu"].clock.times_T[1] == pytest.approx(0.02)


def test_joints_lie_on_the_pixels_of_the_person(filmed):
    """Seen joints project into the instance image; those of the middle of limbs almost always."""
    inside = []
    for sample in filmed:
        skeleton, image = (sample.frames[0].readings[name] for name in ("skeleton", "colour"))
        k = sample.frames[0].calibration["colour"]["intrinsics"]
        rows = np.searchsorted(skeleton.clock.times_T, image.clock.times_T - 1e-9)
        joints, hidden = (sample.labels[f"skeleton.{name}"] for name in ("joints", "hidden"))
        for row, instance, depth in zip(rows, image.instance, image.depth, strict=True):
            x, y, z = joints[row].T
            u = np.rint(k[0, 2] + k[0, 0] * x / z).astype(int)
            v = np.rint(k[1, 2] - k[1, 1] * y / z).astype(int)
            height, width = instance.shape
            seen = (u >= 0) & (u < width) & (v >= 0) & (v < height) & ~hidden[row]
            inside.extend(instance[v[seen], u[seen]] == 1)
            near = z[seen] - depth[v[seen], u[seen]]
            on = instance[v[seen], u[seen]] == 1
            assert np.abs(near[on]).max() < 0.45  # the surface is about as far as the joint
    assert len(inside) > 300
    assert np.mean(inside) > 0.93


def test_hidden_joints_are_those_that_rays_do_not_reach():
    """By the ray caster: what a ray to a joint meets, as against the flags' own geometry."""
    dataset = SimulatedPeople(384, sensors=("skeleton",), truth=True)
    shares, wrong = [], []
    for index in range(0, 96, 7):
        clip = _Clip(0, index, (60, 80), 2)
        eye = clip.camera_pose[:3, 3]
        hidden = clip.stage.hidden(clip.posed, eye)
        flagged = dataset[index].labels["skeleton.hidden"]
        assert flagged[hidden].all()
        angle = np.abs(clip.joints[..., 0] / clip.joints[..., 2])
        np.testing.assert_array_equal(flagged[angle > 0.57], True)
        assert not flagged[(angle < 0.55) & (clip.joints[..., 2] > 3.0) & ~hidden].any()
        shares.append(hidden.mean())
        for row in (0, len(hidden) // 2):
            seconds = float(clip.times[row])
            joints = clip.stage.posed(clip.times[row : row + 1]).joints_NJ3[0]
            way = joints - eye
            far = np.linalg.norm(way, axis=1)
            hits = cast(clip.stage.at(seconds), np.tile(eye + ORIGIN, (20, 1)), way / far[:, None])
            edge = np.abs(hits.distance_N - (far - CLEAR)) < 0.02
            met = hits.distance_N < far - CLEAR
            wrong.extend((met != hidden[row])[~edge])
    assert np.mean(wrong) < 0.01  # necks and skirts are round here and there are not
    assert 0.02 < np.mean(shares) < 0.4


def test_a_hidden_joint_jitters_and_noise_grows_with_distance():
    joints = np.tile(np.array([0.1, 0.2, 2.0]), (400, 20, 1))
    hidden = np.zeros((400, 20), dtype=bool)
    hidden[200:, 7] = True
    found = measured(joints, hidden, 30.0, np.random.default_rng(0))
    far = measured(joints * (1, 1, 2), hidden, 30.0, np.random.default_rng(0))
    spread = found[:, :, 0].std(axis=0)
    assert 0.003 < np.delete(spread, 7).mean() < 0.005
    assert found[210:, 7].std(axis=0).mean() > 0.03
    assert far[:200, :, 0].std(axis=0).mean() > 3 * found[:200, :, 0].std(axis=0).mean()
    assert len(measured(joints[:1], hidden[:1], 30.0, np.random.default_rng(0))) == 1


def test_the_skeleton_is_that_of_a_camera(filmed):
    for sample in filmed:
        joints = sample.frames[0].readings["skeleton"].joints
        truth = sample.labels["skeleton.joints"]
        seen = ~sample.labels["skeleton.hidden"]
        assert np.median(np.abs(joints - truth)[seen]) < 0.02
        head, hip = (truth[:, KINECT_V1.index(name), 1] for name in ("head", "hip_centre"))
        assert (head - hip).mean() > 0.3  # y is up
        assert truth[..., 2].min() > 0.6
        pose = sample.frames[0].poses["skeleton"]
        stage = (truth * (1, -1, 1)).reshape(-1, 3) @ pose[:3, :3].T + pose[:3, 3]
        assert -0.05 < stage[:, 2].min() < 0.1  # feet are on the ground
        again = stage @ invert(pose)[:3, :3].T + invert(pose)[:3, 3]
        np.testing.assert_allclose(again, (truth * (1, -1, 1)).reshape(-1, 3), atol=1e-5)


def test_the_depth_camera_sees_only_the_person(filmed):
    for sample in filmed:
        depth, colour = (sample.frames[0].readings[name] for name in ("camera", "colour"))
        person = colour.instance == 1
        assert ((depth.pixels[..., 0] > 0) == person).all()
        error = depth.pixels[..., 0][person] / 1000.0 - colour.depth[person]
        assert np.abs(error).mean() < 0.05


@pytest.mark.parametrize(
    "wrong",
    [
        {"sensors": ("radar",)},
        {"subjects": (0,)},
        {"subjects": ()},
        {"worn_on": "tail"},
        {"length": 0},
        {"seed": -1},
        {"image_size": (4, 4)},
        {"frames": 0},
    ],
)
def test_wrong_use_is_refused(wrong):
    with pytest.raises(ConfigError):
        SimulatedPeople(**wrong)
    with pytest.raises(IndexError):
        SimulatedPeople(4)[4]
