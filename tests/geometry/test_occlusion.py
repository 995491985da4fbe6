from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.errors import DataError
from sensorfusion.geometry.cameras import Lens, cameras
from sensorfusion.geometry.occlusion import DepthBuffer, hidden, hidden_reference
from sensorfusion.geometry.projection import Pairs, project_pairs
from sensorfusion.geometry.view import WHOLE_IMAGE
from tests.geometry.rigs import cloud_of, rig_of


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2000),
    st.sampled_from([4.0, 7.5, 64.0, 5000.0]),
    st.integers(1, 4),
    st.integers(0, 99),
)
def test_kernel_and_reference_agree(count, cell, reach, seed):
    rig, poses = rig_of([Lens.PINHOLE] * 3, seed)
    pairs = project_pairs(cloud_of(count, seed), rig, poses, WHOLE_IMAGE)
    buffer = DepthBuffer(cell, reach, absolute=0.3, relative=0.02)
    np.testing.assert_array_equal(hidden(pairs, rig, buffer), hidden_reference(pairs, rig, buffer))


def wall_and_board() -> tuple[np.ndarray, np.ndarray]:
    """A wall 20 m ahead, a board 5 m ahead before its middle; True for what the board hides."""
    across, up = np.meshgrid(np.linspace(-8, 8, 200), np.linspace(-4, 4, 100))
    wall = np.stack([across, up, np.full_like(across, 20.0)], axis=-1).reshape(-1, 3)
    across, up = np.meshgrid(np.linspace(-1, 1, 120), np.linspace(-0.5, 0.5, 60))
    board = np.stack([across, up, np.full_like(across, 5.0)], axis=-1).reshape(-1, 3)
    shaded = (np.abs(wall[:, 0]) < 4) & (np.abs(wall[:, 1]) < 2)
    return np.concatenate([wall, board]).astype(np.float32), np.pad(shaded, (0, len(board)))


def board_camera():
    intrinsics = np.array([[[800.0, 0, 399.5], [0, 800, 199.5], [0, 0, 1]]])
    return cameras(intrinsics, (800, 400)), np.eye(4)[None]


def test_a_board_hides_the_wall_behind_it_and_nothing_else():
    points, shaded = wall_and_board()
    rig, poses = board_camera()
    pairs = project_pairs(points, rig, poses)
    mask = hidden(pairs, rig, DepthBuffer(cell=8.0, reach=2))
    shaded = shaded[pairs.point_E]
    inner = shaded & (np.abs(pairs.uv_E2 - (399.5, 199.5)) < (135, 55)).all(axis=1)
    assert inner.sum() > 500
    assert mask[inner].all(), "but for a rim of three cells"
    assert not mask[~shaded].any(), "neither the board nor the wall around it"
    assert len(pairs.select(~mask)) == len(pairs) - mask.sum()


@pytest.mark.parametrize("plane", ["road", "wall", "slope"])
def test_a_plane_at_a_low_angle_does_not_hide_itself(plane):
    depth, across = np.meshgrid(np.geomspace(3, 80, 400), np.linspace(-1, 1, 150))
    flat = np.full_like(depth, 1.6)
    sides = {
        "road": (across * depth / 2, flat),
        "wall": (3 * flat, across * depth / 5),
        "slope": (across * depth / 2, flat + across * depth / 40),
    }[plane]
    points = np.stack([*sides, depth], axis=-1).reshape(-1, 3).astype(np.float32)
    rig, poses = board_camera()
    pairs = project_pairs(points, rig, poses)
    assert len(pairs) > 10_000
    assert not hidden(pairs, rig, DepthBuffer()).any()


def test_the_tolerance_grows_with_range():
    rig = cameras(np.eye(3)[None], (100, 100))
    around = [[5.0, 15.0], [25.0, 15.0], [15.0, 5.0], [15.0, 25.0]]

    def is_hidden(front: float, behind: float, sides: int = 4, **buffer: float) -> bool:
        uv = np.array([*around[:sides], [15.0, 15.0]], dtype=np.float32)
        depth = np.array([front] * sides + [behind], dtype=np.float32)
        pairs = Pairs(np.arange(len(uv)), np.zeros(len(uv), dtype=np.int64), uv, depth)
        found = hidden(pairs, rig, DepthBuffer(cell=10.0, reach=1, **buffer))
        assert not found[:sides].any()
        return bool(found[-1])

    assert not is_hidden(5.0, 5.4, absolute=0.5, relative=0.0)
    assert is_hidden(5.0, 5.6, absolute=0.5, relative=0.0)
    assert not is_hidden(5.0, 9.0, sides=3), "open on one side"
    assert is_hidden(5.0, 6.0, absolute=0.5, relative=0.05)
    assert not is_hidden(50.0, 52.9, absolute=0.5, relative=0.05)
    assert is_hidden(50.0, 53.1, absolute=0.5, relative=0.05)


def test_pairs_of_other_cameras_and_wrong_settings_are_refused():
    rig, poses = rig_of([Lens.PINHOLE] * 2)
    pairs = project_pairs(cloud_of(500), rig, poses)
    turned = dataclasses.replace(pairs, camera_E=pairs.camera_E[::-1])
    single, _ = rig_of([Lens.PINHOLE])
    for wrong, cams in ((turned, rig), (pairs, single)):
        with pytest.raises(DataError, match="sorted"):
            hidden(wrong, cams, DepthBuffer())
    for settings_ in ({"cell": 0.0}, {"reach": 0}, {"relative": np.nan}, {"absolute": -1.0}):
        with pytest.raises(DataError):
            DepthBuffer(**settings_)
