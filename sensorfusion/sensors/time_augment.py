"""Augmentations of any window over time: which part, how fast, and how much of the fast motion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.geometry.clock import Clock, ClockKind
from sensorfusion.sample import Array, Reading
from sensorfusion.sensors.resampling import rows_at
from sensorfusion.sensors.transform import Augmentation

Positions = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CropWarp(Augmentation[Reading, Positions]):
    """Cut off both ends, let time run unevenly in between, and resample to `steps` rows.

    Time t in [0, 1] becomes t + sum_j k_j sin(j pi t) / (j pi) with k_j drawn, j = 1, 2, 3, made
    non-decreasing. The times of the new rows go evenly over the part that was kept.

    Args:
        steps: rows of the result. crop: largest share cut off at either end.
        warp: deviation of the k_j.
        keep_first: the window's first row stays in front of the others (a pose at rest).
    """

    steps: int
    crop: float = 0.15
    warp: float = 0.25
    keep_first: bool = False

    def draw(self, reading: Reading, generator: np.random.Generator) -> Positions:
        """Row positions [steps] in the window."""
        first = generator.uniform(0.0, self.crop)
        last = 1.0 - generator.uniform(0.0, self.crop)
        waves = generator.normal(0.0, self.warp, 3)
        time = np.linspace(0.0, 1.0, self.steps - self.keep_first)
        harmonics = np.pi * np.arange(1, 4)
        warped = time + (waves / harmonics) @ np.sin(harmonics[:, None] * time)
        places = first + (last - first) * np.clip(np.maximum.accumulate(warped), 0.0, 1.0)
        if self.keep_first:
            places = np.concatenate([[0.0], places])
        return np.asarray(places * (len(reading.clock) - 1), dtype=np.float64)

    def apply(self, reading: Reading, draw: Positions) -> Reading:
        arrays: dict[str, Any] = {n: rows_at(getattr(reading, n), draw) for n in reading.ARRAYS}
        times = reading.clock.times_T
        rows = np.linspace(draw[0], draw[-1], len(draw))
        if reading.clock.kind is ClockKind.ABSOLUTE:
            return reading.replace(
                clock=Clock(reading.clock.kind, _instants(times, rows)), **arrays
            )
        between = np.interp(rows, np.arange(len(times)), times)
        return reading.replace(clock=Clock(reading.clock.kind, between), **arrays)


@dataclass(frozen=True, kw_only=True)
class ScaleFastMotion(Augmentation[Reading, float]):
    """Make the fast part of the motion larger or smaller: slow + factor * (signal - slow).

    Args:
        sigma: deviation of the factor's logarithm.
        slow: width of the Gaussian that tells slow from fast, as a share of the window.
    """

    sigma: float = 0.3
    slow: float = 0.09

    def draw(self, reading: Reading, generator: np.random.Generator) -> float:
        """The factor."""
        return float(np.exp(generator.normal(0.0, self.sigma)))

    def apply(self, reading: Reading, draw: float) -> Reading:
        smoother = _smoother(len(reading.clock), self.slow * len(reading.clock))
        arrays: dict[str, Any] = {}
        for name in reading.ARRAYS:
            values: Array = getattr(reading, name)
            flat = values.reshape(len(values), -1)
            slow = smoother.astype(values.dtype) @ flat
            arrays[name] = (slow + values.dtype.type(draw) * (flat - slow)).reshape(values.shape)
        return reading.replace(**arrays)


def _instants(times: Array, rows: Positions) -> npt.NDArray[np.int64]:
    # Nanoseconds since 1970 are beyond float64's integers; those since the start are not.
    elapsed = np.interp(rows, np.arange(len(times)), (times - times[0]).astype(np.float64))
    return np.asarray(times[0] + np.rint(elapsed).astype(np.int64))


@lru_cache(maxsize=16)
def _smoother(rows: int, sigma: float) -> Array:
    """Gaussian moving average as a matrix [T, T]; rows sum to one, at the ends too."""
    time = np.arange(rows)
    weights = np.exp(-0.5 * ((time[:, None] - time) / sigma) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True))
