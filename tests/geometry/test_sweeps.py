from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.errors import DataError
from sensorfusion.geometry.poses import invert, pose
from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.geometry.sweeps import Sweep, aggregate, aggregate_reference
from tests.geometry.rigs import cloud_of


def drive(seconds: float) -> np.ndarray:
    """Pose of a vehicle that turns left at 10 m/s."""
    yaw = 0.3 * seconds
    return pose(
        rotation_about([0, 0, 1], yaw), [10 * seconds * np.cos(yaw), 10 * seconds * np.sin(yaw), 0]
    )


def sweep_at(seconds: float, count: int, seed: int, moving: bool) -> Sweep:
    points = cloud_of(count, seed)
    if not moving:
        return Sweep(points, drive(seconds), seconds)
    fraction = np.linspace(0, 1, count).astype(np.float32)
    return Sweep(points, drive(seconds), seconds, (drive(seconds + 0.1), seconds + 0.1), fraction)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=4),
    st.sampled_from([0.0, 3.0, 30.0]),
    st.integers(0, 99),
)
def test_kernel_and_reference_agree(kinds, min_range, seed):
    sweeps = [
        sweep_at(-0.1 * k, count, seed + k, moving) for k, (count, moving) in enumerate(kinds)
    ]
    found, expected = aggregate(sweeps, min_range), aggregate_reference(sweeps, min_range)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_still_world_comes_together():
    """What stands still is seen at one place by every sweep, however the lidar moves."""
    world = cloud_of(300).astype(np.float64)
    sweeps = []
    for seconds in (0.0, -0.05, -0.1):
        T_sensor_world = invert(drive(seconds))
        seen = world.copy()
        seen[:, :3] = world[:, :3] @ T_sensor_world[:3, :3].T + T_sensor_world[:3, 3]
        sweeps.append(Sweep(seen.astype(np.float32), drive(seconds), seconds))
    merged = aggregate(sweeps)
    for k, seconds in enumerate((0.0, -0.05, -0.1)):
        part = merged[300 * k : 300 * (k + 1)]
        np.testing.assert_allclose(part[:, :5], world, atol=2e-4)
        assert (part[:, 5] == np.float32(seconds)).all()


def test_motion_within_a_turn_is_undone_point_by_point():
    """A turning lidar measures each point from where it then is."""
    world, start, end = cloud_of(200).astype(np.float64), drive(0.0), drive(0.1)
    fraction = np.linspace(0, 1, 200)
    from sensorfusion.geometry.poses import interpolate

    seen = world.copy()
    for row, part in enumerate(fraction):
        T_sensor_world = invert(interpolate(start, end, part))
        seen[row, :3] = T_sensor_world[:3, :3] @ world[row, :3] + T_sensor_world[:3, 3]
    sweep = Sweep(seen.astype(np.float32), start, -0.1, (end, 0.0), fraction.astype(np.float32))
    merged = aggregate([sweep])
    np.testing.assert_allclose(merged[:, :3], world[:, :3], atol=1e-4)
    np.testing.assert_allclose(merged[:, 5], -0.1 + 0.1 * fraction, atol=1e-6)
    frozen = aggregate([Sweep(sweep.points_NC, start, -0.1)])
    assert np.abs(frozen[:, :3] - world[:, :3]).max() > 0.5, "without it, a metre off"


def test_close_points_are_those_of_the_devkit():
    data_classes = pytest.importorskip("nuscenes.utils.data_classes")
    points = cloud_of(500)
    points[::3, :2] /= 50
    cloud = data_classes.LidarPointCloud(points.T[:4].copy())
    cloud.remove_close(1.0)
    kept = aggregate([Sweep(points[:, :4], np.eye(4))], min_range=1.0)
    np.testing.assert_array_equal(kept[:, :4], cloud.points.T)


def test_wrong_sweeps_are_refused_by_number():
    good = Sweep(cloud_of(4), np.eye(4))
    for bad, named in (
        (Sweep(cloud_of(4)[:, :4], np.eye(4)), "sweep 1"),
        (Sweep(cloud_of(4).astype(np.float64), np.eye(4)), "float64"),
        (Sweep(cloud_of(4), np.zeros((4, 4))), "T_reference_sensor of sweep 1"),
        (Sweep(cloud_of(4), np.eye(4), 0.0, (np.eye(4), 0.1)), "only one"),
        (Sweep(cloud_of(4), np.eye(4), 0.0, (np.eye(4), 0.1), np.zeros(3)), "fractions"),
        (Sweep(cloud_of(4), np.eye(4), 0.0, (np.eye(4), 0.1), np.full(4, 1.5)), "point 0.* 1.5"),
        (Sweep(cloud_of(4), np.eye(4), 0.0, (np.eye(4), 0.1), np.full(4, np.nan)), "point 0"),
        (Sweep(cloud_of(4), np.eye(4), 0.0, (np.eye(4), 0.1), np.zeros(4, complex)), "complex"),
        (Sweep(cloud_of(4), np.eye(4), np.nan), "not finite"),
        (Sweep(cloud_of(4), np.eye(4)[None]), r"\(1, 4, 4\)"),
    ):
        with pytest.raises(DataError, match=named):
            aggregate([good, bad])
    with pytest.raises(DataError, match="min_range"):
        aggregate([good], np.nan)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_point_that_is_nowhere_is_named(axis, value):
    points = cloud_of(40)
    points[17, axis] = value
    with pytest.raises(DataError, match=r"point 17(.|\n)*sweep 1"):
        aggregate([Sweep(cloud_of(4), np.eye(4)), Sweep(points, np.eye(4))])
