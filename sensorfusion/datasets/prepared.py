"""Whether all is there that transforms look up, asked once before a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch.utils.data import DataLoader

from sensorfusion.errors import ClockError, ConfigError, DataError, SensorFusionError
from sensorfusion.progress_bar import ProgressBar
from sensorfusion.sample import Sample
from sensorfusion.sensors.transform import Transforms, flat

Step = Callable[[Sample, np.random.Generator], Sample]


@runtime_checkable
class LooksUp(Protocol):
    """A transform that reads what was made before, for every sample."""

    sensors: tuple[str, ...]

    def faults(self, sample: Sample) -> dict[str, str]:
        """What is wrong with what it needs for a sample, by name; of what is sound nothing."""

    def unprepared(self, faults: Mapping[str, str]) -> SensorFusionError:
        """The error that lists faults and says what mends them."""


def require_prepared(dataset: Any, transforms: Transforms, *, workers: int = 0) -> None:
    """Check what transforms look up for all samples of a data set, which are read for it.

    Nothing is read when no transform looks anything up. Samples that are corrupt themselves are
    left to the run's policy.

    Args:
        dataset: numbered samples. workers: loader processes.

    Raises:
        PreparationError: listing what is missing, damaged or outdated.
        ConfigError: when samples are changed at random before.
    """
    steps: list[Any] = list(flat(transforms))
    for place, step in enumerate(steps):
        if isinstance(step, LooksUp):
            _require_unchanged(steps[:place], step)
            faults = _all_faults(_Faults(dataset, steps[:place], step), workers)
            if faults:
                raise step.unprepared(faults)


def _require_unchanged(before: Sequence[Step], step: LooksUp) -> None:
    for earlier in before:
        touched = getattr(earlier, "sensors", step.sensors)
        if getattr(earlier, "random", False) and set(touched) & set(step.sensors):
            raise ConfigError(
                f"{type(earlier).__name__} changes samples at random before"
                f" {type(step).__name__} looks them up",
                where="transforms",
                remedy=f"put {type(step).__name__} first",
            )


class _Faults:
    """Per sample its faults, or the error that ends the search.

    That is returned: what workers raise comes out in torch's words.
    """

    def __init__(self, dataset: Any, before: Sequence[Step], step: LooksUp) -> None:
        self.dataset, self.before, self.step = dataset, before, step

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, str] | SensorFusionError:
        unused = np.random.default_rng(0)  # what is random touches other sensors
        try:
            sample = self.dataset[index]
            for transform in self.before:
                sample = transform(sample, unused)
        except (DataError, ClockError):
            return {}
        try:
            return self.step.faults(sample)
        except SensorFusionError as error:
            return error


def _all_faults(search: _Faults, workers: int) -> dict[str, str]:
    loader: DataLoader[Any] = DataLoader(
        search,  # type: ignore[arg-type]
        batch_size=None,
        num_workers=workers,
        generator=torch.Generator(),  # else starting workers would draw from the global one
    )
    faults: dict[str, str] = {}
    with ProgressBar("checking what is prepared", delay=2.0) as bar:
        for done, found in enumerate(loader, 1):
            if isinstance(found, SensorFusionError):
                raise found
            faults.update(found)
            bar.advance(done, len(search))
    return faults
