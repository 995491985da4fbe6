from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.errors import DataError
from sensorfusion.geometry.cameras import (
    Lens,
    cameras,
    cropping,
    distort_reference,
    mirroring,
    resizing,
)

K = np.array([[900.0, 0.0, 800.0], [0.0, 910.0, 450.0], [0.0, 0.0, 1.0]])


def ideal_points() -> np.ndarray:
    grid = np.stack(np.meshgrid(np.arange(-6, 7) * 0.15, np.arange(-4, 5) * 0.12), axis=-1)
    return grid.reshape(-1, 2)


@pytest.mark.parametrize(
    "coefficients",
    [
        (-0.2, 0.05, 0.001, -0.002),
        (-0.2, 0.05, 0.001, -0.002, 0.01),
        (0.3, 0.05, 0.001, -0.002, 0.01, 0.5, 0.02, 0.001),
    ],
    ids=len,
)
def test_brown_conrady_is_that_of_opencv(coefficients):
    cv2 = pytest.importorskip("cv2")
    rig = cameras(K[None], (1600, 900), Lens.BROWN_CONRADY, [coefficients])
    ideal = ideal_points()
    moved = distort_reference(Lens.BROWN_CONRADY, rig.distortion_K8[0], ideal)
    xyz = np.pad(ideal, ((0, 0), (0, 1)), constant_values=1.0)
    expected = cv2.projectPoints(xyz, np.zeros(3), np.zeros(3), K, np.array(coefficients))[0]
    np.testing.assert_allclose(moved @ K[:2, :2].T + K[:2, 2], expected[:, 0], atol=1e-9)


def test_fisheye_is_that_of_opencv():
    cv2 = pytest.importorskip("cv2")
    coefficients = (0.05, -0.01, 0.003, -0.0005)
    rig = cameras(K[None], (1600, 900), Lens.FISHEYE, [coefficients])
    ideal = 5 * ideal_points()
    assert (ideal == 0).all(axis=1).any(), "the optical axis is among them"
    moved = distort_reference(Lens.FISHEYE, rig.distortion_K8[0], ideal)
    xyz = np.pad(ideal, ((0, 0), (0, 1)), constant_values=1.0)[:, None]
    zero = np.zeros(3)
    expected = cv2.fisheye.projectPoints(xyz, zero, zero, K, np.array(coefficients))[0]
    np.testing.assert_allclose(moved @ K[:2, :2].T + K[:2, 2], expected[:, 0], atol=1e-9)


def test_the_reach_of_a_lens_is_where_its_radius_stops_growing():
    one = cameras(K[None], (9, 9), Lens.BROWN_CONRADY, [(-0.3, 0.0, 0.0, 0.0)])
    assert one.reach_K[0] == pytest.approx((1 / 0.9) ** 0.5)  # of r - 0.3 r^3
    assert np.isinf(cameras(K[None], (9, 9)).reach_K[0])
    free = cameras(K[None], (9, 9), Lens.BROWN_CONRADY, [(0.3, 0.1, 0.0, 0.0)])
    assert np.isinf(free.reach_K[0])
    fisheye = cameras(K[None], (9, 9), Lens.FISHEYE, [(-0.5, 0.0, 0.0, 0.0)])
    assert fisheye.reach_K[0] == pytest.approx((1 / 1.5) ** 0.5)
    pole = cameras(K[None], (9, 9), Lens.BROWN_CONRADY, [(0, 0, 0, 0, 0, -1.0, 0, 0)])
    assert pole.reach_K[0] == pytest.approx(1.0)  # of r / (1 - r^2)


def test_resizing_keeps_the_outer_edges():
    matrix = resizing((1600, 900), (416, 224))
    np.testing.assert_allclose(matrix @ [-0.5, -0.5, 1], [-0.5, -0.5, 1])
    np.testing.assert_allclose(matrix @ [1599.5, 899.5, 1], [415.5, 223.5, 1])
    back = resizing((416, 224), (1600, 900))
    np.testing.assert_allclose(back @ matrix, np.eye(3), atol=1e-12)


def test_cropping_and_mirroring_follow_pixels():
    image = np.arange(12 * 20).reshape(12, 20)
    u, v = 7, 5
    cut = cropping(3, 2) @ [u, v, 1]
    assert image[2:, 3:][int(cut[1]), int(cut[0])] == image[v, u]
    flipped = mirroring(20) @ [u, v, 1]
    assert image[:, ::-1][int(flipped[1]), int(flipped[0])] == image[v, u]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((np.zeros((1, 3, 3)), (9, 9)), "singular"),
        ((np.full((1, 3, 3), np.nan), (9, 9)), "non-finite"),
        ((K, (9, 9)), "shape"),
        ((np.ones((1, 3, 3)) + K, (9, 9)), "last row"),
        ((K[None], (9.5, 9)), "sizes"),
        ((K[None], (0, 9)), "sizes"),
        ((K[None], (9, 9), Lens.FISHEYE, [(0.1, 0.2)]), "FISHEYE of camera 0"),
        ((K[None], (9, 9), Lens.PINHOLE, [(0.1, 0.2, 0, 0)]), "PINHOLE"),
        ((K[None], (9, 9), [Lens.PINHOLE] * 2), "2 lenses"),
    ],
)
def test_a_wrong_description_is_refused(arguments, named):
    with pytest.raises(DataError, match=named):
        cameras(*arguments)
