"""Folders of tensors beside a JSON document: written whole or not at all, verified when read.

    folder/
      weights.safetensors    every tensor
      <name>.json            everything else, with the format's version and SHA-256 checksums

Nothing in such a folder can run code, and a folder that exists under its name is complete: it is
written under another name, flushed to the disk and then renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sensorfusion.errors import CheckpointError

FORMAT = 1
WEIGHTS = "weights.safetensors"
_PARTIAL = ".partial-"  # prefix of folders that are being written
_CHUNK = 1 << 22


def write_folder(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    document: Mapping[str, Any],
    *,
    name: str = "checkpoint",
) -> None:
    """Write a folder atomically; a folder of that name is replaced.

    Args:
        path: the folder.
        tensors: by name; tensors that share memory are written separately.
        document: what JSON can hold, without NaN; `format` and `sha256` are added.
        name: of the document, `<name>.json`.

    Raises:
        CheckpointError: when the disk is full or not writable; nothing is left behind, and what
            was there before is untouched.
    """
    path = Path(path)
    partial = path.with_name(f"{_PARTIAL}{path.name}-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        _fill(partial, tensors, document, name)
        _commit(partial, path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"cannot write: {error}",
            where=str(path),
            remedy="free disk space or make the folder writable, then run the same command again;"
            " what was saved before is intact",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_folder(
    path: str | Path, *, name: str = "checkpoint"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read and verify a folder that `write_folder` wrote: (tensors on the CPU, document).

    Raises:
        CheckpointError: naming the file that is missing, truncated, changed, or of a newer format.
    """
    document = read_document(path, name=name)
    weights = Path(path) / WEIGHTS
    if not weights.is_file():
        raise _damaged(weights, "it is missing")
    if file_sha256(weights) != document["sha256"][WEIGHTS]:
        raise _damaged(weights, "its checksum is not the one recorded when it was written")
    return load_tensors(weights), document


def read_document(path: str | Path, *, name: str = "checkpoint") -> dict[str, Any]:
    """Read and verify only the JSON document of a folder.

    Raises:
        CheckpointError: as `read_folder`.
    """
    file = Path(path) / f"{name}.json"
    if not file.is_file():
        raise CheckpointError(
            f"no {file.name}", where=str(path), remedy="give the folder that a run has written"
        )
    try:
        document = json.loads(file.read_bytes())
        recorded = document["sha256"].pop(file.name)
        version = document["format"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(file, f"it is not the JSON that was written ({error})") from error
    if recorded != hashlib.sha256(_render(document)).hexdigest():
        raise _damaged(file, "its checksum is not the one recorded when it was written")
    document["sha256"][file.name] = recorded
    if version != FORMAT:
        raise CheckpointError(
            f"format {version}, this version reads format {FORMAT}",
            where=str(file),
            remedy="use the version of sensorfusion that wrote it",
        )
    return cast(dict[str, Any], document)


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a `.safetensors` file, on the CPU.

    Raises:
        CheckpointError: naming the file if it is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(Path(path), str(error)) from error


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """Weights from elsewhere: `.safetensors`, or `.pt`/`.pth` read without running any code.

    A `.pt` file may hold the weights directly or under `state_dict` or `model`.

    Raises:
        CheckpointError: when the file is damaged, holds more than tensors, or is of another kind.
    """
    content = load_restricted(path)
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError("it holds something other than named tensors", where=str(path))
    return cast(dict[str, Tensor], content)


def load_restricted(path: str | Path) -> Any:
    """What a weights file from elsewhere holds: `.safetensors`, or `.pt`/`.pth` of plain values.

    Nothing in the file is run. A `.pt` file may hold containers of tensors, numbers and strings.

    Raises:
        CheckpointError: when the file is damaged, holds other objects, or is of another kind.
    """
    path = Path(path)
    if path.is_dir() or path.suffix not in (".safetensors", ".pt", ".pth"):
        raise CheckpointError(
            f"weights are read from .safetensors, .pt or .pth files, not from {path.name!r}",
            where=str(path),
        )
    if path.suffix == ".safetensors":
        return load_tensors(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types here, none of them public
        raise CheckpointError(
            "not a file of plain tensors; nothing in it was run",
            where=str(path),
            remedy="convert it to .safetensors where you trust it",
        ) from error


def remove_partial(parent: str | Path) -> list[Path]:
    """Remove what killed processes left half-written in `parent`; returns what was removed."""
    leftovers = sorted(Path(parent).glob(f"{_PARTIAL}*"))
    for leftover in leftovers:
        shutil.rmtree(leftover, ignore_errors=True)
    return leftovers


def _fill(
    folder: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any], name: str
) -> None:
    save_file({key: _plain(tensor) for key, tensor in tensors.items()}, folder / WEIGHTS)
    hashes = {WEIGHTS: file_sha256(folder / WEIGHTS)}
    complete = {**document, "format": FORMAT, "sha256": hashes}
    own = hashlib.sha256(_render(complete)).hexdigest()
    complete["sha256"] = {**hashes, f"{name}.json": own}
    (folder / f"{name}.json").write_bytes(_render(complete))
    for file in folder.iterdir():
        _flush(file)
    _flush(folder)


def _commit(partial: Path, path: Path) -> None:
    if path.exists():
        old = partial.with_name(f"{partial.name}-old")
        os.rename(path, old)
        os.rename(partial, path)
        shutil.rmtree(old)
    else:
        os.rename(partial, path)
    _flush(path.parent)


def _plain(tensor: Tensor) -> Tensor:
    """A private copy: safetensors refuses tensors that share memory."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _render(document: Mapping[str, Any]) -> bytes:
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(file: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"damaged: {why}",
        where=str(file),
        remedy="copy it again, or remove its folder to continue from the checkpoint before it",
    )
