"""Voxels of SLidR and SuperFlow, Cartesian and cylindrical, on every case found."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from sensorfusion.geometry.voxels import VoxelGrid, voxelise, voxelise_reference
from tests.golden.cases import folders_of, read_manifest

CASES = [
    (folder, path.name)
    for folder in folders_of("voxelisation")
    for path in sorted(folder.glob("*.safetensors")) or [folder / "none"]
]
cases = pytest.mark.parametrize(("folder", "name"), CASES, ids=lambda v: getattr(v, "name", v))
functions = pytest.mark.parametrize("function", [voxelise, voxelise_reference])


def grid_of(hyper: dict, name: str, round_and_shift: bool) -> VoxelGrid:
    size, cylindrical = hyper["voxel_size"], "cylinder" in name
    steps = (size, 1.0 if cylindrical else size, size)
    return VoxelGrid(steps, cylindrical=cylindrical, round_and_shift=round_and_shift)


@cases
@functions
def test_slidr(function, folder, name, request) -> None:
    hyper = read_manifest(folder, request)["files"][name]["hyper_parameters"]
    golden = load_file(folder / name)
    points = golden["points"]
    voxels = function(points, grid_of(hyper, name, round_and_shift=False))
    assert len(voxels) == hyper["slidr_voxels"] == len(golden["slidr.coords"])
    expected = golden["slidr.coords"][golden["slidr.inverse"]]
    np.testing.assert_array_equal(voxels.coordinates_V4[voxels.inverse_N, 1:], expected[:, 1:])
    np.testing.assert_array_equal(expected[:, 1:], golden["slidr.point_coords"])
    # Their order is that of first occurrence; each is represented by its first point.
    in_their_order = np.argsort(voxels.first_V)
    np.testing.assert_array_equal(
        voxels.coordinates_V4[in_their_order, 1:], golden["slidr.coords"][:, 1:]
    )
    np.testing.assert_array_equal(
        points[voxels.first_V[in_their_order], 3:], golden["slidr.features"]
    )


@cases
@functions
def test_superflow(function, folder, name, request) -> None:
    hyper = read_manifest(folder, request)["files"][name]["hyper_parameters"]
    golden = load_file(folder / name)
    points = golden["points"]
    voxels = function(points, grid_of(hyper, name, round_and_shift=True))
    assert len(voxels) == hyper["superflow_voxels"]
    np.testing.assert_array_equal(voxels.coordinates_V4[:, 1:], golden["superflow.coords"][:, :3])
    np.testing.assert_array_equal(voxels.inverse_N, golden["superflow.inverse"])
    np.testing.assert_array_equal(voxels.first_V, golden["superflow.index"])
    np.testing.assert_array_equal(points[voxels.first_V], golden["superflow.voxels"])
