"""LiDAR to the left colour camera of KITTI, object and raw, on every frame found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from safetensors.numpy import load_file

from sensorfusion.geometry.cameras import cameras
from sensorfusion.geometry.poses import compose
from sensorfusion.geometry.projection import project, project_pairs, project_reference
from sensorfusion.geometry.view import KITTI
from tests.golden.cases import folders_of, read_manifest, recording

TOLERANCE = {np.float32: 1e-3, np.float64: 1e-6}  # px
CASES = [
    (folder, path.name)
    for folder in folders_of("kitti_projection")
    for path in sorted(folder.glob("*.safetensors")) or [folder / "none"]
]


def scan_of(name: str, request) -> np.ndarray:
    kind, *_, frame = name.removesuffix(".safetensors").split("_")
    split = name.split("_")[1]
    places = {"object": f"{split}/velodyne/{frame}.bin", "raw": f"velodyne_points/data/{frame}.bin"}
    return np.fromfile(recording(places[kind], request), dtype=np.float32).reshape(-1, 4)


def padded(matrix: np.ndarray) -> np.ndarray:
    square = np.eye(4)
    square[: len(matrix), : matrix.shape[1]] = matrix
    return square


@pytest.mark.parametrize(("folder", "name"), CASES, ids=lambda v: getattr(v, "name", v))
def test_the_same_points_at_the_same_pixels(folder, name, request) -> None:
    manifest = read_manifest(folder, request)
    hyper, golden = manifest["files"][name]["hyper_parameters"], load_file(folder / name)
    scan = scan_of(name, request)
    assert len(scan) == hyper["points_in_file"]
    view = dataclasses.replace(KITTI, min_depth=manifest["hyper_parameters"]["clip_distance"])
    rig = cameras(golden["P2"][None], np.array(hyper["image_size"]))
    T_camera_lidar = compose(padded(golden["R0"]), padded(golden["V2C"]))[None]
    whole = project_pairs(scan, rig, T_camera_lidar, view)
    assert abs(len(whole) - hyper["kept_of_all_points"]) <= 1
    rows = np.arange(0, len(scan), hyper["stride"])
    reference = project_reference(scan[rows], rig, T_camera_lidar, view)
    np.testing.assert_array_equal(rows[reference.visible_KN[0]], golden["index"])
    index = golden["index"] // hyper["stride"]
    np.testing.assert_allclose(reference.uv_KN2[0, index], golden["uv"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(reference.depth_KN[0, index], golden["depth"], rtol=0, atol=1e-9)
    size = np.array(hyper["image_size"])
    for dtype, bound in TOLERANCE.items():
        dense = project(scan[rows], rig, T_camera_lidar, view, dtype)
        differ = np.nonzero(dense.visible_KN[0] != reference.visible_KN[0])[0]
        uv = reference.uv_KN2[0, differ]
        to_border = np.minimum(np.abs(uv), np.abs(uv - size)).min(axis=1, initial=np.inf)
        assert (to_border < bound).all()
        assert np.abs(dense.uv_KN2[0, index] - golden["uv"]).max() < bound
        assert np.abs(dense.depth_KN[0, index] - golden["depth"]).max() < 1e-4
