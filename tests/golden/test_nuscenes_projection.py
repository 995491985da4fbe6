"""LiDAR to six cameras as nuscenes-devkit and SLidR do it, on every frame found."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from sensorfusion.geometry.cameras import cameras
from sensorfusion.geometry.poses import compose, invert, pose_from_quaternion
from sensorfusion.geometry.projection import project_pairs, project_reference
from sensorfusion.geometry.view import NUSCENES_DEVKIT, SLIDR
from tests.golden.cases import folders_of, read_manifest, recording

OFFICIAL = 0.05  # px, of the float32 chain
REFERENCE = 1e-3  # px, of the float32 kernel against float64
FLOAT64 = 1e-6  # px


def pose_of(record: dict) -> np.ndarray:
    return pose_from_quaternion(record["rotation"], record["translation"])


@dataclasses.dataclass
class Frame:
    manifest: dict
    names: list[str]
    points: np.ndarray
    rig: object
    poses: np.ndarray

    def view(self, view):
        return dataclasses.replace(view, min_depth=self.manifest["hyper_parameters"]["min_dist"])


def read_frame(folder, request) -> Frame:
    manifest = read_manifest(folder, request)
    calibration = json.loads((folder / "calibration.json").read_text())
    lidar = calibration["lidar"]
    points = np.fromfile(recording(lidar["filename"], request), dtype=np.float32).reshape(-1, 5)
    pairs = manifest["files"]["slidr_pairs.safetensors"]["hyper_parameters"]
    names = pairs["camera_order"]
    records = [calibration["cameras"][name] for name in names]
    sizes = [Image.open(recording(record["filename"], request)).size for record in records]
    T_world_lidar = compose(pose_of(lidar["ego_pose"]), pose_of(lidar["calibrated_sensor"]))
    poses = [
        compose(
            invert(pose_of(record["calibrated_sensor"])),
            invert(pose_of(record["ego_pose"])),
            T_world_lidar,
        )
        for record in records
    ]
    intrinsics = [record["calibrated_sensor"]["camera_intrinsic"] for record in records]
    return Frame(manifest, names, points, cameras(intrinsics, np.array(sizes)), np.stack(poses))


folders = pytest.mark.parametrize("folder", folders_of("nuscenes_projection"), ids=lambda p: p.name)


def assert_same_points(found, expected, border_N: np.ndarray, slack: float) -> None:
    """Identical sets, but for points closer to a border than the arithmetic can tell."""
    differ = np.setxor1d(found, expected)
    assert (border_N[differ] < slack).all(), f"{len(differ)} points differ"


def border_of(reference, camera: int, frame: Frame, view) -> np.ndarray:
    uv, size = reference.uv_KN2[camera], frame.rig.sizes_K2[camera]
    borders = [np.abs(uv - view.low), np.abs(uv - (size - view.high))]
    depth = np.abs(reference.depth_KN[camera] - view.min_depth)
    return np.nanmin(np.concatenate([*borders, depth[:, None]], axis=1), axis=1)


@folders
def test_the_devkit_sees_the_same_points_at_the_same_pixels(folder, request) -> None:
    frame = read_frame(folder, request)
    view = frame.view(NUSCENES_DEVKIT)
    reference = project_reference(frame.points, frame.rig, frame.poses, view)
    for dtype, bound in ((np.float32, REFERENCE), (np.float64, FLOAT64)):
        pairs = project_pairs(frame.points, frame.rig, frame.poses, view, dtype)
        for camera, name in enumerate(frame.names):
            golden = load_file(folder / f"{name}.safetensors")
            mine = pairs.camera_E == camera
            point, border = pairs.point_E[mine], border_of(reference, camera, frame, view)
            assert_same_points(point, golden["index_f64"], border, 1e-3)
            assert_same_points(point, golden["index_f32_official"], border, OFFICIAL)
            for suffix, slack in (("f64", bound), ("f32_official", OFFICIAL)):
                index = golden[f"index_{suffix}"]
                _, ours, theirs = np.intersect1d(point, index, return_indices=True)
                assert len(ours) >= 0.99 * len(index)
                uv, depth = pairs.uv_E2[mine][ours], pairs.depth_E[mine][ours]
                assert np.abs(uv - golden[f"uv_{suffix}"][theirs]).max() < slack
                assert np.abs(depth - golden[f"depth_{suffix}"][theirs]).max() < 1e-3


@folders
def test_the_reference_is_that_of_float64(folder, request) -> None:
    frame = read_frame(folder, request)
    view = frame.view(NUSCENES_DEVKIT)
    reference = project_reference(frame.points, frame.rig, frame.poses, view)
    for camera, name in enumerate(frame.names):
        golden = load_file(folder / f"{name}.safetensors")
        index = golden["index_f64"]
        np.testing.assert_array_equal(np.nonzero(reference.visible_KN[camera])[0], index)
        uv, depth = reference.uv_KN2[camera, index], reference.depth_KN[camera, index]
        np.testing.assert_allclose(uv, golden["uv_f64"], rtol=0, atol=FLOAT64)
        np.testing.assert_allclose(depth, golden["depth_f64"], rtol=0, atol=1e-8)


@folders
def test_slidr_pairs_the_same_points_with_the_same_pixels(folder, request) -> None:
    frame = read_frame(folder, request)
    view = frame.view(SLIDR)
    golden = load_file(folder / "slidr_pairs.safetensors")
    pairs = project_pairs(frame.points, frame.rig, frame.poses, view)
    reference = project_reference(frame.points, frame.rig, frame.poses, view)
    camera, row, column = golden["pairing_images"].T.astype(np.int64)
    for k in range(len(frame.names)):
        expected = golden["pairing_points"][camera == k]
        border = border_of(reference, k, frame, view)
        assert_same_points(pairs.point_E[pairs.camera_E == k], expected, border, OFFICIAL)
    stride = len(frame.points)
    keys = camera * stride + golden["pairing_points"]
    ours = pairs.camera_E * stride + pairs.point_E
    _, mine, theirs = np.intersect1d(ours, keys, return_indices=True)
    assert len(mine) >= 0.99 * len(keys)
    error = np.abs(pairs.pixels()[mine] - np.stack([column, row], axis=1)[theirs])
    exact = reference.uv_KN2[pairs.camera_E[mine], pairs.point_E[mine]]
    to_half = np.abs(exact - np.floor(exact) - 0.5)
    assert error.max() <= 1
    assert (to_half[error > 0] < OFFICIAL).all(), "only pixels that the float32 chain blurs"
