"""Work for several processes: calls of one function, each on its own, in any order."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from sensorfusion.errors import ConfigError, DataError

T = TypeVar("T")
_AHEAD = 2  # calls under way or waiting for each worker


def call_all(
    function: Callable[..., T],
    calls: Iterable[tuple[Any, ...]],
    *,
    workers: int = 1,
    stopping: Callable[[], bool] = lambda: False,
    where: str = "",
) -> Iterator[T]:
    """What a function returns for each tuple of arguments, as soon as it is there.

    Args:
        function: one that fresh processes can import, if there are several workers.
        workers: processes; one means this process.
        stopping: asked between calls; True ends the job early, after what is under way.
        where: said of a job whose worker died.

    Raises:
        ConfigError: for less than one worker.
        DataError: when a worker dies.
    """
    if workers < 1:
        raise ConfigError(f"workers = {workers}, expected at least 1")
    if workers == 1:
        for arguments in calls:
            if stopping():
                return
            yield function(*arguments)
        return
    waiting = iter(calls)
    pending: set[Future[T]] = set()
    # Fresh processes: a fork would inherit locks, and the threads of a progress bar.
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _begin_worker, (os.getpid(),)
    )
    try:
        while True:
            free = 0 if stopping() else _AHEAD * workers - len(pending)
            for arguments in itertools.islice(waiting, free):
                pending.add(pool.submit(function, *arguments))
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process died; often memory has run out",
            where=where,
            remedy="run the same command with fewer --workers; it continues. A script of your own"
            " must begin under `if __name__ == '__main__':`, for every worker imports it",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def processors() -> int:
    """How many this process may run on."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _begin_worker(parent: int) -> None:
    """Leave signals to the parent, end when it is gone, and use one thread."""
    import cv2
    import numba

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    cv2.setNumThreads(1)
    numba.set_num_threads(1)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
