"""Point clouds: what a wrong axis, unit, order or pose would change."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorfusion.collate import collate
from sensorfusion.errors import ClockError, ConfigError, DataError, UnitError
from sensorfusion.geometry.clock import Clock
from sensorfusion.geometry.rotation import rotation_xyz
from sensorfusion.sample import Frame, Sample
from sensorfusion.sensors.lidar import SourceIntensity, ToAxes, direction_of
from sensorfusion.sensors.lidar_augment import (
    DropPoints,
    FlipXY,
    JitterPoints,
    RotateZ,
    ScalePoints,
)
from sensorfusion.sensors.resampling import Resample
from tests.sensors.windows import cloud

AXES = [
    "".join(letters)
    for three in itertools.product("FB", "LR", "UD")
    for letters in itertools.permutations(three)
]
LINEAR = [RotateZ(), RotateZ(low=40, high=50), FlipXY(each=1.0), FlipXY(), ScalePoints(), ToAxes()]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sample(**changes) -> Sample:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation_xyz((10.0, -20.0, 30.0)), (5.0, 6.0, 7.0)
    return Sample("x", (Frame({"lidar": cloud().replace(**changes)}, poses={"lidar": pose}),))


def in_world(sample: Sample) -> np.ndarray:
    frame = sample.frames[0]
    pose, points = frame.poses["lidar"], frame.readings["lidar"].points
    return points @ pose[:3, :3].T + pose[:3, 3]


@pytest.mark.parametrize(
    "changes",
    [
        {"points": np.zeros((40, 4), np.float32)},
        {"points": np.full((40, 3), np.nan, np.float32)},
        {"intensity": np.zeros(39, np.float32)},
        {"intensity": np.full(40, 1.5, np.float32)},
        {"intensity": np.full(40, -0.1, np.float32)},
        {"time": np.zeros(39, np.float32)},
        {"time": np.zeros(40)},
        {"ring": np.zeros(40, np.float32)},
        {"intensity_scale": 0.0},
        {"intensity_scale": float("nan")},
        {"axes": "XYZ"},
        {"axes": "FFU"},
        {"axes": "FBU"},
        {"axes": "FL"},
        {"axes": ""},
    ],
)
def test_what_cannot_be_is_refused(changes) -> None:
    with pytest.raises(DataError, match=r"lidar\.bin"):
        cloud().replace(**changes)


def test_a_scan_has_one_time() -> None:
    for clock in (Clock.fraction(2), Clock(Clock.instant(0).kind, np.zeros(0, np.int64))):
        with pytest.raises(ClockError, match="one scan"):
            cloud().replace(clock=clock)


def test_a_scan_may_be_empty() -> None:
    assert len(cloud(rows=0).points) == 0


def test_all_axes_are_known_and_turn_or_mirror() -> None:
    assert len(set(AXES)) == 48
    for axes in AXES:
        matrix = direction_of(axes)
        np.testing.assert_array_equal(matrix @ matrix.T, np.eye(3))
    np.testing.assert_array_equal(np.array([1, 2, 3]) @ direction_of("FLU"), [1, 2, 3])
    np.testing.assert_array_equal(np.array([1, 2, 3]) @ direction_of("RFU"), [2, -1, 3])
    np.testing.assert_array_equal(np.array([1, 2, 3]) @ direction_of("RDF"), [3, -1, -2])


def test_to_axes_of_the_nuscenes_lidar() -> None:
    """Right, forward, up become forward, left, up; and back."""
    reading = cloud(axes="RFU")
    moved = ToAxes(axes="FLU").prepare(reading)
    right, forward, up = reading.points.T
    np.testing.assert_array_equal(moved.points, np.stack([forward, -right, up], axis=1))
    assert moved.axes == "FLU"
    back = ToAxes(axes="RFU").prepare(moved)
    np.testing.assert_array_equal(back.points, reading.points)


@pytest.mark.parametrize("transform", LINEAR)
@given(seed=st.integers(0, 100))
def test_moved_points_stay_where_they_are_in_the_world(transform, seed) -> None:
    before = sample()
    after = transform(before, generator(seed))
    np.testing.assert_allclose(in_world(after), in_world(before), atol=1e-5)


@pytest.mark.parametrize("transform", LINEAR)
def test_a_cloud_without_a_pose_has_none_after(transform) -> None:
    without = Sample("x", (Frame({"lidar": cloud()}),))
    assert transform(without, generator()).frames[0].poses == {}


def test_rotation_keeps_height_and_handedness() -> None:
    turned = RotateZ(low=90, high=90).apply(
        cloud(), RotateZ(low=90, high=90).draw(cloud(), generator())
    )
    x, y, z = cloud().points.T
    np.testing.assert_allclose(turned.points, np.stack([-y, x, z], axis=1), atol=1e-6)


def test_flips_draw_each_axis_on_its_own() -> None:
    drawn = {tuple(np.diag(FlipXY().draw(cloud(), generator(s)))) for s in range(40)}
    assert drawn == {(a, b, 1.0) for a in (-1.0, 1.0) for b in (-1.0, 1.0)}


@pytest.mark.parametrize("transform", [RotateZ(), FlipXY()])
def test_turns_refuse_axes_whose_third_is_not_vertical(transform) -> None:
    with pytest.raises(UnitError, match="RDF"):
        transform(sample(axes="RDF"), generator())


def test_jitter_is_limited() -> None:
    moved = JitterPoints(deviation=1.0, limit=0.5).apply
    noise = JitterPoints(deviation=1.0, limit=0.5).draw(cloud(), generator())
    distance = np.abs(moved(cloud(), noise).points - cloud().points)
    assert 0.49 < distance.max() < 0.501
    assert distance.min() < 0.1


def test_dropping_keeps_rows_together() -> None:
    rows = np.arange(1000)
    reading = cloud(rows=1000).replace(
        ring=rows.astype(np.int16),
        time=rows.astype(np.float32),
        intensity=(rows / 1000).astype(np.float32),
    )
    kept = DropPoints(largest=0.5)(Sample("x", (Frame({"lidar": reading}),)), generator(3))
    cut = kept.frames[0].readings["lidar"]
    assert 500 < len(cut.points) < 1000
    np.testing.assert_array_equal(cut.points, reading.points[cut.ring])
    np.testing.assert_array_equal(cut.time, cut.ring)
    np.testing.assert_allclose(cut.intensity * 1000, cut.ring, atol=1e-3)


def test_intensity_of_the_source() -> None:
    raw = SourceIntensity().prepare(cloud())
    np.testing.assert_allclose(raw.intensity, cloud().intensity * 255, rtol=1e-6)
    assert raw.unit == "m, intensity 0-255"
    with pytest.raises(UnitError, match="0-255"):
        SourceIntensity().prepare(raw)


def test_sources_of_different_scale_do_not_mix_raw() -> None:
    one, other = cloud(), cloud(seed=1).replace(intensity_scale=65535.0)
    assert len(collate([of(one), of(other)])["lidar"]) == 2
    with pytest.raises(UnitError, match="65535"):
        collate([of(SourceIntensity().prepare(reading)) for reading in (one, other)])


def of(reading) -> Sample:
    return Sample("x", (Frame({"lidar": reading}),))


def test_optional_arrays_are_batched_where_all_have_them() -> None:
    timed = [cloud(seed=s) for s in (0, 1)]
    timed = [r.replace(time=np.full(len(r.points), s, np.float32)) for s, r in enumerate(timed)]
    batch = collate([of(reading) for reading in timed])["lidar"]
    assert batch.lengths.tolist() == [40, 43]
    assert batch.values["time"].tolist() == [0.0] * 40 + [1.0] * 43
    assert batch.row_reading.tolist() == [0] * 40 + [1] * 43
    assert "time" not in collate([of(timed[0]), of(cloud(seed=1))])["lidar"].values
    assert "ring" not in batch.values


def test_transforms_of_time_refuse_clouds() -> None:
    with pytest.raises(ConfigError, match="PointCloud"):
        Resample(sensors=("lidar",), steps=3)(sample(), generator())


def test_seen_from_above_ahead_is_to_the_right() -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    points = np.array([[1, 5, 0], [-2, 5, 1]], np.float32)  # right, forward, up
    cloud(rows=2, axes="RFU").replace(points=points).draw(axes)
    shown = axes.collections[0].get_offsets()
    np.testing.assert_array_equal(shown, [[5, -1], [5, 2]])
