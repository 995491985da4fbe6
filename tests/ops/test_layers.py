"""Layers, norms and pooling over sparse tensors."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sensorfusion.ops import (
    BatchNorm,
    MaxPool,
    MeanPool,
    PerSite,
    ReLU,
    SparseConv2d,
    SparseConv3d,
    SparseInverseConv2d,
    SparseInverseConv3d,
    SparseTensor,
    SubMConv2d,
    SubMConv3d,
    global_pool,
)
from sensorfusion.ops.weights import from_layout
from tests.ops.clouds import cloud


def random_tensor(count: int, channels: int = 4, axes: int = 3, items: int = 3) -> SparseTensor:
    coordinates = cloud(count, axes, items=items)
    return SparseTensor(coordinates, torch.randn(len(coordinates), channels), batch_size=items)


@pytest.mark.parametrize(
    ("layers", "axes"),
    [
        ((SubMConv3d(4, 8, bias=True), SparseConv3d(8, 8), SparseInverseConv3d(8, 4)), 3),
        ((SubMConv2d(4, 8, 5), SparseConv2d(8, 8, 3, 2), SparseInverseConv2d(8, 4, 3, 2)), 2),
    ],
)
@pytest.mark.parametrize("count", [0, 1, 100])
def test_down_and_up_again_with_gradients(layers, axes, count) -> None:
    tensor = random_tensor(count, axes=axes)
    out = nn.Sequential(*layers, BatchNorm(4), ReLU())(tensor)
    assert torch.equal(out.coordinates, tensor.coordinates)
    out.features.sum().backward()
    assert all(
        p.grad is not None and p.grad.isfinite().all()
        for layer in layers
        for p in layer.parameters()
    )


def test_a_full_grid_is_a_dense_convolution() -> None:
    """Initial values included: same bounds as torch's layer of this size."""
    grid = torch.cartesian_prod(*[torch.arange(n) for n in (2, 5, 6, 4)]).int()
    tensor = SparseTensor(grid, torch.randn(len(grid), 3), spatial_shape=(5, 6, 4))
    dense = nn.Conv3d(3, 8, 3, padding=1)
    layer = SubMConv3d(3, 8, bias=True)
    assert layer.weight.abs().max() <= dense.weight.abs().max() * 1.05
    assert layer.weight.abs().max() >= dense.weight.abs().max() * 0.95
    with torch.no_grad():
        layer.weight.copy_(from_layout(dense.weight, "dense", (3, 3, 3)))
        layer.bias.copy_(dense.bias)
    torch.testing.assert_close(layer(tensor).dense(), dense(tensor.dense()), atol=1e-5, rtol=1e-4)


def test_batch_norm_over_sites() -> None:
    tensor = random_tensor(200)
    ours, plain = BatchNorm(4), nn.BatchNorm1d(4)
    torch.testing.assert_close(ours(tensor).features, plain(tensor.features))
    torch.testing.assert_close(ours.bn.running_var, plain.running_var)
    before = ours.bn.running_mean.clone()
    for count in (0, 1):
        few = tensor.replace(tensor.features).features[:count]
        small = SparseTensor(tensor.coordinates[:count], few, batch_size=3)
        expected = ours.eval()(small).features
        assert torch.equal(ours.train()(small).features, expected)
    assert torch.equal(ours.bn.running_mean, before)


def test_a_module_on_every_row() -> None:
    tensor = random_tensor(50)
    linear = nn.Linear(4, 9)
    assert torch.equal(PerSite(linear)(tensor).features, linear(tensor.features))


@pytest.mark.parametrize("axes", [2, 3])
def test_pooling_of_positive_features_is_the_dense_one(axes: int) -> None:
    """Zeros of absent sites change no maximum of positive features, and no sum."""
    coordinates = cloud(200, axes, extent=8)
    coordinates[:, 1:] += 4
    features = torch.rand(len(coordinates), 5, dtype=torch.float64) + 0.1
    tensor = SparseTensor(coordinates, features, spatial_shape=(8,) * axes)
    dense, occupied = tensor.dense(), tensor.replace(torch.ones_like(features)).dense()
    largest, mean = (F.max_pool2d, F.avg_pool2d) if axes == 2 else (F.max_pool3d, F.avg_pool3d)
    torch.testing.assert_close(MaxPool()(tensor).dense(), largest(dense, 2))
    expected = mean(dense, 2) / mean(occupied, 2).clamp(min=1e-9)
    torch.testing.assert_close(MeanPool()(tensor).dense(), expected)
    wide = MaxPool(3, 2, output_sites="touched")(tensor)
    torch.testing.assert_close(wide.dense(), largest(dense, 3, 2, padding=1))


@pytest.mark.parametrize("reduction", ["max", "mean"])
def test_pooling_of_negative_features_and_gradients(reduction) -> None:
    tensor = random_tensor(60)
    features = (-tensor.features.double().abs() - 1).requires_grad_()
    layer = {"max": MaxPool, "mean": MeanPool}[reduction](2, 2)
    assert layer(tensor.replace(features)).features.max() <= -1, "absent sites do not count"

    def pooled(rows):
        return layer(tensor.replace(rows)).features, global_pool(tensor.replace(rows), reduction)

    assert torch.autograd.gradcheck(pooled, features, fast_mode=True)


def test_global_pooling_with_an_empty_item() -> None:
    tensor = random_tensor(50, items=2)
    wide = SparseTensor(tensor.coordinates, tensor.features, batch_size=3)
    for reduction, of in (("max", lambda rows: rows.amax(0)), ("mean", lambda rows: rows.mean(0))):
        found = global_pool(wide, reduction)
        for item in range(2):
            rows = wide.features[wide.coordinates[:, 0] == item]
            torch.testing.assert_close(found[item], of(rows))
        assert not found[2].any()
    assert global_pool(random_tensor(0), "mean").shape == (3, 4)
