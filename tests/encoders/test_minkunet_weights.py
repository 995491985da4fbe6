"""Public layouts of MinkUNet: files as they are published, round trips, and what is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from safetensors.torch import save_file

from sensorfusion.encoders.minkunet import SLIDR, SUPERFLOW, MinkUNet
from sensorfusion.encoders.minkunet_weights import (
    load_slidr,
    load_superflow,
    to_slidr_state,
    to_superflow_state,
)
from sensorfusion.errors import CheckpointError, ConfigError
from tests.encoder_cases import SMALL

TINY = {k: v for k, v in SMALL["MinkUNet"].items() if k in ("blocks", "planes", "stem")}


def slidr(**settings) -> MinkUNet:
    return MinkUNet(**{**SLIDR, **TINY, "head": 5, **settings})


def superflow(**settings) -> MinkUNet:
    return MinkUNet(**{**SUPERFLOW, **TINY, "head": 5, **settings})


CASES = {"slidr": (slidr, load_slidr, to_slidr_state)} | {
    "superflow": (superflow, load_superflow, to_superflow_state)
}
cases = pytest.mark.parametrize(("build", "load", "state"), CASES.values(), ids=CASES)


def same(one: MinkUNet, other: MinkUNet) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


@cases
@pytest.mark.parametrize("bottleneck", [False, True])
def test_round_trip(build, load, state, bottleneck) -> None:
    model, other = build(bottleneck=bottleneck), build(bottleneck=bottleneck)
    before = copy.deepcopy(model)
    assert not same(model, other)
    published = state(model)
    load(other, published)
    assert same(model, other)
    for tensor in published.values():  # copies
        tensor.zero_()
    assert same(model, before)
    assert same(other, before)


def test_slidr_file(tmp_path) -> None:
    """Layout of the released file: both networks, epoch and config; a prefix is stripped."""
    model, other = slidr(), slidr()
    weights = {f"module.{key}": tensor for key, tensor in to_slidr_state(model).items()}
    config = {"voxel_size": 0.1, "cylindrical_coordinates": True, "lr": 0.5}
    content = {
        "model_points": weights,
        "model_images": {"encoder.conv1.weight": torch.ones(1)},
        "epoch": 50,
        "config": config,
    }
    torch.save(content, tmp_path / "minkunet.pt")
    load_slidr(other, tmp_path / "minkunet.pt")
    assert same(model, other)
    with pytest.raises(CheckpointError, match=r"cylindrical voxels \(0\.1, 1\.0, 0\.1\)"):
        load_slidr(slidr(cylindrical=False, voxel=(0.1, 0.1, 0.1)), tmp_path / "minkunet.pt")
    config["voxel_size"] = 0.2
    with pytest.raises(CheckpointError, match=r"0\.2"):
        load_slidr(other, content)


def test_superflow_file(tmp_path) -> None:
    """Layout of a released file: the image network beside; the head is taken if there is one."""
    model = superflow()
    content = {"state_dict": to_superflow_state(model) | {"head_2d.head.0.weight": torch.ones(1)}}
    torch.save(content | {"meta": {"epoch": 3}}, tmp_path / "superflow.pth")
    other, headless = superflow(), superflow(head=None)
    load_superflow(other, tmp_path / "superflow.pth")
    load_superflow(headless, tmp_path / "superflow.pth")
    assert same(model, other)
    expected = {k: t for k, t in model.state_dict().items() if ".head." not in k}
    assert all(torch.equal(t, expected[k]) for k, t in headless.state_dict().items())
    assert expected.keys() == headless.state_dict().keys()


def test_safetensors_file(tmp_path) -> None:
    model, other = slidr(), slidr()
    save_file(to_slidr_state(model), tmp_path / "w.safetensors")
    load_slidr(other, str(tmp_path / "w.safetensors"))
    assert same(model, other)


@cases
def test_another_architecture_is_named(build, load, state) -> None:
    weights = state(build())
    before = build()
    for other, pattern in (
        (build(blocks=(2, *[1] * 7)), r"missing: .*block1\.1\.conv1\.kernel"),
        (build(blocks=(1,) * 8, head=6), r"of another shape: "),
        (build(stem=8), r"block1\.0\.conv1\.kernel \(27, 4, 4\) instead of \(27, 8, 4\)"),
    ):
        kept = copy.deepcopy(other)
        with pytest.raises(CheckpointError, match=pattern):
            load(other, weights)
        assert same(other, kept)
    with pytest.raises(CheckpointError, match=r"unexpected: .*block8\.1"):
        load(before, state(build(blocks=(*[1] * 7, 2))))


def test_layouts_are_not_mistaken_for_each_other() -> None:
    with pytest.raises(CheckpointError, match="missing"):
        load_slidr(slidr(), to_superflow_state(superflow()))
    with pytest.raises(CheckpointError, match="missing"):
        load_superflow(superflow(), to_slidr_state(slidr()))
    with pytest.raises(ConfigError, match="stem"):
        to_slidr_state(superflow())


def test_files_of_other_things_are_refused(tmp_path) -> None:
    torch.save({"model_points": {"a": [1, 2]}}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="other than named tensors"):
        load_slidr(slidr(), tmp_path / "a.pt")
    torch.save(slidr(), tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match="nothing in it was run"):
        load_slidr(slidr(), tmp_path / "b.pt")
    torch.save([1, 2], tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="other than named tensors"):
        load_slidr(slidr(), tmp_path / "c.pt")


def test_even_kernels_differ_between_the_engines() -> None:
    """First axis fastest in one, last axis fastest in the other; odd kernels are alike."""
    model = superflow(stem_convs=1)
    ours = to_superflow_state(model)["backbone_3d.conv1.conv.kernel"]
    theirs = to_slidr_state(model)["conv1p1s2.kernel"]
    assert not torch.equal(ours, theirs)
    swapped = theirs.view(2, 2, 2, 4, 4).transpose(0, 2).reshape(8, 4, 4)
    assert torch.equal(ours, swapped)
    one = to_superflow_state(model)["backbone_3d.block1.0.conv1.kernel"]
    assert torch.equal(one, to_slidr_state(model)["block1.0.conv1.kernel"])
