"""Windows of any length to a fixed number of steps.

Shape letters: T steps of the input, S steps of the output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sensorfusion.errors import ConfigError
from sensorfusion.geometry.clock import Clock, ClockKind
from sensorfusion.sample import Array, Reading
from sensorfusion.sensors.transform import Augmentation, Preparation

Method = Literal["fourier", "linear", "nearest"]
METHODS: tuple[Method, ...] = ("fourier", "linear", "nearest")


def row_positions(rows: int, steps: int, method: Method) -> npt.NDArray[np.float64]:
    """Where in a window of `rows` rows the `steps` output steps lie, float64 [S].

    Fourier resampling takes the window as one period, so its last step lies one output step
    before the period's end; the others go from the first row to the last.
    """
    if method == "fourier":
        return np.minimum(np.arange(steps) * (rows / steps), rows - 1.0)
    return np.linspace(0.0, rows - 1.0, steps)


def fourier_resample(values: Array, steps: int) -> Array:
    """Resample along axis 0 by truncating or padding the spectrum: [T, ...] -> [S, ...].

    The window is taken as one period: where its two ends differ, the result rings there.
    """
    rows = len(values)
    spectrum = np.fft.rfft(values, axis=0)
    shared = min(rows, steps)
    spectrum = spectrum[: shared // 2 + 1]
    if shared % 2 == 0 and rows != steps:
        # The highest frequency of the shorter one stands for itself and its negative twin.
        spectrum[-1] *= 2.0 if steps < rows else 0.5
    return np.asarray(np.fft.irfft(spectrum, steps, axis=0) * (steps / rows))


def linear_resample(values: Array, steps: int) -> Array:
    """Resample along axis 0 by linear interpolation between its ends: [T, ...] -> [S, ...]."""
    return rows_between(values, row_positions(len(values), steps, "linear"))


def rows_between(values: Array, positions: npt.NDArray[np.float64]) -> Array:
    """Rows at fractional positions [S] by linear interpolation: [T, ...] -> [S, ...]."""
    below = np.minimum(positions.astype(np.int64), max(len(values) - 2, 0))
    above = np.minimum(below + 1, len(values) - 1)
    weight = (positions - below).reshape(-1, *[1] * (values.ndim - 1))
    interpolated: Array = values[below] * (1.0 - weight) + values[above] * weight
    return interpolated


def nearest_resample(values: Array, steps: int) -> Array:
    """Resample along axis 0 by choosing the nearest row: [T, ...] -> [S, ...], same dtype."""
    return values[np.rint(row_positions(len(values), steps, "nearest")).astype(np.int64)]


def resample(values: Array, steps: int, method: Method) -> Array:
    """Resample along axis 0 in float64; the result has the dtype of `values`.

    Raises:
        ConfigError: on an unknown method, or interpolation of integers (depth has holes, in
            whose neighbourhood a mean of pixels is no depth).
    """
    if method == "nearest":
        return nearest_resample(values, steps)
    if method not in METHODS:
        raise ConfigError(f"unknown resampling {method!r}", remedy=f"use one of {METHODS}")
    if values.dtype.kind != "f":
        raise ConfigError(
            f"{method} resampling of {values.dtype} values",
            remedy="use method='nearest', or convert the values to float first",
        )
    function = fourier_resample if method == "fourier" else linear_resample
    return function(values.astype(np.float64), steps).astype(values.dtype)


def resample_clock(clock: Clock, steps: int, method: Method) -> Clock:
    """The times of the output steps; the kind of clock stays."""
    positions = row_positions(len(clock), steps, method)
    if method == "nearest":
        return Clock(clock.kind, clock.times_T[np.rint(positions).astype(np.int64)])
    start = clock.times_T[0]  # nanoseconds since 1970 are beyond float64's integers
    elapsed = (clock.times_T - start).astype(np.float64)
    between = np.interp(positions, np.arange(len(clock)), elapsed)
    if clock.kind is ClockKind.ABSOLUTE:
        return Clock(clock.kind, start + np.rint(between).astype(np.int64))
    return Clock(clock.kind, np.minimum(start + between, clock.times_T[-1]))


def resample_reading(reading: Reading, steps: int, method: Method) -> Reading:
    """A reading of `steps` rows."""
    arrays: dict[str, Any] = {
        name: resample(getattr(reading, name), steps, method) for name in reading.ARRAYS
    }
    return reading.replace(clock=resample_clock(reading.clock, steps, method), **arrays)


def _smoothed(values: Array, sigma: float) -> Array:
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(values.astype(np.float64), sigma, axis=0, mode="nearest")
    return np.asarray(smooth, dtype=values.dtype)


def crop_rows(reading: Reading, start: int, length: int) -> Reading:
    """Rows [start, start + length) of a reading; their times stay what they are."""
    rows = slice(start, start + length)
    arrays: dict[str, Any] = {name: getattr(reading, name)[rows] for name in reading.held}
    clock = Clock(reading.clock.kind, reading.clock.times_T[rows])
    return reading.replace(clock=clock, **arrays)


@dataclass(frozen=True, kw_only=True)
class Resample(Preparation[Reading]):
    """Resample windows to a fixed number of steps.

    Args:
        steps: S.
        method: "fourier" (as CMC-CMKM), "linear", or "nearest" (for images).
        smooth: before a window is shortened, average it over a Gaussian of this many output
            steps (about 0.35 keeps out what the steps cannot show); 0 for none.
    """

    steps: int
    method: Method = "fourier"
    smooth: float = 0.0

    def prepare(self, reading: Reading) -> Reading:
        sigma = self.smooth * len(reading.clock) / self.steps
        if self.smooth and len(reading.clock) > self.steps:
            arrays: dict[str, Any] = {
                name: _smoothed(getattr(reading, name), sigma) for name in reading.ARRAYS
            }
            reading = reading.replace(**arrays)
        return resample_reading(reading, self.steps, self.method)


@dataclass(frozen=True, kw_only=True)
class CropResample(Augmentation[Reading, tuple[int, int]]):
    """Cut out a part of the window and stretch it to the window's length.

    Args:
        shortest, longest: length of the part, as a share of the window.
        method: how it is stretched.
    """

    shortest: float = 0.8
    longest: float = 0.9
    method: Method = "fourier"

    def draw(self, reading: Reading, generator: np.random.Generator) -> tuple[int, int]:
        """(first row, rows)."""
        rows = len(reading.clock)
        share = generator.uniform(self.shortest, self.longest)
        length = max(1, min(rows, round(rows * share)))
        return int(generator.integers(rows - length + 1)), length

    def apply(self, reading: Reading, draw: tuple[int, int]) -> Reading:
        """The stretched part; its times are those of the rows that it came from."""
        return resample_reading(crop_rows(reading, *draw), len(reading.clock), self.method)


@dataclass(frozen=True, kw_only=True)
class WarpTime(Augmentation[Reading, npt.NDArray[np.float64]]):
    """Let time run unevenly: smoothly varying speed, same first and last row.

    The clock is not changed: a warped window says that an event happened at another moment.

    Args:
        sigma: deviation of the logarithm of the speed at the knots.
        knots: number of speeds that are drawn; between them speed is interpolated.
    """

    sigma: float = 0.2
    knots: int = 4

    def draw(self, reading: Reading, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        """Row positions [T], from 0 to T - 1."""
        rows = len(reading.clock)
        speeds = np.exp(generator.normal(0.0, self.sigma, self.knots))
        knots = np.linspace(0.0, 1.0, self.knots)
        steps = np.interp(np.linspace(0.0, 1.0, max(rows - 1, 1)), knots, speeds)
        passed = np.concatenate([[0.0], np.cumsum(steps)])[:rows]
        return np.asarray(passed * ((rows - 1) / max(passed[-1], 1e-12)), dtype=np.float64)

    def apply(self, reading: Reading, draw: npt.NDArray[np.float64]) -> Reading:
        """Rows at the drawn positions; the nearest ones where values are integers."""
        arrays: dict[str, Any] = {
            name: rows_at(getattr(reading, name), draw) for name in reading.ARRAYS
        }
        return reading.replace(**arrays)


def rows_at(values: Array, positions: npt.NDArray[np.float64]) -> Array:
    """Rows at fractional positions [S], same dtype; the nearest ones where values are integers."""
    if values.dtype.kind == "f":
        return rows_between(values, positions).astype(values.dtype)
    return values[np.rint(positions).astype(np.int64)]
