from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.geometry.rotation import rotation_about, rotation_xyz
from sensorfusion.sensors.skeleton import KINECT_V1, AnchorFirstFrame, BodyFrame, JointTree
from sensorfusion.sensors.skeleton_augment import (
    JitterSkeleton,
    MaskJoints,
    MirrorSkeleton,
    RotateSkeleton,
    ScaleSkeleton,
    ShearSkeleton,
    cmkm_skeleton_augmentations,
)
from sensorfusion.sensors.transform import apply_all
from tests.sensors.windows import sample, skeleton


def generator():
    return np.random.default_rng(3)


def bones(window):
    ends = np.array(window.tree.bones)
    return np.linalg.norm(window.joints[:, ends[:, 0]] - window.joints[:, ends[:, 1]], axis=2)


def test_the_tree_is_one_tree_and_its_sides_mirror_each_other():
    assert len(KINECT_V1.bones) == len(KINECT_V1) - 1 == 19
    assert KINECT_V1.root == KINECT_V1.index("hip_centre") == 3
    for joint in range(20):
        steps = joint
        for _ in range(20):
            steps = KINECT_V1.parents[steps]
        assert steps == KINECT_V1.root
    mirror = KINECT_V1.mirrored
    assert all(mirror[mirror[j]] == j for j in range(20))
    assert [j for j in range(20) if mirror[j] == j] == [0, 1, 2, 3]
    assert all(KINECT_V1.parents[mirror[j]] == mirror[KINECT_V1.parents[j]] for j in range(20))


def test_wrong_trees_and_joints_are_refused():
    with pytest.raises(ConfigError, match="2 roots"):
        JointTree(("a", "b"), (0, 1))
    with pytest.raises(ConfigError, match="no joint 'tail'"):
        KINECT_V1.index("tail")


def test_anchoring_removes_place_and_size_but_not_motion():
    window = skeleton()
    moved = window.replace(joints=(3.0 * window.joints + [1.0, 2.0, 3.0]).astype(np.float32))
    a, b = (AnchorFirstFrame().prepare(w) for w in (window, moved))
    np.testing.assert_allclose(a.joints, b.joints, atol=1e-4)
    np.testing.assert_allclose(a.joints[0, 2], 0.0, atol=1e-6)
    assert np.abs(a.joints[1:, 2]).min() > 0
    assert a.unit == "distance shoulder_centre to spine"


def test_anchoring_refuses_coinciding_joints_and_names_the_file():
    joints = skeleton().joints.copy()
    joints[0, 1] = joints[0, 2]
    with pytest.raises(DataError, match=r"s\.mat"):
        AnchorFirstFrame().prepare(skeleton().replace(joints=joints))


def test_body_frame_does_not_depend_on_place_size_or_heading():
    window = skeleton()
    turn = rotation_about([0, 1, 0], 1.0)
    seen = (1.7 * window.joints @ turn.T + [0.3, -1.0, 2.5]).astype(np.float32)
    a, b = (BodyFrame().prepare(w) for w in (window, window.replace(joints=seen)))
    np.testing.assert_allclose(a.joints, b.joints, atol=2e-4)
    across = sum(a.joints[0, KINECT_V1.index(f"right_{p}")] for p in ("shoulder", "hip"))
    across = across - sum(a.joints[0, KINECT_V1.index(f"left_{p}")] for p in ("shoulder", "hip"))
    assert across[0] > 0
    assert across[2] == pytest.approx(0.0, abs=1e-4)
    every = BodyFrame(every_frame=True).prepare(window)
    np.testing.assert_allclose(every.joints[:, 3], 0.0, atol=1e-6)
    assert (a.unit, a.axes[:4]) == ("torso lengths", "body")


@pytest.mark.parametrize("every_frame", [False, True])
def test_rotation_keeps_bones_and_its_anchor(every_frame):
    window = skeleton()
    turned = RotateSkeleton(anchor=3, every_frame=every_frame).apply(window, np.array([9.0, 4, -7]))
    np.testing.assert_allclose(bones(turned), bones(window), rtol=1e-4)
    moved = np.abs(turned.joints[:, 3] - window.joints[:, 3]).max(axis=1)
    assert moved[0] < 1e-6
    assert (moved[1:] < 1e-6).all() if every_frame else (moved[1:] > 1e-3).all()


def test_rotation_order_is_x_after_y_after_z():
    turned = rotation_xyz([90.0, 0.0, 90.0]) @ [1.0, 0.0, 0.0]
    np.testing.assert_allclose(turned, [0.0, 0.0, 1.0], atol=1e-12)  # x -z-> y -x-> z


def test_drawn_angles_are_multiples_of_the_step_and_reach_both_ends():
    rng, window = generator(), skeleton()
    drawn = np.array([RotateSkeleton(step=2.0).draw(window, rng) for _ in range(400)])
    assert set(np.unique(drawn)) == set(range(-10, 11, 2))


def test_scale_and_shear_do_to_each_axis_what_they_say():
    window = skeleton()
    scaled = ScaleSkeleton(anchor=None).apply(window, np.array([2.0, 1.0, 0.5]))
    np.testing.assert_allclose(scaled.joints, window.joints * [2.0, 1.0, 0.5], rtol=1e-5)
    sheared = ShearSkeleton().apply(window, np.array([0.5, 0.0, 0.0]))
    x, y, z = np.moveaxis(window.joints, 2, 0)
    np.testing.assert_allclose(sheared.joints[..., 0], x + 0.5 * (y + z), atol=1e-5)
    np.testing.assert_allclose(sheared.joints[..., 1:], window.joints[..., 1:], atol=1e-6)


def test_mirror_swaps_sides_and_is_its_own_inverse():
    window, mirror = skeleton(), MirrorSkeleton(p=1.0)
    once = mirror.apply(window)
    left, right = KINECT_V1.index("left_hand"), KINECT_V1.index("right_hand")
    np.testing.assert_array_equal(once.joints[:, left, 0], -window.joints[:, right, 0])
    np.testing.assert_array_equal(once.joints[:, left, 1:], window.joints[:, right, 1:])
    np.testing.assert_array_equal(mirror.apply(once).joints, window.joints)


def test_masked_joints_tell_nothing_of_their_own():
    window, mask = skeleton(), np.arange(20) == 7
    masked = MaskJoints().apply(window, mask)
    np.testing.assert_array_equal(masked.joints[:, 7], window.joints[:, 3])
    np.testing.assert_array_equal(masked.joints[:, ~mask], window.joints[:, ~mask])


def test_jitter_deviation():
    noise = JitterSkeleton(sigma=0.1).draw(skeleton(200), generator())
    assert noise.std() == pytest.approx(0.1, rel=0.05)


def test_published_augmentations_keep_shape_and_dtype():
    for released in (False, True):
        chain = cmkm_skeleton_augmentations(released=released)
        out = apply_all(chain, sample(skeleton=skeleton()), generator()).frames[0]
        joints = out.readings["skeleton"].joints
        assert joints.shape == (20, 20, 3)
        assert joints.dtype == np.float32


def test_number_of_joints_must_fit_the_tree():
    with pytest.raises(DataError, match=r"expected \(any, 20, 3\)"):
        skeleton().replace(joints=skeleton().joints[:, :17])
