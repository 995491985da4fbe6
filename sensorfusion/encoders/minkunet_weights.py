"""Public MinkUNet weights into our encoder and back: SLidR's and SuperFlow's layouts.

| ours | SLidR (MinkowskiEngine) | SuperFlow (torchsparse), below `backbone_3d.` |
|---|---|---|
| `stem.0`, `stem.1` | `conv0p1s1`, `bn0` | `conv0.0`, `conv0.1` |
| `down.0` to `down.3` | `conv1p1s2`, `bn1` to `conv4p8s2`, `bn4` | `conv1` to `conv4` |
| `up.0` to `up.3` | `convtr4p16s2`, `bntr4` to `convtr7p2s2`, `bntr7` | `conv5` to `conv8` |
| `encode.0` to `decode.3` | `block1` to `block8` | `block1` to `block8` |
| `path.0` in a block | `conv1`, `norm1` | `conv1`, `norm1` |
| `shortcut` | `downsample.0`, `downsample.1` | `downsample.conv`, `downsample.norm` |
| `head` | `final` | `head_3d.conv_seg`, beside `backbone_3d` |

SLidR's names are those of PointContrast, PPKT, ST-SLidR and OLIVINE too. Kernels change by
`ops.weights`. The names come from the released code, not from a released file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sensorfusion.checkpoint import load_restricted
from sensorfusion.encoders.minkunet import MinkUNet
from sensorfusion.encoders.published import find_prefix, require_same_tensors
from sensorfusion.encoders.sparse_unet import LEVELS
from sensorfusion.errors import CheckpointError, ConfigError
from sensorfusion.ops.weights import Layout, from_layout, to_layout

Weights = Mapping[str, Any] | str | Path


def load_slidr(model: MinkUNet, weights: Weights) -> None:
    """Load weights in SLidR's layout, e.g. its `minkunet_slidr_1gpu.pt`.

    Where the file holds the config that it was trained with, its voxels must be the model's.

    Args:
        model: what to fill, in place; `MinkUNet(**SLIDR)` fits the released file.
        weights: a file, read without running anything in it; or what it holds: tensors by
            name, directly or as `model_points`, `state_dict` or `model`.

    Raises:
        CheckpointError: naming the tensors that are missing, unexpected or of another shape, or
            the voxels that differ.
    """
    _load(model, weights, _SLIDR)


def load_superflow(model: MinkUNet, weights: Weights) -> None:
    """Load weights in SuperFlow's layout; its image network is left out.

    Args:
        model: what to fill, in place: `MinkUNet(**SUPERFLOW)`, or with `head=64` to load the
            linear head, too. weights: as in `load_slidr`.

    Raises:
        CheckpointError: as `load_slidr`.
    """
    _load(model, weights, _SUPERFLOW)


def to_slidr_state(model: MinkUNet) -> dict[str, Tensor]:
    """The model's weights in SLidR's names and kernel layout (the value of `model_points`).

    Raises:
        ConfigError: when the network has parts that SLidR's has no names for.
    """
    return _to_state(model, _SLIDR)


def to_superflow_state(model: MinkUNet) -> dict[str, Tensor]:
    """The model's weights in SuperFlow's names and kernel layout (part of `state_dict`)."""
    return _to_state(model, _SUPERFLOW)


@dataclass(frozen=True)
class _Published:
    """How a published network calls the modules of `SparseUNet`, and lays out its kernels.

    Args:
        layout: of the kernels. name: a module's published name. norm_inside: what stands between
            a norm's name and its tensors'. parts: beginnings of names that are compared.
        linear_head: the head is a dense layer, `weight` [out, in].
    """

    layout: Layout
    name: Callable[[str], str]
    norm_inside: str
    parts: tuple[str, ...] = ("",)
    linear_head: bool = False


def _slidr_name(module: str) -> str:
    part, *rest = module.split(".")
    if part == "head":
        return "final"
    index, is_conv = int(rest[0]), rest[-1] == "conv"
    if part in ("encode", "decode"):
        return _block_name(part, rest, "downsample.0" if is_conv else "downsample.1")
    if part == "down":
        return f"conv{index + 1}p{2**index}s2" if is_conv else f"bn{index + 1}"
    if part == "up":
        return f"convtr{index + 4}p{16 >> index}s2" if is_conv else f"bntr{index + 4}"
    if index:
        raise ConfigError(
            "SLidR's networks have one convolution in the stem, this one has more",
            where="MinkUNet",
            remedy="build it with stem_convs=1, or use SuperFlow's layout",
        )
    return "conv0p1s1" if is_conv else "bn0"


def _superflow_name(module: str) -> str:
    part, *rest = module.split(".")
    if part == "head":
        return "head_3d.conv_seg"
    if part in ("encode", "decode"):
        return "backbone_3d." + _block_name(part, rest, f"downsample.{rest[-1]}")
    if part == "stem":
        return f"backbone_3d.conv0.{rest[0]}.{rest[1]}"
    first = {"down": 1, "up": 1 + LEVELS}[part]
    return f"backbone_3d.conv{first + int(rest[0])}.{rest[1]}"


def _block_name(part: str, rest: list[str], shortcut: str) -> str:
    """Name of (stage, block, "path", layer, kind) or (stage, block, "shortcut", kind)."""
    stage = int(rest[0]) + 1 + (LEVELS if part == "decode" else 0)
    inside = shortcut if rest[2] == "shortcut" else f"{rest[4]}{int(rest[3]) + 1}"
    return f"block{stage}.{rest[1]}.{inside}"


_SLIDR = _Published("minkowski", _slidr_name, norm_inside="bn.")
_SUPERFLOW = _Published(
    "torchsparse",
    _superflow_name,
    norm_inside="",
    parts=("backbone_3d.", "head_3d."),
    linear_head=True,
)


@dataclass(frozen=True)
class _Entry:
    """One tensor: its published name, and how it changes from ours and back."""

    name: str
    to_published: Callable[[Tensor], Tensor] = Tensor.clone
    to_ours: Callable[[Tensor], Tensor] = Tensor.clone


def _entries(model: MinkUNet, published: _Published) -> dict[str, _Entry]:
    """By our names."""
    return {key: _entry(key, model, published) for key in model.network.state_dict()}


def _entry(key: str, model: MinkUNet, published: _Published) -> _Entry:
    module, is_norm, leaf = key.rpartition(".bn.")
    if is_norm:
        return _Entry(f"{published.name(module)}.{published.norm_inside}{leaf}")
    module, _, leaf = key.rpartition(".")
    name = published.name(module)
    if module == "head" and published.linear_head:
        if leaf == "bias":
            return _Entry(f"{name}.bias")
        return _Entry(f"{name}.weight", lambda w: w[0].T.clone(), lambda w: w.T[None].clone())
    if leaf == "bias":
        return _Entry(f"{name}.bias", lambda b: b[None].clone(), lambda b: b[0].clone())
    size: Any = model.network.get_submodule(module).kernel_size
    return _Entry(
        f"{name}.kernel",
        lambda w: to_layout(w, published.layout, size).clone(),
        lambda w: from_layout(w, published.layout, size).clone(),
    )


def _to_state(model: MinkUNet, published: _Published) -> dict[str, Tensor]:
    state = model.network.state_dict()
    entries = _entries(model, published)
    return {entry.name: entry.to_published(state[key]) for key, entry in entries.items()}


def _load(model: MinkUNet, weights: Weights, published: _Published) -> None:
    where = "the given tensors" if isinstance(weights, Mapping) else str(weights)
    content = weights if isinstance(weights, Mapping) else load_restricted(weights)
    tensors = _tensors(content, where)
    _require_voxels(model, content, where)
    expected = _to_state(model, published)
    start = find_prefix(expected, tensors, where)
    parts = [p for p in published.parts if any(key.startswith(p) for key in expected)]
    compared = tuple(start + part for part in parts)
    found = {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(compared)}
    require_same_tensors(expected, found, module=model, where=where)
    entries = _entries(model, published)
    ours = {key: entry.to_ours(found[entry.name]) for key, entry in entries.items()}
    model.network.load_state_dict(ours)


def _tensors(content: Any, where: str) -> Mapping[str, Tensor]:
    for key in ("model_points", "state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    fine = isinstance(content, Mapping) and all(isinstance(t, Tensor) for t in content.values())
    if not fine:
        raise CheckpointError("it holds something other than named tensors", where=where)
    tensors: Mapping[str, Tensor] = content
    return tensors


def _require_voxels(model: MinkUNet, content: Any, where: str) -> None:
    """Compare the voxels with those of the config that SLidR's files hold."""
    config = content.get("config")
    if not isinstance(config, Mapping) or not {"voxel_size", _CYLINDRICAL} <= config.keys():
        return
    size, cylindrical = float(config["voxel_size"]), bool(config[_CYLINDRICAL])
    trained = (size, 1.0 if cylindrical else size, size)
    if cylindrical != model.cylindrical or trained != model.voxel:
        raise CheckpointError(
            f"weights of {'cylindrical' if cylindrical else 'Cartesian'} voxels {trained}, "
            f"the model has {'cylindrical' if model.cylindrical else 'Cartesian'} {model.voxel}",
            where=where,
            remedy="build the encoder with the voxels that the weights were trained on",
        )


_CYLINDRICAL = "cylindrical_coordinates"
