"""Sparse tensors: what they hold, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from sensorfusion.errors import DataError
from sensorfusion.ops import PerSite, SparseConv3d, SparseTensor, SubMConv3d, cat
from tests.ops.clouds import ascending, cloud

ROWS = torch.tensor([[0, 1, 2, 3], [1, -4, 0, 0], [0, 1, 2, -3]], dtype=torch.int32)


def test_rows_stay_in_the_order_of_the_user() -> None:
    features = torch.randn(3, 2)
    tensor = SparseTensor(ROWS, features)
    assert torch.equal(tensor.coordinates, ROWS)
    assert torch.equal(tensor.features, features)
    assert (tensor.batch_size, tensor.stride, tensor.channels, len(tensor)) == (2, (1, 1, 1), 2, 3)
    assert tensor.sites.order.tolist() == [2, 0, 1]
    assert SparseTensor(ascending(ROWS), features).sites.order is None, "not sorted again"
    assert torch.equal(SparseTensor(ROWS.long(), features).coordinates, ROWS)


def test_dense_puts_every_feature_in_its_cell() -> None:
    tensor = SparseTensor(ROWS, torch.arange(1.0, 7.0).view(3, 2), batch_size=3)
    field = tensor.dense()
    assert field.shape == (3, 2, 6, 3, 7)
    for row, feature in zip(ROWS, tensor.features, strict=True):
        item, a, b, c = row.tolist()
        assert torch.equal(field[item, :, a + 4, b, c + 3], feature)
    assert field.sum() == 21
    shift = torch.tensor([0, 4, 0, 3], dtype=torch.int32)
    bounded = SparseTensor(ROWS + shift, tensor.features, spatial_shape=(6, 5, 8))
    assert bounded.dense().shape == (2, 2, 6, 5, 8)


@pytest.mark.parametrize(
    ("coordinates", "options", "message"),
    [
        (ROWS[[0, 1, 0]], {}, "rows 0 and 2"),
        (ROWS.float(), {}, "float32, expected int32"),
        (ROWS[:, 0], {}, r"expected \[N, 4\]"),
        (ROWS - 1, {}, "batch items from -1"),
        (ROWS, {"batch_size": 1}, "in a batch of 1"),
        (ROWS, {"spatial_shape": (2, 3, 4)}, "leave"),
        (ROWS, {"spatial_shape": (9, 9)}, "for 3 axes"),
        (ROWS.long() * 2**40, {}, "leave int32"),
    ],
)
def test_bad_coordinates(coordinates, options, message) -> None:
    with pytest.raises(DataError, match=message):
        SparseTensor(coordinates, torch.zeros(len(coordinates), 2), **options)


@pytest.mark.parametrize(
    ("features", "message"),
    [(torch.zeros(2, 4), "for 3 coordinates"), (torch.zeros(3, 4).int(), "expected floating")],
)
def test_bad_features(features, message) -> None:
    with pytest.raises(DataError, match=message):
        SparseTensor(ROWS, features)


def test_coordinates_too_far_apart_for_keys_are_an_error() -> None:
    far = torch.tensor([[0] * 4, [0, *[2**31 - 1] * 3], [0, *[-(2**31)] * 3]])
    with pytest.raises(DataError, match="int64"):
        SparseTensor(far, torch.zeros(3, 1))
    far[:, 3] = 0
    out = SubMConv3d(1, 1)(SparseTensor(far.clamp(-(2**29), 2**29), torch.ones(3, 1)))
    assert len(out) == 3, "2^30 cells in two axes have keys"


def test_windows_that_leave_the_keys_are_an_error() -> None:
    """The sites have keys; what a dilated window at them could see has none."""
    corner = 2**20
    rows = torch.tensor([[0, 0, 0, 0], [0, corner, corner, corner]])
    tensor = SparseTensor(rows, torch.zeros(2, 1))
    assert len(SubMConv3d(1, 1)(tensor)) == 2
    with pytest.raises(DataError, match="int64"):
        SubMConv3d(1, 1, dilation=10**7)(tensor)


def test_features_side_by_side_at_the_same_sites_only() -> None:
    tensor = SparseTensor(cloud(40), torch.randn(len(cloud(40)), 3))
    other = PerSite(torch.nn.Linear(3, 2))(tensor)
    joined = cat([tensor, other])
    assert torch.equal(joined.features, torch.cat([tensor.features, other.features], dim=1))
    with pytest.raises(DataError, match="not at the same sites"):
        cat([tensor, SparseConv3d(3, 3)(tensor)])
    with pytest.raises(DataError, match="not at the same sites"):
        cat([tensor, SparseTensor(tensor.coordinates, tensor.features)])


def test_to_changes_the_dtype_and_keeps_the_maps() -> None:
    tensor = SparseTensor(ROWS, torch.randn(3, 2))
    double = tensor.to(dtype=torch.float64)
    assert double.features.dtype == torch.float64
    assert double.levels is tensor.levels
    moved = SparseConv3d(2, 2)(tensor).to("meta")
    assert moved.coordinates.device.type == "meta"
    assert moved.levels.sites[()].device.type == "meta"
