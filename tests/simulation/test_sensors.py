"""What the sensors of one scene say agrees: points, pixels, motion."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sensorfusion.geometry.poses import invert
from sensorfusion.geometry.rotation import rotation_about, rotation_vector
from sensorfusion.sensors.imu import STANDARD_GRAVITY
from sensorfusion.simulation.casting import cast
from sensorfusion.simulation.classes import CLASSES, IGNORED, NUSCENES_LIDARSEG, PALETTE
from sensorfusion.simulation.motion import NO_NOISE, fixes, inertial
from sensorfusion.simulation.rig import RIG, photograph
from sensorfusion.simulation.scan import FLOW_SECONDS, LIDAR_32, LIDAR_64, scan
from sensorfusion.simulation.scene import make_scene

QUIET = dataclasses.replace(LIDAR_32, range_noise=0.0, dropout=0.0)
TIME = 6.0


@pytest.fixture(scope="module")
def scene():
    return make_scene(5, 2)


@pytest.fixture(scope="module")
def world(scene):
    return scene.at(TIME)


@pytest.fixture(scope="module")
def cloud(scene, world):
    return scan(scene, world, TIME, QUIET)


def in_block(scene, points, seconds, pattern=QUIET):
    pose = scene.ego_pose(seconds) @ pattern.pose
    return points.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]


def test_classes_are_those_of_nuscenes():
    assert len(CLASSES) == len(PALETTE) == 16
    assert NUSCENES_LIDARSEG["barrier"] == 1
    assert NUSCENES_LIDARSEG["vegetation"] == 16


def test_a_sweep_looks_like_one(cloud):
    assert 20_000 < len(cloud.points_N3) < 34_720
    assert cloud.points_N3.dtype == np.float32
    assert 0.0 <= cloud.intensity_N.min() < cloud.intensity_N.max() <= 1.0
    assert set(np.unique(cloud.ring_N)) <= set(range(32))
    assert cloud.label_N.max() < 16
    elevation = np.arctan2(cloud.points_N3[:, 2], np.hypot(*cloud.points_N3[:, :2].T))
    expected = np.asarray(QUIET.elevations)[cloud.ring_N]
    np.testing.assert_allclose(np.degrees(elevation), expected, atol=1e-3)


def test_the_sweep_turns_clockwise_from_the_back_left(scene, world):
    late = scan(scene, world, TIME, QUIET, distorted=True)
    assert (np.diff(late.time_N) >= 0).all()
    assert late.time_N.min() >= -0.05
    assert late.time_N.max() <= 0.0
    right, ahead = late.points_N3[:, 0], late.points_N3[:, 1]
    turned = (np.degrees(np.arctan2(-right, ahead)) - 110.0) % 360.0
    np.testing.assert_allclose((360.0 - turned) % 360.0 / 360 * 0.05, late.time_N + 0.05, atol=1e-4)


def test_distorted_points_are_where_the_moving_sensor_saw_them(scene, world):
    """Moved to the block by the pose of its own time, each lies on a surface of the block."""
    late = scan(scene, world, TIME, QUIET, distorted=True)
    rows = np.nonzero(late.instance_N == 0)[0][::97]
    for row in rows[:40]:
        at = TIME + float(late.time_N[row])
        point = in_block(scene, late.points_N3[row : row + 1], at)
        height = float(scene.ground.height(point[0, 0], point[0, 1]))
        assert abs(point[0, 2] - height) < 0.16  # a point on the kerb's face lies between
    straight = in_block(scene, late.points_N3[rows], TIME)
    own = np.stack(
        [in_block(scene, late.points_N3[r : r + 1], TIME + float(late.time_N[r]))[0] for r in rows]
    )
    assert np.linalg.norm(straight - own, axis=1).max() > 0.1


@pytest.mark.parametrize("name", RIG)
def test_points_agree_with_the_depth_and_class_of_pixels(scene, world, cloud, name):
    """At the camera's own time: points of what stands, seen from the camera without occlusion."""
    views = photograph(scene, world, TIME, (name,), (224, 416), shadows=False)
    points = in_block(scene, cloud.points_N3, TIME)
    inverse = invert(views.T_block_camera_K44[0])
    camera = points @ inverse[:3, :3].T + inverse[:3, 3]
    pixel = camera @ views.intrinsics_K33[0].T
    uv = np.rint(pixel[:, :2] / np.maximum(pixel[:, 2:], 1e-9)).astype(int)
    standing = ~np.isin(cloud.instance_N - 1, scene.moving_O)
    inside = (camera[:, 2] > 1.0) & (uv >= 0).all(1) & (uv < (416, 224)).all(1) & standing
    rays = points[inside] - views.T_block_camera_K44[0, :3, 3]
    far = np.linalg.norm(rays, axis=1)
    hits = cast(
        world,
        np.tile(views.T_block_camera_K44[0, :3, 3], (len(far), 1)),
        rays / far[:, None],
        np.full(len(far), RIG[name].delay),
    )
    visible = np.abs(hits.distance_N - far) < 1e-3 * far
    u, v = uv[inside][visible].T
    depth = views.picture.depth_KHW[0, v, u]
    label = views.label_KHW[0, v, u]
    instance = views.instance_KHW[0, v, u]
    assert visible.sum() > 500
    error = np.abs(depth - camera[inside][visible][:, 2]) / camera[inside][visible][:, 2]
    assert np.mean(error < 0.04) > 0.85  # the pixel's own ray passes up to half a pixel away
    assert np.mean(label == cloud.label_N[inside][visible]) > 0.95
    assert np.mean(instance == cloud.instance_N[inside][visible]) > 0.93


