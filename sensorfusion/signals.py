"""Stopping on request: a signal sets a flag, and the run ends at the next border of steps.

The run then writes a checkpoint and exits with 128 + the signal's number: 143 for SIGTERM, 130 for
Ctrl-C. The same signal again ends the process at once, whatever it is doing; the last checkpoint is
what remains.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

EXIT_STOPPED = 143  # 128 + SIGTERM: a checkpoint was written, the same command continues
_SAID = b"\nstopping after this step; Ctrl-C again stops at once\n"


class StopRequest:
    """A context in which the first signal sets `requested`, and a second one ends the process.

    Args:
        heard: the signals: SIGTERM, and SIGINT where Ctrl-C waits for a border of steps, too.

    Attributes:
        requested: whether one was received. exit_code: of a run that ends for it.
    """

    def __init__(self, *heard: signal.Signals) -> None:
        self.heard = heard or (signal.SIGTERM,)
        self.requested = False
        self.exit_code = EXIT_STOPPED  # another rank's request is as good as our own
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        self._before = {each: signal.signal(each, self._receive) for each in self.heard}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self.exit_code = 128 + number
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
            os.write(2, _SAID)  # not print, which may be at work when the signal comes
        else:
            signal.signal(number, signal.SIG_DFL)  # acts even while Python code cannot run
