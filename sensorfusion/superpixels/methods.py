"""The ways to segments, and what identifies what they made: method, version, settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from sensorfusion.errors import ConfigError
from sensorfusion.superpixels.masks import Masks
from sensorfusion.superpixels.slic import Slic, SlicReference

if TYPE_CHECKING:
    from sensorfusion.sample import Array


class Method(Protocol):
    """A frozen dataclass of settings that turns encoded files into labels.

    Attributes:
        name: as on the command line.
        version: raised when equal settings give other labels than before.
    """

    name: ClassVar[str]
    version: ClassVar[int]

    def labels(self, files: tuple[bytes, ...], where: str) -> Array:
        """Labels int32 [H, W], -1 = none, from the image's file and whatever else it takes."""


METHODS: dict[str, type[Method]] = {kind.name: kind for kind in (Slic, SlicReference, Masks)}


def method_of(name: str, settings: Sequence[str] = ()) -> Method:
    """A method from its name and settings as KEY=VALUE.

    Raises:
        ConfigError: when the name or a setting is unknown, or a value has the wrong type.
    """
    if name not in METHODS:
        raise ConfigError(f"no method {name!r}", remedy=f"choose {', '.join(METHODS)}")
    defaults = recipe_of(METHODS[name]())["settings"]
    chosen: dict[str, Any] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in defaults:
            known = ", ".join(f"{k}={v}" for k, v in defaults.items())
            raise ConfigError(f"method {name} has no setting {key!r}", remedy=f"it has {known}")
        chosen[key] = _parsed(key, text, type(defaults[key]))
    return METHODS[name](**chosen)


def recipe_of(method: Method) -> dict[str, Any]:
    """What identifies a method's results, for JSON."""
    settings = dataclasses.asdict(method)  # type: ignore[call-overload]
    return {"method": method.name, "version": method.version, "settings": settings}


def key_of(recipe: dict[str, Any], files: Sequence[bytes]) -> str:
    """16 digits of the recipe's SHA-256, a dash, 32 of that of the files."""
    content = b"".join(hashlib.sha256(file).digest() for file in files)
    return f"{recipe_key(recipe)}-{hashlib.sha256(content).hexdigest()[:32]}"


def recipe_key(recipe: dict[str, Any]) -> str:
    """The part of keys that all results of a recipe share."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Where two recipes differ, a line each; settings count by name."""
    flat = [
        {"method": r.get("method"), "version": r.get("version"), **(r.get("settings") or {})}
        for r in (found, wanted)
    ]
    return [
        f"{key}: {flat[0].get(key)!r} there, {flat[1].get(key)!r} wanted"
        for key in sorted({*flat[0], *flat[1]})
        if flat[0].get(key) != flat[1].get(key)
    ]


def _parsed(key: str, text: str, kind: type) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (KeyError, ValueError):
        raise ConfigError(f"{key}={text!r} is no {kind.__name__}") from None
