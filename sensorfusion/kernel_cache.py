"""A disk cache of kernels that notices changes in what they take in from other modules.

Numba's own notices only an edit of the kernel's own file: after one in a helper's file, old
machine code would go on running. Here the stamp of a cached kernel holds the files of all its
helpers and the values of its constants.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from enum import EnumMeta
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from numba.core.caching import FunctionCache

_Cache: Any = FunctionCache  # which has no types


class KernelCache(_Cache):  # type: ignore[misc]
    """Numba's cache, stamped with everything that the machine code depends on."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The cached machine code for a signature; None: there is none, or an old one."""
        self._restamp()
        return super().load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep machine code."""
        self._restamp()
        super().save_overload(sig, data)

    def _restamp(self) -> None:
        # Not before the first call: a helper may stand below its kernel in the file.
        self._cache_file._source_stamp = stamp(self._py_func)


def stamp(kernel: FunctionType) -> str:
    """A hash of the files and constants that go into the machine code of a kernel."""
    found: dict[str, str] = {}
    helpers, todo = {kernel}, [kernel]
    while todo:
        function = todo.pop()
        file = function.__code__.co_filename
        state = os.stat(file)
        found[file] = f"{state.st_mtime_ns} {state.st_size}"
        for name in names(function.__code__):
            value = function.__globals__.get(name)
            helper = getattr(value, "py_func", None)
            if isinstance(helper, FunctionType) and helper not in helpers:
                helpers.add(helper)
                todo.append(helper)
            elif (written := _constant(value)) is not None:
                found[f"{file} {name}"] = written
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


def names(code: CodeType) -> Iterator[str]:
    """The names that a function and the functions inside it look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names(constant)


def _constant(value: Any) -> str | None:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, EnumMeta):
        return repr(list(value))
    return repr(value) if isinstance(value, bool | int | float | str | tuple) else None
