from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from sensorfusion.errors import DataError
from sensorfusion.geometry.projection import project_pairs
from sensorfusion.geometry.segments import segment_mean
from sensorfusion.geometry.voxels import VoxelGrid, devoxelise, voxelise, voxelise_reference
from tests.geometry.rigs import cloud_of, rig_of
from tests.geometry.test_projection import ALL

CUBIC = VoxelGrid((0.5, 0.5, 0.25))
CYLINDER = VoxelGrid((0.5, 2.0, 0.25), cylindrical=True)
LIMITED = dataclasses.replace(CUBIC, low=(-20.0, -20.0, -2.0), high=(20.0, 10.0, 2.0))
GRIDS = [CUBIC, CYLINDER, LIMITED, dataclasses.replace(CYLINDER, low=(2.0, -90.0, -3.0))]
GRIDS += [dataclasses.replace(grid, round_and_shift=True) for grid in GRIDS]
FIELDS = ("coordinates_V4", "inverse_N", "first_V", "counts_V")


def assert_same(found, expected) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(GRIDS),
    st.integers(0, 600),
    st.integers(0, 5),
    st.integers(0, 999),
    st.booleans(),
)
def test_kernel_and_reference_agree(grid, count, items, seed, odd):
    points = cloud_of(count, seed)
    item = np.random.default_rng(seed).integers(0, items, count) * 2 if items else None
    if odd:
        points = np.asfortranarray(points.astype(np.float64))[:, :4]
    found = voxelise(points, grid, item)
    assert_same(found, voxelise_reference(points, grid, item))
    assert found.coordinates_V4.dtype == np.int32
    assert found.inverse_N.dtype == found.first_V.dtype == found.counts_V.dtype == np.int64
    rows = [tuple(row) for row in found.coordinates_V4]
    assert rows == sorted(set(rows))
    assert found.counts_V.sum() == (found.inverse_N >= 0).sum()


def test_what_is_found_when_it_is_asked_for_is_found_once_and_pickled():
    voxels = voxelise(cloud_of(300), LIMITED)
    pickled = pickle.dumps(voxels)
    assert voxels.first_V is voxels.first_V
    assert voxels.counts_V is voxels.counts_V
    assert_same(pickle.loads(pickled), voxels)
    assert_same(pickle.loads(pickle.dumps(voxels)), voxels)
    rows = [np.flatnonzero(voxels.inverse_N == voxel) for voxel in range(len(voxels))]
    assert voxels.first_V.tolist() == [row[0] for row in rows]
    assert voxels.counts_V.tolist() == [len(row) for row in rows]


def test_shifted_samples_start_at_zero_each():
    points = cloud_of(500)
    item = np.arange(500) % 3
    for grid in GRIDS[4:]:
        coordinates = voxelise(points, grid, item).coordinates_V4
        for sample in range(3):
            assert (coordinates[coordinates[:, 0] == sample, 1:].min(axis=0) == 0).all()


def test_no_points_and_none_within_limits():
    for grid in GRIDS:
        for points in (cloud_of(0), cloud_of(9) + np.float32(1e4)):
            voxels = voxelise(points, dataclasses.replace(grid, low=(0, 0, 0), high=(1, 1, 1)))
            assert len(voxels) == 0
            assert voxels.coordinates_V4.shape == (0, 4)
            assert (voxels.inverse_N == -1).all()


