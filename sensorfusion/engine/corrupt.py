"""What happens to samples that cannot be read: raise, or skip with a count and a cap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sensorfusion.errors import ClockError, ConfigError, DataError, SensorFusionError

CORRUPT = (DataError, ClockError)  # errors that are the sample's fault; others are the config's
_REPLACEMENT = 7  # keeps the stream of replacements apart from those of augmentations


@dataclass(frozen=True, kw_only=True)
class Corrupt:
    """Section `data.corrupt`.

    Args:
        policy: "raise" stops the run at the first corrupt sample; "skip" replaces it by another
            sample, drawn from (seed, epoch, index).
        cap: most distinct corrupt samples that "skip" tolerates: a number, or as a float a share
            of the data set. Above it the run stops.
        attempts: draws for one replacement, for replacements may be corrupt too.
    """

    policy: str = "raise"
    cap: int | float = 0.001
    attempts: int = 10

    def __post_init__(self) -> None:
        if self.policy not in ("raise", "skip"):
            raise ConfigError(f"unknown policy {self.policy!r}, known: 'raise' and 'skip'")
        if self.cap < 0 or (isinstance(self.cap, float) and self.cap > 1):
            raise ConfigError(f"cap is a number of samples or a share in [0, 1], found {self.cap}")

    def limit(self, size: int) -> int:
        """Most distinct corrupt samples in a data set of `size` samples."""
        return self.cap if isinstance(self.cap, int) else int(self.cap * size)


@dataclass(frozen=True)
class Failure:
    """One sample that could not be read: its position in the data set, and why."""

    index: int
    error: SensorFusionError


def replacement(seed: int, epoch: int, index: int, attempt: int, size: int) -> int:
    """Position of the sample that stands in for `index`: a function of its arguments alone."""
    generator = np.random.default_rng([seed, epoch, index, attempt, _REPLACEMENT])
    return int(generator.integers(size))


@dataclass
class Tally:
    """Counts of corrupt samples over a run, part of its checkpoint.

    Args:
        policy: what to do. size: samples of the data set.
        samples: positions of the distinct corrupt samples. skipped: how often one was replaced.
    """

    policy: Corrupt
    size: int
    samples: set[int] = field(default_factory=set)
    skipped: int = 0

    def add(self, indices: Iterable[int]) -> None:
        """Count failures.

        Raises:
            DataError: when there are more corrupt samples than the cap allows.
        """
        found = list(indices)
        self.samples.update(found)
        self.skipped += len(found)
        limit = self.policy.limit(self.size)
        if len(self.samples) > limit:
            raise DataError(
                f"{len(self.samples)} corrupt samples of {self.size}, the cap is {limit}",
                where=f"samples {sorted(self.samples)[:20]}",
                remedy="repair the data (the log names every file), or raise data.corrupt.cap",
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"samples": sorted(self.samples), "skipped": self.skipped}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.samples, self.skipped = set(state["samples"]), state["skipped"]
