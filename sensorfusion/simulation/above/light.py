"""Sun on a surface: shading and cast shadows."""

from __future__ import annotations

import math

import numpy as np

from sensorfusion.simulation.above.grid import Array, Floats
from sensorfusion.simulation.above.terrain import slope_of


def direction(azimuth: float, elevation: float) -> tuple[float, float, float]:
    """Unit vector (east, north, up) to the sun. Angles in radians, azimuth clockwise from north."""
    level = math.cos(elevation)
    return level * math.sin(azimuth), level * math.cos(azimuth), math.sin(elevation)


def shading(height_HW: Floats, cell: float, azimuth: float, elevation: float) -> Floats:
    """Cosine of the sun's incidence relative to level ground, at least 0: float32 [H, W]."""
    east, north, up = direction(azimuth, elevation)
    slope_east, slope_north = slope_of(height_HW, cell)
    length = np.sqrt(1 + slope_east**2 + slope_north**2)
    cosine = (up - east * slope_east - north * slope_north) / length
    return np.asarray(np.maximum(cosine, 0.0) / up, np.float32)


def cast_shadow(
    height_HW: Floats, cell: float, azimuth: float, elevation: float, reach: float
) -> Array:
    """Where something nearer to the sun hides it: bool [H, W].

    The sun's ray over a cell rises by tan(elevation) per metre; a cell is hidden where a surface
    towards the sun rises above it. The highest such ray over stretches of 1, 2, 4 ... cells
    follows from that over half the stretch, so that `reach` metres cost its logarithm. Directions
    are rounded to whole cells for each stretch.
    """
    east, north, up = direction(azimuth, elevation)
    level = math.hypot(east, north)
    step_column, step_row = east / level, -north / level
    rise = np.float32(up / level * cell)
    # After k doublings: the highest ray from surfaces 0 to 2^k - 1 cells away, seen here.
    highest, cells = height_HW.copy(), 1
    while cells * cell < reach:
        highest = np.maximum(
            highest, _from(highest, cells * step_row, cells * step_column) - cells * rise
        )
        cells *= 2
    return _from(highest, step_row, step_column) - rise > height_HW + np.float32(0.05)


def _from(values_HW: Floats, rows: float, columns: float) -> Floats:
    """Values so many rows and columns away, very low beside the window."""
    down, right = round(rows), round(columns)
    height, width = values_HW.shape
    moved = np.full_like(values_HW, -1e9)
    top, bottom = max(-down, 0), min(height, height - down)
    left, far = max(-right, 0), min(width, width - right)
    if bottom > top and far > left:
        moved[top:bottom, left:far] = values_HW[
            top + down : bottom + down, left + right : far + right
        ]
    return moved
