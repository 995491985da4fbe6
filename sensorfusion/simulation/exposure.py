"""From light to the bytes of a picture: exposure, noise, sRGB."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import borrowing
from sensorfusion.simulation.noise import bell

Array = npt.NDArray[Any]
STEPS = 4096  # of brightness, at which the search for a byte starts


def srgb_reference(value_N: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Bytes of linear brightness from 0 to 1 (IEC 61966-2-1), rounded."""
    low, high = 12.92 * value_N, 1.055 * value_N ** (1.0 / 2.4) - 0.055
    return np.asarray(255.0 * np.where(value_N < 0.0031308, low, high) + 0.5).astype(np.uint8)


def _thresholds() -> npt.NDArray[np.float64]:
    """The least brightness of every byte, [257]: by bisection; none reaches byte 256."""
    byte = np.arange(1, 256)
    low, high = np.zeros(255), np.ones(255)
    for _ in range(1100):  # until the two are neighbours
        middle = 0.5 * (low + high)
        if not ((low < middle) & (middle < high)).any():
            break
        reached = srgb_reference(middle) >= byte
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.concatenate([[0.0], high, [np.inf]])


THRESHOLDS = _thresholds()
STARTS = srgb_reference(np.arange(STEPS + 1) / STEPS)


@borrowing
def srgb(value: float) -> int:
    """`srgb_reference` of one value, by search instead of a power."""
    byte = int(STARTS[int(value * STEPS)])
    while value >= THRESHOLDS[byte + 1]:
        byte += 1
    return byte


@borrowing
def expose(
    exposure: float,
    grain: float,
    seed: int,
    pixel: int,
    light: tuple[float, float, float],
    out: Array,
) -> None:
    """Radiance to sRGB: exposure, a soft shoulder, noise of photons and of reading, gamma."""
    for c in range(3):
        value = exposure * light[c]
        value = value * (1.0 + 0.12 * value) / (1.0 + value * 0.75)
        value += grain * (0.3 + math.sqrt(max(value, 0.0))) * bell(pixel, c, seed) * 0.5
        out[c] = srgb(min(max(value, 0.0), 1.0))
