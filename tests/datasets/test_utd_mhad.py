from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest
from scipy.io import savemat

from sensorfusion.datasets.utd_mhad import (
    ACTIONS,
    DEPTH_LAG,
    ODD_SUBJECTS,
    TEST_SUBJECTS,
    TRAIN_SUBJECTS,
    VALIDATION_SUBJECTS,
    UtdMhad,
)
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.geometry.clock import ClockKind
from sensorfusion.sensors.resampling import linear_resample
from tests.datasets.recordings import camera, inertial, skeleton, write_clip, write_set

CLIP = "a1_s1_t1"


@pytest.fixture
def root(tmp_path):
    return write_set(tmp_path / "utd-mhad")


def whole(root, **changes):
    return UtdMhad(root, **{"subjects": range(1, 9), **changes})


def test_samples_have_si_units_labels_keys_and_clocks(root):
    dataset = whole(root)
    assert [clip.name for clip in dataset.clips] == ["a1_s1_t1", "a1_s2_t1", "a2_s1_t1", "a2_s2_t1"]
    sample = dataset[3]
    assert (sample.id, sample.labels, sample.keys) == (
        "a2_s2_t1",
        {"action": 1},
        {"subject": 2, "trial": 1},
    )
    readings = sample.frames[0].readings
    draws = np.random.default_rng(3)
    inertial_N6, joints = draws.normal(size=(33, 6)), draws.normal(size=(20, 3, 14))
    np.testing.assert_allclose(
        readings["imu"].acceleration, 9.80665 * inertial_N6[:, :3], rtol=1e-6
    )
    np.testing.assert_allclose(
        readings["imu"].angular_rate, inertial_N6[:, 3:] * np.pi / 180, rtol=1e-6
    )
    np.testing.assert_allclose(readings["skeleton"].joints, joints.transpose(2, 0, 1), rtol=1e-6)
    assert readings["camera"].pixels.shape == (7, 12, 16, 1)
    assert {reading.clock.kind for reading in readings.values()} == {ClockKind.FRACTION}
    shown = readings["camera"].clock.times_T * 13
    np.testing.assert_allclose(shown, [max(2 * k - DEPTH_LAG, 0) for k in range(7)], atol=1e-12)
    assert sample.frames[0].calibration["camera"]["intrinsics"].shape == (3, 3)


def test_subjects_actions_and_sensors_are_chosen(root):
    assert [c.name for c in UtdMhad(root, subjects=(2,)).clips] == ["a1_s2_t1", "a2_s2_t1"]
    assert [c.name for c in whole(root, actions=(2,)).clips] == ["a2_s1_t1", "a2_s2_t1"]
    assert set(whole(root, sensors=("imu",))[0].frames[0].readings) == {"imu"}
    with pytest.raises(ConfigError, match=r"\['radar'\]"):
        UtdMhad(root, sensors=("radar",))


def test_a_sensor_that_is_not_read_need_not_be_there(root):
    for path in (root / "Depth_half").iterdir():
        path.unlink()
    (root / "Depth_half").rmdir()
    assert len(whole(root, sensors=("imu", "skeleton"))) == 4
    with pytest.raises(DataError, match=r"'Depth_half' for sensor 'camera'"):
        whole(root)


def test_the_root_comes_from_the_environment(root, monkeypatch):
    monkeypatch.setenv("SENSORFUSION_DATA", str(root.parent))
    assert len(UtdMhad(subjects=(1, 2))) == 4
    monkeypatch.setenv("SENSORFUSION_DATA", str(root.parent / "nowhere"))
    with pytest.raises(DataError, match=r"nowhere/utd-mhad[\s\S]*set SENSORFUSION_DATA"):
        UtdMhad()


def test_the_default_root_lies_beside_the_repository(root, tmp_path, monkeypatch):
    monkeypatch.delenv("SENSORFUSION_DATA", raising=False)
    inside = tmp_path / "repository" / "tools"
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    inside.mkdir()
    (tmp_path / "shared" / "data").mkdir(parents=True)
    root.rename(tmp_path / "shared" / "data" / "utd-mhad")
    monkeypatch.chdir(inside)
    assert len(UtdMhad(subjects=(1, 2))) == 4


