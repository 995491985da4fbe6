"""SLidR's and SuperFlow's point networks: forward, gradients, statistics, names, order of axes.

That no axis is swapped between points and network is shown with clouds of the voxelisation topic,
whose three extents differ, and the random kernels of this topic, which no swap leaves as they are:
the encoder, given points, must equal the network on the official coordinates, and must not on any
other order of their axes.
"""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from sensorfusion.collate import collate
from sensorfusion.encoders.minkunet import SLIDR, SUPERFLOW, MinkUNet
from sensorfusion.encoders.minkunet_weights import (
    load_slidr,
    load_superflow,
    to_slidr_state,
    to_superflow_state,
)
from sensorfusion.geometry.clock import Clock
from sensorfusion.ops import SparseTensor
from sensorfusion.sample import Frame, Sample
from sensorfusion.sensors.lidar import PointCloud
from tests.golden.cases import folders_of, read_manifest

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
UNITS = ("m, intensity 0-255",)
STATE = ".state_dict.safetensors"

FOLDERS = folders_of("minkunet")
NETWORKS = [
    (folder, path.name.removesuffix(STATE))
    for folder in FOLDERS
    for path in sorted(folder.glob(f"*{STATE}")) or [folder / "none"]
]
KEYS = [
    (folder, path.name)
    for folder in FOLDERS
    for path in sorted(folder.glob("keys_*.json")) or [folder / "none"]
]
CLOUDS = [
    path
    for folder in folders_of("voxelisation")
    for path in sorted(folder.glob("*.safetensors")) or [folder / "none"]
]
networks = pytest.mark.parametrize(
    ("folder", "name"), NETWORKS, ids=lambda v: getattr(v, "name", v)
)
dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def build(hyper: dict, **settings) -> MinkUNet:
    """The network that a file's hyper-parameters describe."""
    if "LAYERS" in hyper:
        return MinkUNet(
            units=UNITS,
            columns=("intensity", "x", "y", "z")[: hyper["in"]],
            blocks=hyper["LAYERS"],
            planes=hyper["PLANES"],
            stem=hyper["INIT_DIM"],
            stem_kernel=hyper["kernel_size"],
            head=hyper["out"],
            normalise=hyper["normalize_features"],
            momentum=hyper["bn_momentum"],
            **settings,
        )
    return MinkUNet(
        units=UNITS,
        columns=("x", "y", "z", "intensity", "time")[: hyper["in_channels"]],
        blocks=hyper["layers"],
        planes=hyper["planes"],
        stem=hyper["base_channels"],
        stem_convs=2,
        momentum=0.05,
        block_momentum=0.05,
        **settings,
    )


def is_slidr(model: MinkUNet) -> bool:
    return model.stem_convs == 1


def load(folder, name: str, request, **settings) -> MinkUNet:
    """A network with its published weights."""
    file = read_manifest(folder, request)["files"][name + STATE]
    model = build(file["hyper_parameters"], **settings)
    state = load_file(folder / (name + STATE))
    if is_slidr(model):
        load_slidr(model, state)
    else:
        load_superflow(model, {f"backbone_3d.{key}": tensor for key, tensor in state.items()})
    return model


