"""Published CMC-CMKM encoders: every set found under the golden root."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from sensorfusion.encoders.heads import Projection
from sensorfusion.encoders.imu_conv_transformer import ImuConvTransformer
from sensorfusion.encoders.published import load_published
from sensorfusion.encoders.skeleton_cooccurrence import SkeletonCooccurrence
from sensorfusion.sample import SensorBatch
from tests.golden.cases import folders_of, read_manifest

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def encoders_of(manifest: dict) -> list[str]:
    suffix = ".state_dict.safetensors"
    return [name.removesuffix(suffix) for name in manifest["files"] if name.endswith(suffix)]


def build(hyper: dict):
    if "num_head" in hyper:
        return ImuConvTransformer(
            units=(),
            rows=hyper["sample_length"],
            in_channels=hyper["in_channels"],
            channels=hyper["out_channels"],
            kernel=hyper["kernel_size"],
            padding=hyper["padding"],
            layers=hyper["num_attn_layers"],
            heads=hyper["num_head"],
            feedforward=hyper["dim_feedforward"],
        )
    return SkeletonCooccurrence(
        units=(),
        rows=hyper["sample_length"],
        joints=hyper["n_joints"],
        coordinates=hyper["input_channels"],
        channels=hyper["out_channels"],
        kernels=hyper["kernel_sizes"],
        pools=[pool or 0 for pool in hyper["max_pool_sizes"]],
    )


def batch_of(encoder, x: Tensor) -> SensorBatch:
    present = torch.ones(len(x), 1, dtype=torch.bool)
    if isinstance(encoder, ImuConvTransformer):
        acceleration, angular_rate = x.transpose(1, 2).tensor_split(2, dim=-1)
        values = {"acceleration": acceleration, "angular_rate": angular_rate}
    else:
        values = {"joints": x.permute(0, 2, 3, 1)}
    return SensorBatch(present, values, kind=encoder.reading)


@pytest.mark.parametrize("folder", folders_of("har_encoders"), ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_forward_and_gradients(folder, dtype, request) -> None:
    manifest = read_manifest(folder, request)
    names = encoders_of(manifest)
    kinds = {type(_compare_encoder(manifest, folder, name, dtype)) for name in names}
    assert kinds == {ImuConvTransformer, SkeletonCooccurrence}


def _compare_encoder(manifest, folder, name, dtype):
    weights_name = f"{name}.state_dict.safetensors"
    encoder = build(manifest["files"][weights_name]["hyper_parameters"])
    load_published(encoder, folder / weights_name)
    encoder.to(dtype).eval()
    golden = load_file(folder / f"{name}.forward.safetensors")
    x = golden.pop("x").to(dtype).requires_grad_()
    ours: dict[str, Tensor] = {}
    if isinstance(encoder, ImuConvTransformer):
        encoder.conv_layers.register_forward_hook(lambda *a: ours.update(conv=a[-1]))
    features = encoder(batch_of(encoder, x))
    out = features.grid
    loss = (out * torch.cos(torch.arange(out.numel(), dtype=dtype)).view_as(out)).sum()
    loss.backward()
    gradients = {key: p.grad for key, p in encoder.named_parameters()} | {"x": x.grad}
    ours |= {"out": out, "loss": loss[None]} | {f"grad.{k}": g for k, g in gradients.items()}
    assert torch.equal(features.tokens, out.flatten(1)), "flattened channel-major"
    for key, expected in golden.items():
        error = float((ours[key].detach().double() - expected).abs().max())
        assert error <= TOLERANCE[dtype], f"{name}, {key}: off by {error}"
    return encoder


@pytest.mark.parametrize("folder", folders_of("har_encoders"), ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_projection(folder, dtype, request) -> None:
    read_manifest(folder, request)
    golden = load_file(folder / "projection_and_loss.safetensors")
    hidden, inputs = golden["weights.linear1.0.weight"].shape
    head = Projection(inputs, hidden, len(golden["weights.linear2.0.weight"]))
    load_published(head, golden)
    out = head.to(dtype).eval()(golden["proj_in"].to(dtype))
    torch.testing.assert_close(out.double(), golden["proj_out"], rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("folder", folders_of("har_encoders"), ids=lambda p: p.name)
def test_true_size_checkpoints_load(folder, request) -> None:
    read_manifest(folder, request)
    keys = json.loads((folder / "keys_true_size.json").read_text())
    imu, skeleton = ImuConvTransformer(units=()), SkeletonCooccurrence(units=())
    assert (imu.width, skeleton.width) == (
        keys["out_size"]["inertial"],
        keys["out_size"]["skeleton"],
    )
    modules = {
        "inertial_CNNTransformer": imu,
        "skeleton_SkeletonCooccurenceBlocks": skeleton,
        "projection_inertial": Projection(imu.width),
        "projection_skeleton": Projection(skeleton.width),
    }
    for part, module in modules.items():
        weights = {f"model.{entry['key']}": _random(entry) for entry in keys[part]}
        load_published(module, weights)
        for key, tensor in module.state_dict().items():
            assert torch.equal(tensor, weights[f"model.{key}"]), key


def _random(entry: dict) -> Tensor:
    dtype = getattr(torch, entry["dtype"])
    values = torch.rand(entry["shape"], dtype=torch.float64)
    return (100 * values).to(dtype)