def test_wrong_root_and_empty_folder(root, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        UtdMhad(tmp_path / "absent")
    with pytest.raises(DataError, match="no folder 'Inertial'"):
        UtdMhad(tmp_path)
    with pytest.raises(DataError, match=r"no clip of subjects \(7,\)"):
        UtdMhad(root, subjects=(7,))
    empty = tmp_path / "empty"
    for folder in ("Inertial", "Skeleton", "Depth_half"):
        (empty / folder).mkdir(parents=True)
    with pytest.raises(DataError, match=r"among 0 clips[\s\S]*Inertial"):
        UtdMhad(empty)


def test_a_clip_of_an_unknown_action_is_named(root):
    write_clip(root, "a28_s1_t1")
    with pytest.raises(DataError, match=r"action 28[\s\S]*a28_s1_t1_inertial\.mat"):
        whole(root)


def test_a_missing_partner_is_named_or_dropped(root):
    skeleton(root, CLIP).unlink()
    with pytest.raises(DataError, match=r"a1_s1_t1 has no file for sensor 'skeleton'[\s\S]*drop"):
        whole(root)
    dataset = whole(root, missing="drop")
    assert set(dataset[0].frames[0].readings) == {"imu", "camera"}
    assert set(dataset[1].frames[0].readings) == {"imu", "skeleton", "camera"}
    assert len(whole(root, subjects=(2,))) == 2  # clips that are not chosen are not asked for


def fails(root, sensor, *words):
    """Reading names the sensor's file, says what to do, and survives a loader worker's pickle."""
    with pytest.raises(DataError) as caught:
        whole(root)[0]
    text = str(pickle.loads(pickle.dumps(caught.value)))
    for word in (CLIP, sensor, "what to do", *words):
        assert word in text
    assert whole(root)[1].id == "a1_s2_t1"


@pytest.mark.parametrize("kept", [0, 60, 200, -7])
def test_truncated_mat(root, kept):
    path = inertial(root, CLIP)
    path.write_bytes(path.read_bytes()[:kept])
    fails(root, "'imu'", "cannot be read")


def test_garbage_instead_of_mat(root):
    skeleton(root, CLIP).write_bytes(np.random.default_rng(0).bytes(5000))
    fails(root, "'skeleton'", "cannot be read")


def test_non_finite_values(root):
    values = np.ones((20, 3, 11))
    values[4, 1, 6] = np.nan
    savemat(skeleton(root, CLIP), {"d_skel": values})
    fails(root, "'skeleton'", "non-finite value in row 6 of 11")
    write_clip(root, CLIP)
    rows = np.ones((30, 6))
    rows[3, 4] = np.inf
    savemat(inertial(root, CLIP), {"d_iner": rows})
    fails(root, "'imu'", "non-finite value in row 3 of 30")


def test_values_beyond_single_precision(root):
    savemat(inertial(root, CLIP), {"d_iner": np.full((30, 6), 1e300)})
    fails(root, "'imu'", "non-finite")


@pytest.mark.parametrize(
    "content",
    [
        {"d_iner": np.ones((30, 5))},
        {"d_iner": np.ones((6, 30))},
        {"d_iner": np.ones((1, 6))},
        {"d_iner": np.ones((0, 6))},
        {"d_iner": np.ones((30, 6, 2))},
        {"d_iner": np.array([[1, "x"]], dtype=object)},
        {"d_iner": "text"},
        {"other": np.ones((30, 6))},
    ],
)
def test_wrong_channels_shapes_and_names(root, content):
    savemat(inertial(root, CLIP), content)
    fails(root, "'imu'")


def test_wrong_number_of_joints(root):
    savemat(skeleton(root, CLIP), {"d_skel": np.ones((25, 3, 11))})
    fails(root, "'skeleton'", "(25, 3, 11)")


def test_depth_that_does_not_fit_the_skeleton(root):
    savemat(skeleton(root, CLIP), {"d_skel": np.ones((20, 3, 30))})
    fails(root, "'camera'", "30 skeleton frames do not fit 6 depth frames")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"depth": np.ones((6, 12, 16), np.float32), "frames": 11}, "float32"),
        ({"depth": np.ones((6, 12), np.uint16), "frames": 11}, "(6, 12)"),
        ({"depth": np.ones((4, 12, 16), np.uint16), "frames": 11}, "4 depth frames"),
        ({"depth": np.ones((0, 12, 16), np.uint16), "frames": 0}, "0 depth frames"),
        ({"depth": np.ones((6, 12, 16), np.uint16)}, "frames"),
        ({"depth": np.array([{}]), "frames": 11}, "cannot be read"),
    ],
)
def test_wrong_depth_files(root, content, word):
    np.savez(camera(root, CLIP), **content)
    fails(root, "camera", word)


def test_a_pickle_in_a_depth_file_is_not_run(root, tmp_path):
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return mark.touch, ()

    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil()], dtype=object), allow_pickle=True)
    mark.unlink(missing_ok=True)
    with zipfile.ZipFile(camera(root, CLIP), "w") as archive:
        archive.writestr("depth.npy", buffer.getvalue())
    fails(root, "camera", "cannot be read")
    camera(root, CLIP).write_bytes(pickle.dumps(Evil()))
    fails(root, "camera", "cannot be read")
    assert not mark.exists()


