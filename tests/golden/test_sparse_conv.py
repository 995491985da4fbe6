"""Sparse convolution against dense brute force: every set and case found under the golden root."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from sensorfusion.ops import SparseTensor
from sensorfusion.ops.backends import obstacles
from sensorfusion.ops.functional import (
    inverse_convolution,
    sparse_convolution,
    submanifold_convolution,
)
from sensorfusion.ops.weights import from_layout, to_layout
from tests.conftest import GOLDEN
from tests.golden.cases import folders_of

# Absolute, and for half precision relative to the largest expected value: the manifest's words.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 2e-2}
BACKENDS = [name for name, why in obstacles(torch.device("cpu")).items() if not why]


def cases() -> list[Path]:
    """Files of every manifest of this topic, wherever it lies under the root."""
    manifests = [folder / "manifest.json" for folder in folders_of("sparse_conv")]
    found = [p for p in manifests if p.is_file()]
    files = [p.parent / name for p in found for name in json.loads(p.read_text())["files"]]
    return files or [GOLDEN / "sparse_conv" / "subm3.safetensors"]


class Case:
    """One file: what goes in, what must come out, by which window."""

    def __init__(self, path: Path, dtype: torch.dtype = torch.float64) -> None:
        manifest = json.loads((path.parent / "manifest.json").read_text())
        hyper = manifest["files"][path.name]["hyper_parameters"]
        self.golden = load_file(path)
        self.size = (hyper["kernel"],) * 3
        self.stride, self.padding = hyper["stride"], hyper["padding"]
        self.kind = "inverse" if path.name.startswith("inverse") else "down"
        if self.stride == 1:
            self.kind = "submanifold"
        self.coordinates = self.golden["coords"].int()
        self.out_coordinates = self.golden["out_coords"].int()
        self.batch_size = manifest["hyper_parameters"]["batch"]
        bounded = bool((self.coordinates >= 0).all())
        shape = manifest["hyper_parameters"] if self.kind == "inverse" else hyper
        self.shape = shape["spatial_shape"] if bounded else None
        self.features = self.golden["features"].to(dtype).requires_grad_()
        weight = from_layout(self.golden["weight.dense"], "dense", self.size)
        self.weight = weight.to(dtype).requires_grad_()
        self.bias = self.golden["bias"].to(dtype).requires_grad_()

    def tensor(self, coordinates: Tensor, features: Tensor) -> SparseTensor:
        return SparseTensor(
            coordinates, features, batch_size=self.batch_size, spatial_shape=self.shape
        )

    def run(self, backend: str, rule: str = "touched", bias: bool = True) -> SparseTensor:
        weights = (self.weight, self.bias if bias else None)
        window = {"kernel_size": self.size, "backend": backend}
        strided = window | {"stride": self.stride, "padding": self.padding}
        if self.kind == "submanifold":
            return submanifold_convolution(
                self.tensor(self.coordinates, self.features), *weights, **window
            )
        if self.kind == "down":
            tensor = self.tensor(self.coordinates, self.features)
            return sparse_convolution(tensor, *weights, output_sites=rule, **strided)
        ones = self.features.new_ones(len(self.out_coordinates), 1)
        probe = self.weight.new_ones(len(self.weight), 1, 1)
        fine = self.tensor(self.out_coordinates, ones)
        coarse = sparse_convolution(fine, probe, output_sites=rule, **strided)
        rows = rows_of(coarse.coordinates, self.coordinates)
        return inverse_convolution(coarse.replace(self.features[rows]), *weights, **strided)


def rows_of(wanted: Tensor, coordinates: Tensor) -> Tensor:
    """For each wanted coordinate its row; every one must be there."""
    rows = {tuple(c): row for row, c in enumerate(coordinates.tolist())}
    return torch.tensor([rows[tuple(c)] for c in wanted.tolist()], dtype=torch.long)


def as_set(coordinates: Tensor) -> set[tuple[int, ...]]:
    return set(map(tuple, coordinates.tolist()))


def assert_near(actual: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    bound = TOLERANCE[dtype]
    if dtype.itemsize == 2:
        bound *= float(expected.abs().max())
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=bound)


@pytest.mark.parametrize("path", cases(), ids=lambda p: p.stem)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_values_and_gradients(path, backend, dtype, golden_root) -> None:
    case = Case(path, dtype)
    golden = case.golden
    out = case.run(backend)
    assert as_set(out.coordinates) == as_set(case.out_coordinates)
    assert len(out) == len(case.out_coordinates)
    rows = rows_of(out.coordinates, case.out_coordinates)
    assert_near(out.features.detach(), golden["out_bias"][rows], dtype)
    out.features.backward(golden["grad_out"].to(dtype)[rows])
    assert_near(case.features.grad, golden["grad.features"], dtype)
    weight = from_layout(golden["grad.weight.dense"], "dense", case.size)
    assert_near(case.weight.grad, weight, dtype)
    assert_near(case.bias.grad, golden["grad.bias"], dtype)
    assert_near(case.run(backend, bias=False).features.detach(), golden["out"][rows], dtype)


@pytest.mark.parametrize("backend", BACKENDS)
def test_floored_sites(backend, golden_root) -> None:
    """The distinct floor(coordinate / stride): none dropped, and equal values where both are."""
    strided = [case for case in map(Case, cases()) if case.kind == "down"]
    assert strided
    for case in strided:
        check_floored_sites(case, case.run(backend, rule="floor"))


def check_floored_sites(case: Case, out: SparseTensor) -> None:
    expected = case.out_coordinates
    if "me_rows" in case.golden:
        expected = expected[case.golden["me_rows"].long()]
    if "dropped_out_coords" in case.golden:
        expected = torch.cat([expected, case.golden["dropped_out_coords"].int()])
    assert as_set(out.coordinates) == as_set(expected)
    shared = as_set(expected) & as_set(case.out_coordinates)
    ours = torch.tensor([tuple(c) in shared for c in out.coordinates.tolist()])
    rows = rows_of(out.coordinates[ours], case.out_coordinates)
    assert_near(out.features[ours].detach(), case.golden["out_bias"][rows], torch.float64)


@pytest.mark.parametrize("path", cases(), ids=lambda p: p.stem)
def test_layouts_of_other_engines(path, golden_root) -> None:
    case = Case(path)
    for layout, key in (("spconv2", "spconv"), ("minkowski", "me"), ("dense", "dense")):
        theirs = case.golden[f"weight.{key}"].double()
        assert torch.equal(from_layout(theirs, layout, case.size), case.weight)
        assert torch.equal(to_layout(case.weight, layout, case.size), theirs)


def test_every_kind_is_there(golden_root) -> None:
    assert {Case(path).kind for path in cases()} == {"submanifold", "down", "inverse"}
