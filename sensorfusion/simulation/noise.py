"""Noise that depends on place alone, so that every sensor and every worker sees the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import borrowing


def lattice_reference(i: Any, j: Any, k: Any) -> Any:
    """A number in [0, 1) that looks random for every triple of integers (scalars or arrays)."""
    mixed = ((i * 73856093) ^ (j * 19349663) ^ (k * 83492791)) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 739982445) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 12)) * 695872825) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 15)) / 4294967296.0


lattice = borrowing(lattice_reference)


@borrowing
def noise(x: float, y: float, z: float) -> float:
    """Smooth noise in [0, 1) with features of unit size: lattice values, blended (value noise)."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v), w * w * (3.0 - 2.0 * w)
    i, j, k = int(i), int(j), int(k)
    low = (lattice(i, j, k) * (1 - u) + lattice(i + 1, j, k) * u) * (1 - v)
    low += (lattice(i, j + 1, k) * (1 - u) + lattice(i + 1, j + 1, k) * u) * v
    high = (lattice(i, j, k + 1) * (1 - u) + lattice(i + 1, j, k + 1) * u) * (1 - v)
    high += (lattice(i, j + 1, k + 1) * (1 - u) + lattice(i + 1, j + 1, k + 1) * u) * v
    return float(low * (1 - w) + high * w)


@borrowing
def plane_noise(x: float, y: float, k: int) -> float:
    """`noise` at (x, y, k), bit for bit, where the third place is an integer."""
    i, j = math.floor(x), math.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v)
    i, j = int(i), int(j)
    low = (lattice(i, j, k) * (1 - u) + lattice(i + 1, j, k) * u) * (1 - v)
    low += (lattice(i, j + 1, k) * (1 - u) + lattice(i + 1, j + 1, k) * u) * v
    return float(low)


def noise_reference(points_N3: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`noise` at N points: float64 [N]."""
    corner = np.floor(points_N3).astype(np.int64)
    part = points_N3 - corner
    blend = part * part * (3.0 - 2.0 * part)
    total = np.zeros(len(points_N3))
    for step in np.ndindex(2, 2, 2):
        weight = np.where(step, blend, 1.0 - blend).prod(axis=1)
        total += weight * lattice_reference(*(corner + step).T)
    return total


@borrowing
def bell(i: int, j: int, k: int) -> float:
    """Noise of mean 0 and deviation 1, nearly normal: the sum of four bytes of a hash."""
    bits = int(lattice(i, j, k) * 4294967296.0)
    total = (bits & 255) + ((bits >> 8) & 255) + ((bits >> 16) & 255) + ((bits >> 24) & 255)
    return (total - 510.0) / 147.8