def test_truncated_depth(root):
    path = camera(root, CLIP)
    path.write_bytes(path.read_bytes()[:-100])
    fails(root, "camera", "cannot be read")


@pytest.fixture(scope="module")
def recordings(data_root):
    return data_root / "utd-mhad"


def test_published_splits(recordings):
    counts = {
        subjects: len(UtdMhad(recordings, subjects=subjects))
        for subjects in (TRAIN_SUBJECTS, VALIDATION_SUBJECTS, TEST_SUBJECTS, ODD_SUBJECTS)
    }
    assert list(counts.values()) == [323, 108, 430, 431]
    parts = [set(UtdMhad(recordings, subjects=s).clips) for s in list(counts)[:3]]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert len(set().union(*parts)) == 861 == len(whole(recordings))


def test_real_clips_are_plausible(recordings):
    """Units and joint order: gravity at rest, bones of human length, a head above the feet."""
    dataset = whole(recordings, sensors=("imu", "skeleton"))
    assert {clip.action for clip in dataset.clips} == set(range(1, len(ACTIONS) + 1))
    gravity = []
    for index in range(0, len(dataset), 41):
        readings = dataset[index].frames[0].readings
        gravity.append(np.median(np.linalg.norm(readings["imu"].acceleration[:5], axis=1)))
        assert np.abs(readings["imu"].angular_rate).max() < 60.0
        joints, tree = readings["skeleton"].joints, readings["skeleton"].tree
        for part, shortest, longest in (
            ("knee", 0.3, 0.6),
            ("ankle", 0.2, 0.5),
            ("elbow", 0.15, 0.4),
        ):
            for side in ("left", "right"):
                joint = tree.index(f"{side}_{part}")
                bone = np.linalg.norm(joints[:, joint] - joints[:, tree.parents[joint]], axis=1)
                assert shortest < np.median(bone) < longest
        assert joints[0, tree.index("head"), 1] > joints[0, tree.index("left_foot"), 1] + 1.0
    assert np.median(gravity) == pytest.approx(9.8, abs=0.4)


def test_the_right_wrist_moves_as_the_sensor_on_it(recordings):
    dataset = whole(recordings, actions=(1, 3, 5, 16, 19), sensors=("imu", "skeleton"))
    fits = {"left": [], "right": []}
    for index in range(0, len(dataset), 11):
        readings = dataset[index].frames[0].readings
        joints, tree = readings["skeleton"].joints, readings["skeleton"].tree
        turning = linear_resample(np.linalg.norm(readings["imu"].angular_rate, axis=1), 40)
        for side, found in fits.items():
            wrist = joints[:, tree.index(f"{side}_wrist")] - joints[:, tree.root]
            speed = linear_resample(np.linalg.norm(np.diff(wrist, axis=0), axis=1), 40)
            found.append(np.corrcoef(speed, turning)[0, 1])
    assert np.mean(fits["right"]) > np.mean(fits["left"]) + 0.2
    assert np.mean(fits["right"]) > 0.4


def test_joints_lie_on_the_depth_surface(recordings):
    """Intrinsics, directions of axes and the lag of the depth clock, on real clips."""
    share = {lag: _on_surface(recordings, lag) for lag in (-2, 0, 2)}
    assert share[0] > 0.9
    assert share[0] > share[-2] + 0.05
    assert share[0] > share[2] + 0.05


def _on_surface(recordings, lag):
    dataset = UtdMhad(
        recordings, subjects=(1, 2), actions=(1, 3, 5, 13), sensors=("skeleton", "camera")
    )
    near = []
    for index in range(0, len(dataset), 3):
        frame = dataset[index].frames[0]
        skeleton_window, video = frame.readings["skeleton"], frame.readings["camera"]
        rows = np.rint(video.clock.times_T * (len(skeleton_window.joints) - 1)).astype(int)
        rows = np.clip(rows + lag, 0, len(skeleton_window.joints) - 1)
        joints = skeleton_window.joints[rows][:, [5, 6, 9, 10]].astype(float)
        x, y, z = np.moveaxis(joints, 2, 0)
        u, v, _ = np.einsum(
            "ij,jtk->itk",
            frame.calibration["camera"]["intrinsics"],
            np.stack([x / z, -y / z, np.ones_like(z)]),
        )
        u, v = np.rint(u).astype(int).clip(0, 159), np.rint(v).astype(int).clip(0, 119)
        depth = video.pixels[np.arange(len(rows))[:, None], v, u, 0] / 1000.0
        near.append(np.mean(np.abs(depth - z) < 0.2))
    return float(np.mean(near))
