from __future__ import annotations

import numpy as np

from sensorfusion.geometry.rotation import (
    quaternion_from_rotation,
    rotation_about,
    rotation_from_quaternion,
    rotation_xyz,
)


def test_quarter_turns_are_right_handed():
    x, y, z = np.eye(3)
    np.testing.assert_allclose(rotation_about(x, np.pi / 2) @ y, z, atol=1e-12)
    np.testing.assert_allclose(rotation_about(y, np.pi / 2) @ z, x, atol=1e-12)
    np.testing.assert_allclose(rotation_about(3 * z, np.pi / 2) @ x, y, atol=1e-12)


def test_rotations_are_orthonormal_and_keep_their_axis():
    axis = np.array([0.3, -2.0, 0.7])
    rotation = rotation_about(axis, 1.234)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation @ axis, axis, atol=1e-12)
    np.testing.assert_allclose(np.trace(rotation), 1 + 2 * np.cos(1.234), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation_xyz([10, 20, 30])), 1.0, atol=1e-12)


def test_three_angles_are_three_turns_in_order():
    angles = [10.0, -70.0, 200.0]
    x, y, z = (rotation_about(a, np.deg2rad(d)) for a, d in zip(np.eye(3), angles, strict=True))
    np.testing.assert_allclose(rotation_xyz(angles), x @ y @ z, atol=1e-12)


def test_quaternions_and_back():
    axes = np.random.default_rng(0).normal(size=(20, 3))
    for angle in (0.0, 1e-12, 1e-6, 0.4, 2.9, 3.1, np.pi - 1e-7, np.pi):
        for axis in (*np.eye(3), *axes):
            rotation = rotation_about(axis, angle)
            wxyz = quaternion_from_rotation(rotation)
            assert wxyz[0] >= 0
            np.testing.assert_allclose(np.linalg.norm(wxyz), 1.0, atol=1e-9)
            np.testing.assert_allclose(rotation_from_quaternion(wxyz), rotation, atol=1e-8)