def published(model: MinkUNet, values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by our names (weights, or gradients of them) in published names and layouts."""
    other = MinkUNet(**{k: getattr(model, k) for k in SETTINGS})
    other.network.to(next(iter(values.values())).dtype).load_state_dict(values)
    if is_slidr(model):
        return to_slidr_state(other)
    return {k.removeprefix("backbone_3d."): t for k, t in to_superflow_state(other).items()}


SETTINGS = [
    "units",
    "columns",
    "blocks",
    "planes",
    "bottleneck",
    "stem",
    "stem_convs",
    "stem_kernel",
    "head",
    "normalise",
]


def tensor_of(golden: dict[str, Tensor], model: MinkUNet, dtype, shift=(0, 0, 0)) -> SparseTensor:
    coordinates = golden["coords"]
    if not is_slidr(model):  # the batch item is the last column
        coordinates = coordinates.roll(1, dims=1)
    moved = coordinates + torch.tensor((0, *shift))
    features = golden["features"].to(dtype).requires_grad_()
    return SparseTensor(moved.int(), features)


def close(found: Tensor, expected: Tensor, dtype: torch.dtype, what: str) -> None:
    # Gradients are sums: float32's error grows with their size.
    bound = TOLERANCE[dtype] * max(1.0, float(expected.abs().max()))
    error = float((found.detach().double() - expected).abs().max())
    assert found.shape == expected.shape, what
    assert error <= bound, f"{what}: off by {error}"


@networks
@dtypes
def test_forward_and_gradients(folder, name, dtype, request) -> None:
    model = load(folder, name, request).to(dtype).eval()
    golden = load_file(folder / f"{name}.forward.safetensors")
    tensor = tensor_of(golden, model, dtype)
    out = model.network(tensor).features
    close(out, golden["out"], dtype, "out")
    out.backward(golden["grad_out"].to(dtype))
    close(tensor.features.grad, golden.pop("grad.features"), dtype, "gradient of the features")
    state = model.network.state_dict()
    state |= {key: p.grad for key, p in model.network.named_parameters()}
    found = published(model, state)
    gradients = [key for key in golden if key.startswith("grad.")]
    assert gradients
    for key in gradients:
        close(found[key.removeprefix("grad.")], golden[key], dtype, key)


@networks
@dtypes
def test_training(folder, name, dtype, request) -> None:
    """Batch statistics over all sites of all samples, and the momenta as released."""
    golden = load_file(folder / f"{name}.forward.safetensors") if folder.is_dir() else {}
    model = load(folder, name, request).to(dtype).train()
    if "out_train_mode" not in golden:
        pytest.skip(f"{name} has no values in training mode")
    close(
        model.network(tensor_of(golden, model, dtype)).features,
        golden["out_train_mode"],
        dtype,
        "out in training mode",
    )
    found = published(model, model.network.state_dict())
    for key, expected in golden.items():
        if key.startswith("after_train_step."):
            close(found[key.removeprefix("after_train_step.")], expected, dtype, key)


@networks
@dtypes
def test_shifted(folder, name, dtype, request) -> None:
    """Coarse cells are aligned with the origin: shifts by multiples of 16 alone are not seen."""
    model = load(folder, name, request).to(dtype).eval()
    golden = load_file(folder / f"{name}.forward.safetensors")
    aligned = model.network(tensor_of(golden, model, dtype, (32, -16, 48))).features
    close(aligned, golden["out"], dtype, "shifted by a multiple of 16")
    for key, expected in golden.items():
        if key.startswith("out_shifted_"):
            shift = tuple(int(s) for s in key.removeprefix("out_shifted_").split("_"))
            shifted = model.network(tensor_of(golden, model, dtype, shift)).features
            close(shifted, expected, dtype, key)
            assert (shifted - aligned).abs().max() > 1e-3


@pytest.mark.parametrize(("folder", "name"), KEYS, ids=lambda v: getattr(v, "name", v))
def test_true_size_checkpoints(folder, name, request) -> None:
    read_manifest(folder, request)
    listed = json.loads((folder / name).read_text())
    expected = {entry["key"]: tuple(entry["shape"]) for entry in listed["keys"]}
    dtypes = {entry["key"]: entry["dtype"] for entry in listed["keys"]}
    if "slidr" in name:
        inputs, out = expected["conv0p1s1.kernel"][1], expected["final.bias"][1]
        columns = ("intensity", "x", "y", "z")[:inputs]
        model = MinkUNet(**{**SLIDR, "head": out, "columns": columns})
        read, write = load_slidr, to_slidr_state
        assert sum(p.numel() for p in model.parameters()) == listed["parameters"]
    else:
        out = expected["head_3d.conv_seg.bias"][0]
        model = MinkUNet(**{**SUPERFLOW, "head": out})
        read, write = load_superflow, to_superflow_state
        body = MinkUNet(**SUPERFLOW)
        assert sum(p.numel() for p in body.parameters()) == listed["backbone_parameters"]
        assert len(to_superflow_state(body)) == listed["backbone_tensors"]
    state = write(model)
    assert len(state) == listed["tensors"]
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == expected
    generated = {key: _random(shape, dtypes[key]) for key, shape in expected.items()}
    read(model, generated)
    again = write(model)
    assert all(torch.equal(again[key], tensor) for key, tensor in generated.items())


def _random(shape: tuple[int, ...], dtype: str) -> Tensor:
    return (100 * torch.rand(shape)).to(getattr(torch, dtype))


@networks
@pytest.mark.parametrize("cloud", CLOUDS, ids=lambda path: path.stem)
def test_points_to_voxels_to_network(folder, name, cloud, request) -> None:
    hyper = read_manifest(cloud.parent, request)["files"][cloud.name]["hyper_parameters"]
    size, cylindrical = hyper["voxel_size"], "cylinder" in cloud.name
    golden = load_file(cloud)
    probe = build(read_manifest(folder, request)["files"][name + STATE]["hyper_parameters"])
    settings = {
        "voxel": (size, 1.0 if cylindrical else size, size),
        "cylindrical": cylindrical,
        "round_and_shift": not is_slidr(probe),
        "pooling": "first",
    }
    model = load(folder, name, request, **settings).double().eval()
    columns = _columns(golden["points"], model.columns)
    if is_slidr(model):
        cells = golden["slidr.coords"][:, 1:].long()
        first = _first(golden["slidr.inverse"], len(cells))
        inverse = golden["slidr.inverse"]
    else:
        cells, first = golden["superflow.coords"][:, :3].long(), golden["superflow.index"]
        inverse = golden["superflow.inverse"]
    tokens = model(collate([_sample(golden["points"].numpy())])["lidar"]).tokens

    def official(order: tuple[int, ...]) -> Tensor:
        coordinates = torch.nn.functional.pad(cells[:, list(order)], (1, 0)).int()
        tensor = SparseTensor(coordinates, columns[first].double())
        return model.network(tensor).features[inverse]

    with torch.no_grad():
        torch.testing.assert_close(tokens, official((0, 1, 2)), rtol=0, atol=1e-10)
        for order in itertools.permutations(range(3)):
            if order != (0, 1, 2):
                assert (tokens - official(order)).abs().max() > 1e-3, order


def _columns(points: Tensor, names: tuple[str, ...]) -> Tensor:
    return torch.stack([points[:, "xyz".find(n) if n in "xyz" else 3] for n in names], dim=1)


def _first(inverse: Tensor, size: int) -> Tensor:
    rows = torch.arange(len(inverse))
    return torch.full((size,), len(rows)).scatter_reduce(0, inverse, rows, "amin")


def _sample(points: np.ndarray) -> Sample:
    reading = PointCloud(
        points=np.ascontiguousarray(points[:, :3]),
        intensity=np.ascontiguousarray(points[:, 3]),
        clock=Clock.instant(0),
        axes="RFU",
        unit=UNITS[0],
        intensity_scale=255.0,
    )
    return Sample("x", (Frame({"lidar": reading}),))
