"""Exports as SemanticKITTI, read as its documentation says."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from sensorfusion.exports.command import export
from sensorfusion.exports.options import START, ExportOptions
from sensorfusion.exports.semantickitti import camera_poses, photograph
from sensorfusion.geometry.poses import invert
from sensorfusion.simulation.scan import LIDAR_64, scan
from sensorfusion.simulation.scene import make_scene

SCENE, SIZE = 3, (94, 310)
OPTIONS = ExportOptions(scenes=(SCENE,), frames=2, image_size=SIZE)
# The ids of the data set's own list.
LABELS = {0, 1, 10, 11, 13, 15, 16, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 52, 53, 60, 70}
LABELS |= {71, 72, 80, 81, 99, *range(252, 260)}
THINGS = {10, 11, 13, 15, 18, 20, 30, *range(252, 260)}
MOVING = set(range(252, 260))


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    out = tmp_path_factory.mktemp("exports") / "kitti"
    export("semantickitti", OPTIONS, out)
    return out / "sequences" / f"{SCENE:02d}"


@pytest.fixture(scope="module")
def scene():
    return make_scene(0, SCENE)


@pytest.fixture(scope="module")
def calibration(sequence):
    lines = (sequence / "calib.txt").read_text().splitlines()
    pairs = (line.split(":") for line in lines)
    return {key: np.array(text.split(), dtype=float).reshape(3, 4) for key, text in pairs}


@pytest.fixture(scope="module")
def poses(sequence):
    rows = np.loadtxt(sequence / "poses.txt").reshape(-1, 3, 4)
    return np.concatenate([rows, np.tile([[[0.0, 0.0, 0.0, 1.0]]], (len(rows), 1, 1))], axis=1)


def read(sequence, step):
    cloud = np.fromfile(sequence / "velodyne" / f"{step:06d}.bin", "<f4").reshape(-1, 4)
    label = np.fromfile(sequence / "labels" / f"{step:06d}.label", "<u4")
    return cloud, label & 0xFFFF, label >> 16


def square(matrix_34):
    return np.vstack([matrix_34, [0.0, 0.0, 0.0, 1.0]])


def test_every_scan_has_its_files(sequence):
    for folder, suffix in (("velodyne", "bin"), ("labels", "label"), ("image_2", "png")):
        names = [path.name for path in sorted((sequence / folder).iterdir())]
        assert names == [f"00000{n}.{suffix}" for n in range(2)]
    times = np.loadtxt(sequence / "times.txt")
    np.testing.assert_allclose(times, [0.0, 0.1], atol=1e-9)
    assert Image.open(sequence / "image_2" / "000000.png").size == SIZE[::-1]


def test_labels_are_those_of_the_data_set(sequence, scene):
    cloud, semantic, instance = read(sequence, 1)
    assert len(cloud) == len(semantic) > 60_000
    assert 0 <= cloud[:, 3].min() < cloud[:, 3].max() <= 1
    assert set(np.unique(semantic)) <= LABELS
    assert {10, 40, 48, 50, 70, 71, 80} <= set(np.unique(semantic))
    np.testing.assert_array_equal(instance > 0, np.isin(semantic, list(THINGS)))
    for number in np.unique(instance[instance > 0]):
        (kind,) = np.unique(semantic[instance == number])
        assert (kind in MOVING) == scene.tracks[number - 1].moves
    road, trunk, leaf = (cloud[semantic == kind, 2] for kind in (40, 71, 70))
    assert road.mean() < -1.4
    assert np.median(trunk) < np.median(leaf)


def test_instances_last(sequence):
    one, two = (read(sequence, step) for step in (0, 1))
    both = np.intersect1d(one[2], two[2])
    assert len(both) > 0.8 * len(np.unique(one[2]))
    for number in both[both > 0]:
        assert set(one[1][one[2] == number]) == set(two[1][two[2] == number])


def test_poses_are_those_of_the_world(calibration, poses, scene):
    """Tr and poses.txt together say how the LiDAR moves."""
    Tr = square(calibration["Tr"])
    lidar = [scene.ego_pose(START + 0.1 * n) @ LIDAR_64.pose for n in range(2)]
    for n in range(2):
        np.testing.assert_allclose(
            invert(Tr) @ poses[n] @ Tr, invert(lidar[0]) @ lidar[n], atol=1e-9
        )
    np.testing.assert_allclose(poses[0], np.eye(4), atol=1e-9)
    assert 0.2 < poses[1, 2, 3] < 1.2  # metres ahead, along the camera's axis
    np.testing.assert_allclose(poses, camera_poses(scene, [START, START + 0.1]), atol=1e-9)


def test_what_stands_stays_where_it_is(sequence, calibration, poses):
    """Poles and trunks, seen in two scans, lie in one place of the world."""
    Tr, moving, still = square(calibration["Tr"]), [], []
    for step in range(2):
        cloud, semantic, _ = read(sequence, step)
        thin = np.isin(semantic, (71, 80)) & (np.linalg.norm(cloud[:, :2], axis=1) < 20)
        points = cloud[thin, :3].astype(np.float64)
        change = invert(Tr) @ poses[step] @ Tr
        moving.append(points @ change[:3, :3].T + change[:3, 3])
        still.append(points)
    apart, unmoved = (cKDTree(pair[0]).query(pair[1])[0] for pair in (moving, still))
    assert len(apart) > 300
    assert np.median(apart) < 0.05  # the range is noisy by 0.02
    assert np.median(unmoved) > 0.3  # a wrong pose would be found


def test_points_project_to_the_pixels_that_show_them(sequence, calibration, scene):
    cloud, semantic, _ = read(sequence, 1)
    still = ~np.isin(semantic, list(MOVING))
    homogeneous = np.column_stack([cloud[still, :3], np.ones(still.sum())])
    u, v, w = calibration["P2"] @ square(calibration["Tr"]) @ homogeneous.T
    ahead = w > 1.0
    pixels = np.rint(np.stack([u, v])[:, ahead] / w[ahead]).astype(int)
    inside = (pixels >= 0).all(axis=0) & (pixels < np.array(SIZE[::-1])[:, None]).all(axis=0)
    truth = photograph(scene, START + 0.1, SIZE).depth_KHW[0]
    depth = truth[pixels[1, inside], pixels[0, inside]]
    close = np.abs(depth - w[ahead][inside]) < 0.1 + 0.03 * depth
    assert inside.sum() > 8000
    assert close.mean() > 0.85
    # The other cameras look from beside it, as far as their baselines say.
    focal = calibration["P0"][0, 0]
    assert -calibration["P1"][0, 3] / focal == pytest.approx(0.54)
    assert -calibration["P2"][0, 3] / focal == pytest.approx(-0.06)
    assert focal == pytest.approx(719.0 * SIZE[1] / 1241)


def test_distortion_is_an_option(tmp_path, sequence):
    """Points then lie where the sensor was at their own time, half a turn before or after."""
    options = ExportOptions(scenes=(SCENE,), frames=1, image_size=SIZE, distorted=True)
    export("semantickitti", options, tmp_path / "out")
    distorted = read(tmp_path / "out" / "sequences" / f"{SCENE:02d}", 0)[0]
    scene = make_scene(0, SCENE)
    end = START + 0.05
    measured = scan(scene, scene.at(end), end, LIDAR_64, distorted=True)
    np.testing.assert_array_equal(distorted[:, :3], measured.points_N3)
    assert measured.time_N.min() < -0.09
    ahead = (distorted[:, 0] > 5) & (np.abs(distorted[:, 1]) < 1)
    assert np.abs(measured.time_N[ahead] + 0.05).max() < 0.02
