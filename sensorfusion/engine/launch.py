"""Runs of `tools/pretrain.py` in processes of their own: what is finished, and how long it took."""

from __future__ import annotations

import fcntl
import functools
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from sensorfusion.checkpoint import read_document
from sensorfusion.engine.recipe import fingerprint, read_recipe, record
from sensorfusion.errors import CheckpointError, ConfigError
from sensorfusion.evaluation.records import subjects_of
from sensorfusion.export import DOCUMENT
from sensorfusion.signals import EXIT_STOPPED

_ERROR = re.compile(r"[\w.]*(Error|Exception|Interrupt)\b")
_WAIT = 0.5  # seconds between looks at a run of another process


@dataclass(frozen=True)
class Launch:
    """One run.

    Args:
        config: config file. options: `key=value`. work_dir: the run's folder.
    """

    config: str
    options: tuple[str, ...]
    work_dir: Path

    @property
    def log(self) -> Path:
        """What the process says, through all of its starts; beside the run's folder."""
        return self.work_dir.with_name(f"{self.work_dir.name}.log")

    @functools.cached_property
    def recipe(self) -> dict[str, Any]:
        """The resolved config.

        Raises:
            ConfigError: naming what is wrong with the config or an option.
        """
        return record(read_recipe(self.config, self.options))

    def finished(self) -> bool:
        """Whether the encoders of just this config have been written."""
        names = sorted(set(self.recipe["model"].get("encoders") or {}))
        wanted = fingerprint(self.recipe)
        return bool(names) and all(self._note(name) == wanted for name in names)

    def minutes(self) -> float | None:
        """How long the steps of the run took, if it says so."""
        try:
            lines = (self.work_dir / "metrics.jsonl").read_text().splitlines()
            seconds: list[float] = [json.loads(line)["seconds"] for line in lines]
        except (OSError, ValueError, KeyError):
            return None
        return sum(seconds) / 60

    def require_subjects(self, wanted: Sequence[int]) -> None:
        """Refuse a config that would pretrain on others than these subjects.

        Raises:
            ConfigError: naming both.
        """
        found = subjects_of(self.recipe["data"]["train"])
        if found is None or sorted(found) != sorted(wanted):
            raise ConfigError(
                f"the config pretrains on subjects {found and list(found)}, not {list(wanted)}",
                where=self.config,
                remedy="name in the table's `subjects` the key at which the config has them",
            )

    def run(self, script: str | Path, say: Callable[[str], object]) -> int:
        """Start or continue the run and wait for its end; returns its exit code.

        It is stopped, with a checkpoint, when this process is interrupted. A run that another
        process is at is waited for.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(script), self.config, "--work-dir", str(self.work_dir)]
        with self.log.open("a") as log:
            self._await_others(log, say)
            child = subprocess.Popen(
                [*command, "--cfg-options", *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process only, which asks to stop
            )
            try:
                return child.wait()
            except BaseException:
                child.terminate()
                child.wait()
                raise

    def last_words(self) -> str:
        """The last error in the log, or its last line."""
        try:
            lines = self.log.read_text(errors="replace").rstrip().splitlines()
        except OSError:
            return ""
        errors = [i for i, line in enumerate(lines) if _ERROR.match(line)]
        return "\n".join(lines[errors[-1] if errors else -1 :])

    def _note(self, name: str) -> str | None:
        path = self.work_dir / "encoders" / name
        try:
            document = read_document(path, name=DOCUMENT) if path.is_dir() else {}
        except CheckpointError:
            return None
        return (document.get("note") or {}).get("config_sha256")

    def _await_others(self, log: IO[str], say: Callable[[str], object]) -> None:
        # The lock goes with the open file, which the run inherits: it lasts until the run ends,
        # even where the process that started it was killed.
        said = False
        while True:
            try:
                return fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not said:
                    say(f"another process is at {self.work_dir}; waiting until it ends")
                said = True
                time.sleep(_WAIT)


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM ends this process as Ctrl-C does: what it started is stopped first."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(EXIT_STOPPED)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
