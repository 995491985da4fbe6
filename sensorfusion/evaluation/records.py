"""Recorded configs (JSON) back to objects of this package, and to the data of other subjects."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.probe import ProbeSettings
from sensorfusion.evaluation.protocols import Settings

TYPE, SUBJECTS = "type", "subjects"
_MODULES = ("sensorfusion.datasets.", "sensorfusion.sensors.", "sensorfusion.superpixels.slic")


def named(reference: str) -> Callable[..., Any]:
    """The class `module:name` of this package's data sets and sensors, or maker of transforms.

    A recorded config may come from elsewhere: nothing outside these is imported or called.

    Raises:
        ConfigError: for any other reference, or an unknown one.
    """
    module, _, name = reference.partition(":")
    found: Any = None
    if module.startswith(_MODULES) and name.isidentifier():
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError:
            found = None
    usable = inspect.isclass(found) or _makes_transforms(found)
    if not usable or found.__module__ != module:  # what a module imported is not its own
        raise ConfigError(
            f"{reference!r} is not a class of sensorfusion's data sets and sensors",
            remedy="evaluate with the version that made the run; for code of your own, call "
            "sensorfusion.evaluation.evaluate from Python",
        )
    made: Callable[..., Any] = found
    return made


def _makes_transforms(found: Any) -> bool:
    made = found.__annotations__.get("return") if inspect.isfunction(found) else None
    return made in ("Transform", "tuple[Transform, ...]")


def built(node: Any, where: str = "config") -> Any:
    """Build a recorded tree: innermost calls first.

    Raises:
        ConfigError: naming the key path of what cannot be built.
    """
    if isinstance(node, Mapping):
        parts = {k: built(value, f"{where}.{k}") for k, value in node.items() if k != TYPE}
        if TYPE not in node:
            return parts
        try:
            return named(node[TYPE])(**parts)
        except TypeError as error:
            raise ConfigError(f"{node[TYPE]}: {error}", where=where) from error
    if isinstance(node, list | tuple):
        return tuple(built(value, f"{where}.{i}") for i, value in enumerate(node))
    return node


def goes_by_subjects(node: Any) -> bool:
    """Whether any part of a recorded data set takes subjects."""
    return any(True for _ in _takers(node))


def with_subjects(node: Any, subjects: Sequence[int]) -> Any:
    """The recorded data set with other subjects, in every part that takes them."""
    return _replaced(node, list(subjects))


def subjects_of(node: Any) -> tuple[int, ...] | None:
    """Subjects that a recorded data set holds; None when it does not go by subjects."""
    found: set[int] = set()
    for taker in _takers(node):
        value = taker.get(SUBJECTS, _default(taker))
        if value is None:
            return None
        found |= set(value)
    return tuple(sorted(found)) or None


def settings_of(record: Mapping[str, Any], options: Sequence[str] = ()) -> Settings:
    """Protocol settings from a config's section and `key.path=value` options.

    Raises:
        ConfigError: for an unknown key, or a value that is not JSON.
    """
    changes: dict[str, Any] = {key: _copied(value) for key, value in record.items()}
    for option in options:
        path, equals, text = option.partition("=")
        keys = path.split(".")
        if not equals or len(keys) > 2:
            raise ConfigError(f"option {option!r} is not key=value", where="--set")
        target = changes.setdefault(keys[0], {}) if len(keys) == 2 else changes
        target[keys[-1]] = _value(text)
    settings = Settings()
    for name, value in changes.items():
        _require_field(settings, name)
        current = getattr(settings, name)
        if isinstance(current, ProbeSettings):
            for key in value:
                _require_field(current, key)
            value = current.replace(**value)
        changed: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value}
        settings = dataclasses.replace(settings, **changed)
    return settings


def _takers(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        if TYPE in node and SUBJECTS in inspect.signature(named(node[TYPE])).parameters:
            yield node
        for value in node.values():
            yield from _takers(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _takers(value)


def _replaced(node: Any, subjects: list[int]) -> Any:
    if isinstance(node, Mapping):
        changed = {key: _replaced(value, subjects) for key, value in node.items()}
        takes = any(taker is node for taker in _takers(node))
        return {**changed, SUBJECTS: subjects} if takes else changed
    if isinstance(node, list | tuple):
        return [_replaced(value, subjects) for value in node]
    return node


def _default(node: Mapping[str, Any]) -> Any:
    value = inspect.signature(named(node[TYPE])).parameters[SUBJECTS].default
    return None if value is inspect.Parameter.empty else value


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _require_field(settings: Settings | ProbeSettings, name: str) -> None:
    known = [field.name for field in dataclasses.fields(settings)]
    if name not in known:
        raise ConfigError(f"unknown setting {name!r}", remedy=f"use one of {known}")
