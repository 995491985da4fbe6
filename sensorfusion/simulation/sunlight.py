"""Which places the sun reaches: shapes in bins on a plane across its rays.

Along the sun's rays every place is a point of that plane, so the shapes that may shade it are
those of one bin.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import merged
from sensorfusion.simulation.bins import bin_rectangles
from sensorfusion.simulation.casting import meet_ground
from sensorfusion.simulation.intersect import hit_shape, misses
from sensorfusion.simulation.vectors import cross
from sensorfusion.simulation.world import CLEARANCE, World, listed, swept

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
SHADOW = 70.0  # metres towards the sun in which something may cast a shadow
BIN = 1.0  # metres


class Sunlight(NamedTuple):
    """What kernels read to find shadows.

    Args:
        axes_33: two directions across the sun's rays, and the one to the sun.
        corner_2: least coordinates of the bins. rows, columns: how many there are.
        starts_B, entries_E: shapes of every bin, those that reach highest towards the sun first.
        tops_P: how far towards the sun a shape reaches.
        balls_P4: balls around shapes, wherever they move while the views are exposed.
        roof: no ground is higher.
    """

    axes_33: Floats
    corner_2: Floats
    rows: int
    columns: int
    starts_B: Array
    entries_E: Array
    tops_P: Floats
    balls_P4: Floats
    roof: float


def find_sunlight(world: World, longest: float, shadows: bool = True) -> Sunlight:
    """Bins for rays that leave within `longest` seconds of the world's moment.

    Without `shadows` nothing stands in any bin.
    """
    sun = world.sun_3
    first = cross(np.array([0.0, 0.0, 1.0]), sun)
    first /= np.linalg.norm(first)
    axes = np.stack([first, cross(sun, first), sun])
    roof = float(world.ground_IJ.max())
    rows = listed(world) if shadows else np.zeros(0, np.int64)
    if not len(rows):
        none = np.zeros(0, np.int32)
        starts = np.zeros(2, np.int64)
        return Sunlight(axes, np.zeros(2), 1, 1, starts, none, np.zeros(0), world.balls_P4, roof)
    centre, extent, shift = swept(world, axes, longest)
    low, high = centre - extent - CLEARANCE, centre + extent + CLEARANCE
    corner = low[rows, :2].min(axis=0)
    cells = np.zeros((1, len(centre), 4), np.int32)
    cells[0, :, 1] = -1
    first_cell = np.floor((low[rows, :2] - corner) / BIN)
    last_cell = np.floor((high[rows, :2] - corner) / BIN)
    cells[0, rows] = np.column_stack(
        [first_cell[:, 0], last_cell[:, 0], first_cell[:, 1], last_cell[:, 1]]
    )
    size = int(last_cell[:, 0].max()) + 1, int(last_cell[:, 1].max()) + 1
    order = np.argsort(-high[:, 2], kind="stable")
    starts, entries = bin_rectangles(cells, order[None], size)
    balls = world.balls_P4.copy()
    balls[:, 3] = (np.sqrt(balls[:, 3]) + shift) ** 2
    return Sunlight(axes, corner, *size, starts, entries, high[:, 2], balls, roof)


@merged
def is_shaded(
    world: World, sunlight: Sunlight, x: float, y: float, z: float, offset: float
) -> bool:
    """Whether anything stands between a place and the sun."""
    axes = sunlight.axes_33
    ray = (x, y, z, axes[2, 0], axes[2, 1], axes[2, 2])
    first = axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z
    second = axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z
    i = math.floor((first - sunlight.corner_2[0]) / BIN)
    j = math.floor((second - sunlight.corner_2[1]) / BIN)
    if 0 <= i < sunlight.rows and 0 <= j < sunlight.columns:
        height = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
        cell = i * sunlight.columns + j
        for e in range(sunlight.starts_B[cell], sunlight.starts_B[cell + 1]):
            p = sunlight.entries_E[e]
            if sunlight.tops_P[p] < height:
                break
            if misses(sunlight.balls_P4, p, ray, SHADOW):
                continue
            later = offset if world.moving_P[p] else 0.0
            shapes, moves, look = world.shapes_P16, world.moves_P6, world.look_P12
            if hit_shape(shapes, moves, look, p, ray, later, SHADOW) < SHADOW:
                return True
    return bool(meet_ground(world, ray, SHADOW, sunlight.roof) < SHADOW)
