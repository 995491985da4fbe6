"""Stopping on request: SIGTERM sets a flag, and the run ends at the next border of steps."""

from __future__ import annotations

import os
import signal
from types import FrameType

EXIT_STOPPED = 143  # 128 + SIGTERM: a checkpoint was written, the same command continues


class StopRequest:
    """A context in which the first SIGTERM only sets `requested`; a second ends at once."""

    def __init__(self) -> None:
        self.requested = False
        self._before: signal.Handlers | int | object = signal.SIG_DFL

    def __enter__(self) -> StopRequest:
        self._before = signal.signal(signal.SIGTERM, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)  # type: ignore[arg-type]

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            os._exit(EXIT_STOPPED)
        self.requested = True
