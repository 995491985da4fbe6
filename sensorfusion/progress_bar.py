"""The progress of a job: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time

_LINES = 10.0  # seconds between lines where no terminal shows a bar


class ProgressBar:
    """Shows, on standard error and while it is entered, how much of a job is done.

    Args:
        name: of the job. delay: seconds after which the bar appears; a shorter job shows none.
    """

    def __init__(self, name: str, delay: float = 0.0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        console = Console(stderr=True)
        self.spoke = self.began = time.monotonic()
        self.delay = delay
        self.bar = Progress(
            name,
            BarColumn(),
            MofNCompleteColumn(),
            "{task.description}",
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=None)

    def __enter__(self) -> ProgressBar:
        self.began = time.monotonic()
        self._appear()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def advance(self, done: int, total: int, text: str = "") -> None:
        """Show how far it is."""
        self._appear()
        self.bar.update(self.task, completed=done, total=total, description=text)
        if self.bar.disable and time.monotonic() - self.spoke > _LINES:
            self.spoke = time.monotonic()
            print(f"{done}/{total}{text and ': '}{text}", file=sys.stderr, flush=True)

    def _appear(self) -> None:
        if not self.bar.live.is_started and time.monotonic() - self.began >= self.delay:
            self.bar.start()
