from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.errors import DataError
from sensorfusion.geometry.cameras import Lens, cameras, cropping, resizing
from sensorfusion.geometry.projection import CHUNK, project, project_pairs, project_reference
from sensorfusion.geometry.view import KITTI, NUSCENES_DEVKIT, SLIDR, WHOLE_IMAGE, View
from tests.geometry.rigs import cloud_of, rig_of

ALL = (Lens.PINHOLE, Lens.BROWN_CONRADY, Lens.FISHEYE, Lens.PINHOLE)
TOLERANCE = {np.float32: 1e-3, np.float64: 1e-9}  # pixels
VIEWS = [WHOLE_IMAGE, NUSCENES_DEVKIT, SLIDR, KITTI]


def border_distance(expected, rig, view, points) -> np.ndarray:
    """How far (pixels or metres) every pair is from a border that decides about it."""
    low = np.abs(expected.uv_KN2 - view.low)
    high = np.abs(expected.uv_KN2 - (rig.sizes_K2[:, None] - view.high))
    gate = expected.depth_KN
    if view.depth_axis is not None:
        gate = np.broadcast_to(points[:, view.depth_axis], gate.shape)
    depth = np.abs(gate - view.min_depth)[..., None]
    return np.nanmin(np.concatenate([low, high, depth], axis=-1), axis=-1)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("view", VIEWS, ids=["whole", "devkit", "slidr", "kitti"])
def test_kernel_and_reference_agree_for_every_lens(view, dtype):
    rig, poses = rig_of(ALL)
    points = cloud_of(3 * CHUNK + 17)
    found, expected = (
        project(points, rig, poses, view, dtype),
        project_reference(points, rig, poses, view),
    )
    assert found.uv_KN2.dtype == found.depth_KN.dtype == dtype
    error = np.abs(found.uv_KN2 - expected.uv_KN2)[expected.visible_KN]
    assert error.max() < TOLERANCE[dtype]
    assert np.array_equal(np.isnan(found.uv_KN2), np.isnan(expected.uv_KN2))
    np.testing.assert_allclose(found.depth_KN, expected.depth_KN, atol=1e-4)
    differ = found.visible_KN != expected.visible_KN
    assert (border_distance(expected, rig, view, points)[differ] < 1e-3).all()
    assert expected.visible_KN.sum() > 500


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2 * CHUNK), st.integers(0, 4), st.integers(0, 2**16), st.booleans())
def test_pairs_are_the_visible_entries_in_order(points, count, seed, wide):
    rig, poses = rig_of([ALL[k % 3] for k in range(count)], seed)
    cloud = cloud_of(points, seed).astype(np.float64 if wide else np.float32)
    if wide:
        cloud = np.asfortranarray(cloud)[:, :4]
    dense = project(cloud, rig, poses)
    pairs = project_pairs(cloud, rig, poses)
    camera, point = np.nonzero(dense.visible_KN)
    np.testing.assert_array_equal(pairs.camera_E, camera)
    np.testing.assert_array_equal(pairs.point_E, point)
    np.testing.assert_array_equal(pairs.uv_E2, dense.uv_KN2[camera, point])
    np.testing.assert_array_equal(pairs.depth_E, dense.depth_KN[camera, point])
    assert pairs.uv_E2.dtype == np.float32


def unit_camera(width=10, height=8):
    """u = x / z, v = y / z: borders can be written down exactly."""
    return cameras(np.eye(3)[None], (width, height)), np.eye(4)[None]


@pytest.mark.parametrize(
    ("view", "first", "last"),
    [
        (WHOLE_IMAGE, -0.5, np.nextafter(np.float32(9.5), np.float32(0))),
        (
            NUSCENES_DEVKIT,
            np.nextafter(np.float32(1), np.float32(2)),
            np.nextafter(np.float32(9), np.float32(0)),
        ),
        (
            SLIDR,
            np.nextafter(np.float32(0), np.float32(1)),
            np.nextafter(np.float32(9), np.float32(0)),
        ),
        (View(low=0.0, high=0.0), 0.0, np.nextafter(np.float32(10), np.float32(0))),
    ],
)
def test_borders_are_open_or_closed_as_said(view, first, last):
    rig, poses = unit_camera()
    outside = [
        np.nextafter(np.float32(first), np.float32(-9)),
        np.nextafter(np.float32(last), np.float32(99)),
    ]
    # At a depth of 2 the division is exact; what is tested is the comparison.
    points = np.array([[2 * u, 6.0, 2.0] for u in (first, last, *outside)], dtype=np.float32)
    np.testing.assert_array_equal(
        project(points, rig, poses, view).visible_KN[0], [True, True, False, False]
    )


