"""What a function gives in another process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable


def value_in_child(start: str, function: Callable[[], float]) -> float:
    """Call a function of a module in a child started by `start`, which must end well."""
    context = multiprocessing.get_context(start)
    queue = context.Queue()
    child = context.Process(target=_put, args=(queue, function))
    child.start()
    value = queue.get(timeout=120)
    child.join(timeout=30)
    assert child.exitcode == 0
    return value


def _put(queue, function: Callable[[], float]) -> None:
    queue.put(function())