def test_pixels_hit_what_a_ray_through_them_hits(scene, world):
    """Exactly: the same surface by the caster of rays, from pose, intrinsics and pixel alone."""
    views = photograph(scene, world, TIME, ("camera.back",), (60, 110))
    v, u = np.mgrid[0:60:7, 0:110:9].reshape(2, -1)
    pose = views.T_block_camera_K44[0]
    rays = np.linalg.solve(views.intrinsics_K33[0], np.stack([u, v, np.ones(len(u))])).T
    length = np.linalg.norm(rays, axis=1)
    directions = (rays / length[:, None]) @ pose[:3, :3].T
    origins = np.tile(pose[:3, 3], (len(u), 1))
    hits = cast(world, origins, directions, np.full(len(u), RIG["camera.back"].delay), reach=180.0)
    np.testing.assert_array_equal(hits.shape_N, views.picture.shape_KHW[0, v, u])
    seen = hits.shape_N >= 0
    np.testing.assert_allclose(
        (hits.distance_N / length)[seen], views.picture.depth_KHW[0, v, u][seen], rtol=1e-5
    )
    sky = views.picture.shape_KHW[0] < 0
    assert (views.label_KHW[0][sky] == IGNORED).all()
    assert (views.picture.depth_KHW[0][sky] == 0).all()


def test_flow_moves_points_onto_the_objects_next_pose(scene, world, cloud):
    pose = scene.ego_pose(TIME) @ QUIET.pose
    moving = np.isin(cloud.instance_N - 1, scene.moving_O)
    assert moving.sum() > 30
    assert (cloud.flow_N3[~moving] == 0).all()
    later = in_block(scene, cloud.points_N3 + FLOW_SECONDS * cloud.flow_N3, TIME)
    here = in_block(scene, cloud.points_N3, TIME)
    objects = np.where(moving, scene.shapes.object_P[np.where(moving, cloud.shape_N, 0)], -1)
    assert (scene.segment_O2[np.unique(objects[moving]), 0] >= 0).any()  # limbs, each by itself
    for number in np.unique(objects[moving]):
        mine = objects == number
        assert (cloud.instance_N[mine] == scene.owner_O[number] + 1).all()
        local = [
            points @ m[:3, :3].T + m[:3, 3]
            for points, m in (
                (here[mine], invert(scene.object_pose(number, TIME))),
                (later[mine], invert(scene.object_pose(number, TIME + FLOW_SECONDS))),
            )
        ]
        np.testing.assert_allclose(local[0], local[1], atol=2e-4)
    # And there is a surface: a ray towards the moved point meets the world of that time there.
    next_world = scene.at(TIME + FLOW_SECONDS)
    start = pose[:3, 3]
    rays = later[moving] - start
    far = np.linalg.norm(rays, axis=1)
    hits = cast(next_world, np.tile(start, (len(far), 1)), rays / far[:, None])
    assert np.mean(np.abs(hits.distance_N - far) < 0.05) > 0.6  # the rest is hidden by now
    assert (cloud.flow_N3[moving] != 0).any()


