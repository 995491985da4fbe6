"""Published weights into our encoders: key mapping and exact checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from sensorfusion.checkpoint import load_weights
from sensorfusion.errors import CheckpointError

# Tensors that published modules register but never use; they are accepted and left out.
UNUSED = {"ImuConvTransformer": ("encoder_layer.",)}


def load_published(
    module: nn.Module,
    weights: Mapping[str, Tensor] | str | Path,
    *,
    prefix: str | None = None,
) -> None:
    """Load published weights into a module of ours with the same layer names.

    For `ImuConvTransformer`, `SkeletonCooccurrence` and `Projection` these are the CMC-CMKM
    weights. Every tensor of the module must be found, with its shape, and nothing else may
    stand under the prefix but tensors that the published module never uses: the prototype
    layer `encoder_layer.*` that its CNN-transformer registers beside the layers made from it.

    Args:
        module: what to fill, in place. weights: tensors by name, or a file for `load_weights`.
        prefix: what stands before the names, e.g. "encoder."; None: found, if there is just one
            prefix under which all the module's names exist.

    Raises:
        CheckpointError: naming the keys that are missing, unexpected or of another shape.
    """
    where = "the given tensors" if isinstance(weights, Mapping) else str(weights)
    tensors = weights if isinstance(weights, Mapping) else load_weights(weights)
    expected = module.state_dict()
    start = find_prefix(expected, tensors, where) if prefix is None else prefix
    under = {key.removeprefix(start): t for key, t in tensors.items() if key.startswith(start)}
    unused = UNUSED.get(type(module).__name__, ())
    found = {key: t for key, t in under.items() if not unused or not key.startswith(unused)}
    require_same_architecture(module, found, where=where)
    module.load_state_dict(found)


def require_same_architecture(
    module: nn.Module, tensors: Mapping[str, Tensor], *, where: str
) -> None:
    """Raise `CheckpointError` unless names and shapes are those of the module."""
    require_same_tensors(module.state_dict(), tensors, module=module, where=where)


def require_same_tensors(
    expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], *, module: nn.Module, where: str
) -> None:
    """Raise `CheckpointError` unless names and shapes are those that a module expects."""
    shared = expected.keys() & tensors.keys()
    floats = {key for key in shared if expected[key].is_floating_point()}
    troubles = {
        "missing": expected.keys() - tensors.keys(),
        "unexpected": tensors.keys() - expected.keys(),
        "of another shape": {
            f"{key} {tuple(tensors[key].shape)} instead of {tuple(expected[key].shape)}"
            for key in shared
            if tensors[key].shape != expected[key].shape
        },
        "of another type": {
            f"{key} {tensors[key].dtype}"
            for key in shared
            if tensors[key].is_floating_point() != (key in floats)
        },
    }
    found = [f"{kind}: {_shorten(keys)}" for kind, keys in troubles.items() if keys]
    if found:
        raise CheckpointError(
            f"weights are not those of {type(module).__name__} as configured; " + "; ".join(found),
            where=where,
            remedy="build the encoder with the settings that the weights were trained with, "
            "or name the prefix of its part of the file",
        )


def find_prefix(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], where: str) -> str:
    """What stands before all the expected names in a file, "" if nothing does.

    Raises:
        CheckpointError: when the names exist under several prefixes.
    """
    probe = next(iter(expected))
    candidates = [key.removesuffix(probe) for key in tensors if key.endswith(probe)]
    whole = [c for c in candidates if all(c + key in tensors for key in expected)]
    if len(whole) > 1:
        raise CheckpointError(
            f"several parts of the file fit: {sorted(whole)}",
            where=where,
            remedy="name one of them as `prefix`",
        )
    # Without a whole fit the comparison that follows names what is missing.
    return whole[0] if whole else (candidates[0] if len(candidates) == 1 else "")


def _shorten(keys: Iterable[str]) -> str:
    names = sorted(keys)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
