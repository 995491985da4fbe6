"""Learning-rate schedules: pure functions of the step.

`schedule(step, steps)` is the factor of the learning rate in step `step` (from 0) of `steps`, the
limit of the run. There is no state. When the limit of a run is raised on resume, the schedule is
from then on the one of the new limit: a cosine continues on the longer curve (the rate may jump
up), a constant stays, and steps keep their places.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sensorfusion.errors import ConfigError

Schedule = Callable[[int, int], float]


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A linear warm-up over `warmup_steps`, then 1."""

    warmup_steps: int = 0

    def __call__(self, step: int, steps: int) -> float:
        return _warmup(step, self.warmup_steps)


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """A linear warm-up, then half a cosine from 1 to `final`.

    Loshchilov and Hutter 2017, "SGDR", eq. 5, without restarts.
    """

    warmup_steps: int = 0
    final: float = 0.0

    def __call__(self, step: int, steps: int) -> float:
        if step < self.warmup_steps:
            return _warmup(step, self.warmup_steps)
        done = (step - self.warmup_steps) / max(1, steps - self.warmup_steps)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A linear warm-up, then a factor `decay` at each of the step numbers `at`."""

    at: tuple[int, ...]
    decay: float = 0.1
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        if list(self.at) != sorted(self.at):
            raise ConfigError(f"step numbers must increase, found {self.at}")

    def __call__(self, step: int, steps: int) -> float:
        return _warmup(step, self.warmup_steps) * self.decay ** sum(step >= at for at in self.at)


def _warmup(step: int, warmup_steps: int) -> float:
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
