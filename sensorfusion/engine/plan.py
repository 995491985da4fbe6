"""Which samples each step sees, and with what randomness: functions of (seed, epoch, index).

Nothing here has state, so a run continues at any step without replaying those before it, and the
number of ranks and of loader workers never changes what is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from sensorfusion.collate import collate
from sensorfusion.engine.corrupt import CORRUPT, Corrupt, Failure, replacement
from sensorfusion.errors import ConfigError, SensorFusionError
from sensorfusion.sample import Array, Batch, Sample

Key = tuple[int, int]  # (epoch, index)
Transform = Callable[[Sample, np.random.Generator], Sample]
_ORDER, _SAMPLE = 0, 1  # what a stream of random numbers is for


class SampleSource(Protocol):
    """A data set: numbered samples."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The order of samples over a whole run.

    Args:
        size: samples of the data set. batch_size: samples of a step, over all ranks.
        seed: of the order. drop_last: leave out an epoch's last, smaller batch.
        rank, world: this process and their number; each step's batch is cut into contiguous
            parts, one a rank. Parts of a smaller last batch may differ in size, or be empty.

    Raises:
        ConfigError: when the data set has no full batch.
    """

    size: int
    batch_size: int
    seed: int = 0
    drop_last: bool = True
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.steps_per_epoch == 0:
            raise ConfigError(
                f"{self.size} samples make no batch of {self.batch_size}",
                where="loader.batch_size",
                remedy="make the batch smaller, or set loader.drop_last=False",
            )

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the data."""
        full, rest = divmod(self.size, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def order(self, epoch: int) -> Array:
        """int64 [size]: the samples in the order of an epoch."""
        return np.random.default_rng([self.seed, epoch, _ORDER]).permutation(self.size)

    def samples(self, step: int) -> int:
        """How many samples a step sees, over all ranks."""
        return min(self.batch_size, self.size - step % self.steps_per_epoch * self.batch_size)

    def batch(self, step: int) -> list[Key]:
        """The samples of a step, over all ranks."""
        return self._batch(step, self.order(step // self.steps_per_epoch))

    def part(self, step: int) -> list[Key]:
        """The samples of a step on this rank."""
        return self._part(self.batch(step))

    def parts(self, start: int, stop: int) -> Iterator[list[Key]]:
        """`part` of steps start .. stop - 1, with one permutation an epoch."""
        epoch, order = -1, np.zeros(0, dtype=np.int64)
        for step in range(start, stop):
            if step // self.steps_per_epoch != epoch:
                epoch = step // self.steps_per_epoch
                order = self.order(epoch)
            yield self._part(self._batch(step, order))

    def _batch(self, step: int, order: Array) -> list[Key]:
        epoch, place = divmod(step, self.steps_per_epoch)
        first = place * self.batch_size
        return [(epoch, int(index)) for index in order[first : first + self.batch_size]]

    def _part(self, batch: list[Key]) -> list[Key]:
        bounds = [len(batch) * r // self.world for r in (self.rank, self.rank + 1)]
        return batch[bounds[0] : bounds[1]]


def sample_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The randomness of one sample in one epoch."""
    return np.random.default_rng([seed, epoch, index, _SAMPLE])


@dataclass(frozen=True)
class Item:
    """A loaded sample, and the samples that failed before it took their place.

    `sample` is None when nothing could be loaded; the last failure says why.
    """

    sample: Sample | None
    index: int
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Loaded(Dataset[Item]):
    """A data set with transforms, read by (epoch, index).

    Errors of corrupt samples are returned, not raised: workers then hand them over whole, and
    one place decides what to do.

    Args:
        dataset: numbered samples. transforms: applied in turn.
        seed: of the transforms' randomness. corrupt: whether to replace corrupt samples.
    """

    dataset: SampleSource
    transforms: Sequence[Transform]
    seed: int = 0
    corrupt: Corrupt = Corrupt()  # noqa: RUF009 (frozen)

    def __getitem__(self, key: Key) -> Item:
        epoch, wanted = key
        attempts = self.corrupt.attempts if self.corrupt.policy == "skip" else 0
        failures: list[Failure] = []
        index = wanted
        for attempt in range(attempts + 1):
            try:
                return Item(self.load(epoch, index), index, tuple(failures))
            except CORRUPT as error:
                failures.append(Failure(index, error))
            except SensorFusionError as error:  # the config's fault: no other sample would do
                failures.append(Failure(index, error))
                break
            index = replacement(self.seed, epoch, wanted, attempt, len(self.dataset))
        return Item(None, wanted, tuple(failures))

    def load(self, epoch: int, index: int) -> Sample:
        """One sample as the model sees it in an epoch."""
        sample = self.dataset[index]
        generator = sample_generator(self.seed, epoch, index)
        for transform in self.transforms:
            sample = transform(sample, generator)
        return sample


@dataclass(frozen=True)
class Minibatch:
    """A batch, and what failed while it was loaded.

    `batch` is None when there is none; the last failure says why.
    """

    batch: Batch | None
    failures: tuple[Failure, ...]


def collate_items(items: Sequence[Item]) -> Minibatch:
    """Items to a minibatch; none at all (a rank without samples) to an empty batch."""
    failures = tuple(failure for item in items for failure in item.failures)
    samples = [item.sample for item in items if item.sample is not None]
    if len(samples) < len(items):
        lost = next(item for item in items if item.sample is None)
        return Minibatch(None, (*failures, lost.failures[-1]))
    if not samples:
        return Minibatch(Batch({}, (), torch.zeros(0, dtype=torch.int64)), failures)
    try:
        return Minibatch(collate(samples, [item.index for item in items]), failures)
    except SensorFusionError as error:
        return Minibatch(None, (*failures, Failure(items[0].index, error)))


class _Steps(Sampler[list[Key]]):
    """Batches of a plan, for a torch loader."""

    def __init__(self, plan: Plan, start: int, stop: int) -> None:
        self.plan, self.start, self.stop = plan, start, stop

    def __iter__(self) -> Iterator[list[Key]]:
        return self.plan.parts(self.start, self.stop)

    def __len__(self) -> int:
        return max(0, self.stop - self.start)


def step_loader(loaded: Loaded, plan: Plan, start: int, stop: int, workers: int) -> DataLoader[Any]:
    """A loader of the minibatches of steps start .. stop - 1, across borders of epochs."""
    return DataLoader(
        loaded,
        batch_sampler=_Steps(plan, start, stop),
        num_workers=workers,
        collate_fn=collate_items,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # else starting workers would draw from the global one
    )


def _start_worker(_: int) -> None:
    """Leave it to the main process to end a run that is told to stop."""
    import signal

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
