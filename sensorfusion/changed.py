"""Changed copies of frozen data classes, quickly."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def changed(value: T, **changes: Any) -> T:
    """`dataclasses.replace` in a fraction of its time, for what every transform copies.

    Raises:
        TypeError: for a field that the data class does not have.
    """
    fields = value.__dict__
    if not changes.keys() <= fields.keys():
        unknown = sorted(changes.keys() - fields.keys())
        raise TypeError(f"{type(value).__name__} has no field {', '.join(unknown)}")
    copy = object.__new__(type(value))
    copy.__dict__.update(fields, **changes)
    check = getattr(copy, "__post_init__", None)
    if check is not None:
        check()
    return copy
