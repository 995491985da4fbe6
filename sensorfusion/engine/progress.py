"""What a run tells: one live line on a terminal, plain lines elsewhere, JSONL and TensorBoard."""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import IO, Any

import torch
from mmengine.hooks import Hook

from sensorfusion.engine import distributed
from sensorfusion.errors import CheckpointError

_REDRAW = 0.1  # seconds between redrawings of the live line
_SMOOTHING = 0.9  # of the times of steps

# Name in `metrics.jsonl` -> in TensorBoard, where the part before "/" is a section of the page.
_TAGS = {
    "loss": "loss/total",
    "rate": "optimizer/learning_rate",
    "gradient_norm": "optimizer/gradient_norm",
    "updated": "optimizer/updated",
    "samples_per_second": "speed/samples_per_second",
    "seconds": "speed/seconds_per_step",
    "waiting": "speed/waiting_for_data",
    "memory_mib": "system/memory_mib",
    "skipped": "system/skipped_samples",
}


class Progress(Hook):  # type: ignore[misc]
    """Writes `metrics.jsonl` and `tensorboard/` at every step, and lines for the reader.

    Both count steps from 1. Per step: `loss` and its weighted parts `loss/<term>.<name>`; learning
    rate, norm of the gradient before clipping, whether weights were updated (0: float16
    overflowed); samples per second and the share of the time spent waiting for data, both
    smoothed; the seconds of this step; the most memory used so far in MiB; corrupt samples
    skipped so far.

    Only rank 0 speaks. After a resume, lines of steps that are done again are dropped first.

    Args:
        every: steps between plain lines; a terminal has one live line instead.
        terminal: where the live line goes; None: standard error, if it is a terminal.
    """

    priority = "LOW"

    def __init__(self, every: int, terminal: IO[str] | None = None) -> None:
        self.every = every
        standard = sys.stderr if sys.stderr.isatty() else None
        self.terminal = standard if terminal is None else terminal
        self.metrics: IO[str] | None = None
        self.board: Any = None
        self.began = self.drawn = 0.0
        self.seconds = self.waiting = 0.0

    def before_train(self, runner: Any) -> None:
        """Open the files; continue them after a resume."""
        if distributed.rank() == 0:
            from torch.utils.tensorboard import SummaryWriter

            path = Path(runner.work_dir) / "metrics.jsonl"
            _drop_lines_from(path, runner.iter)
            self.metrics = path.open("a")
            self.board = SummaryWriter(
                str(Path(runner.work_dir) / "tensorboard"), purge_step=runner.iter + 1
            )
        self.began = time.perf_counter()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Record a step."""
        now = time.perf_counter()
        seconds, self.began = now - self.began, now
        if self.metrics is None:
            return
        loop = runner.train_loop
        self.seconds = _smooth(self.seconds, seconds)
        self.waiting = _smooth(self.waiting, loop.seconds_waiting)
        values = _values(runner) | {
            "samples_per_second": loop.plan.samples(runner.iter) / max(self.seconds, 1e-9),
            "waiting": min(1.0, self.waiting / max(self.seconds, 1e-9)),
            "memory_mib": memory_mib(),
            "seconds": seconds,
        }
        self._write(runner.iter + 1, loop.epoch, values)
        self._show(runner, values)

    def after_train(self, runner: Any) -> None:
        """Close the files."""
        if self.metrics is not None:
            if self.terminal:
                self.terminal.write("\n")
            self.metrics.close()
            self.board.close()

    def _write(self, step: int, epoch: int, values: dict[str, float]) -> None:
        assert self.metrics is not None
        try:
            self.metrics.write(json.dumps({"step": step, "epoch": epoch, **values}) + "\n")
            self.metrics.flush()
            for name, value in values.items():
                self.board.add_scalar(_TAGS.get(name, name), value, step)
        except OSError as error:
            raise CheckpointError(
                f"cannot write: {error}",
                where=self.metrics.name,
                remedy="free disk space, then run the same command again",
            ) from error

    def _show(self, runner: Any, values: dict[str, float]) -> None:
        loop, done = runner.train_loop, runner.iter + 1
        left = (loop.max_iters - done) * self.seconds
        last = done == loop.max_iters or loop.stopping
        if self.terminal and (last or time.perf_counter() - self.drawn > _REDRAW):
            self.drawn = time.perf_counter()
            width = shutil.get_terminal_size().columns - 1
            line = describe(done, loop.max_iters, values, left, width)
            self.terminal.write("\r" + line[:width].ljust(width))
            self.terminal.flush()
        elif not self.terminal and (last or done % self.every == 0):
            runner.logger.info(describe(done, loop.max_iters, values, left))


def describe(
    done: int,
    steps: int,
    values: dict[str, float],
    seconds_left: float,
    width: int | None = None,
) -> str:
    """One line about a step, what matters most first.

    Args:
        values: as in the metrics file. width: the last parts go until the line has at most so
            many characters; None: all parts stay.
    """
    minutes, seconds = divmod(round(seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    terms = {k.removeprefix("loss/"): v for k, v in values.items() if k.startswith("loss/")}
    parts = [
        f"step {done}/{steps}",
        f"loss {values['loss']:.4g}",
        f"left {hours}:{minutes:02d}:{seconds:02d}",
        *([f"{values['skipped']:.0f} skipped"] if values["skipped"] else []),
        f"{values['samples_per_second']:.0f} samples/s",
        f"{values['memory_mib']:.0f} MiB",
        f"waiting {values['waiting']:.0%}",
        *(f"{name} {value:.4g}" for name, value in terms.items() if len(terms) > 1),
    ]
    while width is not None and len(parts) > 1 and len(" | ".join(parts)) > width:
        parts.pop()
    return " | ".join(parts)


def memory_mib() -> float:
    """Most memory used so far: of the GPU where there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _values(runner: Any) -> dict[str, float]:
    outcome = runner.train_loop.outcome
    return {
        "loss": outcome.total,
        **{f"loss/{name}": value for name, value in outcome.losses.items()},
        "rate": outcome.rate,
        "gradient_norm": outcome.gradient_norm,
        "updated": float(outcome.updated),
        "skipped": float(runner.train_loop.tally.skipped),
    }


def _smooth(average: float, value: float) -> float:
    return value if average == 0 else _SMOOTHING * average + (1 - _SMOOTHING) * value


def _drop_lines_from(path: Path, step: int) -> None:
    """Keep the lines of the steps up to `step`; a last line may be cut short by a kill."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        try:
            if line.endswith("\n") and json.loads(line)["step"] <= step:
                kept.append(line)
        except ValueError:
            continue
    path.write_text("".join(kept))
