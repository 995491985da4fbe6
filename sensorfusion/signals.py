"""Stopping on request: SIGTERM sets a flag, and the run ends at the next border of steps.

The run then writes a checkpoint and exits with code 143. A second SIGTERM ends the process at
once, whatever it is doing; the last checkpoint is what remains.
"""

from __future__ import annotations

import signal
from types import FrameType

EXIT_STOPPED = 143  # 128 + SIGTERM: a checkpoint was written, the same command continues


class StopRequest:
    """A context in which the first SIGTERM sets `requested`, and a second one kills."""

    def __init__(self) -> None:
        self.requested = False
        self._before: signal.Handlers | int | object = signal.SIG_DFL

    def __enter__(self) -> StopRequest:
        self._before = signal.signal(signal.SIGTERM, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)  # type: ignore[arg-type]

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # acts even while Python code cannot run