def test_depth_must_be_greater_and_may_be_another_axis():
    rig, poses = unit_camera()
    points = np.array([[2, 2, 1], [3, 3, 1.5], [1.5, 1.5, 0.5], [9, 1, -2]], dtype=np.float32)
    assert project(points, rig, poses).visible_KN[0].tolist() == [False, True, False, False]
    by_x = project(points, rig, poses, View(min_depth=2.0, depth_axis=0)).visible_KN[0]
    assert by_x.tolist() == [False, True, False, False], "what is behind the camera stays hidden"
    by_x = project(points, rig, poses, View(min_depth=1.0, depth_axis=0)).visible_KN[0]
    assert by_x.tolist() == [True, True, True, False]


def test_points_that_are_not_finite_or_behind_are_never_visible():
    rig, poses = rig_of(ALL)
    points = cloud_of(400)
    for row, value in enumerate([np.nan, np.inf, -np.inf] * 30):
        points[row, row % 3] = value
    for view in VIEWS:
        dense = project(points, rig, poses, view)
        assert not dense.visible_KN[:, :90].any()
        assert np.isnan(dense.uv_KN2[dense.depth_KN < -0.1]).all()
        assert len(project_pairs(points, rig, poses, view)) == dense.visible_KN.sum()
    turned = poses.copy()
    turned[:, :3] *= np.array([-1.0, 1.0, -1.0])[:, None]  # everything in front is now behind
    ahead = points[project_reference(points, rig, poses).visible_KN[0]]
    assert not project(ahead, rig, turned).visible_KN[0].any()


def test_what_a_lens_folds_back_is_not_visible():
    intrinsics = np.array([[[300.0, 0, 800], [0, 300, 450], [0, 0, 1]]])
    rig = cameras(intrinsics, (1600, 900), Lens.BROWN_CONRADY, [(-0.3, 0, 0, 0)])
    radius = np.linspace(0, 1.7, 18, dtype=np.float32)
    points = np.stack([2 * radius, 0 * radius, 0 * radius + 2], axis=1)
    dense = project(points, rig, np.eye(4)[None])
    assert ((dense.uv_KN2 >= 0) & (dense.uv_KN2 < (1600, 900))).all()
    np.testing.assert_array_equal(dense.visible_KN[0], radius < (1 / 0.9) ** 0.5)


def test_resized_and_cropped_intrinsics_move_pixels_alike():
    rig, poses = rig_of([Lens.PINHOLE])
    points = cloud_of(500)
    affine = resizing((1600, 900), (800, 300)) @ cropping(100, 50)
    small = cameras(affine @ rig.linear_K33 @ np.eye(3, 4), (700, 250))
    object.__setattr__(small, "offsets_K3", rig.offsets_K3)
    before, after = project(points, rig, poses), project(points, small, poses)
    expected = before.uv_KN2 @ affine[:2, :2].T + affine[:2, 2]
    seen = before.visible_KN
    np.testing.assert_allclose(after.uv_KN2[seen], expected[seen], atol=1e-3)


def test_pixels_round_half_to_even():
    rig, poses = unit_camera()
    points = np.array([[5, 3, 2], [3, 7, 2], [9, 9, 2]], dtype=np.float32)  # 2.5, 1.5; ...
    assert project_pairs(points, rig, poses).pixels().tolist() == [[2, 2], [2, 4], [4, 4]]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"points_NC": np.zeros((3, 2), np.float32)}, "shape"),
        ({"points_NC": np.zeros((3, 3), np.int32)}, "int32"),
        ({"T_camera_points_K44": np.eye(4)}, "4 cameras"),
        ({"T_camera_points_K44": np.zeros((4, 4, 4))}, "T_camera_points"),
        ({"T_camera_points_K44": np.tile(np.eye(4) + 0j, (4, 1, 1))}, "complex128"),
        ({"dtype": np.float16}, "float16"),
    ],
)
def test_wrong_arguments_are_refused(change, named):
    rig, poses = rig_of(ALL)
    arguments = {"points_NC": cloud_of(5), "rig": rig, "T_camera_points_K44": poses}
    for function in (project, project_pairs):
        with pytest.raises(DataError, match=named):
            function(**(arguments | change))


def test_a_choice_of_pairs_has_one_bool_for_each():
    rig, poses = rig_of(ALL)
    pairs = project_pairs(cloud_of(500), rig, poses)
    for mask in (np.ones(len(pairs) + 1, bool), np.ones((1, len(pairs)), bool), pairs.point_E):
        with pytest.raises(DataError, match=f"{len(pairs)} pairs"):
            pairs.select(mask)


def test_a_rig_cannot_be_changed():
    rig, _ = rig_of(ALL)
    with pytest.raises(ValueError, match="read-only"):
        rig.linear_K33[0, 0, 0] = 1.0  # what is made of a rig is kept


def test_a_view_is_checked():
    for wrong in ({"min_depth": -1.0}, {"depth_axis": 3}, {"low": np.nan}):
        with pytest.raises(DataError):
            View(**wrong)
