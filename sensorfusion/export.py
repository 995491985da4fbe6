"""Pretrained encoders as folders: saved with all that it takes to use them, loaded in three lines.

    encoder = sensorfusion.load_encoder("work_dirs/utd_mhad/cmc/encoders/imu")
    features = encoder(reading)      # or several readings, or a batch
    features.tokens                  # [N, D]

A folder holds `weights.safetensors` and `encoder.json`: the class, its arguments, the units that
its readings must have, and the projection head if it was saved. Loading builds classes of this
package, and those that the caller names, from plain JSON values; nothing in a folder is executed.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

import sensorfusion
from sensorfusion.checkpoint import read_folder, write_folder
from sensorfusion.collate import collate
from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.published import require_same_architecture
from sensorfusion.errors import CheckpointError, ConfigError, DataError
from sensorfusion.sample import Batch, Features, Frame, Reading, Sample, SensorBatch

DOCUMENT = "encoder"  # encoder.json
_HEAD = "head:"  # before the names of the head's tensors; a module's names have no colon
_TYPE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)
_SENSOR = "reading"  # the name that a bare reading gets in its batch

Readings = Reading | Sequence[Reading] | SensorBatch | Batch


class PretrainedEncoder(nn.Module):
    """An encoder for use: frozen, and in evaluation mode whatever the model around does.

    Args:
        encoder: the encoder; take it and `requires_grad_()` to train on.
        head: its projection head, or None.
        note: what was saved with it (protocol, config hash, ...).
    """

    def __init__(
        self, encoder: Encoder, head: nn.Module | None = None, note: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.note = encoder, head, dict(note or {})
        self.requires_grad_(False)
        self.eval()

    @property
    def width(self) -> int:
        """D of the tokens."""
        return self.encoder.width

    @property
    def units(self) -> tuple[str, ...]:
        """The units that readings may have."""
        return self.encoder.units

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, readings: Readings, *, sensor: str | None = None) -> Features:
        """Features of readings.

        Args:
            readings: one reading, several, the packed readings of a sensor, or a batch.
            sensor: which sensor of a batch; needed if several have the encoder's reading type.

        Raises:
            UnitError: when readings are of another type or unit than in training.
            DataError: for what is no reading.
            ConfigError: when a batch does not have just one sensor that fits.
        """
        packed = self._pack(readings, sensor)
        weight = next(self.encoder.parameters())
        if not len(packed):
            return Features.empty(len(packed.present), self.width, like=weight)
        features: Features = self.encoder(packed.to(weight.device))
        return features

    def project(self, readings: Readings, *, sensor: str | None = None) -> Features:
        """Features in the space in which the objective compared them.

        Raises:
            ConfigError: when no head was saved.
        """
        if self.head is None:
            raise ConfigError("this encoder was saved without a projection head")
        features = self(readings, sensor=sensor)
        return cast(Features, features.replace(tokens=self.head(features.tokens)))

    def _pack(self, readings: Readings, sensor: str | None) -> SensorBatch:
        if isinstance(readings, SensorBatch):
            return readings
        if isinstance(readings, Batch):
            return readings[sensor or self._only_sensor(readings)]
        several = [readings] if isinstance(readings, Reading) else readings
        if not isinstance(several, Sequence) or not all(isinstance(r, Reading) for r in several):
            raise DataError(
                f"{type(readings).__name__} is no reading",
                where=type(self.encoder).__name__,
                remedy=f"give a {self.encoder.reading.__name__}, several, or a batch; of a sample,"
                " `sample.frames[0].readings[sensor]`",
            )
        return collate([_sample(i, reading) for i, reading in enumerate(several)])[_SENSOR]

    def _only_sensor(self, batch: Batch) -> str:
        kind = self.encoder.reading
        fitting = [name for name, b in batch.sensors.items() if b.kind and issubclass(b.kind, kind)]
        if len(fitting) != 1:
            raise ConfigError(
                f"{len(fitting)} sensors of the batch give {kind.__name__} readings: {fitting}",
                remedy=f"name one as `sensor`; the batch has {sorted(batch.sensors)}",
            )
        return fitting[0]


def _sample(number: int, reading: Reading) -> Sample:
    return Sample(id=str(number), frames=(Frame(readings={_SENSOR: reading}),))


def save_encoder(
    path: str | Path,
    encoder: Encoder,
    *,
    head: nn.Module | None = None,
    note: Mapping[str, Any] | None = None,
) -> None:
    """Write an encoder as a folder, atomically.

    Args:
        path: the folder. encoder: what to save. head: its projection head, if wanted.
        note: what should be known about it, in JSON values: config, data, scores.

    Raises:
        ConfigError: when it names no units, or could not be built again from its arguments.
        CheckpointError: when the folder cannot be written.
    """
    document = describe_encoder(encoder, head)
    tensors = dict(encoder.state_dict())
    if head is not None:
        tensors |= {_HEAD + key: tensor for key, tensor in head.state_dict().items()}
    document |= {
        "reading": encoder.reading.__name__,
        "package": sensorfusion.__version__,
        "note": dict(note or {}),
    }
    write_folder(path, tensors, document, name=DOCUMENT)


def describe_encoder(encoder: Encoder, head: nn.Module | None = None) -> dict[str, Any]:
    """What is written about an encoder; raises before a training what `save_encoder` would after.

    Raises:
        ConfigError: when it names no units, or could not be built again from its arguments.
    """
    if not encoder.units:
        raise ConfigError(
            f"{type(encoder).__name__} does not say which units it was trained on",
            remedy="build it with the `units` of its readings",
        )
    return describe(encoder) | {
        "head": None if head is None else describe(head),
        "units": list(encoder.units),
    }


def load_encoder(path: str | Path, *, types: Sequence[type[nn.Module]] = ()) -> PretrainedEncoder:
    """Read an encoder that `save_encoder` wrote, on the CPU, in the dtype that it was saved in.

    Args:
        path: the folder.
        types: classes of your own that it may be made of, beside those of this package.

    Raises:
        CheckpointError: naming the file, the keys and what to do, when the folder is damaged or
            asks for a class that is not allowed, or weights and architecture differ.
    """
    _require_encoder(Path(path))
    tensors, document = read_folder(path, name=DOCUMENT)
    where = str(Path(path) / f"{DOCUMENT}.json")
    own = {key: document.get(key) for key in ("type", "arguments")}
    described_head = document.get("head")
    # Built without memory first: a damaged description cannot ask for any.
    with torch.device("meta"):
        encoder = build(own, types=types, where=where)
        head = None if described_head is None else build(described_head, types=types, where=where)
    if not isinstance(encoder, Encoder):
        raise CheckpointError("describes no encoder", where=where, remedy=_REMEDY)
    if head is not None:
        of_head = {key: t for key, t in tensors.items() if key.startswith(_HEAD)}
        tensors = {key: t for key, t in tensors.items() if key not in of_head}
        _fill(head, {key.removeprefix(_HEAD): t for key, t in of_head.items()}, str(path))
    _fill(encoder, tensors, str(path))
    return PretrainedEncoder(encoder, head, document.get("note"))


def _require_encoder(path: Path) -> None:
    """Say which encoders there are where a folder is none."""
    if (path / f"{DOCUMENT}.json").is_file():
        return
    places = (path, path / "encoders", path.parent)
    found = sorted({f.parent for place in places for f in place.glob(f"*/{DOCUMENT}.json")})
    raise CheckpointError(
        f"no {DOCUMENT}.json",
        where=str(path),
        remedy=f"give one of {', '.join(map(str, found))}"
        if found
        else "give a folder that `save_encoder` or a run has written: .../encoders/<name>",
    )


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    require_same_architecture(module, tensors, where=where)
    # Copies lie in memory as new weights do; on a file's alignment products may round otherwise.
    module.load_state_dict({name: each.clone() for name, each in tensors.items()}, assign=True)


_REMEDY = "use a folder that `save_encoder` wrote, with the version of sensorfusion that wrote it"


def describe(module: nn.Module) -> dict[str, Any]:
    """A module as JSON values: its class and the arguments to build it with.

    Arguments are read from the attributes of the same names; modules among them are described in
    turn.

    Raises:
        ConfigError: when an argument is not kept or is not made of JSON values and modules.
    """
    kind = type(module)
    arguments = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if not named or not hasattr(module, name):
            raise ConfigError(
                f"{kind.__name__} does not keep its constructor's argument {name!r}",
                remedy=f"assign self.{name} in __init__; *args and **kwargs cannot be saved",
            )
        arguments[name] = _plain(getattr(module, name), f"{kind.__name__}.{name}")
    return {"type": f"{kind.__module__}:{kind.__qualname__}", "arguments": arguments}


def build(description: Any, *, types: Sequence[type[nn.Module]] = (), where: str = "") -> nn.Module:
    """A module from what `describe` gave; its weights are as its constructor leaves them.

    Raises:
        CheckpointError: when the description is malformed, or names a class that is neither of
            this package nor among `types`, or arguments that the class does not take.
    """
    if not _is_description(description):
        raise CheckpointError("not the description of a module", where=where, remedy=_REMEDY)
    kind = _resolve(description["type"], types, where)
    arguments = {
        name: _revive(value, types, where) for name, value in description["arguments"].items()
    }
    try:
        inspect.signature(kind).bind(**arguments)
        return kind(**arguments)
    except (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError, ConfigError) as e:
        raise CheckpointError(
            f"{kind.__name__} cannot be built: {e}", where=where, remedy=_REMEDY
        ) from e


def _is_description(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"type", "arguments"}
        and isinstance(value["type"], str)
        and isinstance(value["arguments"], dict)
    )


def _resolve(name: str, types: Sequence[type[nn.Module]], where: str) -> type[nn.Module]:
    own = {f"{kind.__module__}:{kind.__qualname__}": kind for kind in types}
    if name in own:
        return own[name]
    module_name, _, class_name = name.partition(":")
    kind: Any = None
    if _TYPE.fullmatch(name) and module_name.startswith("sensorfusion."):
        try:
            kind = getattr(importlib.import_module(module_name), class_name, None)
        except ImportError:
            kind = None
    # A class that a module of ours merely imported is not ours.
    fits = isinstance(kind, type) and issubclass(kind, nn.Module)
    if not fits or kind.__module__ != module_name:
        raise CheckpointError(
            f"asks for the class {name!r}, which this package does not have",
            where=where,
            remedy="if it is a class of your own, pass it in `types`",
        )
    return cast(type[nn.Module], kind)


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, nn.Module):
        return describe(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(entry, where) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, where) for entry in value]
    raise ConfigError(
        f"a {type(value).__name__} cannot be saved as an argument",
        where=where,
        remedy="use numbers, strings, lists, dicts with string keys, and modules",
    )


def _revive(value: Any, types: Sequence[type[nn.Module]], where: str) -> Any:
    if _is_description(value):
        return build(value, types=types, where=where)
    if isinstance(value, dict):
        return {key: _revive(entry, types, where) for key, entry in value.items()}
    if isinstance(value, list):
        return [_revive(entry, types, where) for entry in value]
    return value
