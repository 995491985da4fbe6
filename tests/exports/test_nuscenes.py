"""Exports as nuScenes, read by the official devkit without a change to it."""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from sensorfusion.datasets.simulated import SimulatedWorld
from sensorfusion.exports import nuscenes_tables as tables
from sensorfusion.exports.command import export
from sensorfusion.exports.nuscenes import CHANNELS, T_global_block
from sensorfusion.exports.options import START, ExportOptions
from sensorfusion.geometry.cameras import cameras
from sensorfusion.geometry.poses import invert, pose_from_quaternion
from sensorfusion.geometry.projection import project_pairs
from sensorfusion.geometry.view import NUSCENES_DEVKIT
from sensorfusion.simulation.classes import ROAD, SIDEWALK
from sensorfusion.simulation.rig import photograph
from sensorfusion.simulation.scan import LIDAR_32, scan
from sensorfusion.simulation.scene import make_scene
from sensorfusion.simulation.truth import GROUND_CLASSES, ground_made_of

pytest.importorskip("nuscenes")
mpl.use("Agg")
SCENE, SIZE = 3, (90, 160)
OPTIONS = ExportOptions(
    scenes=(SCENE,), frames=3, sweeps=2, camera_sweeps=1, image_size=SIZE, quality=90
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp("exports") / "nuscenes"
    export("nuscenes", OPTIONS, out)
    return out


@pytest.fixture(scope="module")
def nusc(root):
    from nuscenes import NuScenes

    return NuScenes("v1.0-mini", str(root), verbose=False)


@pytest.fixture(scope="module")
def scene():
    return make_scene(0, SCENE)


@pytest.fixture(scope="module")
def views(scene):
    """What the cameras of the second keyframe saw, with its truth."""
    seconds = START + 0.5
    return photograph(scene, scene.at(seconds), seconds, tuple(CHANNELS), SIZE)


def transform(nusc, table, token):
    row = nusc.get(table, token)
    return pose_from_quaternion(row["rotation"], row["translation"])


def chain(nusc, table, token):
    rows = []
    while token:
        rows.append(nusc.get(table, token))
        token = rows[-1]["next"]
    assert rows[0]["prev"] == ""
    assert all(a["token"] == b["prev"] for a, b in itertools.pairwise(rows))
    return rows


def second(nusc):
    return nusc.get("sample", nusc.sample[0]["next"])


def test_every_token_of_another_table_is_there(nusc):
    known = {name: {row["token"] for row in getattr(nusc, name)} for name in nusc.table_names}
    for name in nusc.table_names:
        assert len(known[name]) == len(getattr(nusc, name)) > 0
        for row in getattr(nusc, name):
            assert len(row["token"]) in (1, 32)
            for key, value in row.items():
                other = key.removesuffix("s").removesuffix("_token")
                for link in value if isinstance(value, list) else [value]:
                    if key.endswith(("_token", "_tokens")) and other in known:
                        assert link in known[other], (name, key)
    for row in (*nusc.sample_data, *nusc.lidarseg, *nusc.map):
        path = Path(nusc.dataroot, row["filename"])
        assert path.stat().st_size > 0
        if path.suffix in (".jpg", ".png"):
            assert min(Image.open(path).size) > 0


def test_chains_lead_through_the_scene(nusc):
    (only,) = nusc.scene
    samples = chain(nusc, "sample", only["first_sample_token"])
    assert [row["token"] for row in samples][-1] == only["last_sample_token"]
    assert len(samples) == only["nbr_samples"] == 3
    assert set(np.diff([row["timestamp"] for row in samples])) == {500_000}
    for channel, between in (("LIDAR_TOP", 2), ("CAM_BACK", 1), ("CAM_FRONT_LEFT", 1)):
        readings = chain(nusc, "sample_data", samples[0]["data"][channel])
        assert [r["is_key_frame"] for r in readings] == ([True] + between * [False]) * 2 + [True]
        assert (np.diff([r["timestamp"] for r in readings]) > 0).all()
        step = 50_000 if channel == "LIDAR_TOP" else 83_333
        assert readings[-1]["timestamp"] - readings[-2]["timestamp"] == pytest.approx(step, abs=1)
        # Readings between keyframes belong to the one that follows.
        order = [row["token"] for row in samples]
        assert [order.index(r["sample_token"]) for r in readings] == sorted(
            order.index(r["sample_token"]) for r in readings
        )
        assert all(
            r["timestamp"] <= nusc.get("sample", r["sample_token"])["timestamp"] for r in readings
        )
    for row in nusc.instance:
        seen = chain(nusc, "sample_annotation", row["first_annotation_token"])
        assert len(seen) == row["nbr_annotations"]
        assert seen[-1]["token"] == row["last_annotation_token"]


def test_scene_names_are_those_of_the_official_splits(nusc):
    from nuscenes.utils.splits import create_splits_scenes

    splits = create_splits_scenes()
    assert nusc.scene[0]["name"] in splits["mini_train"]
    names = {tables.scene_name(n) for n in range(10)}
    assert names == {*splits["mini_train"], *splits["mini_val"]}


def test_readings_are_those_of_the_simulated_world(nusc, root):
    world = SimulatedWorld((SCENE,), image_size=SIZE, labels=True)
    (frame,) = world[1].frames
    sample = second(nusc)
    cloud = np.fromfile(nusc.get_sample_data_path(sample["data"]["LIDAR_TOP"]), "<f4")
    cloud, reading = cloud.reshape(-1, 5), frame.readings["lidar"]
    np.testing.assert_array_equal(cloud[:, :3], reading.points)
    np.testing.assert_allclose(cloud[:, 3], reading.intensity * 255, atol=0.5)
    np.testing.assert_array_equal(cloud[:, 4], reading.ring)
    assert sample["timestamp"] * 1000 == reading.clock.times_T[0]
    for name, channel in CHANNELS.items():
        token = sample["data"][channel]
        image = np.asarray(Image.open(nusc.get_sample_data_path(token)), dtype=np.float64)
        off = np.abs(image - frame.readings[name].pixels[0])
        assert off.mean() < 6  # of JPEG
        row = nusc.get("sample_data", token)
        assert row["timestamp"] * 1000 == frame.readings[name].clock.times_T[0]
        calibrated = nusc.get("calibrated_sensor", row["calibrated_sensor_token"])
        np.testing.assert_allclose(
            calibrated["camera_intrinsic"], frame.calibration[name]["intrinsics"]
        )


def in_camera(nusc, sample, channel):
    """T_camera_lidar by way of both ego poses, as the tables give it."""
    chains = []
    for name in (channel, "LIDAR_TOP"):
        row = nusc.get("sample_data", sample["data"][name])
        ego = transform(nusc, "ego_pose", row["ego_pose_token"])
        chains.append(ego @ transform(nusc, "calibrated_sensor", row["calibrated_sensor_token"]))
    return invert(chains[0]) @ chains[1]


def test_the_devkit_projects_points_where_we_do_and_where_they_are(nusc, scene, views):
    sample, seconds = second(nusc), START + 0.5
    truth = scan(scene, scene.at(seconds), seconds)
    standing = ~np.isin(truth.instance_N - 1, scene.moving_O)
    agreeing = compared = 0
    for k, channel in enumerate(CHANNELS.values()):
        uv_3N, depth_N, _ = nusc.explorer.map_pointcloud_to_image(
            sample["data"]["LIDAR_TOP"], sample["data"][channel]
        )
        rig = cameras(views.intrinsics_K33[k][None], np.array(SIZE[::-1]))
        change = in_camera(nusc, sample, channel)[None]
        pairs = project_pairs(truth.points_N3, rig, change, NUSCENES_DEVKIT)
        # The devkit works in single precision: a point on the border may fall on either side.
        assert abs(len(pairs) - uv_3N.shape[1]) <= 2
        assert len(pairs) > 300
        near = cKDTree(np.column_stack([pairs.uv_E2, pairs.depth_E])).query(
            np.column_stack([uv_3N[:2].T, depth_N])
        )[0]
        assert np.sort(near)[:-2].max() < 5e-3
        u, v = pairs.pixels().T
        depth = views.picture.depth_KHW[k, v, u]
        still = standing[pairs.point_E]
        close = np.abs(depth - pairs.depth_E) < 0.1 + 0.03 * pairs.depth_E
        agreeing, compared = agreeing + (close & still).sum(), compared + still.sum()
    # The rest is hidden from the camera, or lies at an edge between two of these large pixels.
    assert agreeing / compared > 0.85


def test_boxes_hold_the_points_of_their_objects(nusc, scene):
    from nuscenes.utils.data_classes import LidarPointCloud
    from nuscenes.utils.geometry_utils import points_in_box

    sample, seconds = second(nusc), START + 0.5
    token = sample["data"]["LIDAR_TOP"]
    path, boxes, _ = nusc.get_sample_data(token)
    points = LidarPointCloud.from_file(path).points[:3]
    truth = scan(scene, scene.at(seconds), seconds)
    index = np.fromfile(nusc.dataroot + "/" + nusc.get("lidarseg", token)["filename"], np.uint8)
    assert len(boxes) == len(sample["anns"]) > 10
    inside = np.zeros(len(index), dtype=int)
    for box in boxes:
        row = nusc.get("sample_annotation", box.token)
        mask = points_in_box(box, points)
        assert abs(int(mask.sum()) - row["num_lidar_pts"]) <= 1
        assert row["num_lidar_pts"] > 0
        right = index == nusc.lidarseg_name2idx_mapping[box.name]
        inside[mask & right] += 1
    things = truth.label_N <= 9
    assert (inside[things] > 0).mean() > 0.97  # noise of the range throws a few out
    assert (inside[~things] == 0).all()


def test_boxes_follow_what_moves(nusc, scene):
    moving = 0
    for row in nusc.instance:
        token = nusc.get("sample_annotation", row["first_annotation_token"])["token"]
        names = [
            nusc.get("attribute", t)["name"]
            for t in nusc.get("sample_annotation", token)["attribute_tokens"]
        ]
        velocity = np.linalg.norm(nusc.box_velocity(token))
        if row["nbr_annotations"] > 1 and names:
            moving += velocity > 0.5
            if "pedestrian.standing" in names:  # whose arms move the box's middle
                assert velocity < 0.6
                continue
            still = {"vehicle.parked", "cycle.without_rider"} & set(names)
            assert (velocity < 1e-9) == bool(still)
    assert moving >= 2
    levels = {row["visibility_token"] for row in nusc.sample_annotation}
    assert {"1", "4"} <= levels


def test_sweeps_of_the_devkit_lie_upon_each_other(nusc, scene):
    from nuscenes.utils.data_classes import LidarPointCloud

    sample = second(nusc)
    cloud, lag = LidarPointCloud.from_file_multisweep(
        nusc, sample, "LIDAR_TOP", "LIDAR_TOP", nsweeps=3
    )
    lags = np.unique(np.round(lag, 6))
    np.testing.assert_allclose(lags, [0.0, 0.05, 0.1], atol=1e-6)
    # Points of the earlier turns lie on what stands, seen by the later one.
    old, new = cloud.points[:3, lag[0] > 0.04].T, cloud.points[:3, lag[0] < 0.01].T
    near = old[np.linalg.norm(old, axis=1) < 12]
    assert np.median(cKDTree(new).query(near)[0]) < 0.12


def test_lidarseg_counts(nusc, capsys, scene):
    sample, seconds = second(nusc), START + 0.5
    nusc.get_sample_lidarseg_stats(sample["token"], sort_by="index")
    told = capsys.readouterr().out
    labels = scan(scene, scene.at(seconds), seconds, LIDAR_32).label_N
    for number, count in zip(*np.unique(labels, return_counts=True), strict=True):
        index = tables.LIDARSEG_INDEX[number]
        assert f"{index:3}  {tables.CATEGORIES[index]:40} n={count:12,}" in told
    nusc.list_lidarseg_categories(sort_by="count")
    assert "Calculated stats for 3 point clouds" in capsys.readouterr().out


def test_the_map_shows_street_and_pavement(nusc, scene):
    mask = nusc.map[0]["mask"]
    places = np.array([row["translation"][:2] for row in nusc.ego_pose])
    assert mask.is_on_mask(*places.T).all()
    block = np.random.default_rng(0).uniform((-140, -75, 0), (140, 75, 0), (2000, 3))
    T_map = T_global_block(scene)
    on_map = mask.is_on_mask(*(block @ T_map[:3, :3].T + T_map[:3, 3])[:, :2].T)
    made = GROUND_CLASSES[ground_made_of(scene.standing, block[:, :2])]
    assert (on_map == np.isin(made, (ROAD, SIDEWALK))).mean() > 0.99  # but for its pixels' edges
    assert 0.2 < on_map.mean() < 0.8


def test_the_devkit_renders_a_sample(nusc, tmp_path):
    sample = second(nusc)
    paths = [tmp_path / "sample.png", tmp_path / "lidarseg.png"]
    nusc.render_sample(sample["token"], out_path=str(paths[0]), verbose=False)
    nusc.render_pointcloud_in_image(
        sample["token"], show_lidarseg=True, out_path=str(paths[1]), verbose=False
    )
    for path in paths:
        image = np.asarray(Image.open(path).convert("RGB"))
        assert len(np.unique(image.reshape(-1, 3)[::50], axis=0)) > 100
    plt.close("all")
