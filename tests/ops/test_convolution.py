"""Every backend against the dense reference, and what must not change the result."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings

from sensorfusion.errors import ConfigError, DataError, MissingDependencyError
from sensorfusion.ops import SparseConv3d, SparseInverseConv3d, SparseTensor, SubMConv3d, kernel_map
from sensorfusion.ops.backends import VARIABLE, backend_for, default_name, obstacles
from sensorfusion.ops.backends.spconv import Spconv
from sensorfusion.ops.functional import convolve
from tests.ops.clouds import Setting, ascending, cloud, settings_of_convolutions

CPU = torch.device("cpu")
BACKENDS = ["cpu", "torch"]
RELATIVE = {torch.float64: 1e-11, torch.float32: 2e-5, torch.bfloat16: 2e-2}
PLAIN = Setting("submanifold", 3, 200, 3, 2, 1, "floor", (5, 7), False, False, 0)


def results(setting: Setting, backend: str, dtype: torch.dtype):
    torch.manual_seed(setting.seed)
    tensor, weight = setting.tensor(dtype), setting.weight(dtype).requires_grad_()
    bias = torch.randn(setting.channels[1], dtype=dtype).requires_grad_()
    features = tensor.features.requires_grad_()
    out = setting.run(tensor, weight, bias, backend)
    factor = torch.cos(torch.arange(out.features.numel())).view_as(out.features)
    (out.features.double() * factor).sum().backward()
    return out, [out.features.detach(), features.grad, weight.grad, bias.grad]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", RELATIVE, ids=str)
@settings(max_examples=25, deadline=None)
@given(setting=settings_of_convolutions())
def test_values_and_gradients_are_the_references(backend, dtype, setting) -> None:
    out, found = results(setting, backend, dtype)
    other, expected = results(setting, "reference", dtype)
    assert torch.equal(out.coordinates, other.coordinates)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == dtype
        bound = RELATIVE[dtype] * max(float(theirs.abs().max()) if theirs.numel() else 0, 1)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=bound)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["submanifold", "down", "inverse"])
def test_gradients_are_the_numerical_ones(backend, kind) -> None:
    setting = replace(PLAIN, kind=kind, count=12, channels=(2, 3))
    tensor, weight = setting.tensor(), setting.weight().requires_grad_()

    def run(features, weight, bias):
        return setting.run(tensor.replace(features), weight, bias, backend).features

    bias = torch.randn(3, dtype=torch.float64).requires_grad_()
    inputs = (tensor.features.requires_grad_(), weight, bias)
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("kind", ["submanifold", "down", "inverse"])
def test_order_of_rows_does_not_matter(kind) -> None:
    setting = replace(PLAIN, kind=kind)
    tensor, weight = setting.tensor(), setting.weight()
    order = torch.randperm(len(tensor))
    permuted = SparseTensor(tensor.coordinates[order], tensor.features[order], batch_size=3)
    if kind == "inverse":  # its inputs are the coarse sites, which always ascend
        down, up = SparseConv3d(5, 5).double(), SparseInverseConv3d(5, 7).double()
        out, other = up(down(tensor)), up(down(permuted))
    else:
        out, other = (setting.run(t, weight, None, None) for t in (tensor, permuted))
    expected = out.features if kind == "down" else out.features[order]
    torch.testing.assert_close(other.features, expected)
    rows = out.coordinates if kind == "down" else out.coordinates[order]
    assert torch.equal(other.coordinates, rows)


@pytest.mark.parametrize("kind", ["submanifold", "down"])
@pytest.mark.parametrize("rule", ["floor", "touched"])
def test_translation_by_multiples_of_the_stride(kind, rule) -> None:
    setting = replace(PLAIN, kind=kind, rule=rule)
    tensor, weight = setting.tensor(), setting.weight()
    shift = torch.tensor([0, 2, -46, 1000], dtype=torch.int32)
    moved = SparseTensor(tensor.coordinates + shift, tensor.features, batch_size=3)
    out, other = (setting.run(t, weight, None, None) for t in (tensor, moved))
    assert torch.equal(other.features, out.features)
    by = shift if kind == "submanifold" else shift // 2
    assert torch.equal(other.coordinates, out.coordinates + by)


def test_batch_items_do_not_see_each_other() -> None:
    coordinates = ascending(cloud(300, items=2))
    tensor = SparseTensor(coordinates, torch.randn(len(coordinates), 4))
    conv = SubMConv3d(4, 4, 5, dilation=3)
    whole = conv(tensor).features
    for item in range(2):
        rows = coordinates[:, 0] == item
        alone = SparseTensor(coordinates[rows], tensor.features[rows])
        torch.testing.assert_close(conv(alone).features, whole[rows])


def test_threads_do_not_change_a_bit() -> None:
    coordinates = ascending(cloud(4000, extent=24))
    features = torch.randn(len(coordinates), 48).requires_grad_()
    conv = SubMConv3d(48, 40)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            out = conv(SparseTensor(coordinates, features)).features
            gradients = torch.autograd.grad(out.square().sum(), [features, conv.weight])
            found.append([out, *gradients])
        finally:
            torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_computes_in_half_and_sums_in_float32(dtype) -> None:
    coordinates = cloud(600)
    tensor = SparseTensor(coordinates, torch.randn(len(coordinates), 32))
    conv = SubMConv3d(32, 16, bias=True)
    exact = conv(tensor).features
    with torch.autocast("cpu", dtype=dtype):
        out = conv(tensor).features
    assert out.dtype == dtype
    out.float().square().sum().backward()
    assert conv.weight.grad.dtype == torch.float32
    error = (out.float() - exact).abs().max() / exact.abs().max()
    assert 0 < error < {torch.bfloat16: 1e-2, torch.float16: 2e-3}[dtype]


def test_one_search_per_level_and_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = []
    original = kernel_map.find_pairs
    monkeypatch.setattr(kernel_map, "find_pairs", lambda *a: searches.append(a[2]) or original(*a))
    coordinates = cloud(500)
    x = SparseTensor(coordinates, torch.randn(len(coordinates), 4))
    same, down, up = SubMConv3d(4, 4), SparseConv3d(4, 4), SparseInverseConv3d(4, 4)
    fine = same(same(x))
    coarse = same(same(down(fine)))
    coarsest = down(coarse)
    back = up(up(coarsest))
    out = same(back).features + same(fine).features
    out.sum().backward()
    # 3^3 at two levels, 2^3 from two levels down, which their inverses share.
    assert len(searches) == 4
    assert back.sites is x.sites
    assert up(coarsest).sites is coarse.sites
    assert coarse.stride == (2, 2, 2)
    assert torch.equal(down(x.replace(x.features)).coordinates, coarse.coordinates)


def test_an_inverse_needs_its_partner() -> None:
    coordinates = cloud(50)
    x = SparseTensor(coordinates, torch.randn(len(coordinates), 4))
    with pytest.raises(ConfigError, match="no finer"):
        SparseInverseConv3d(4, 4)(x)
    coarse = SparseConv3d(4, 4, 2, 2)(x)
    with pytest.raises(ConfigError, match="made by"):
        SparseInverseConv3d(4, 4, 3, 3)(coarse)
    assert len(SparseInverseConv3d(4, 4, 3, 2)(coarse)) == len(x), "floored sites fit any kernel"
    touched = SparseConv3d(4, 4, 3, 2, output_sites="touched")(x)
    with pytest.raises(ConfigError, match="made by"):
        SparseInverseConv3d(4, 4, 2, 2)(touched)


def test_bad_weights_and_windows() -> None:
    coordinates = cloud(50)
    x = SparseTensor(coordinates, torch.randn(len(coordinates), 4))
    with pytest.raises(DataError, match="for 4 channels"):
        SubMConv3d(3, 4)(x)
    with pytest.raises(DataError, match="float64"):
        SubMConv3d(4, 4).double()(x)
    with pytest.raises(ConfigError, match="kernel size"):
        SubMConv3d(4, 4, 6)(x)
    with pytest.raises(ConfigError, match="for 3 axes"):
        SubMConv3d(4, 4, (3, 3))
    with pytest.raises(ConfigError, match="too small"):
        SparseConv3d(4, 4, 2, 0)(x)


def test_choice_of_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert default_name(CPU) == "cpu"
    assert type(backend_for(CPU, "torch")).__name__ == "GatherScatter"
    monkeypatch.setenv(VARIABLE, "reference")
    assert type(backend_for(CPU)).__name__ == "Reference"
    assert type(backend_for(CPU, "cpu")).__name__ == "Cpu", "an argument comes first"
    with pytest.raises(ConfigError, match="known: cpu"):
        backend_for(CPU, "minkowski")
    with pytest.raises(MissingDependencyError, match="triton"):
        backend_for(CPU, "triton")
    with pytest.raises(ConfigError, match="NVIDIA"):
        backend_for(CPU, "spconv")
    with pytest.raises(ConfigError, match="the CPU only"):
        backend_for(torch.device("cuda"), "cpu")
    usable = [name for name, why in obstacles(CPU).items() if not why]
    assert usable == ["cpu", "torch", "reference"]


@pytest.mark.parametrize("kind", ["submanifold", "down", "inverse"])
@pytest.mark.parametrize("rule", ["floor", "touched"])
def test_products_of_spconv_over_our_maps(kind, rule) -> None:
    """On one thread, where its sums are right; its CPU build has no backward pass."""
    pytest.importorskip("spconv.pytorch")
    backend, seen = Spconv(), []
    setting = replace(PLAIN, kind=kind, rule=rule)
    tensor, weight = setting.tensor(torch.float32), setting.weight(torch.float32)
    out = setting.run(tensor, weight, None, "cpu")
    for levels_map in tensor.levels.maps.values():
        features = torch.randn(levels_map.pairs.inputs, 5)
        ours = convolve(features, weight, levels_map)
        seen.append(levels_map)
        torch.testing.assert_close(backend.forward(features, weight, levels_map), ours)
    assert len(seen) >= 1
    assert len(out)
