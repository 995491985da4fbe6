"""What can be wrong with an argument, and what a message about it must name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

STRINGS = ("", "nonsense", "../\0", "é" * 300)
FINITE = ("nan", "inf", "finite", "far", "leave", "rotation")


@dataclass(frozen=True)
class Fault:
    """A way to spoil an argument.

    Args:
        spoil: the spoilt one, from the sound one and a source of randomness.
        names: given the spoilt one, words of which a message must have one; None: any message.
        harmless: the argument means the same as before, and must be taken.
        fatal: the argument means nothing, and must be refused.
    """

    name: str
    spoil: Callable[[Any, np.random.Generator], Any]
    names: Callable[[Any], tuple[str, ...]] | None = None
    harmless: bool = False
    fatal: bool = False


def faults_of(value: Any) -> list[Fault]:
    """All ways to spoil a value that change it."""
    if isinstance(value, Tensor):
        return [f for f in SHAPES + TENSOR_TYPES if _applies(f, value)] + _entries(value)
    if isinstance(value, np.ndarray):
        return [f for f in SHAPES + ARRAY_TYPES if _applies(f, value)] + _entries(value)
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int):
        return [_number(n) for n in (-1, 0, -(2**40))]
    if isinstance(value, float):
        return [_number(n) for n in (math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300)]
    if isinstance(value, str):
        return [Fault(repr(text), lambda *_, t=text: t, fatal=True) for text in STRINGS]
    if isinstance(value, bytes):
        return BYTES
    if isinstance(value, tuple) and value and all(isinstance(v, int | float) for v in value):
        return TUPLES + ([TUPLE_NAN] if any(isinstance(v, float) for v in value) else [])
    return []


def _applies(fault: Fault, value: Any) -> bool:
    if fault.name in ("a row less", "no row", "every second of twice"):
        return value.ndim > 0 and len(value) > 0
    if fault.name in ("without its first axis", "a column less", "transposed in memory"):
        return value.ndim > 1 and len(value) > 0 and value.shape[-1] > 0
    return True


def _shape(value: Any) -> tuple[str, ...]:
    shape = tuple(value.shape)
    return (
        str(shape),
        str(list(shape)),
        *(str(n) for n in shape),
        "shape",
        "no rotation",
        "duplicate",
        "axes",
    )


def _dtype(value: Any) -> tuple[str, ...]:
    return (str(value.dtype), getattr(value.dtype, "name", "torch"))


def _both(value: Any) -> tuple[str, ...]:
    return (*_shape(value), *_dtype(value), "rotation", "singular")


def _every_second(value: Any, _: Any) -> Any:
    if isinstance(value, Tensor):
        return value.repeat_interleave(2, dim=0)[::2]
    return np.repeat(value, 2, axis=0)[::2]


def _transposed(value: Any, _: Any) -> Any:
    if isinstance(value, Tensor):
        return value.movedim(-1, 0).contiguous().movedim(0, -1)
    return np.asfortranarray(value)


SHAPES = [
    Fault("a row less", lambda v, _: v[:-1], _shape),
    Fault("no row", lambda v, _: v[:0], _shape),
    Fault("without its first axis", lambda v, _: v[0], _shape),
    Fault("an axis more", lambda v, _: v[None], _shape),
    Fault("a column less", lambda v, _: v[..., :-1], _shape),
    Fault("every second of twice", _every_second, harmless=True),
    Fault("transposed in memory", _transposed, harmless=True),
]
ARRAY_TYPES = [
    Fault(dtype, lambda v, _, dtype=dtype: _as(v, dtype), _both)
    for dtype in ("bool", "int16", "uint64", "float16", "float64", ">f4", "complex64")
]
TENSOR_TYPES = [
    Fault(str(dtype), lambda v, _, dtype=dtype: v.to(dtype), _both)
    for dtype in (torch.bool, torch.uint8, torch.int32, torch.float16, torch.float64)
] + [Fault("complex64", lambda v, _: v.to(torch.complex64), _both)]


def _as(value: Any, dtype: str) -> Any:
    with np.errstate(invalid="ignore"):
        return value.astype(dtype)


def _entries(value: Any) -> list[Fault]:
    """Single entries that are out of any range; none for an empty array."""
    if not math.prod(value.shape):
        return []
    if isinstance(value, Tensor):
        floating, signed = value.is_floating_point(), value.dtype in (torch.int32, torch.int64)
        limit = None if floating else torch.iinfo(value.dtype).max if signed else 255
    else:
        floating, signed = value.dtype.kind == "f", value.dtype.kind == "i"
        limit = np.iinfo(value.dtype).max if value.dtype.kind in "iu" else None
    if floating:
        return [_entry(n) for n in (math.nan, math.inf, -math.inf, 1e30, -1e30)]
    if limit is None:
        return []
    return [_entry(n) for n in (limit, *((-7, -limit - 1) if signed else ()))]


def _entry(number: float) -> Fault:
    def spoil(value: Any, rng: np.random.Generator) -> Any:
        spoilt = value.clone() if isinstance(value, Tensor) else value.copy()
        place = tuple(int(rng.integers(n)) for n in value.shape)
        spoilt[place] = number
        return spoilt

    def names(_: Any) -> tuple[str, ...]:
        if math.isfinite(number):
            return (str(number), f"{number:.2g}", "out of range", "decrease", *FINITE)
        return FINITE

    return Fault(f"an entry of {number}", spoil, names)


def _number(number: float) -> Fault:
    words = (str(number), "nan", "finite") if number != 0 else ("0", "empty", "no ")
    return Fault(f"{number}", lambda *_: number, lambda _: words)


def _constant(name: str, value: Any) -> Fault:
    return Fault(name, lambda *_: value)


def _tuple_entry(value: tuple[Any, ...], number: Any, rng: np.random.Generator) -> Any:
    place = int(rng.integers(len(value)))
    return (*value[:place], number, *value[place + 1 :])


TUPLES = [
    Fault("one number less", lambda v, _: v[:-1], lambda v: (str(v), str(list(v)), str(len(v)))),
    Fault("one number more", lambda v, _: (*v, v[-1]), lambda v: (str(v), str(len(v)))),
    Fault("a number of 0", lambda v, rng: _tuple_entry(v, 0, rng), lambda _: ("0",)),
    Fault("a number of -7", lambda v, rng: _tuple_entry(v, -7, rng), lambda _: ("-7",)),
]
TUPLES.append(
    Fault(
        "a number of 2^40",
        lambda v, rng: _tuple_entry(v, 2**40, rng),
        lambda _: (str(2**40), str(2**16)),
    )
)
TUPLE_NAN = Fault("a NaN", lambda v, rng: _tuple_entry(v, math.nan, rng), lambda _: ("nan",))


def _flipped(value: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(value)
    for place in rng.integers(0, max(len(data), 1), 3):
        if data:
            data[place] ^= int(rng.integers(1, 256))
    return bytes(data)


BYTES = [
    _constant("no bytes", b""),
    Fault("cut short", lambda v, rng: v[: int(rng.integers(0, max(len(v), 1)))]),
    Fault("three bytes changed", _flipped),
    Fault("other bytes", lambda v, rng: rng.bytes(64)),
    Fault("bytes behind", lambda v, _: v + b"\0\1"),
]
