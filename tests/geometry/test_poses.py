from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.errors import DataError
from sensorfusion.geometry import poses as module
from sensorfusion.geometry.poses import (
    compose,
    interpolate,
    invert,
    pose,
    pose_from_quaternion,
    require_rigid,
    rigidity_reference,
)
from sensorfusion.geometry.rotation import rotation_about, rotation_from_quaternion, rotation_vector

numbers = st.floats(-5, 5, allow_nan=False)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)


@st.composite
def poses(draw):
    axis = draw(vectors.filter(lambda v: np.linalg.norm(v) > 0.1))
    return pose(rotation_about(axis, draw(st.floats(-3.1, 3.1))), draw(vectors))


@settings(deadline=None)
@given(poses(), poses())
def test_an_inverse_undoes_and_products_read_in_order(first, second):
    np.testing.assert_allclose(compose(first, invert(first)), np.eye(4), atol=1e-12)
    point = np.array([1.0, -2.0, 3.0, 1.0])
    np.testing.assert_allclose(compose(first, second) @ point, first @ (second @ point), atol=1e-9)
    require_rigid(compose(first, second), "product")


def test_inverses_of_a_stack_are_those_of_its_members():
    stack = np.stack([pose(rotation_about([1, 2, 3], 0.1 * k), [k, 0, 1]) for k in range(5)])
    for one, inverse in zip(stack, invert(stack), strict=True):
        np.testing.assert_allclose(inverse, np.linalg.inv(one), atol=1e-12)


def test_a_quaternion_is_w_first_and_its_length_and_sign_do_not_matter():
    half = np.deg2rad(90) / 2
    quarter = np.array([np.cos(half), 0, 0, np.sin(half)])
    expected = rotation_about([0, 0, 1], np.pi / 2)
    for wxyz in (quarter, -quarter, 3 * quarter):
        np.testing.assert_allclose(rotation_from_quaternion(wxyz), expected, atol=1e-12)
    moved = pose_from_quaternion(quarter, [1, 2, 3]) @ [1, 0, 0, 1]
    np.testing.assert_allclose(moved, [1, 3, 3, 1], atol=1e-12)
    assert rotation_from_quaternion(np.tile(quarter, (2, 1))).shape == (2, 3, 3)


@settings(deadline=None)
@given(vectors.filter(lambda v: np.linalg.norm(v) > 0.1), st.floats(0, np.pi))
def test_axis_and_angle_come_back(axis, angle):
    rotation = rotation_about(axis, angle)
    vector = rotation_vector(rotation)
    size = np.linalg.norm(vector)
    assert size == pytest.approx(angle, abs=1e-7)
    again = rotation_about(vector, size) if size else np.eye(3)
    np.testing.assert_allclose(again, rotation, atol=1e-7)


@settings(deadline=None)
@given(poses(), poses(), st.floats(0, 1))
def test_interpolation_starts_and_ends_and_turns_steadily(start, end, fraction):
    np.testing.assert_allclose(interpolate(start, end, 0.0), start, atol=1e-7)
    np.testing.assert_allclose(interpolate(start, end, 1.0), end, atol=1e-7)
    between = interpolate(start, end, fraction)
    require_rigid(between, "between")
    whole = np.linalg.norm(rotation_vector(start[:3, :3].T @ end[:3, :3]))
    part = np.linalg.norm(rotation_vector(start[:3, :3].T @ between[:3, :3]))
    assert part == pytest.approx(fraction * whole, abs=1e-6)


@pytest.mark.parametrize(
    "broken",
    [
        np.eye(3),
        np.diag([1.0, 1.0, -1.0, 1.0]),
        np.diag([2.0, 2.0, 2.0, 1.0]),
        np.full((4, 4), np.nan),
        np.eye(4) + np.eye(4)[[3, 0, 1, 2]] * 0.01,
        np.vstack([np.eye(4)[:3], [0, 0, 1, 1]]),
    ],
)
def test_what_is_not_rigid_is_refused_by_name(broken):
    with pytest.raises(DataError, match="T_world_lidar"):
        require_rigid(broken, "T_world_lidar")


@given(st.integers(0, 4), st.integers(0, 99), st.sampled_from([0.0, -1.0, np.nan, np.inf, 1e300]))
def test_kernel_and_reference_agree_about_what_is_rigid(count, seed, value):
    rng = np.random.default_rng(seed)
    stack = np.stack([np.eye(4)] * count + [pose(rotation_about([1, 2, 3], 0.4), [7, 8, 9])])
    stack[:, :3, :3] += rng.choice([0.0, 0.3]) * rng.normal(size=(count + 1, 3, 3))
    if rng.integers(2):
        stack[rng.integers(count + 1), rng.integers(4), rng.integers(4)] = value
    with np.errstate(all="ignore"):
        error, determinant, complete = rigidity_reference(stack)
    found = module._rigidity(stack)
    np.testing.assert_allclose(found[0], error, rtol=1e-9, atol=1e-15)
    if np.isfinite(error):
        assert found[2] == complete
        np.testing.assert_allclose(found[1], determinant, rtol=1e-9, atol=1e-15)


def test_a_quaternion_without_length_is_refused():
    for wxyz in ([0, 0, 0, 0], [1, np.nan, 0, 0], [1, 0, 0]):
        with pytest.raises(DataError):
            rotation_from_quaternion(wxyz)