def test_the_same_moment_is_measured_the_same(scene, world):
    first, again = (scan(scene, scene.at(TIME), TIME) for _ in range(2))
    for name in ("points_N3", "intensity_N", "label_N", "flow_N3"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    one, two = (photograph(scene, world, TIME, size=(40, 72)) for _ in range(2))
    np.testing.assert_array_equal(one.picture.colour_KHW3, two.picture.colour_KHW3)
    other = photograph(scene, scene.at(TIME + 0.5), TIME + 0.5, size=(40, 72))
    assert (one.picture.colour_KHW3 != other.picture.colour_KHW3).mean() > 0.5


def test_noise_has_its_size(scene, world, cloud):
    noisy = scan(scene, world, TIME, dataclasses.replace(LIDAR_32, dropout=0.0))
    assert len(noisy.points_N3) == len(cloud.points_N3)
    error = np.linalg.norm(noisy.points_N3, axis=1) - np.linalg.norm(cloud.points_N3, axis=1)
    assert abs(error.std() - 0.02) < 0.001
    thinned = scan(scene, world, TIME, dataclasses.replace(LIDAR_32, dropout=0.2))
    assert abs(len(thinned.points_N3) / len(noisy.points_N3) - 0.8) < 0.04


def test_sixty_four_beams(scene, world):
    dense = scan(scene, world, TIME, dataclasses.replace(LIDAR_64, steps=200))
    assert set(np.unique(dense.ring_N)) == set(range(64))
    ahead = dense.points_N3[:, 0] > np.abs(dense.points_N3[:, 1])
    assert ahead.any()
    assert 1.0 < -dense.points_N3[dense.label_N == 10, 2].mean() < 2.5


def test_the_inertial_sensor_integrates_back_to_the_poses(scene):
    """Strapdown integration of noiseless measurements for two seconds."""
    step, start = 0.01, 4.0
    times = start + (np.arange(200) + 0.5) * step
    force, rate = inertial(scene, times, NO_NOISE)
    pose = scene.ego_pose(start)
    rotation, place = pose[:3, :3], pose[:3, 3].copy()
    velocity = (scene.ego_pose(start + 1e-4) - scene.ego_pose(start - 1e-4))[:3, 3] / 2e-4
    gravity = np.array([0.0, 0.0, STANDARD_GRAVITY])
    for f, w in zip(force, rate, strict=True):
        speed = np.linalg.norm(w)
        half = rotation_about(w, speed * step / 2) if speed > 0 else np.eye(3)
        acceleration = rotation @ half @ f - gravity
        place += velocity * step + acceleration * step**2 / 2
        velocity = velocity + acceleration * step
        rotation = rotation @ half @ half
    final = scene.ego_pose(start + 2.0)
    assert np.linalg.norm(place - final[:3, 3]) < 2e-3
    assert np.linalg.norm(rotation_vector(rotation.T @ final[:3, :3])) < 1e-4
    assert np.linalg.norm(final[:3, 3] - pose[:3, 3]) > 4.0


def test_the_inertial_sensor_feels_gravity_and_has_its_noise(scene):
    times = np.arange(400) * 0.01 + 3.0
    force, rate = inertial(scene, times)
    clean_force, clean_rate = inertial(scene, times, NO_NOISE)
    assert abs(clean_force[:, 2].mean() - STANDARD_GRAVITY) < 0.3
    assert 0.02 < np.std(force - clean_force, axis=0).mean() < 0.04
    assert 0.0015 < np.std(rate - clean_rate, axis=0).mean() < 0.0025
    assert np.abs((force - clean_force).mean(axis=0)).max() > 5e-3  # the bias


def test_drives_are_smooth_and_vary(scene):
    speeds, turns = [], []
    for number in range(3):
        other = make_scene(9, number)
        places = np.stack([other.ego_pose(t)[:3, 3] for t in np.arange(0, 20, 0.1)])
        speed = np.linalg.norm(np.diff(places, axis=0), axis=1) / 0.1
        assert speed.min() > 0.5
        assert speed.max() < 15
        assert np.abs(np.diff(speed)).max() / 0.1 < 4.0
        speeds.append(np.ptp(speed))
        _, rate = inertial(other, np.arange(2, 18, 0.5), NO_NOISE)
        turns.append(np.ptp(rate[:, 2]))
    assert max(speeds) > 0.5
    assert max(turns) > 0.02


def test_fixes_lie_around_the_vehicle(scene):
    times = np.arange(1, 19, 0.1)
    places = np.stack([(scene.T_world_block @ scene.ego_pose(t))[:3, 3] for t in times])
    error = fixes(scene, times) - places
    assert 0.8 < error[:, :2].std(axis=0).mean() < 1.6
    np.testing.assert_array_equal(fixes(scene, times[5:6]), fixes(scene, times)[5:6])


def test_pedestrians_walk_on_the_ground_and_their_limbs_move():
    scene = make_scene(5, 2)
    limbs = np.nonzero(scene.segment_O2[:, 0] == 0)[0]
    assert len(np.unique(scene.owner_O[limbs])) == 1
    seconds = np.repeat(np.arange(2.0, 5.0, 0.25), len(limbs))
    poses = scene.object_poses(np.tile(limbs, 12), seconds).reshape(12, len(limbs), 4, 4)
    for step, number in ((3, 1), (7, 4)):
        one = scene.object_pose(int(limbs[number]), 2.0 + 0.25 * step)
        np.testing.assert_allclose(poses[step, number], one, atol=1e-12)
    lowest = poses[:, :, 2, 3].min(axis=1)
    place = poses[:, 0, :2, 3]
    above = lowest - [float(scene.ground.relief(*xy)[0]) for xy in place]
    assert (np.abs(above - 0.1) < 0.16).all()  # a foot, with or without a kerb below it
    people = scene.people
    walkers = np.nonzero(people.walk.speed_N > 0)[0]
    first = int(np.nonzero(scene.segment_O2[:, 0] == walkers[0])[0][0])
    body = np.nonzero(scene.owner_O == first)[0]
    start, end = (scene.object_poses(body, np.full(len(body), t)) for t in (4.0, 4.4))
    relative = np.linalg.inv(start[:1]) @ start - np.linalg.inv(end[:1]) @ end
    assert np.abs(relative).max() > 0.1  # it is no statue
