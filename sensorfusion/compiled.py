"""Numba kernels that may be called anywhere: on every core, or on one where threads are unsafe."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, Generic, ParamSpec, TypeVar, cast

import numba

from sensorfusion.kernel_cache import KernelCache

P = ParamSpec("P")
R = TypeVar("R")


class Compiled(Generic[P, R]):
    """A kernel compiled twice: across threads, and for one thread.

    The machine code of both is cached on disk beside the module, so a process compiles nothing
    that an earlier one has compiled. Both release the global interpreter lock. The one-thread
    form serves wherever Numba's pool of threads must not be entered: after a fork (a loader
    worker), where GNU OpenMP aborts the process, and while another thread is inside a kernel,
    where the fall-back pool aborts it.

    Attributes:
        python: the uncompiled function.
        serial: the form for one thread.
        parallel: the form across threads.
    """

    def __init__(self, function: Callable[P, R], fastmath: bool) -> None:
        self.python = function
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__module__ = function.__module__
        self.serial: Callable[P, R] = _compile(function, parallel=False, fastmath=fastmath)
        self.parallel: Callable[P, R] = _compile(function, parallel=True, fastmath=fastmath)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if _may_use_threads() and _pool.acquire(blocking=False):
            try:
                return self.parallel(*args, **kwargs)
            finally:
                _pool.release()
        return self.serial(*args, **kwargs)


def compiled(*, fastmath: bool = False) -> Callable[[Callable[P, R]], Compiled[P, R]]:
    """Decorate a kernel whose loops over `numba.prange` may run on several threads."""
    return lambda function: Compiled(function, fastmath)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a helper that kernels call; it stays an ordinary function of one thread."""
    return cast(Callable[P, R], _jit(function, parallel=False, fastmath=False))


def borrowing(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a helper that only reads and writes the arrays it is given.

    Like `inlined`, but without counting references, which threads would contend for: the
    function may neither make arrays nor return any.
    """
    return cast(Callable[P, R], _jit(function, parallel=False, fastmath=False, _nrt=False))


def merged(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a helper like those of `borrowing` that becomes a part of every caller.

    For helpers that are given many arrays, as tables of a world: a call would copy the
    description of each, which takes longer than a short helper does.
    """
    options: dict[str, Any] = {"_nrt": False, "forceinline": True}
    return cast(Callable[P, R], _jit(function, parallel=False, fastmath=False, **options))


def _compile(function: Callable[P, R], parallel: bool, fastmath: bool) -> Any:
    # Numba's cache tells functions apart by name and line, not by options: each form has a name.
    name = f"{function.__qualname__}-{'parallel' if parallel else 'serial'}"
    original = cast(FunctionType, function)
    form = FunctionType(original.__code__, original.__globals__, name, original.__defaults__)
    form.__qualname__ = name
    form.__module__ = function.__module__
    form.__kwdefaults__ = original.__kwdefaults__
    return _jit(form, parallel, fastmath)


def _jit(function: Callable[..., Any], parallel: bool, fastmath: bool, **options: Any) -> Any:
    dispatcher = numba.njit(
        nogil=True, parallel=parallel, fastmath=fastmath, error_model="numpy", **options
    )(function)
    with contextlib.suppress(RuntimeError):  # no folder can be written: compile in every process
        dispatcher._cache = KernelCache(function)
    return dispatcher


def kernel_threads() -> int:
    """Number of threads that kernels run on.

    The first call starts their pool, which would set torch to as many threads where both use the
    same OpenMP: torch keeps its own number.
    """
    global _started
    torch = None if _started else sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    threads: int = numba.get_num_threads()
    _started = True
    if torch:
        torch.set_num_threads(before)
    return threads


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Inside, kernels run in their one-thread form.

    For a few calls of kernels whose other form this computer may not have compiled yet.
    """
    before = kernel_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _may_use_threads() -> bool:
    return not _forked and kernel_threads() > 1


def _note_fork() -> None:
    global _forked, _pool
    _forked = True
    _pool = threading.Lock()


_forked = False
_started = False
_pool = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
