"""Ray casting in a few readable lines: every ray against every shape, and the ground by steps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sensorfusion.simulation.ground import CELL, HALF_LENGTH, HALF_WIDTH, KERB, Ground
from sensorfusion.simulation.intersect import NOTHING, hit_shape_reference
from sensorfusion.simulation.world import World

Floats = npt.NDArray[np.float64]


def cast_reference(
    world: World, ground: Ground, origins_N3: Floats, directions_N3: Floats, reach: float
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Distances and rows of shapes, as `cast` gives them, at the world's moment.

    The ground is found within half of `STEP`, where no ray grazes a bump of that size.
    """
    count = len(world.shapes_P16)
    tables = [hit_shape_reference(world, p, origins_N3, directions_N3) for p in range(count)]
    tables.append(_ground(world, ground, origins_N3, directions_N3, reach))
    at_PN = np.stack(tables)
    row = at_PN.argmin(axis=0)
    distance = at_PN[row, np.arange(len(row))]
    seen = distance < reach
    return np.where(seen, distance, np.inf), np.where(seen, row, -1)


STEP = 0.05  # metres


def _ground(
    world: World, ground: Ground, origins_N3: Floats, directions_N3: Floats, reach: float
) -> Floats:
    """First step below the ground's surface, by bisection between it and the step before."""
    distance = np.arange(STEP, reach, STEP)
    found = np.full(len(origins_N3), NOTHING)
    for n, (origin, ray) in enumerate(zip(origins_N3, directions_N3, strict=True)):
        points = origin + distance[:, None] * ray
        below = _above(world, ground, points) < 0.0
        if below.any():
            first = int(np.argmax(below))
            low, high = distance[first] - STEP, distance[first]
            for _ in range(30):
                middle = 0.5 * (low + high)
                if _above(world, ground, (origin + middle * ray)[None])[0] < 0.0:
                    high = middle
                else:
                    low = middle
            found[n] = high
    return found


def _above(world: World, ground: Ground, points_N3: Floats) -> Floats:
    """Height of points above the ground's surface; infinite outside the block."""
    x, y, z = points_N3.T
    u, v = (x + HALF_LENGTH) / CELL, (y + HALF_WIDTH) / CELL
    columns, rows = world.zones.shape
    inside = (u >= 0) & (u < columns) & (v >= 0) & (v < rows)
    i = np.clip(np.floor(u).astype(int), 0, columns - 1)
    j = np.clip(np.floor(v).astype(int), 0, rows - 1)
    u, v = u - i, v - j
    h = world.heights
    level = (h[i, j] * (1 - u) + h[i + 1, j] * u) * (1 - v)
    level += (h[i, j + 1] * (1 - u) + h[i + 1, j + 1] * u) * v
    height = level + np.where(ground.on_street(x, y), 0.0, KERB)
    return np.where(inside, z - height, np.inf)
