"""The training loop: load, check, train, tell the hooks; from any step on, across epochs."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import BaseLoop

from sensorfusion.engine import distributed
from sensorfusion.engine.corrupt import Failure, Tally
from sensorfusion.engine.plan import Loaded, Minibatch, Plan, step_loader
from sensorfusion.engine.update import Outcome, Update
from sensorfusion.errors import DataError, NonFiniteError
from sensorfusion.sample import Batch
from sensorfusion.signals import StopRequest


class PretrainLoop(BaseLoop):  # type: ignore[misc]
    """Steps of a plan, with mmengine's hook points.

    As in mmengine, `iter` counts the steps that were complete before the current one, so a hook
    that runs after a step sees `iter + 1` steps done.

    Args:
        runner: the mmengine runner. loaded: the data. plan: its order.
        epochs: the limit. workers: loader processes. tally: counts of corrupt samples.
    """

    def __init__(
        self, runner: Any, loaded: Loaded, plan: Plan, epochs: int, workers: int, tally: Tally
    ) -> None:
        super().__init__(runner, loaded)
        self.plan, self.workers, self.tally = plan, workers, tally
        self.max_epochs = epochs
        self.max_iters = epochs * plan.steps_per_epoch
        self.iter = 0
        self.outcome: Outcome | None = None
        self.seconds_waiting = 0.0  # for data, in the current step
        self.units: dict[str, str] = {}  # unit of the readings that each sensor's encoder saw
        self.stopping = False
        self.exit_code = 0  # of a run that stops before its limit

    @property
    def epoch(self) -> int:
        """The epoch of the current step."""
        return int(self.iter // self.plan.steps_per_epoch)

    def run(self) -> None:
        """Train to the limit, or to the next border of steps after a request to stop."""
        self.runner.call_hook("before_train")
        self.runner.model.train()
        heard = (signal.SIGTERM, signal.SIGINT)
        with StopRequest(*heard) as request, self._workers_watched():
            began_at = self.iter
            for minibatch in self._minibatches():
                if self.iter in (began_at, self.epoch * self.plan.steps_per_epoch):
                    self.runner.call_hook("before_train_epoch")
                self._step(self._admitted(minibatch), request)
                if (self.iter + 1) % self.plan.steps_per_epoch == 0:
                    self.runner.call_hook("after_train_epoch")
                self.iter += 1
                if self.stopping:
                    break
        self.runner.call_hook("after_train")

    def _step(self, batch: Batch, request: StopRequest) -> None:
        self.runner.call_hook("before_train_iter", batch_idx=self.iter, data_batch=batch)
        update: Update = self.runner.optim_wrapper
        try:
            self.outcome = update.step_on(batch, self.iter, self.max_iters)
        except NonFiniteError as error:
            self._write_reproducer(batch, error)
            raise
        self.stopping = bool(distributed.gather(torch.tensor(request.requested)).any())
        self.exit_code = request.exit_code
        outputs = {"loss": self.outcome.total, **self.outcome.losses}
        self.runner.call_hook(
            "after_train_iter", batch_idx=self.iter, data_batch=batch, outputs=outputs
        )

    def _minibatches(self) -> Iterator[Minibatch]:
        loader = step_loader(self.dataloader, self.plan, self.iter, self.max_iters, self.workers)
        iterator = iter(loader)
        while self.iter < self.max_iters:
            began = time.perf_counter()
            minibatch = self._received(iterator)
            self.seconds_waiting = time.perf_counter() - began
            yield minibatch

    def _received(self, iterator: Iterator[Minibatch]) -> Minibatch:
        try:
            return next(iterator)
        except (ConnectionError, EOFError, FileNotFoundError) as error:
            of_dataset = not self.workers or str(error).startswith("Caught")
            if of_dataset:
                raise
            # What a worker sent is fetched from it, and it may be gone before torch knows.
            raise RuntimeError(f"DataLoader worker is gone: {error!r}") from error

    @contextmanager
    def _workers_watched(self) -> Iterator[None]:
        """Torch reports a dead worker by a `RuntimeError` wherever the main process then is."""
        try:
            yield
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            ahead = range(self.iter, min(self.iter + 2 * self.workers + 1, self.max_iters))
            samples = [index for step in ahead for _, index in self.plan.part(step)]
            raise DataError(
                f"a loader worker died: {error}",
                where=f"while loading one of the samples {samples}",
                remedy="look for lack of memory, or use loader.workers=0 to see the error",
            ) from error

    def _admitted(self, minibatch: Minibatch) -> Batch:
        """The batch, after all ranks have counted the corrupt samples of this step."""
        batch, failures = minibatch.batch, minibatch.failures
        told = distributed.gather(torch.tensor([len(failures), batch is None]))
        if batch is None:
            raise failures[-1].error
        if told[:, 1].any():
            raise DataError("another rank could not load its samples; its own error says why")
        if told.any():
            self._count(failures)
        for name, sensor in batch.sensors.items():
            if sensor.kind is not None:
                self.units.setdefault(name, sensor.unit)
        return batch.to(self.runner.device)

    def _count(self, failures: Sequence[Failure]) -> None:
        """Count and log the corrupt samples that all ranks replaced in this step."""
        own = [f"{failure.index} {failure.error}" for failure in failures]
        texts = [text for texts in distributed.gather_texts(own) for text in texts]
        reasons = {int(index): why for index, _, why in (text.partition(" ") for text in texts)}
        fresh = set(reasons) - self.tally.samples
        for index in sorted(fresh):
            self.runner.logger.warning(f"corrupt sample {index} is replaced: {reasons[index]}")
        self.tally.add(int(text.partition(" ")[0]) for text in texts)

    def _write_reproducer(self, batch: Batch, error: NonFiniteError) -> None:
        """`nonfinite/step_<step>_rank_<rank>.json`: all that is needed to load the batch again."""
        folder = Path(self.runner.work_dir) / "nonfinite"
        folder.mkdir(exist_ok=True)
        content = {
            "step": self.iter,
            "epoch": self.epoch,
            "ids": list(batch.ids),
            "index": batch.index.tolist(),
            "error": str(error),
        }
        name = f"step_{self.iter:08d}_rank_{distributed.rank()}.json"
        (folder / name).write_text(json.dumps(content, indent=2))
