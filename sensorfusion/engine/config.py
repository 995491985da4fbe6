"""Config files: read, changed from the command line, recorded as JSON, compared, and built.

A config is a tree of dicts and lists. A dict with the key `type` is a call: `type` is the class or
function itself, the other entries are its keyword arguments. A config file is a Python program of
the user's own; nothing else is ever run.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sensorfusion.errors import ConfigError, SensorFusionError
from sensorfusion.spelling import literal, nearest

TYPE = "type"
Tree = dict[str, Any]


def read_config(path: str | Path) -> Tree:
    """Read a config file with its imported names resolved.

    Top-level names that begin with an underscore are helpers of the file and left out.

    Raises:
        ConfigError: when the file is missing, is not valid, or imports what does not exist.
    """
    from mmengine.config import Config

    if not Path(path).is_file():
        beside = [file.name for file in Path(path).parent.glob("*.py")]
        remedy = nearest(Path(path).name, beside)
        raise ConfigError("no such config file", where=str(path), remedy=remedy)
    try:
        config = Config.fromfile(str(path), lazy_import=True)
        names = [name for name in config.to_dict() if not name.startswith("_")]
    except Exception as error:  # a config file may fail in any way that Python can
        raise ConfigError(f"{type(error).__name__}: {error}", where=str(path)) from error
    return {name: _imported(config.__getitem__, name, name) for name in names}


def set_options(tree: Tree, options: Sequence[str]) -> Tree:
    """A copy of the tree with `key.path=value` options set.

    A value is a Python literal (`3`, `1e-4`, `None`, `(1, 3)`, `'text'`); anything else is text.
    A key exists in the tree or is an argument of the `type` beside it; list entries are numbered.

    Raises:
        ConfigError: for an unknown key, naming the nearest one.
    """
    for option in options:
        path, equals, text = option.partition("=")
        if not equals:
            raise ConfigError(f"option {option!r} is not key=value")
        tree = _set(tree, path.split("."), literal(text), path)
    return tree


def build(node: Any, where: str = "config") -> Any:
    """Build a tree: innermost calls first.

    Raises:
        ConfigError: naming the key path of a wrong type or argument.
    """
    if isinstance(node, Mapping):
        parts = {key: build(value, f"{where}.{key}") for key, value in node.items() if key != TYPE}
        return call(node[TYPE], parts, where) if TYPE in node else parts
    if isinstance(node, list | tuple):
        return type(node)(build(value, f"{where}.{i}") for i, value in enumerate(node))
    return node


def call(kind: Any, arguments: Mapping[str, Any], where: str, *given: Any) -> Any:
    """`kind(*given, **arguments)`, with errors that name the key path."""
    if not callable(kind):
        raise ConfigError(
            f"type is {kind!r}, not a class or function",
            where=f"{where}.{TYPE}",
            remedy="import the class in the config file and write type=ClassName",
        )
    name = getattr(kind, "__qualname__", repr(kind))
    known, open_ended = _parameters(kind)
    if not open_ended:
        for key in arguments:
            if key not in known:
                raise ConfigError(
                    f"{name} has no argument {key!r}",
                    where=f"{where}.{key}",
                    remedy=_nearest(key, known),
                )
    try:
        return kind(*given, **arguments)
    except SensorFusionError as error:
        inner = f"{where}: {error.where}" if error.where else where
        raise type(error)(error.what, where=inner, remedy=error.remedy) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name}: {error}", where=where) from error


def resolved(node: Any, where: str = "config") -> Any:
    """The tree as JSON: classes and functions become `module:name`, tuples become lists."""
    if isinstance(node, Mapping):
        return {str(key): resolved(value, f"{where}.{key}") for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [resolved(value, f"{where}.{i}") for i, value in enumerate(node)]
    if node is None or isinstance(node, bool | int | str):
        return node
    if isinstance(node, float) and math.isfinite(node):
        return node
    if isinstance(node, torch.dtype):
        return str(node)
    if callable(node) and hasattr(node, "__qualname__"):
        return f"{node.__module__}:{node.__qualname__}"
    raise ConfigError(
        f"{node!r} ({type(node).__name__}) cannot be recorded with the run",
        where=where,
        remedy="use finite numbers, text, None, lists, and dicts with a type",
    )


def differences(old: Any, new: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Key paths at which two resolved trees differ: {path: (old, new)}; absent is None."""
    if isinstance(old, list) and isinstance(new, list):
        old, new = dict(enumerate(old)), dict(enumerate(new))
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
        return {} if same else {path: (old, new)}
    found: dict[str, tuple[Any, Any]] = {}
    for key in [*old, *(key for key in new if key not in old)]:
        below = f"{path}.{key}" if path else str(key)
        found |= differences(old.get(key), new.get(key), below)
    return found


def _imported(get: Callable[[Any], Any], key: Any, where: str) -> Any:
    """Value `key` of a lazy config, with imported names replaced by what they name."""
    from mmengine.config.lazy import LazyAttr, LazyObject

    try:
        value = get(key)
        value = value.build() if isinstance(value, LazyObject | LazyAttr) else value
    except Exception as error:  # importing may fail in any way
        raise ConfigError(f"cannot import: {error}", where=where) from error
    if isinstance(value, dict):
        return {k: _imported(value.__getitem__, k, f"{where}.{k}") for k in value}
    if isinstance(value, list | tuple):
        return type(value)(
            _imported(value.__getitem__, i, f"{where}.{i}") for i in range(len(value))
        )
    return value


def _set(node: Any, keys: list[str], value: Any, path: str) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(node, list | tuple):
        if not key.isdigit() or int(key) >= len(node):
            raise ConfigError(f"no entry {key!r} in a list of {len(node)}", where=path)
        entries = list(node)
        entries[int(key)] = _set(entries[int(key)], rest, value, path)
        return type(node)(entries)
    if not isinstance(node, Mapping):
        raise ConfigError(f"{key!r} lies below a value", where=path)
    known, open_ended = _parameters(node[TYPE]) if TYPE in node else ((), False)
    if key == TYPE or (key not in node and not open_ended and key not in known):
        raise ConfigError(
            f"unknown option {key!r}", where=path, remedy=_nearest(key, [*node, *known])
        )
    return {**node, key: _set(node.get(key, {}), rest, value, path)}


def _parameters(kind: Any) -> tuple[list[str], bool]:
    """Names of a callable's keyword parameters, and whether it takes any name."""
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return [], True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    named = [p.name for p in parameters if p.kind not in positional]
    return named, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def _nearest(key: str, known: Iterable[str]) -> str:
    return nearest(key, (name for name in known if name != TYPE))