def test_the_mean_of_a_voxel_goes_back_to_its_points():
    points = cloud_of(2000)
    voxels = voxelise(points, LIMITED)
    inverse = torch.from_numpy(voxels.inverse_N)
    means = segment_mean(torch.from_numpy(points), inverse, len(voxels))
    row = int(voxels.counts_V.argmax())
    assert voxels.counts_V[row] > 1
    np.testing.assert_allclose(means[row], points[voxels.inverse_N == row].mean(axis=0), rtol=1e-5)
    back = devoxelise(means, inverse)
    assert (back[inverse < 0] == 0).all()
    torch.testing.assert_close(back[inverse >= 0], means[inverse[inverse >= 0]])
    np.testing.assert_array_equal(
        voxelise(back.numpy()[voxels.inverse_N >= 0], LIMITED).coordinates_V4,
        voxels.coordinates_V4,
        err_msg="the mean of a voxel's points lies in the voxel",
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("grid", GRIDS[:2])
def test_a_point_that_is_nowhere_is_named(grid, value):
    points = cloud_of(50)
    points[17, 1] = points[31, 2] = value
    with pytest.raises(DataError, match="point 17"):
        voxelise(points, grid)


def test_far_points_are_outside_limits_but_not_finite_ones_are_refused():
    points = cloud_of(50)
    points[17, 1] = 1e30
    assert voxelise(points, LIMITED).inverse_N[17] == -1
    points[17, 1] = np.nan
    with pytest.raises(DataError, match="point 17"):
        voxelise(points, LIMITED)


def test_voxels_too_far_apart_to_be_numbered_are_refused():
    points = np.array([[-9e5, -9e5, -9e5], [9e5, 9e5, 9e5]], dtype=np.float32)
    with pytest.raises(DataError, match="cannot be numbered"):
        voxelise(points, VoxelGrid((0.001, 0.001, 0.001)))
    wide = VoxelGrid((2.0, 2.0, 2.0))  # 9e5 cells an axis: numbered, by the slow path
    assert_same(voxelise(points, wide), voxelise_reference(points, wide))


def test_wrong_arguments_are_refused():
    points = cloud_of(4)
    for arguments, named in (
        ((points[:, :2], CUBIC), "shape"),
        ((points.astype(np.int32), CUBIC), "int32"),
        ((points, CUBIC, np.zeros(3, int)), "samples of shape"),
        ((points, CUBIC, np.zeros(4)), "float64"),
        ((points, CUBIC, np.array([0, 0, -1, 0])), "-1 is below 0"),
        ((points, CUBIC, np.array([0, 0, 2**63 - 1, 0])), f"{2**63 - 1} is beyond"),
    ):
        with pytest.raises(DataError, match=named):
            voxelise(*arguments)
    for wrong in (
        {"steps": (0.1, 0.1)},
        {"steps": (0.1, 0.0, 0.1)},
        {"low": (0, 0, np.inf)},
        {"high": (1, 1)},
    ):
        with pytest.raises(DataError):
            dataclasses.replace(CUBIC, **wrong)


def test_a_sample_of_a_huge_number_takes_no_memory_of_its_own():
    points, item = cloud_of(30), np.array([0, 10**9, 2**31 - 2]).repeat(10)
    grid = VoxelGrid((2.0, 2.0, 2.0))
    assert_same(voxelise(points, grid, item), voxelise_reference(points, grid, item))


def test_points_take_only_from_voxels_that_there_are():
    features, inverse = torch.randn(3, 2, requires_grad=True), torch.tensor([2, -1, 0])
    for arguments, named in (
        ((features, inverse + 1), "from 0 to 3"),
        ((features, inverse - 1), "from -2 to 1"),
        ((features, inverse.int()), "int32"),
        ((features, inverse[None]), r"\(1, 3\)"),
        ((features[0], inverse), r"\(2,\)"),
    ):
        with pytest.raises(DataError, match=named):
            devoxelise(*arguments)
    outside = devoxelise(features[:0], torch.full((4,), -1))
    assert outside.tolist() == [[0.0, 0.0]] * 4
    outside.sum().backward()
    assert not features.grad.any()


class Clouds(Dataset):
    """Projected and voxelised where it is read, as a training's loader does."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> list[np.ndarray]:
        points = cloud_of(5000, seed=index)
        rig, poses = rig_of(ALL, seed=index)
        pairs, voxels = project_pairs(points, rig, poses), voxelise(points, CYLINDER)
        arrays = [pairs.point_E, pairs.camera_E, pairs.uv_E2, pairs.depth_E]
        return arrays + [getattr(voxels, name) for name in FIELDS]


def test_forked_loader_workers_give_the_same_arrays_after_the_parent_used_threads():
    here = [Clouds()[index] for index in range(4)]
    loader = DataLoader(
        Clouds(), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=120
    )
    for ours, theirs in zip(here, loader, strict=True):
        for array, tensor in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(array, np.asarray(tensor))
